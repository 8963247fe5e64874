import numpy as np
import pytest

from egemma_lab.explore.flips_data import find_flips, flip_curve, text_neighbours
from egemma_lab.explore.flips_figure import CHANGES, describe_flips, flips_figure, redraw_flips

TEXTS = [f"text <b>{i}</b> of many" for i in range(50)]


@pytest.fixture(scope="module")
def flips():
    vectors = np.random.default_rng(3).normal(size=(50, 10))
    return find_flips(vectors, vectors[:, :4])


def test_the_left_panel_holds_both_ranks_of_each_neighbour(flips):
    fig = flips_figure(flips, row=7, k=6, texts=TEXTS)
    table = text_neighbours(flips, 7, 6)
    for trace, change in zip(fig.data[:3], CHANGES):
        mine = table[table["change"] == change]
        ranks = np.asarray(trace.y).reshape(-1, 3)
        assert trace.name == change
        np.testing.assert_array_equal(ranks[:, :2], mine[["rank_before", "rank_after"]].to_numpy())
        assert np.isnan(ranks[:, 2]).all()
    assert fig.layout.shapes[0].y0 == 6.5


def test_the_right_panels_hold_counts_and_curve(flips):
    fig = flips_figure(flips, row=0, k=6)
    assert fig.data[3].y.tolist() == [int((flips.lost(6) == i).sum()) for i in range(7)]
    curve = flip_curve(flips, 6)
    for trace, side in zip(fig.data[4:], ("neighbour", "outsider")):
        mine = curve[curve["side"] == side]
        assert trace.y.tolist() == mine["share"].tolist()
        np.testing.assert_allclose(trace.y + trace.error_y.array, mine["share_high"])
        np.testing.assert_allclose(trace.y - trace.error_y.arrayminus, mine["share_low"])


def test_redrawing_gives_what_drawing_gives(flips):
    fig = flips_figure(flips, row=0, k=3, texts=TEXTS)
    redraw_flips(fig, flips, 9, 8, texts=TEXTS)
    assert fig.to_json() == flips_figure(flips, row=9, k=8, texts=TEXTS).to_json()
    redraw_flips(fig, flips, 11, 8, texts=TEXTS, whole=False)
    assert fig.to_json() == flips_figure(flips, row=11, k=8, texts=TEXTS).to_json()


def test_texts_cannot_write_html(flips):
    fig = flips_figure(flips, row=0, k=6, texts=TEXTS)
    shown = [text for trace in fig.data[:3] for text in trace.customdata] + [fig.layout.annotations[0].text]
    assert not any("<b>" in text for text in shown)
    assert all("&lt;b&gt;" in text for text in shown)


def test_no_colour_stands_alone(flips):
    marks = [
        (t.line.color, t.line.dash, t.marker.symbol)
        for t in flips_figure(flips, 0, 5).data
        if t.type == "scatter"
    ]
    assert len({(dash, symbol) for _, dash, symbol in marks[:3]}) == 3
    assert marks[3][1:] != marks[4][1:]


def test_the_words_hold_the_numbers(flips):
    lost = flips.lost(5)
    said = describe_flips(flips, 5, "width 4")
    assert f"of 50 texts {int((lost == 0).sum())} keep all" in said
    assert f"{1 - lost.mean() / 5:.0%} of neighbours are kept" in said
    first = flip_curve(flips, 5).iloc[0]
    assert f"margin of about {first['margin']:.3f} {first['share']:.0%} are lost" in said
