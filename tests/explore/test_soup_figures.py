"""Pictures of souping show the numbers they are given."""

import pandas as pd
import pytest

from egemma_lab.explore.soup_figures import line_between, mixture_triangle
from egemma_lab.train import MixtureSearch


def line(scores):
    return pd.DataFrame({"share": [0.0, 0.5, 1.0], "score": scores})


def test_each_line_has_its_numbers_colour_and_dash():
    fig = line_between(
        {"kin": line([2.0, 1.5, 2.1]), "strangers": line([2.0, 4.0, 2.0])}, level=(4.4, "guessing")
    )
    assert [list(trace.y) for trace in fig.data] == [[2.0, 1.5, 2.1], [2.0, 4.0, 2.0]]
    assert len({trace.line.color for trace in fig.data}) == len({trace.line.dash for trace in fig.data}) == 2
    assert fig.layout.annotations[0].text == "guessing"
    assert "share" in fig.layout.xaxis.title.text


def test_the_triangle_shows_every_trial_once_and_the_best_largest():
    search = MixtureSearch(["a", "b", "c"], seed=0, initial=4)
    for _ in range(7):
        weights = search.ask()
        search.tell(weights, -((weights["a"] - 0.6) ** 2))
    table = search.table()
    fig = mixture_triangle(table)
    assert [len(trace.a) for trace in fig.data] == [1, 4, 2]  # uniform, drawn, by optimisation
    shares = [point for trace in fig.data for point in zip(trace.a, trace.b, trace.c)]
    assert sorted(shares) == sorted(map(tuple, table.filter(like="weight/").to_numpy()))
    sizes = {round(a, 6): size for trace in fig.data for a, size in zip(trace.a, trace.marker.size)}
    assert max(sizes, key=sizes.get) == pytest.approx(search.best()[0]["weights"]["a"], abs=1e-6)


def test_mixtures_without_scores_are_drawn_alike():
    table = MixtureSearch(["a", "b", "c"], seed=0).table().drop(columns="score")
    table.loc[0] = {"number": 0, "kind": "dirichlet", "weight/a": 0.2, "weight/b": 0.2, "weight/c": 0.6}
    assert mixture_triangle(table).data[0].marker.size == 8


def test_another_number_of_sources_is_refused():
    with pytest.raises(ValueError, match="2 sources"):
        mixture_triangle(MixtureSearch(["a", "b"], seed=0).table())
