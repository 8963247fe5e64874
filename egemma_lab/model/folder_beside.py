"""A place to write what is to appear in one step, and the removal of what killed processes left in such places."""

import contextlib
import os
import platform
import re
import shutil
import tempfile
from pathlib import Path

from egemma_lab.model.full_disk import naming_a_full_disk


@contextlib.contextmanager
def folder_beside(path):
    """An empty hidden folder beside `path`, on the same disk, so that what is made in it moves to `path` in one step.

    It is gone when the block ends; where the disk is full, the error names `path`. A process that is killed leaves it
    behind; whoever next writes to the same path on the same machine removes it.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with folder_beside(Path(folder) / "model.gguf") as beside:
    ...         beside.parent == Path(folder), [path.name for path in Path(folder).iterdir()] == [beside.name]
    (True, True)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in left_beside(path):
        shutil.rmtree(
            left, ignore_errors=True
        )  # whatever it is that cannot be deleted, it is in nobody's way
    prefix = f"{_prefix(path)}{os.getpid()}-"
    with naming_a_full_disk(path), tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as beside:
        yield Path(beside)


def left_beside(path):
    """Folders that `folder_beside(path)` made in processes of this machine that are no longer alive."""
    path = Path(path)
    name = re.compile(re.escape(_prefix(path)) + r"(\d{1,9})-\w+")
    found = [(left, name.fullmatch(left.name)) for left in path.parent.glob(".*")]
    return [
        left
        for left, match in found
        if match and left.is_dir() and not left.is_symlink() and not _is_alive(int(match[1]))
    ]


def _prefix(path):
    """How the hidden folder is called: by its target and the machine, elsewhere a process's number says nothing."""
    return f".{path.name}-{re.sub(r'[^A-Za-z0-9]+', '', platform.node())}-"


def _is_alive(pid):
    if os.name == "nt":
        return True  # there, asking would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
