import numpy as np
import pytest

from egemma_lab import geometry


def sphere(n, d, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_hand(space, row, k):
    others = [(-(space[row] @ space[j]), j) for j in range(len(space)) if j != row]
    return [j for _, j in sorted(others)[:k]]


def test_nearest_against_plain_loops(monkeypatch):
    monkeypatch.setattr("egemma_lab.geometry._checks.CELLS", 8 * 30)
    space = sphere(30, 5)
    scores, ids = geometry.nearest(space, space, 4, exclude_self=True)
    assert ids.tolist() == [by_hand(space, row, 4) for row in range(30)]
    np.testing.assert_allclose(scores, np.take_along_axis(space @ space.T, ids, axis=1))


def test_ties_go_to_the_lower_row():
    space = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert geometry.nearest(space[:1], space, 3)[1].tolist() == [[0, 1, 2]]


def test_equal_similarities_do_not_flip_by_rounding():
    """Binary vectors tie often; the same ones turned, so that only the last digits differ, must agree."""
    signs = np.sign(sphere(60, 8, seed=4))
    turn = np.linalg.qr(sphere(8, 8, seed=5))[0]
    assert geometry.neighbour_flips(signs, signs @ turn, k=5).empty


def test_flips_against_plain_loops(monkeypatch):
    monkeypatch.setattr("egemma_lab.geometry._checks.CELLS", 7 * 25)
    before, after, k = sphere(25, 6), sphere(25, 4, seed=1), 3
    frame = geometry.neighbour_flips(before, after, k=k)
    found = {(r.row, r.neighbour, r.change) for r in frame.itertuples()}
    expected = set()
    for row in range(25):
        old, new = set(by_hand(before, row, k)), set(by_hand(after, row, k))
        expected |= {(row, j, "lost") for j in old - new} | {(row, j, "gained") for j in new - old}
    assert found == expected
    for r in frame.itertuples():
        order_before, order_after = by_hand(before, r.row, 24), by_hand(after, r.row, 24)
        assert r.rank_before == order_before.index(r.neighbour) + 1
        assert r.rank_after == order_after.index(r.neighbour) + 1
        assert r.similarity_before == pytest.approx(before[r.row] @ before[r.neighbour])
        assert r.similarity_after == pytest.approx(after[r.row] @ after[r.neighbour])
        edge = order_before[k] if r.change == "lost" else order_before[k - 1]
        assert r.margin_before == pytest.approx(abs(before[r.row] @ (before[r.neighbour] - before[edge])))


def test_neighbours_kept_of_the_space_itself_and_of_noise():
    space = sphere(200, 8)
    assert geometry.neighbours_kept(space, space)[0] == 1.0
    mean, each = geometry.neighbours_kept(space, np.random.default_rng(3).normal(size=(200, 2)))
    assert mean == pytest.approx(10 / 199, abs=0.02)
    assert each.shape == (200,)
    assert mean == pytest.approx(each.mean())


@pytest.mark.parametrize("k", [0, 20])
def test_k_must_fit(k):
    with pytest.raises(ValueError, match="between 1 and 19"):
        geometry.neighbour_flips(sphere(20, 3), sphere(20, 3), k=k)


def test_rows_must_match():
    with pytest.raises(ValueError, match="before has 5 rows and after 6"):
        geometry.neighbour_flips(sphere(5, 3), sphere(6, 3), k=2)
