"""Imports go one way (docs/architecture.md), and `import egemma_lab` itself stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "egemma_lab"
ROOT = Path(__file__).resolve().parent.parent / PACKAGE

EVERYBODY = {"settings", "_callable"}
GROUND = {"model", "losses", "geometry"}
# part of the package -> the parts it may import, besides itself and EVERYBODY
ALLOWED = {
    "settings": set(),
    "_callable": set(),
    "model": set(),
    "losses": set(),
    "geometry": set(),
    "data": {"model"},
    "quantize": {"model", "geometry", "data"},
    "evaluate": {"model", "geometry", "data", "quantize"},
    "train": GROUND | {"data", "evaluate", "quantize"},
    "experiments": GROUND | {"data", "evaluate", "quantize", "train"},
    "explore": GROUND | {"data", "evaluate", "quantize", "train", "experiments"},
    "cli": GROUND | {"data", "evaluate", "quantize", "train", "experiments", "explore"},
}
# On top of everything: these may also `import egemma_lab` as their users do.
TOP = {"explore", "cli"}
# The package's own __init__ imports by name, lazily; `python -m egemma_lab` only calls the command line.
FREE = {"__init__", "__main__"}

HEAVY = ("torch", "transformers", "sentence_transformers", "datasets", "sklearn", "umap", "numba", "faiss")
HEAVY += ("plotly", "matplotlib", "ipywidgets", "pandas", "accelerate", "bm25s", "ir_measures", "mteb")


def imported_modules(path, package_root):
    """(line, absolute module name) of every import in a file, those inside functions among them."""
    parts = (PACKAGE, *path.relative_to(package_root).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            module = ".".join(each for each in (base, node.module) if each)
            if module == PACKAGE:  # from egemma_lab import train: the name is the part
                for alias in node.names:
                    yield node.lineno, PACKAGE if alias.name == "__version__" else f"{PACKAGE}.{alias.name}"
            else:
                yield node.lineno, module
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def plain_root_imports(path):
    """Lines of `import egemma_lab`: through it every part can be reached, so only the top may write it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import) and any(alias.name == PACKAGE for alias in node.names):
            yield node.lineno


def violations(package_root):
    """Imports against the direction of ALLOWED in the package at `package_root`, one line each."""
    found = []
    for path in sorted(package_root.rglob("*.py")):
        relative = path.relative_to(package_root)
        part = relative.with_suffix("").parts[0]
        if len(relative.parts) == 1 and part in FREE:
            continue
        if part not in ALLOWED:
            found.append(f"{relative}: no rule for {part!r}; add it to ALLOWED and to docs/architecture.md")
            continue
        if part not in TOP:
            found += [f"{relative}:{line}: imports all of {PACKAGE}" for line in plain_root_imports(path)]
        for line, module in imported_modules(path, package_root):
            home, _, rest = module.partition(".")
            if home != PACKAGE or not rest:
                continue
            other = rest.partition(".")[0]
            if other != part and other not in ALLOWED[part] | EVERYBODY:
                found.append(f"{relative}:{line}: {part} must not know {other}")
    return found


def test_imports_go_one_way():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("file", "source", "words"),
    [
        ("losses/bad.py", "from egemma_lab.model import load_model", "losses must not know model"),
        (
            "model/bad.py",
            "def f():\n    from egemma_lab.data.pairs import load_pairs",
            "model must not know data",
        ),
        ("geometry/bad.py", "from ..train import loop", "geometry must not know train"),
        ("geometry/bad.py", "from .. import train", "geometry must not know train"),
        ("data/bad.py", "import egemma_lab.evaluate", "data must not know evaluate"),
        ("data/bad.py", "import egemma_lab as lab", "imports all of egemma_lab"),
        ("evaluate/deep/bad.py", "from egemma_lab import explore", "evaluate must not know explore"),
        (
            "train/bad.py",
            "import importlib\nimportlib.import_module('egemma_lab.cli')",
            "train must not know cli",
        ),
        ("settings.py", "from egemma_lab import data", "settings must not know data"),
        ("novelty/new.py", "x = 1", "no rule for 'novelty'"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, file, source, words):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    found = violations(tmp_path)
    assert len(found) == 1
    assert words in found[0]


def test_what_is_allowed_is_left_alone(tmp_path):
    allowed = {
        "train/loop.py": "from egemma_lab.losses import RecipeLoss\nfrom egemma_lab import __version__",
        "train/run.py": "from .loop import train\nfrom ..settings import fast_mode",
        "explore/live.py": "import egemma_lab as lab\nfrom egemma_lab import train",
        "__init__.py": "import egemma_lab.train",
    }
    for file, source in allowed.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(source)
    assert violations(tmp_path) == []


def test_import_is_light():
    code = f"import sys, egemma_lab; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
