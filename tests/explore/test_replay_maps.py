import dataclasses
import itertools
from importlib import resources

import numpy as np
import pytest
from films import make_film, unit

from egemma_lab.explore import load_replay, replay_maps
from egemma_lab.explore.replay_maps import (
    choose_stops,
    faithfulness,
    fill_between,
    plane_maps,
    turned,
    umap_maps,
    way_on_the_map,
)
from egemma_lab.geometry import neighbours_kept

SQUARE = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EGEMMA_CACHE", str(tmp_path))
    return tmp_path


def test_one_plane_for_all_moments():
    film = make_film()
    maps, explained = plane_maps(film.vectors)
    assert maps.shape == (5, 24, 2)
    # what does not move does not move on it, and a shift is the same wherever it happens
    still, _ = plane_maps(np.stack([film.vectors[-1]] * 2))
    assert np.array_equal(still[0], still[1])
    assert 0 < explained.sum() <= 1
    assert np.allclose(maps[-1].mean(axis=0), 0, atol=1e-6)


def test_between_two_stops_lines_or_the_nearest_map():
    maps = np.array([[[0.0, 0.0]], [[4.0, 8.0]], [[4.0, 0.0]]])
    lines = fill_between(maps, [0, 4, 5], 6, "aligned")
    assert lines[:, 0].tolist() == [[0, 0], [1, 2], [2, 4], [3, 6], [4, 8], [4, 0]]
    jumps = fill_between(maps, [0, 4, 5], 6, "anew")
    assert jumps[:, 0, 0].tolist() == [0, 0, 0, 4, 4, 4]
    assert jumps[:, 0, 1].tolist() == [0, 0, 0, 8, 8, 0]


def test_stops_hold_both_ends():
    assert choose_stops(60)[0] == 0
    assert choose_stops(60)[-1] == 59
    assert len(choose_stops(60)) == 12
    assert choose_stops(2) == [0, 1]


def test_faithfulness_is_that_of_the_geometry_and_of_many_texts_a_sample():
    film = make_film()
    points = plane_maps(film.vectors)[0][2]
    assert np.allclose(
        faithfulness(film.vectors[2], points, k=5), neighbours_kept(film.vectors[2], points, 5)[1]
    )
    rng = np.random.default_rng(0)
    many = unit(rng.standard_normal((3000, 4)))
    kept = faithfulness(many, many[:, :2])
    assert np.isnan(kept).sum() == 2000
    assert 0 < np.nanmean(kept) < 1


def test_ways_and_angles_by_hand():
    assert way_on_the_map(SQUARE, SQUARE) == 0
    # a quarter turn moves each corner by 2, and the radius is the root of 2
    assert way_on_the_map(SQUARE, SQUARE[[1, 2, 3, 0]]) == pytest.approx(2**0.5)
    assert way_on_the_map(SQUARE, SQUARE + np.array([0.0, 1.0])) == pytest.approx(1 / 2**0.5)
    assert turned(unit([[1, 0], [1, 0], [1, 0]]), unit([[1, 0], [1, 1], [0, 1]])) == pytest.approx(
        45, abs=1e-4
    )


def test_umap_maps_are_made_once_and_levelled(own_cache, monkeypatch):
    film, asked = make_film(moments=7), []

    def pretended(vectors, seed):
        asked.append((len(vectors), seed))
        return 5 + np.random.default_rng(seed).standard_normal((len(vectors), 24, 2))

    monkeypatch.setattr(replay_maps, "_aligned", pretended)
    monkeypatch.setattr(replay_maps, "_anew", pretended)
    maps = umap_maps(film, "aligned", count=3)
    assert maps.shape == (7, 24, 2)
    at_stops = maps[[0, 3, 6]]
    assert np.abs(at_stops.mean(axis=1)).max() < 1e-3
    assert (at_stops**2).sum(axis=2).mean(axis=1) == pytest.approx(1, abs=1e-3)
    assert np.array_equal(umap_maps(film, "aligned", count=3), maps)
    assert asked == [(3, 0)]
    umap_maps(film, "anew", count=3)
    umap_maps(film, "aligned", count=3, seed=1)
    umap_maps(dataclasses.replace(film, axes=film.axes * 0.5), "aligned", count=3)
    assert asked == [(3, 0), (3, 0), (3, 1), (3, 0)]
    assert len(list((own_cache / "maps").iterdir())) == 4
    with pytest.raises(ValueError, match="kind='plane' is not one of 'aligned', 'anew'"):
        umap_maps(film, "plane")


@pytest.mark.slow
def test_umap_itself(own_cache):
    film = make_film(moments=3, texts=45, axes=8)
    tied, loose = (umap_maps(film, kind) for kind in ("aligned", "anew"))
    for maps in (tied, loose):
        assert maps.shape == (3, 45, 2)
        assert faithfulness(film.vectors[-1], maps[-1]).mean() > 0.5  # by chance 10 of 44
    steps = [[way_on_the_map(*pair) for pair in itertools.pairwise(maps)] for maps in (tied, loose)]
    assert max(steps[0]) < max(steps[1])


def test_the_bundled_films_maps_are_bundled():
    film = load_replay()
    folder = resources.files("egemma_lab") / "assets" / "replay_maps"
    for kind in ("aligned", "anew"):
        name = replay_maps._file_name(film, kind, choose_stops(len(film)), 0)
        assert (folder / name).is_file(), (
            f"the bundled film has changed and its {kind} UMAP has not: delete {folder}/*, then make it anew with "
            "egemma_lab.explore.replay_maps.umap_maps(load_replay(), kind) and move the files of both kinds here "
            "from the cache's folder maps"
        )
        maps = umap_maps(film, kind)
        assert maps.shape == (60, 500, 2)
        assert faithfulness(film.vectors[-1], maps[-1]).mean() > 0.4
