import numpy as np
import pytest

from egemma_lab.explore.matryoshka_maps import Maps, turned_towards
from egemma_lab.explore.precision_bench import Bench
from egemma_lab.explore.precision_setting import Setting
from egemma_lab.geometry import pca_plane


@pytest.fixture(scope="module")
def bench(micro_model, tiny_texts):
    return Bench(micro_model, tiny_texts[::4])


@pytest.fixture(scope="module")
def maps(bench):
    maps = Maps(bench)
    maps.make_umap()
    return maps


def near(vectors, row, cosine):
    """The other rows, nearest first, in plain loops."""
    rows = np.asarray(vectors, np.float64)
    if cosine:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    apart = [(round(float(np.sum((rows[row] - rows[i]) ** 2)), 9), i) for i in range(len(rows)) if i != row]
    return [i for _, i in sorted(apart)][:10]


def test_the_full_map_is_the_plane_of_the_full_vectors(bench, maps):
    stored = bench.stored(bench.full)
    np.testing.assert_allclose(maps.view(bench.full).points, pca_plane(stored).transform(stored), atol=1e-6)
    assert maps.view(bench.full).kept.tolist() == [1.0] * 50


@pytest.mark.parametrize("setting", [Setting(32), Setting(16, "binary"), Setting(64, "int8")])
@pytest.mark.parametrize("kind", ["plane", "umap"])
def test_both_shares_against_plain_loops(bench, maps, setting, kind):
    view, stored, full = maps.view(setting, kind), bench.stored(setting), bench.stored(bench.full)
    for row in range(0, 50, 7):
        mine = set(near(stored, row, cosine=True))
        # equal cosines, of bits, may fall either way: at most the ties differ
        ties = _ties(stored, row)
        assert view.kept[row] == pytest.approx(len(mine & set(near(full, row, True))) / 10, abs=ties + 1e-6)
        assert view.shown[row] == pytest.approx(
            len(mine & set(near(view.points, row, False))) / 10, abs=ties + 1e-6
        )


def _ties(vectors, row):
    cosines = np.sort(np.round(vectors.astype(np.float64) @ vectors[row], 6))[::-1]
    return 0 if cosines[10] > cosines[11] else np.sum(np.isclose(cosines, cosines[10])) / 10


def test_turning_moves_least_and_keeps_all_distances():
    rng = np.random.default_rng(0)
    goal = rng.normal(size=(30, 2))
    angle = 2.0
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = (goal * [1, -1]) @ turn + [3, -7]  # mirrored, turned, moved
    np.testing.assert_allclose(turned_towards(moved, goal), goal, atol=1e-6)
    other = rng.normal(size=(30, 2))
    turned = turned_towards(other, goal)
    np.testing.assert_allclose(_distances(turned), _distances(other), atol=1e-5)
    best = ((turned - goal) ** 2).sum()
    centred = other - other.mean(axis=0)
    for mirror in (1, -1):
        for angle in np.linspace(0, 2 * np.pi, 60):
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            tried = centred * [1, mirror] @ turn + goal.mean(axis=0)
            assert ((tried - goal) ** 2).sum() >= best - 1e-4


def _distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def test_a_second_look_changes_nothing_on_the_map(maps):
    assert maps.view(Setting(32, "binary rescored")) is maps.view(Setting(32, "binary"))


def test_umap_maps_stay_near_their_start_and_come_from_the_cache(bench, maps, monkeypatch):
    full = maps.view(bench.full, "umap").points
    assert np.sqrt((full**2).sum(axis=1).mean()) == pytest.approx(1, abs=1e-4)
    moved = np.linalg.norm(maps.view(Setting(64, "int8"), "umap").points - full, axis=1)
    assert np.median(moved) < 0.3
    assert maps.has("umap")
    assert not maps.has("umap", "ternary")
    monkeypatch.setattr("egemma_lab.explore.matryoshka_maps.project_umap", lambda *_: 1 / 0)
    again = Maps(bench)
    with pytest.raises(ValueError, match="no 'umap' map of"):
        again.view(bench.full, "umap")
    again.make_umap()
    np.testing.assert_array_equal(
        again.view(Setting(16), "umap").points, maps.view(Setting(16), "umap").points
    )


def test_of_many_texts_a_thousand_are_measured():
    rng = np.random.default_rng(1)

    class ManyVectors:  # what Maps asks of a Bench
        widths, full, texts = [4, 8], Setting(8), [""] * 3000
        vectors = rng.normal(size=(3000, 8))

        def stored(self, setting):
            return self.vectors[:, : setting.width]

    view = Maps(ManyVectors()).view(Setting(4))
    assert view.points.shape == (3000, 2)
    assert np.isfinite(view.kept).sum() == np.isfinite(view.shown).sum() == 1000
