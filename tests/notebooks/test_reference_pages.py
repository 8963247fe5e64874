"""Glossary and notation: in order, about chapters there are, with names that the code has."""

import re

import pytest

from notebook_header import ROOT
from readme_table import CHAPTERS

SOURCE = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "egemma_lab").rglob("*.py")))
NUMBERS = {name[:2] for name in CHAPTERS}


def rows(page):
    """The cells of the page's table rows, heads and rules left out."""
    lines = (ROOT / "docs" / page).read_text("utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")
    ]
    return [row for row in cells if row[0] not in ("term", "symbol")]


def entries(page):
    """(term, meaning, where it is taught) of each section of the page."""
    _, *sections = (ROOT / "docs" / page).read_text("utf-8").split("\n## ")
    return [tuple(section.strip().split("\n\n")) for section in sections]


GLOSSARY = entries("glossary.md")
TERMS = [entry[0] for entry in GLOSSARY]


def test_terms_are_in_order_and_stand_once():
    assert sorted(TERMS, key=lambda term: term.lower().replace("-", " ")) == TERMS
    assert len(set(TERMS)) == len(TERMS) > 40


@pytest.mark.parametrize(("term", "meaning", "taught"), GLOSSARY, ids=TERMS)
def test_a_term_has_two_sentences_and_a_chapter(term, meaning, taught):
    assert len(re.findall(r"[.?](?=\s[A-Z01]|$)", meaning)) == 2, meaning
    linked = dict(re.findall(r"\[(\d\d)\]\(../notebooks/(\w+).ipynb\)", taught))
    assert set(linked) <= NUMBERS
    assert linked
    assert set(linked.values()) <= set(CHAPTERS)


def test_names_in_the_notation_are_those_of_the_code():
    quoted = [name for row in rows("notation.md") for name in re.findall(r"`([^`]+)`", row[-1])]
    names = {part for name in quoted for part in re.findall(r"[A-Za-z_]\w+", name)} - {"B", "d", "lab"}
    assert len(names) > 40
    missing = {name for name in names if not re.search(rf"\b{re.escape(name)}\b", SOURCE)}
    assert not missing
