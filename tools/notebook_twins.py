"""A notebook and its script: the script (jupytext, py:percent) is where notebooks are written and reviewed.

`merge(script, notebook)` carries a script over into a notebook and keeps what the run produced wherever a
cell's source is unchanged; `twin_differences` says where the two have drifted apart.
"""

import difflib
import hashlib
from pathlib import Path

import jupytext
import nbformat

# The kernel's own name and Python's version differ between machines; a notebook needs neither.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def read_script(path):
    """The cells of a py:percent script as a notebook without outputs."""
    return jupytext.reads(Path(path).read_text("utf-8"), fmt="py:percent")


def _key(cell):
    """What makes two cells the same: kind, source, and the metadata a script can hold (tags)."""
    metadata = {name: value for name, value in sorted(cell.metadata.items()) if name != "execution"}
    return cell.cell_type, cell.source.strip(), repr(metadata)


def _cell_id(cell, taken):
    """An id that depends on the cell alone, so that making a notebook twice gives the same file."""
    for attempt in range(len(taken) + 1):
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}\n{attempt}".encode()).hexdigest()[:8]
        if digest not in taken:
            return digest
    raise AssertionError("unreachable: more attempts than ids")


def merge(script, notebook=None):
    """A notebook with the cells of `script`; ids, outputs and counts come from `notebook` where cells agree.

    Both are nbformat notebooks; neither is changed. A cell whose source changed keeps its place and loses its
    outputs: a picture must never stand below code that did not draw it.
    """
    old = list(notebook.cells) if notebook is not None else []
    matcher = difflib.SequenceMatcher(
        a=[_key(c) for c in old], b=[_key(c) for c in script.cells], autojunk=False
    )
    same = {
        block.b + i: old[block.a + i] for block in matcher.get_matching_blocks() for i in range(block.size)
    }
    taken = {cell.id for cell in same.values() if "id" in cell}
    merged = nbformat.v4.new_notebook(metadata=METADATA)
    for index, cell in enumerate(script.cells):
        kept = same.get(index)
        if kept is not None and "id" in kept:
            identity = kept.id
        else:
            identity = _cell_id(cell, taken)
            taken.add(identity)
        make = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")
        new = make(cell.source, id=identity, metadata=dict(cell.metadata))
        if kept is not None and cell.cell_type == "code":
            new.outputs, new.execution_count = kept.outputs, kept.execution_count
        merged.cells.append(new)
    return merged


def twin_differences(notebook_path, script_path):
    """Where the notebook and its script disagree, one line each; empty when they are the same text."""
    notebook = nbformat.read(notebook_path, as_version=4)
    script = read_script(script_path)
    ours, theirs = ([_key(cell) for cell in each.cells] for each in (notebook, script))
    if ours == theirs:
        return []
    for index, (left, right) in enumerate(zip(ours, theirs, strict=False)):
        if left != right:
            part = next(name for name, a, b in zip(("kind", "source", "tags"), left, right) if a != b)
            return [f"cell {index}: its {part} differs from {script_path.name}; run `make format`"]
    return [f"{len(ours)} cells, but {script_path.name} has {len(theirs)}; run `make format`"]
