"""The README's table of notebooks says what the notebooks say."""

import re

import nbformat
import pytest

from notebook_header import ROOT
from readme_table import CHAPTERS, PATHS, minutes, rewritten, row

README = (ROOT / "README.md").read_text("utf-8")
LISTED = re.findall(r"\]\(notebooks/(\w+)\.ipynb\) \|", README)


def test_it_is_what_the_tool_makes_of_the_notebooks_and_their_pictures_are_there():
    notebooks = {name: nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4) for name in LISTED}
    assert rewritten(README, notebooks) == README, "run tools/readme_table.py"
    for picture in re.findall(r'src="(docs/pictures/[^"]+)"', README):
        assert (ROOT / picture).stat().st_size < 40_000


def test_every_notebook_is_listed():
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == LISTED, (
        "run tools/readme_table.py"
    )


def test_the_paths_lead_through_chapters():
    assert {name for path in PATHS.values() for name in path} <= set(CHAPTERS)


def test_what_cannot_be_listed_is_said():
    empty = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T")])
    with pytest.raises(ValueError, match="has no row"):
        minutes(empty)
    with pytest.raises(ValueError, match="CHAPTERS"):
        row("13_unknown", empty)
    with pytest.raises(ValueError, match="must hold <!-- notebooks:begin -->"):
        rewritten("no marks", {})
