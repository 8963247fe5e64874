import pytest

from egemma_lab.explore import style


def test_every_class_has_a_colour_and_a_mark_of_its_own():
    marks = style.class_marks(style.CLASSES)
    assert len({colour for colour, _ in marks}) == len({symbol for _, symbol in marks}) == style.CLASSES
    assert len({*style.DASHES}) == len({*style.LINES}) == len({*style.MARKERS}) == style.CLASSES


def test_a_ninth_class_is_refused_rather_than_given_a_colour_twice():
    with pytest.raises(ValueError, match=r"9 classes.*group the rest"):
        style.class_marks(9)


def test_heading_needs_words():
    assert style.heading("Map", "keeps 3%").startswith("<b>Map</b><br>")
    with pytest.raises(ValueError, match="needs a title"):
        style.heading("  ")


def test_page_is_white_so_that_it_reads_in_a_dark_notebook():
    assert style.TEMPLATE.layout.paper_bgcolor == style.TEMPLATE.layout.plot_bgcolor == "white"
