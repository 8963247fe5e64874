"""What the site is made with: its contents, its live figures, and the check that no link leads nowhere."""

import base64
import json

import pytest

import site_films
from check_site import faults
from contents import entry, parts
from formulas import plainer
from live_figures import PLOTLY, as_script, placed, with_films, with_live_outputs
from notebook_header import ROOT


def test_every_page_has_its_place_in_the_contents():
    pages = [
        "docs/zebra",
        "docs/glossary",
        "notebooks/01_b",
        "notebooks/00_a",
        "CONTRIBUTING",
        "docs/architecture",
    ]
    assert parts(pages) == {
        "The course": ["notebooks/00_a", "notebooks/01_b"],
        "Reference": ["docs/glossary"],
        "The project": ["docs/architecture", "CONTRIBUTING", "docs/zebra"],
    }


def test_a_notebook_is_listed_with_its_number():
    assert entry("docs/glossary", ROOT) == "/docs/glossary"
    listed = entry("notebooks/01_embeddings_and_their_geometry", ROOT)
    assert listed == "01 Embeddings and their geometry </notebooks/01_embeddings_and_their_geometry>"


def test_a_stored_figure_becomes_its_picture_and_keeps_its_data(tmp_path):
    figure = {"data": [{"y": [1, 2]}], "layout": {}}
    bundle = {PLOTLY: figure, "image/jpeg": base64.b64encode(b"jpeg").decode(), "text/plain": "words"}
    shown = {"output_type": "display_data", "data": bundle, "metadata": {"alt": 'Two "points" & a line'}}
    words = {"output_type": "display_data", "data": {"text/plain": "5"}, "metadata": {}}
    notebook = {"cells": [{"source": "# T"}, {"source": "x", "outputs": [words, shown]}]}
    changed = json.loads(with_live_outputs(json.dumps(notebook), "01_x", tmp_path, "../_figures/"))
    first, second = changed["cells"][1]["outputs"]
    assert first == words
    assert list(second["data"]) == ["text/html"]
    html = second["data"]["text/html"]
    assert 'src="../_figures/01_x-1.jpg"' in html
    assert 'data-figure="../_figures/01_x-1.js"' in html
    assert 'alt="Two &quot;points&quot; &amp; a line"' in html
    assert (tmp_path / "01_x-1.jpg").read_bytes() == b"jpeg"
    assert (tmp_path / "01_x-1.js").read_text() == as_script(figure)


def test_a_picture_of_the_page_of_films_becomes_the_film(tmp_path):
    (tmp_path / "replay.js").write_text("")
    text = "Before\n\n![Points\nthat move](explorers/replay.png)\n"
    film = placed("Points that move", "../_static/replay.js", None)
    assert with_films(text, tmp_path, "../_static/") == f"Before\n\n```{{raw}} html\n{film}\n```\n"
    with pytest.raises(FileNotFoundError, match="has no such film"):
        with_films("![x](other.png)", tmp_path, "")


def test_the_page_of_films_shows_those_that_are_made():
    text = (ROOT / "docs" / "films.md").read_text("utf-8")
    assert all(f"/{name}.png)" in text for name in site_films.films())


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#end">1</a><a href="b.html#none">2</a><a href="c.html">3</a>'
        '<a href="https://host.org/x">4</a><img src="p%20q.png"><a href="#top">5</a><a href="#">6</a>'
    )
    (tmp_path / "b.html").write_text('<p id="end">B</p><figure data-figure="f.js"></figure>')
    (tmp_path / "p q.png").write_bytes(b"")
    assert faults(tmp_path) == [
        "a.html: b.html#none: no such place on that page",
        "a.html: c.html: no such file",
        "b.html: f.js: no such file",
    ]
    with pytest.raises(FileNotFoundError, match="make docs"):
        faults(tmp_path / "empty")


def test_a_formula_that_stayed_as_it_was_written_is_found(tmp_path):
    (tmp_path / "a.html").write_text("<p>the sum $$ x^2 $$</p><p>again: $$y$$</p>")
    (tmp_path / "b.html").write_text("<pre><span>$$ in a shell</span></pre><math><mi>x</mi></math>")
    assert faults(tmp_path) == ["a.html: a formula between $$ was not set"]


def test_a_formula_is_written_as_docutils_reads_it():
    assert plainer(r"\frac12 \frac1k \frac{1}{2}") == r"\frac{1}{2} \frac1k \frac{1}{2}"
    assert plainer(r"\hat w_i \bar\theta) \hat w.") == r"{{}\hat{w}}_i \bar\theta) \hat w."
