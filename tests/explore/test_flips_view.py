import numpy as np
import pytest
from films import kept_by

from egemma_lab.explore import flips
from egemma_lab.explore.flips_data import find_flips
from egemma_lab.explore.flips_figure import flips_figure
from egemma_lab.explore.flips_view import find_row, neighbour_table

TEXTS = [f"Number {i} is {'even' if i % 2 == 0 else 'odd'}" for i in range(40)]


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(4).normal(size=(40, 16)).astype(np.float32)


@pytest.fixture
def panel(vectors):
    return flips(vectors, {"width 8": vectors[:, :8], "width 3": vectors[:, :3]}, TEXTS, k=5)


def shows(panel, vectors, width, k, row):
    """Whether the live figure and the table are those that the pure functions give."""
    found = find_flips(vectors, vectors[:, :width])
    expected = flips_figure(found, row, k, texts=TEXTS, name=f"width {width}")
    for live, pure in zip(panel.live.data, expected.data, strict=True):
        np.testing.assert_array_equal(live.x, pure.x)
        np.testing.assert_array_equal(live.y, pure.y)
    assert panel.live.layout.title.text == expected.layout.title.text
    assert panel.live.layout.annotations[0].text == expected.layout.annotations[0].text
    assert panel.table.value == neighbour_table(found, row, k, TEXTS)._repr_html_()
    return True


def test_each_control_moves_the_figure_as_the_functions_say(panel, vectors):
    start = panel.row
    assert find_flips(vectors, vectors[:, :8]).lost(5).argmax() == start
    assert shows(panel, vectors, 8, 5, start)
    panel.k.value = 9
    assert shows(panel, vectors, 8, 9, start)
    panel.change.value = "width 3"
    assert shows(panel, vectors, 3, 9, start)
    panel.text.value = "Number 12 is even"
    assert shows(panel, vectors, 3, 9, 12)
    panel.text.value = "number 23"
    assert panel.text.value == "Number 23 is odd"
    assert shows(panel, vectors, 3, 9, 23)


def test_one_change_and_no_texts(vectors):
    panel = flips(vectors, vectors[:, :8], name="half the width")
    assert panel.change.options == ("half the width",)
    panel.text.value = "17"
    assert panel.row == 17
    assert "Neighbours of text 17" in panel.table.value


def test_an_error_shows_and_is_raised(panel):
    with pytest.raises(ValueError, match="no text contains 'Number 99'"):
        panel.text.value = "Number 99"
    assert "no text contains" in panel.message.value
    panel.text.value = TEXTS[3]
    assert panel.error is None
    assert "ValueError" not in panel.message.value


def test_what_does_not_fit_is_refused(vectors):
    with pytest.raises(ValueError, match="40 vectors but 39 texts"):
        flips(vectors, vectors, TEXTS[1:])
    with pytest.raises(ValueError, match="k=30 neighbours: with 40 texts it lies between 1 and 19"):
        flips(vectors, vectors, k=30)
    with pytest.raises(ValueError, match="empty mapping"):
        flips(vectors, {})
    with pytest.raises(ValueError, match="give a row from 0 to 4"):
        find_row("five", None, 5)


def test_tables_escape_texts(vectors):
    hostile = ["<script>alert(1)</script>"] * 40
    panel = flips(vectors, vectors[:, :8], hostile)
    assert "<script>" not in panel.table.value
    assert "&lt;script&gt;" in panel.table.value


def test_moves_keep_nothing(panel):
    def move(i):
        panel.text.value = TEXTS[i % 7]
        if i % 20 == 0:
            panel.k.value = 3 + panel.k.value % 5

    assert kept_by(move) < 1_000  # bytes a move; about 220


def test_twenty_thousand_texts():
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(20_000, 4)).astype(np.float32)
    panel = flips(vectors, vectors[:, :3])
    before = panel.figure.to_plotly_json()["data"]
    panel.k.value = 7
    assert panel.error is None
    assert panel.live.to_plotly_json()["data"] != before
