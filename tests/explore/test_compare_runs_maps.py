import time

import numpy as np
import plotly.graph_objects as go
import pytest
from films import kept_by, make_film, unit
from plotly.callbacks import Points

from egemma_lab.explore.compare_runs_data import as_compared, togetherness
from egemma_lab.explore.compare_runs_linked import SYMBOL_CODES, linked_maps, make_side
from egemma_lab.explore.compare_runs_maps import LinkedMaps
from egemma_lab.explore.panel import Panel
from egemma_lab.explore.replay_figure import point_sizes
from egemma_lab.explore.style import COLOURS, SYMBOLS
from egemma_lab.geometry import neighbours_kept, pca_plane


def linked(*films):
    panel = Panel("maps")
    return panel, LinkedMaps(as_compared(*({f"run {i}": film} for i, film in enumerate(films))), panel.guard)


def brush(maps, which, rows, drawn=True):
    """What the browser says when rows of one map were drawn around: plotly tells every trace of it.

    Not `drawn`: it also says so when a drawing is taken away, without telling places.
    """
    points = {"trace_indexes": [which] * len(rows), "point_indexes": list(rows)}
    zeros = [0.0] * len(rows)
    selector = {"type": "lasso", "selector_state": {"xs": [0, 0, 1], "ys": [0, 1, 1]}}
    maps.figure._js2py_pointsCallback = {
        "event_type": "plotly_selected",
        "points": {**points, "xs": zeros, "ys": zeros},
        "device_state": None,
        "selector": selector if drawn else None,
    }


def test_a_side_is_its_own_plane_and_says_how_true_it_is():
    vectors = make_film().vectors[-1]
    side = make_side("end", vectors)
    assert np.allclose(side.points, pca_plane(vectors).transform(vectors), atol=1e-6)
    assert side.kept == pytest.approx(neighbours_kept(vectors, side.points)[1])


def test_both_maps_hold_the_same_texts_in_the_same_order():
    film = make_film()
    sides = [make_side(name, film.vectors[t]) for name, t in (("before", 0), ("after", -1))]
    figure = linked_maps(*sides, film.labels, film.texts, chosen=[3, 5])
    for trace, side in zip(figure.data, sides):
        assert np.array_equal(np.stack([trace.x, trace.y], axis=1), side.points)
        assert np.array_equal(trace.marker.size, point_sizes(side.kept))
        assert list(trace.selectedpoints) == [3, 5]
        assert trace.text[7] == "<b>topic b</b><br>text 7 about b"
        assert [trace.marker.symbol[i] for i in (0, 1, 2, 3)] == [0, 1, 2, 0]  # circle, square, diamond
        assert [COLOURS[int(number)] for number in trace.marker.color[:4]] == [
            COLOURS[i] for i in (0, 1, 2, 0)
        ]
        assert trace.marker.colorscale[2:4] == ((1 / 3, COLOURS[1]), (2 / 3, COLOURS[1]))
    assert [trace.name for trace in figure.data[2:]] == ["topic a", "topic b", "topic c"]
    assert figure.layout.annotations[1].text.startswith("after<br>keeps ")


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_drawn_around_on_one_map_stands_out_on_both(which):
    _, maps = linked(make_film(), make_film(seed=1))
    brush(maps, which, [9, 2, 5])
    assert [list(trace.selectedpoints) for trace in maps.figure.data[:2]] == [[2, 5, 9], [2, 5, 9]]
    assert "3 of 24 texts." in maps.found.value
    assert "text 9 about a" in maps.found.value
    for name, vectors in zip(maps.names, maps.vectors):
        assert f"{togetherness(vectors, [2, 5, 9]):.0%} ({name})" in maps.found.value
    assert not maps.figure.layout.selections
    brush(maps, which, [], drawn=False)
    assert [list(trace.selectedpoints) for trace in maps.figure.data[:2]] == [[2, 5, 9], [2, 5, 9]]
    brush(maps, which, [])
    assert maps.figure.data[0].selectedpoints is maps.figure.data[1].selectedpoints is None
    brush(maps, which, [1])
    maps.figure.data[1]._dispatch_on_deselect(Points())
    assert maps.figure.data[0].selectedpoints is maps.figure.data[1].selectedpoints is None
    assert maps.found.value == ""


