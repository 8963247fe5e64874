"""The picture of an experiment shows the numbers of its comparisons."""

import pytest

from egemma_lab.experiments import comparisons
from egemma_lab.explore import describe_experiment, experiment_figure

GOOD, MIDDLING, BAD = "1112111311", "12.31.4.12", "..5.......9"[:10]


def results(**arms):
    entries = {
        arm: {
            "runs": {
                str(seed): {
                    "ranks": {"full": {"x": signs}, "full binary": {"x": signs[::-1]}},
                    "minutes": 1,
                    "loss": 1,
                }
                for seed, signs in enumerate(seeds)
            }
        }
        for arm, seeds in arms.items()
    }
    return {
        "experiment": "an-example",
        "question": "Which is best?",
        "factor": "x",
        "baseline": next(iter(arms)),
        "scale": "micro",
        "seeds": [0, 1],
        "arms": entries,
        "published": [],
    }


def test_points_intervals_and_seeds_are_those_of_the_comparisons():
    found = results(
        base=[MIDDLING * 5] * 2, good=[GOOD * 5, GOOD * 5], same=[MIDDLING * 5] * 2, bad=[BAD * 5] * 2
    )
    frame = comparisons(found)
    rows = frame[(frame["of"] == "score") & (frame["view"] == "full")].set_index("arm")
    seeds, means = experiment_figure(found).data
    assert list(means.y) == ["bad", "same", "good"]  # the first arm is drawn on top
    for arm, x, minus, symbol in zip(means.y, means.x, means.error_x.arrayminus, means.marker.symbol):
        assert x == pytest.approx(100 * rows.loc[arm, "difference"])
        assert x - minus == pytest.approx(100 * rows.loc[arm, "low"])
        assert symbol == ("circle" if rows.loc[arm, "p_corrected"] < 0.05 else "circle-open")
    assert dict(zip(means.y, means.marker.symbol)) == {
        "good": "circle",
        "same": "circle-open",
        "bad": "circle",
    }
    assert len(seeds.x) == 6
    bands = [shape for shape in experiment_figure(found).layout.shapes if shape.type == "rect"]
    for place, (arm, band) in enumerate(zip(means.y, bands, strict=True)):  # each behind its own arm
        assert (band.y0 + band.y1) / 2 == place
        assert band.x1 == -band.x0 == pytest.approx(100 * rows.loc[arm, "detectable"])
    other = experiment_figure(found, view="full binary")
    assert "full binary" in other.layout.xaxis.title.text
    assert "An example" in other.layout.title.text
    assert "Which is best?" in describe_experiment(found)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no arm beside the baseline 'base'"):
        experiment_figure(results(base=[GOOD] * 2))
    with pytest.raises(ValueError, match="view='half' is not one of 'full', 'full binary'"):
        experiment_figure(results(base=[GOOD] * 2, other=[BAD] * 2), view="half")
