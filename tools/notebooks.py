"""Make the notebooks from their scripts, and run them for the reader who has no kernel.

    python tools/notebooks.py sync [NAME ...]       # notebooks/scripts/NAME.py -> notebooks/NAME.ipynb
    python tools/notebooks.py execute [NAME ...]    # run in full, keep outputs and static pictures

`sync` keeps outputs wherever a cell is unchanged. `execute` runs in the notebook's own folder and in full
mode, then removes what belongs to this machine alone (widget state, paths, timings) and checks the result.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

import wake_ups  # noqa: F401  so that a lost wake-up does not hold a cell up
from check_notebooks import WIDGET_VIEW, problems
from notebook_header import ROOT
from notebook_twins import METADATA, merge, read_script

NOTEBOOKS = ROOT / "notebooks"
SECONDS_PER_CELL = 1800


def sync(script_path, notebook_path):
    """Write the script's cells into the notebook; returns whether the file changed."""
    old = nbformat.read(notebook_path, as_version=4) if notebook_path.exists() else None
    text = nbformat.writes(merge(read_script(script_path), old)) + "\n"
    if old is not None and notebook_path.read_text("utf-8") == text:
        return False
    notebook_path.write_text(text, "utf-8")
    return True


def _without_machine(node, replacements):
    """`node` (outputs of a notebook, nested dicts, lists, text) with this machine's folders replaced."""
    if isinstance(node, str):
        for folder, name in replacements:
            node = re.sub(rf"(?<![\w.:/-]){re.escape(folder)}(?![\w-])", name, node)
        return node
    if isinstance(node, list):
        return [_without_machine(value, replacements) for value in node]
    if isinstance(node, dict):
        for key in node:
            node[key] = _without_machine(node[key], replacements)
    return node


def cleaned(notebook, root=ROOT):
    """`notebook` after a run, changed in place: no widget state or dead view, no machine paths, no times."""
    folders = {str(root): "egemma-lab", str(Path.home()): "~", tempfile.gettempdir(): "<temporary folder>"}
    # longest first, so that the repository inside the home folder keeps its own name
    replacements = sorted(folders.items(), key=lambda pair: -len(pair[0]))
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            # without its state a widget's view is an error message; its static picture is another output
            if WIDGET_VIEW in output.get("data", {}):
                del output["data"][WIDGET_VIEW]
                if set(output["data"]) <= {"text/plain"}:
                    continue
            kept.append(_without_machine(output, replacements))
        cell.outputs = kept
    return notebook


def execute(path):
    """Run the notebook at `path` in full mode, in its own folder, and write it back cleaned.

    Raises `nbclient.exceptions.CellExecutionError` where a cell fails; the file is then left as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=SECONDS_PER_CELL,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,  # and a progress bar leaves its last line alone
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    path.write_text(nbformat.writes(cleaned(notebook)) + "\n", "utf-8")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=["sync", "execute"])
    parser.add_argument("names", nargs="*", help="notebooks without suffix (default: all)")
    options = parser.parse_args(arguments)
    names = options.names or sorted(path.stem for path in NOTEBOOKS.glob("scripts/*.py"))
    os.environ.pop("EGEMMA_FAST", None)  # what is published is the full run
    wrong = 0
    for name in names:
        path = NOTEBOOKS / f"{name}.ipynb"
        changed = sync(NOTEBOOKS / "scripts" / f"{name}.py", path)
        if options.action == "sync":
            print(f"{name}: {'written' if changed else 'up to date'}")
            continue
        start = time.perf_counter()
        execute(path)
        print(f"{name}: executed in {time.perf_counter() - start:.0f} s")
        for line in problems(path):
            wrong += 1
            print(f"{name}: {line}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