def test_a_word_chooses_as_drawing_does_for_who_has_no_mouse():
    panel, maps = linked(make_film(), make_film(seed=1))
    maps.word.value = "TOPIC B"
    assert list(maps.figure.data[1].selectedpoints) == list(range(1, 24, 3))
    maps.word.value = "text 7 "
    assert list(maps.figure.data[0].selectedpoints) == [7]
    with pytest.raises(ValueError, match="none of the 24 texts and of their labels contains 'zebra'"):
        maps.word.value = "zebra"
    assert "zebra" in panel.message.value
    maps.word.value = ""
    assert maps.figure.data[0].selectedpoints is None
    maps.word.value = "topic a"
    brush(maps, 0, [1, 2])
    assert (maps.word.value, list(maps.chosen)) == ("", [1, 2])
    maps.word.value = "topic a"
    maps.left.value = ("run 1", "start")
    assert (maps.word.value, list(maps.chosen)) == ("", [])


def test_the_menus_choose_runs_and_their_ends():
    one, other = make_film(), make_film(seed=1)
    _, maps = linked(one, other)
    assert (maps.left.value, maps.right.value) == (("run 0", "start"), ("run 1", "end"))
    maps.left.value = ("run 1", "start")
    assert np.array_equal(maps.vectors[0], other.vectors[0])
    expected = linked_maps(
        make_side("run 1, start", other.vectors[0]),
        make_side("run 1, end", other.vectors[-1]),
        one.labels,
        one.texts,
    )
    for trace, pure in zip(maps.figure.data, expected.data, strict=True):
        assert np.array_equal(trace.x, pure.x)
    brush(maps, 0, [1, 2])
    assert list(maps.figure.data[1].selectedpoints) == [1, 2]


def test_rows_are_those_of_the_common_texts():
    one, other = make_film(), make_film(seed=1)
    other.texts.reverse()
    _, maps = linked(one, other)
    assert maps.texts == one.texts
    assert np.array_equal(maps.vectors[1], other.vectors[-1][::-1])


def test_runs_without_common_texts_are_not_linked_but_each_is_shown():
    one, other = make_film(), make_film(seed=1)
    other.texts[:] = [f"quite another {i}" for i in range(24)]
    panel, maps = linked(one, other)
    assert maps.right.value == ("run 0", "end")
    with pytest.raises(ValueError, match="'run 0' and 'run 1' have 0 texts in common"):
        maps.right.value = ("run 1", "end")
    assert "0 texts in common" in panel.message.value


def test_without_films_there_are_no_maps():
    import pandas as pd

    maps = LinkedMaps(as_compared(pd.DataFrame({"step": [1], "loss": [2.0]})), Panel("maps").guard)
    assert maps.box.layout.display == "none"
    maps.offer(as_compared({"a": make_film()}))
    assert maps.box.layout.display is None
    assert len(maps.texts) == 24


def test_symbols_have_plotlys_numbers_and_the_rest_is_one_group():
    known = go.scatter.Marker()._get_validator("symbol").values  # [0, "0", "circle", 100, ...]
    assert {name: known[known.index(name) - 2] for name in SYMBOL_CODES} == SYMBOL_CODES
    assert set(SYMBOLS) < set(SYMBOL_CODES)
    film = make_film(texts=40)
    film.labels[:] = [f"label {i % 10}" for i in range(40)]
    side = make_side("end", film.vectors[-1])
    marker = linked_maps(side, side, film.labels, film.texts).data[0].marker
    assert [int(number) for number in marker.color[:10]] == [1, 2, 3, 4, 5, 6, 7, 0, 0, 0]
    assert marker.symbol[9] == SYMBOL_CODES["circle-open"]


def test_twenty_thousand_points_stay_fluid():
    rng = np.random.default_rng(0)
    film = make_film(moments=2, texts=20_000)
    points = [make_side(name, unit(rng.standard_normal((20_000, 6)))) for name in "ab"]
    assert linked_maps(*points, film.labels, film.texts).data[0].type == "scattergl"
    _, maps = linked(film)
    began = time.process_time()
    brush(maps, 0, range(0, 20_000, 4))
    assert time.process_time() - began < 1
    assert len(maps.figure.data[1].selectedpoints) == 5000


def test_brushes_keep_nothing():
    _, maps = linked(make_film(texts=300))
    assert kept_by(lambda i: brush(maps, i % 2, range(i % 7, 300, 2))) < 2000
