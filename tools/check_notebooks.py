"""What a committed notebook must not hold, and what it must: checked on the files as they stand.

    python tools/check_notebooks.py [notebooks/00_start_here.ipynb ...]

`problems(path)` lists what is wrong with one notebook, `folder_problems(folder)` with notebooks and scripts
that lack each other. Nothing is executed and nothing is changed.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat

from notebook_errors import swallowed_errors
from notebook_header import ROOT, badge, install_source
from notebook_twins import METADATA, twin_differences

MAX_BYTES = 1_500_000
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
STATIC_PICTURES = ("image/png", "image/jpeg", "image/svg+xml")

_MARKDOWN_IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\][(\[]")
_HTML_IMAGE = re.compile(r"<img\b(?P<attributes>[^>]*)>", re.IGNORECASE | re.DOTALL)
_HTML_ALT = re.compile(r"\balt\s*=\s*(\"[^\"]*[^\s\"][^\"]*\"|'[^']*[^\s'][^']*'|[^\s\"'>]+)", re.IGNORECASE)
_TOKEN = re.compile(
    r"\b(hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16})"
)
_MACHINE_PATH = re.compile(
    r"(?<![\w.:/-])(/(?:home|Users|mnt|private|var/folders|content)/\w[^\s'\"<>,;]*|/(?:root|tmp)\b[^\s'\"<>,;]*)"
    r"|\b[A-Za-z]:\\+Users\\[^\s'\"<>,;]*"
)
_BINARY = {"image/png", "image/jpeg", "application/pdf", "bdata"}  # base64: no text to search


def _strings(node):
    """Every piece of text in a parsed notebook, keys left out, base64 left out."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            if key not in _BINARY:
                yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)


def machine_paths(text, folders=()):
    """Paths in `text` that exist on one machine only; `folders` are further ones to look for.

    >>> machine_paths("saved to /home/ada/lab/runs, see https://host.org/home/page")
    ['/home/ada/lab/runs']
    """
    found = [match.group(0) for match in _MACHINE_PATH.finditer(text)]
    for folder in folders:
        found += re.findall(rf"(?<![\w.:/-]){re.escape(str(folder))}(?![\w-])", text)
    return found


def _here():
    """This machine's own folders: the repository, the folder it lies in, the user's home."""
    return sorted({str(path) for path in (ROOT, ROOT.parent, Path.home())} - {Path(ROOT).anchor})


def images_without_alt(text):
    """Markdown and HTML images in `text` whose alternative text is missing or empty.

    >>> images_without_alt("![](a.png) ![a map of packages](b.png) <img src='c.png'>")
    ['![](', "<img src='c.png'>"]
    """
    found = [match.group(0) for match in _MARKDOWN_IMAGE.finditer(text) if not match["alt"].strip()]
    found += [
        match.group(0) for match in _HTML_IMAGE.finditer(text) if not _HTML_ALT.search(match["attributes"])
    ]
    return found


def _has_alt(output, kind):
    """Whether the output's metadata describes its picture: {"alt": ...} or {"image/png": {"alt": ...}}."""
    metadata = output.get("metadata", {})
    own = metadata.get(kind, {})
    candidates = [metadata.get("alt"), own.get("alt") if isinstance(own, dict) else None]
    return any(isinstance(alt, str) and alt.strip() for alt in candidates)


def _output_problems(output):
    data = output.get("data", {})
    pictures = [kind for kind in data if kind.startswith("image/")]
    for kind in [*pictures, *(kind for kind in data if kind == PLOTLY)]:
        if not _has_alt(output, kind):
            yield f"{kind} without alt text in the output's metadata"
    if PLOTLY in data and not any(kind in data for kind in STATIC_PICTURES):
        yield "a plotly figure without a static picture beside it"
    if WIDGET_VIEW in data:
        yield "a widget where a reader without a kernel sees nothing; run `make notebooks`"
    html = data.get("text/html", "")
    for image in images_without_alt(html if isinstance(html, str) else "".join(html)):
        yield f"image without alt text: {image[:80]}"


def _header_problems(notebook, name):
    markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    if notebook.cells and notebook.cells[0].cell_type != "markdown":
        yield "the first cell is not the Markdown cell with title and badge"
    if not markdown or badge(name) not in markdown[0]:
        yield f"the first Markdown cell lacks the badge: {badge(name)}"
    if not code or code[0].strip() != install_source().strip():
        yield "the first code cell is not the install cell of tools/notebook_header.py"


def _cell_problems(notebook):
    expected = 1
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for image in images_without_alt(cell.source):
                yield f"cell {index}: image without alt text: {image[:80]}"
        if cell.cell_type != "code":
            continue
        if cell.source.strip():
            if cell.execution_count != expected:
                yield f"cell {index}: not run top to bottom (In [{cell.execution_count}], not {expected})"
            expected += 1
        if "execution" in cell.metadata:
            yield f"cell {index}: holds execution times"
        for output in cell.outputs:
            for problem in _output_problems(output):
                yield f"cell {index}: {problem}"


def problems(path):
    """Everything wrong with the notebook at `path`, one line each; empty: it may be committed."""
    path = Path(path)
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        return [f"not a valid notebook: {str(error).splitlines()[0]}"]
    found = []
    if (size := path.stat().st_size) > MAX_BYTES:
        found.append(f"{size:,} bytes; at most {MAX_BYTES:,}")
    if "widgets" in notebook.metadata:
        found.append("holds widget state (metadata.widgets)")
    if (rest := {key: value for key, value in notebook.metadata.items() if key != "widgets"}) != METADATA:
        found.append(f"metadata is {rest}, not {METADATA}; run `make notebooks`")
    for text in _strings(notebook):
        found += [f"machine path: {each}" for each in machine_paths(text, _here())]
        found += [f"looks like a token: {match.group(0)[:7]}…" for match in _TOKEN.finditer(text)]
    found += swallowed_errors(notebook)
    found += _header_problems(notebook, path.stem)
    found += _cell_problems(notebook)
    script = path.parent / "scripts" / f"{path.stem}.py"
    if script.exists():
        found += twin_differences(path, script)
    return found


def folder_problems(folder):
    """Notebooks in `folder` without a script in `folder/scripts`, and scripts without a notebook."""
    notebooks = {path.stem for path in Path(folder).glob("*.ipynb")}
    scripts = {path.stem for path in Path(folder).glob("scripts/*.py")}
    found = [f"{name}.ipynb has no twin scripts/{name}.py" for name in sorted(notebooks - scripts)]
    return found + [
        f"scripts/{name}.py has no notebook; run `make notebooks`" for name in sorted(scripts - notebooks)
    ]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks (default: all in notebooks/)")
    paths = parser.parse_args(arguments).paths or sorted((ROOT / "notebooks").glob("*.ipynb"))
    lines = [f"{path.name}: {line}" for path in paths for line in problems(path)]
    lines += folder_problems(ROOT / "notebooks")
    print("\n".join(lines) if lines else f"{len(paths)} notebooks: nothing to complain about")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
