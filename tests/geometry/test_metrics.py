import numpy as np
import pytest
from scipy.stats import skew

from egemma_lab import geometry

rng = np.random.default_rng(7)


def sphere(n, d, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_alignment_and_uniformity_against_plain_loops():
    x, y = rng.normal(size=(7, 5)), rng.normal(size=(7, 5))

    def unit(v):
        return v / np.sqrt(sum(c * c for c in v))

    by_hand = sum(sum((a - b) ** 2 for a, b in zip(unit(p), unit(q))) for p, q in zip(x, y)) / 7
    assert geometry.alignment(x, y) == pytest.approx(by_hand)
    terms = [np.exp(-2 * sum((unit(x[i]) - unit(x[j])) ** 2)) for i in range(7) for j in range(7) if i != j]
    assert geometry.uniformity(x) == pytest.approx(np.log(sum(terms) / len(terms)))


@pytest.mark.parametrize("d", [128, 384])
def test_a_uniform_sphere_reaches_the_limit(d):
    assert geometry.uniformity(sphere(3000, d)) == pytest.approx(-4 + 8 / d, abs=0.005)


def test_uniformity_in_blocks_equals_one_block(monkeypatch):
    rows = sphere(50, 6)
    whole = geometry.uniformity(rows)
    monkeypatch.setattr("egemma_lab.geometry._checks.CELLS", 7 * 50)
    assert geometry.uniformity(rows) == pytest.approx(whole)


def test_mean_cosine_against_plain_loops_and_a_cone():
    rows = sphere(9, 4)
    pairs = [rows[i] @ rows[j] for i in range(9) for j in range(9) if i != j]
    assert geometry.mean_cosine(rows) == pytest.approx(np.mean(pairs))
    cone = sphere(400, 64) + 3 * sphere(1, 64, seed=1)
    assert geometry.mean_cosine(cone) > 0.8 > 0.1 > abs(geometry.mean_cosine(sphere(400, 64)))


def test_isoscore_limits():
    cloud = rng.normal(size=(20_000, 6))
    assert geometry.isoscore(cloud) > 0.99
    assert geometry.isoscore(cloud * [1, 0, 0, 0, 0, 0]) == pytest.approx(0.0, abs=1e-9)
    assert geometry.isoscore(np.ones((5, 3))) == 0.0
    shifted = geometry.isoscore(cloud + 100.0)  # a common part is not anisotropy in this sense
    assert shifted == pytest.approx(geometry.isoscore(cloud), abs=1e-6)


def test_isoscore_by_the_closed_form():
    """iota = ((n - delta^2 (n - sqrt n))^2 - n) / (n (n - 1))."""
    rows = rng.normal(size=(400, 4)) * [4.0, 2.0, 1.0, 0.5]
    variances = np.linalg.eigvalsh(np.cov(rows, rowvar=False, bias=True))
    n = 4
    defect = np.linalg.norm(2 * variances / np.linalg.norm(variances) - 1) / np.sqrt(2 * (n - 2))
    expected = ((n - defect**2 * (n - 2)) ** 2 - n) / (n * (n - 1))
    assert geometry.isoscore(rows) == pytest.approx(expected)


def test_effective_rank_counts_equal_directions():
    cloud = np.zeros((20_000, 8))
    cloud[:, :3] = rng.normal(size=(20_000, 3))
    assert geometry.effective_rank(cloud) == pytest.approx(3, abs=0.01)
    assert geometry.effective_rank(np.ones((4, 3))) == 0.0
    assert geometry.effective_rank(np.outer(np.arange(5.0), np.ones(4))) == pytest.approx(1.0)


@pytest.mark.parametrize(("dimension", "within"), [(2, 0.2), (5, 0.5)])
def test_intrinsic_dimension_of_a_flat_cloud_in_a_large_space(dimension, within):
    turn = np.linalg.qr(rng.normal(size=(40, 40)))[0][:dimension]
    cloud = np.random.default_rng(1).normal(size=(2500, dimension)) @ turn
    assert geometry.intrinsic_dimension(cloud) == pytest.approx(dimension, abs=within)


def test_intrinsic_dimension_against_plain_loops():
    rows = rng.normal(size=(40, 3))
    ratios = []
    for i in range(40):
        first, second = sorted(np.sqrt(sum((rows[i] - rows[j]) ** 2)) for j in range(40) if j != i)[:2]
        ratios.append(second / first)
    points = [(np.log(ratio), -np.log(1 - (i + 1) / 40)) for i, ratio in enumerate(sorted(ratios)[:36])]
    slope = sum(x * y for x, y in points) / sum(x * x for x, _ in points)
    assert geometry.intrinsic_dimension(rows) == pytest.approx(slope)


def test_intrinsic_dimension_survives_rows_that_only_differ_in_their_last_digits():
    cloud = np.random.default_rng(2).normal(size=(500, 3))
    near = cloud[:5] * (1 + 1e-15)  # other bits, no measurable distance
    assert geometry.intrinsic_dimension(np.vstack([cloud, near])) == pytest.approx(3, abs=0.4)


@pytest.mark.parametrize("discard", [0.0, 1.0, -0.1])
def test_intrinsic_dimension_refuses_an_impossible_discard(discard):
    with pytest.raises(ValueError, match=f"discard={discard} must lie between 0 and 1"):
        geometry.intrinsic_dimension(rng.normal(size=(20, 3)), discard=discard)


def test_intrinsic_dimension_ignores_duplicates():
    cloud = np.random.default_rng(2).normal(size=(500, 3))
    assert geometry.intrinsic_dimension(np.vstack([cloud, cloud])) == geometry.intrinsic_dimension(cloud)
    assert np.isnan(geometry.intrinsic_dimension(np.ones((6, 3))))


def test_hubness_is_the_skewness_of_the_k_occurrences():
    rows = sphere(300, 30)
    ids = np.argsort(-(rows @ rows.T - 2 * np.eye(300)), axis=1)[:, :10]
    counts = np.bincount(ids.ravel(), minlength=300)
    assert geometry.hubness(rows) == pytest.approx(skew(counts))
    ring = np.stack([np.cos(np.arange(60) / 60 * 2 * np.pi), np.sin(np.arange(60) / 60 * 2 * np.pi)], axis=1)
    # rows near a common centre are near to everyone
    crowd = sphere(1, 50, seed=1) + sphere(1000, 50) * np.linspace(0.1, 2.0, 1000)[:, None]
    assert geometry.hubness(crowd) > 1 > abs(geometry.hubness(ring, k=2))


def test_report_holds_every_metric():
    rows = sphere(60, 12)
    found = geometry.report(rows, pairs=(rows, rows))
    assert found.pop("alignment") == pytest.approx(0)
    assert found == geometry.report(rows)
    assert found["mean_cosine"] == geometry.mean_cosine(rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones(3), r"shape \(3,\); expected \(n, d\)"),
        (np.ones((1, 3)), "has 1 rows; at least 2"),
        (np.ones((3, 3), dtype=int), "dtype int64"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), "NaN or infinity in 1 rows, first in row 0"),
        (np.array([[1.0, 1.0], [0.0, 0.0]]), "1 zero rows, first row 1"),
    ],
)
def test_what_is_no_cloud_is_named(rows, message):
    with pytest.raises(ValueError, match=message):
        geometry.uniformity(rows)


def test_pairs_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 2\) and second \(4, 2\)"):
        geometry.alignment(np.ones((3, 2)), np.ones((4, 2)))
