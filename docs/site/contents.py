"""Sphinx extension: the table of contents, and a front door.

The contents are added to the README while it is read, since GitHub would show a toctree there as code.
"""

import json
from fnmatch import fnmatch
from pathlib import Path

# Caption -> patterns, in the order of the site; a page belongs to the first part with a pattern that fits.
PARTS = {
    "The course": ["notebooks/*"],
    "Explorers": ["docs/films", "docs/explorers", "docs/explorers/*"],
    "Reference": [
        "docs/glossary",
        "docs/notation",
        "docs/evaluation",
        "docs/index",
        "docs/serving",
        "docs/scaling",
        "*/nano/README",
    ],
    "Results": ["docs/results", "docs/nano", "experiments/*"],
    "The project": ["docs/architecture", "CONTRIBUTING", "*"],
}
DOOR = """<!doctype html><meta charset="utf-8"><title>egemma-lab</title>
<meta http-equiv="refresh" content="0; url=README.html"><a href="README.html">egemma-lab</a>
"""


def parts(pages):
    """{caption: pages in order} for the names `pages`; parts without a page are left out."""
    left = sorted(pages)
    found = {}
    for caption, patterns in PARTS.items():
        for pattern in patterns:
            fitting = [page for page in left if fnmatch(page, pattern)]
            left = [page for page in left if page not in fitting]
            found.setdefault(caption, []).extend(fitting)
    return {caption: pages for caption, pages in found.items() if pages}


def entry(page, folder):
    """A line of a toctree; a notebook's has its number, by which the others speak of it."""
    if not page.startswith("notebooks/"):
        return f"/{page}"
    first = json.loads((Path(folder) / f"{page}.ipynb").read_text("utf-8"))["cells"][0]["source"]
    title = "".join(first).splitlines()[0].removeprefix("# ")
    return f"{page.removeprefix('notebooks/')[:2]} {title} </{page}>"


def add_contents(app, docname, source):
    if docname != app.config.root_doc:
        return
    for caption, pages in parts(app.env.found_docs - {docname}).items():
        listed = "\n".join(entry(page, app.srcdir) for page in pages)
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def write_door(app, error):
    if error is None:
        (Path(app.outdir) / "index.html").write_text(DOOR, "utf-8")


def setup(app):
    app.connect("source-read", add_contents)
    app.connect("build-finished", write_door)
    return {"parallel_read_safe": True}
