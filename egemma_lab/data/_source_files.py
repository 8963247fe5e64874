"""Where the Python source of this machine lies, told by its folders; nothing is imported to find it."""

import hashlib
import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 1_000_000  # longer files are tables, not code
# Tests, other projects' code copied in, and what only looks like code: documents, examples, templates.
_SKIPPED_FOLDERS = {
    *("test", "tests", "testing", "_test", "_tests", "test_data", "testdata", "unittests", "benchmarks"),
    *("_vendor", "_vendored", "vendor", "vendored", "_vendored_packages", "third_party", "thirdparty"),
    *("extern", "externals", "_extern", "_distutils", "site-packages", "dist-packages", "node_modules"),
    *("__pycache__", "build", "doc", "docs", "example", "examples", "templates"),
    # inside the standard library: applications, a frozen copy, a bundled installer, one huge table
    *("idlelib", "lib2to3", "turtledemo", "ensurepip", "pydoc_data"),
}
_SKIPPED_FILES = {"test", "tests", "conftest", "setup", "antigravity", "this"}
_INSTALLED = ("site-packages", "dist-packages")


def stable_hash(text):
    """A number in [0, 2**64) that is the same for the same text on every machine and in every run."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Package:
    """A top-level package or module and where it lies."""

    name: str
    path: Path

    def files(self):
        """`(dotted module name, path)` of the source files, in an order that only the names decide.

        The order is a shuffle, so that whoever stops early has seen all corners of the package.
        """
        if not self.path.is_dir():
            return [(self.name, self.path)]
        found = []
        for folder, subfolders, names in os.walk(self.path):  # does not follow links, so it ends
            subfolders[:] = filter(_is_code_folder, subfolders)
            parts = [self.name, *Path(folder).relative_to(self.path).parts]
            for name in filter(_is_code_file, names):
                stem = name.removesuffix(".py")
                module = ".".join(parts if stem == "__init__" else [*parts, stem])
                found.append((module, Path(folder, name)))
        return sorted(found, key=lambda item: (stable_hash(item[0]), item[0], item[1].name))


def read_source(path):
    """The text of a source file, or None where it is too long, no ordinary file, or not UTF-8."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        return path.read_bytes().decode("utf-8-sig")
    except (UnicodeDecodeError, OSError):  # removed or made unreadable since the folder was listed
        return None


def find_packages(paths=None):
    """Top-level packages in the given places, or in this environment: standard library and site-packages.

    Each of `paths` is a folder of packages (as site-packages is one), a package, or a single module's file.
    A name found twice counts once, where it was found first, as for Python's own import.
    """
    packages = {}
    for place, names in _places(paths):
        if not place.is_dir() or (place / "__init__.py").is_file():
            packages.setdefault(place.stem, Package(place.stem, place))
            continue
        for entry in sorted(place.iterdir()):
            name = entry.name.removesuffix(".py")
            readable = _is_code_folder(name) if entry.is_dir() else _is_code_file(entry.name)
            if readable and (names is None or name in names):
                packages.setdefault(name, Package(name, entry))
    return list(packages.values())


def sources_fingerprint(paths=None):
    """A short digest of what `find_packages(paths)` would read, much cheaper than reading it.

    For the environment: Python's version and the names and versions of everything installed (the names of the
    `*.dist-info` folders hold both). For `paths`: place, size and time of change of every source file.
    """
    if paths is None:
        listed = [name for place, _ in _places(None) for name in sorted(os.listdir(place))]
        seen = [platform.python_version(), *listed]
    else:
        files = [path for package in find_packages(paths) for _, path in package.files() if path.exists()]
        seen = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    return f"{stable_hash(chr(10).join(seen)):016x}"


def _places(paths):
    """Folders to look in, with the names to take there (None: all)."""
    if paths is not None:
        paths = [paths] if isinstance(paths, str | os.PathLike) else paths
        places = [Path(path).expanduser().absolute() for path in paths]
        missing = [str(place) for place in places if not place.exists()]
        if missing:
            raise FileNotFoundError(
                f"paths={missing} not found; give folders of packages, packages or .py files"
            )
        return [(place, None) for place in places]
    library = Path(sysconfig.get_path("stdlib"))
    installed = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    installed += [entry for entry in sys.path if os.path.basename(entry) in _INSTALLED]
    installed = dict.fromkeys(Path(entry).resolve() for entry in installed)
    return [(library, sys.stdlib_module_names), *((place, None) for place in installed if place.is_dir())]


def _is_code_folder(name):
    return name.isidentifier() and name not in _SKIPPED_FOLDERS and not _is_test(name)


def _is_code_file(name):
    stem, ending = os.path.splitext(name)
    skipped = stem in _SKIPPED_FILES or _is_test(stem) or stem.endswith("_pb2")
    return ending == ".py" and stem.isidentifier() and not skipped


def _is_test(name):
    return name.startswith("test_") or name.endswith(("_test", "_tests"))
