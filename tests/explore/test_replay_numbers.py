import numpy as np
import pytest
from films import make_film

from egemma_lab import geometry
from egemma_lab.explore.replay_numbers import film_numbers, neighbour_ranks, neighbour_table


def test_each_moment_has_its_losses_and_its_geometry():
    film = make_film()
    numbers = film_numbers(film)
    assert numbers.columns.tolist() == [
        "loss", "contrastive", "matching", "alignment", "uniformity", "effective_rank", "same_label",
    ]  # fmt: skip
    assert numbers["matching"].tolist() == film.moments["matching"].tolist()
    last = film.vectors[-1]
    assert numbers["uniformity"].iloc[-1] == pytest.approx(geometry.uniformity(last))
    assert numbers["effective_rank"].iloc[-1] == pytest.approx(geometry.effective_rank(last))
    assert numbers["alignment"].iloc[-1] == pytest.approx(geometry.alignment(last[:12], last[12:]))
    hits = [film.labels[np.argsort(-(last @ last[i]))[1]] == film.labels[i] for i in range(24)]
    assert numbers["same_label"].iloc[-1] == pytest.approx(np.mean(hits))
    assert numbers["same_label"].iloc[-1] > numbers["same_label"].iloc[0]


def test_what_cannot_be_known_is_left_out():
    film = make_film()
    film.labels[:] = ["one"] * 24
    film.roles[:] = ["document"] * 24
    assert not {"alignment", "same_label"} & set(film_numbers(film))


def test_ranks_in_plain_loops():
    vectors = make_film(moments=3).vectors
    ranks = neighbour_ranks(vectors, 5)
    for moment in range(3):
        others = sorted(
            (i for i in range(24) if i != 5), key=lambda i: -float(vectors[moment, i] @ vectors[moment, 5])
        )
        assert ranks[moment, 5] == 0
        assert [ranks[moment, i] for i in others] == list(range(1, 24))


def test_the_table_says_how_neighbours_changed():
    film = make_film()
    table = neighbour_table(film, 4, 2, k=5)
    ranks = neighbour_ranks(film.vectors, 4)
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    rows = [film.texts.index(text) for text in table["text"]]
    assert table["at the start"].tolist() == ranks[0, rows].tolist()
    assert table["at the end"].tolist() == ranks[-1, rows].tolist()
    assert table["label"].tolist() == [film.labels[i] for i in rows]
    assert table["cosine"].tolist() == pytest.approx((film.vectors[2][rows] @ film.vectors[2, 4]).tolist())
