"""Run every notebook in fast mode (EGEMMA_FAST=1: smaller, never skipped) and look for swallowed errors.

    python tools/run_notebooks.py [NAME ...]

The run happens on copies in a temporary folder, with its own cache: the committed notebooks stay as they are.
nbmake executes them and writes the result back into the copies, which then still hold the widget state in
which errors of callbacks hide (see notebook_errors.py).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from notebook_errors import swallowed_errors
from notebook_header import ROOT

SECONDS_PER_CELL = 300


def run_copies(folder, names, work):
    """Run the notebooks `names` (all if empty) of `folder` on copies under `work`.

    Returns (nbmake's exit status, {name: [errors]}).
    """
    copies = Path(work) / "notebooks"
    shutil.copytree(folder, copies, ignore=shutil.ignore_patterns("runs", ".ipynb_checkpoints"))
    paths = sorted(path for path in copies.glob("*.ipynb") if not names or path.stem in names)
    missing = set(names) - {path.stem for path in paths}
    if missing or not paths:
        raise FileNotFoundError(f"no notebook {', '.join(sorted(missing)) or 'at all'} in {folder}")
    environment = {
        **os.environ,
        "EGEMMA_FAST": "1",
        "EGEMMA_CACHE": str(Path(work) / "cache"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "tools"), os.environ.get("PYTHONPATH")])),
        "HF_HUB_OFFLINE": "1",  # the notebooks must do without a download; this makes a forgotten one fail
    }
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(copies), "-p", "no:cacheprovider"]
    command += [
        "-p",
        "wake_ups",
        "--durations=0",
        "--nbmake",
        "--overwrite",
        f"--nbmake-timeout={SECONDS_PER_CELL}",
    ]
    status = subprocess.run([*command, *map(str, paths)], cwd=copies, env=environment).returncode
    errors = {path.stem: swallowed_errors(nbformat.read(path, as_version=4)) for path in paths}
    return status, errors


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="notebooks without .ipynb (default: all)")
    names = parser.parse_args(arguments).names
    with tempfile.TemporaryDirectory() as work:
        status, errors = run_copies(ROOT / "notebooks", names, work)
    for name, lines in errors.items():
        for line in lines:
            print(f"{name}.ipynb: {line}")
    return int(status != 0 or any(errors.values()))


if __name__ == "__main__":
    sys.exit(main())
