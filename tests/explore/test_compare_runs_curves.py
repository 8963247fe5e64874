import numpy as np
import pandas as pd
import pytest
from films import make_film

from egemma_lab.explore.compare_runs_curves import GEOMETRY, comparison_curves, parts
from egemma_lab.explore.compare_runs_data import Compared, as_compared


@pytest.fixture(scope="module")
def runs():
    history = pd.DataFrame(
        {
            "step": [1, 2, 3, 4],
            "minutes": [0.5, 1.0, 1.5, 2.0],
            "loss": [4.0, 3.0, 2.0, 1.0],
            "contrastive": [2.0, np.nan, 1.0, 0.5],
            "contrastive/64": [1.5, 1.0, 0.5, 0.25],
            "contrastive/128": [0.5, 0.5, 0.5, 0.25],
            "matching/query": [0.9, 0.8, 0.7, 0.6],
            "matching": [1.8, 1.6, 1.4, 1.2],
        }
    )
    return [Compared("timed", history), *as_compared({"a film": make_film()})]


def line(figure, run, panel):
    trace = figure.data[8 * run + panel]
    return list(trace.x), list(trace.y)


def title(figure, panel):
    return figure.layout.annotations[panel].text


def test_parts_are_offered_widest_first(runs):
    assert parts(runs) == ["whole", "128", "64", "query"]


def test_whole_terms_and_geometry(runs):
    figure = comparison_curves(runs)
    assert len(figure.data) == 16
    assert line(figure, 0, 0) == ([1, 2, 3, 4], [4, 3, 2, 1])
    assert line(figure, 0, 1) == ([1, 3, 4], [2, 1, 0.5])  # a step without the term is left out of its line
    assert line(figure, 0, 2) == ([], [])  # it has no spread-out term
    assert line(figure, 1, 3) == ([0, 10, 20, 20, 30], runs[1].film.moments["matching"].tolist())
    for panel, column in enumerate(GEOMETRY, start=4):
        assert line(figure, 0, panel) == ([], [])  # no snapshots, no geometry
        assert line(figure, 1, panel)[1] == pytest.approx(runs[1].geometry[column].tolist())
    assert {trace.line.dash for trace in figure.data[:8]}.isdisjoint(
        {trace.line.dash for trace in figure.data[8:]}
    )
    assert [trace.name for trace in figure.data if trace.showlegend] == ["timed", "a film"]


def test_a_width_and_a_side(runs):
    figure = comparison_curves(runs, part="64")
    assert line(figure, 0, 1) == ([1, 2, 3, 4], [1.5, 1.0, 0.5, 0.25])
    assert [title(figure, panel) for panel in (0, 1, 3)] == [
        "loss (whole)",
        "contrastive, width 64",
        "matching (whole)",
    ]
    assert line(figure, 0, 3)[1] == [1.8, 1.6, 1.4, 1.2]
    figure = comparison_curves(runs, part="query")
    assert line(figure, 0, 3)[1] == [0.9, 0.8, 0.7, 0.6]
    assert title(figure, 3) == "matching, query"


def test_along_minutes_and_shares(runs):
    figure = comparison_curves(runs, along="minutes")
    assert line(figure, 0, 0)[0] == [0.5, 1.0, 1.5, 2.0]
    assert line(figure, 1, 0) == ([], [])  # a film has no clock
    figure = comparison_curves(runs, along="share")
    assert line(figure, 0, 0)[0] == [0.25, 0.5, 0.75, 1.0]
    assert line(figure, 1, 0)[0] == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 1])


def test_other_terms_follow_the_geometry(runs):
    history = pd.DataFrame({"step": [1, 2], "loss": [2.0, 1.0], "koleo": [0.4, 0.2], "koleo/64": [0.3, 0.1]})
    figure = comparison_curves([*runs, Compared("own", history)], part="64", smooth=3)
    assert len(figure.data) == 27
    assert title(figure, 8) == "koleo, width 64"
    assert [len(figure.data[9 * run + 8].x) for run in range(3)] == [0, 0, 2]
    assert list(figure.data[26].y) == pytest.approx([0.3, 0.3 / 3 + 0.1 * 2 / 3])
    assert figure.layout.height == 840


def test_smoothing_is_pandas_and_leaves_geometry_alone(runs):
    figure = comparison_curves(runs, smooth=3)
    assert line(figure, 0, 0)[1] == pytest.approx(runs[0].history["loss"].ewm(span=3).mean().tolist())
    assert line(figure, 1, 5)[1] == pytest.approx(runs[1].geometry["uniformity"].tolist())
    assert "averaged over about 3 rows" in figure.layout.title.text


def test_too_many_runs_and_unknown_parts_are_refused(runs):
    with pytest.raises(ValueError, match="9 runs: eyes tell 8 lines apart"):
        comparison_curves(runs[:1] * 9)
    with pytest.raises(ValueError, match="part='32', along='step': allowed are"):
        comparison_curves(runs, part="32")
    with pytest.raises(ValueError, match="along='days'"):
        comparison_curves(runs, along="days")
