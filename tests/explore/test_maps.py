import time

import numpy as np
import pytest

from egemma_lab.explore import before_after_map, space_map


@pytest.fixture
def points():
    return np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32)


def drawn(fig):
    """All points of a figure, sorted, whatever trace they are in."""
    xy = np.concatenate([np.stack([trace.x, trace.y], axis=1) for trace in fig.data])
    return xy[np.lexsort(xy.T)]


def test_every_point_is_drawn_once_where_it_is(points):
    fig = space_map(points, [f"topic {i % 5}" for i in range(30)])
    np.testing.assert_array_equal(drawn(fig), points[np.lexsort(points.T)])
    [second] = [trace for trace in fig.data if trace.name == "topic 1"]
    np.testing.assert_array_equal(second.x, points[1::5, 0])


def test_labels_differ_in_colour_and_symbol(points):
    fig = space_map(points, [str(i % 8) for i in range(30)])
    assert len({(t.marker.color) for t in fig.data}) == len({t.marker.symbol for t in fig.data}) == 8


def test_of_more_than_eight_labels_the_rare_ones_are_other(points):
    labels = ["often"] * 10 + [f"rare {i:02d}" for i in range(20)]
    fig = space_map(points, labels)
    assert [trace.name for trace in fig.data][:2] == ["other (14)", "often"]
    assert len(fig.data) == 8
    np.testing.assert_array_equal(drawn(fig), points[np.lexsort(points.T)])
    assert fig.data[0].customdata[-1] == "rare 19"  # the pointer still says which one it is


def test_highlight_chooses_the_labels(points):
    labels = [f"{i % 10}" for i in range(30)]
    fig = space_map(points, labels, highlight=["9", "3"])
    assert [trace.name for trace in fig.data] == ["other (8)", "9", "3"]
    with pytest.raises(ValueError, match=r"\['11'\], which no point carries"):
        space_map(points, labels, highlight=["11"])
    with pytest.raises(ValueError, match="at most 8"):
        space_map(points, labels, highlight=labels[:9])


def test_faithfulness_stands_in_the_subtitle(points):
    labels = ["a"] * 30
    assert (
        "keeps 31% of the true nearest neighbours" in space_map(points, labels, kept=0.314).layout.title.text
    )
    assert "neighbours" not in space_map(points, labels).layout.title.text
    with pytest.raises(ValueError, match=r"kept=31\.4"):
        space_map(points, labels, kept=31.4)


def test_hover_text_is_one_escaped_short_paragraph(points):
    texts = ["<script>\n   x" + " long" * 200] * 30
    hover = space_map(points, ["a"] * 30, texts).data[0].text[0]
    assert hover.startswith("&lt;script&gt; x long")
    assert len(hover) < 220


def test_axis_titles(points):
    layout = space_map(points, ["a"] * 30, axes=("UMAP 1", "UMAP 2")).layout
    assert (layout.xaxis.title.text, layout.yaxis.title.text) == ("UMAP 1", "UMAP 2")


def test_many_points_go_to_webgl_and_stay_quick():
    n = 20_000
    points = np.random.default_rng(0).standard_normal((n, 2))
    started = time.perf_counter()
    fig = space_map(points, np.arange(n) % 6)
    assert time.perf_counter() - started < 2
    assert {trace.type for trace in fig.data} == {"scattergl"}
    assert {trace.type for trace in space_map(points[:2000], np.arange(2000) % 6).data} == {"scatter"}


def test_before_and_after_share_their_legend(points):
    labels = [f"{i % 3}" for i in range(30)]
    fig = before_after_map(points, 2 * points, labels, titles=("untrained", "trained"), kept=(0.1, 0.25))
    assert [trace.showlegend for trace in fig.data] == [True] * 3 + [False] * 3
    np.testing.assert_array_equal(fig.data[3].x, 2 * fig.data[0].x)
    assert [a.text for a in fig.layout.annotations] == [
        "untrained · keeps 10% of the true nearest neighbours",
        "trained · keeps 25% of the true nearest neighbours",
    ]


@pytest.mark.parametrize(
    ("shape", "labels", "texts", "message"),
    [
        ((4, 3), 4, 4, r"\(4, 3\); a map needs \(n, 2\)"),
        ((4, 2), 3, 4, "4 points but 3 labels"),
        ((4, 2), 4, 5, "4 points but 5 texts"),
    ],
)
def test_wrong_shapes_are_named(shape, labels, texts, message):
    with pytest.raises(ValueError, match=message):
        space_map(np.zeros(shape), ["a"] * labels, ["t"] * texts)
