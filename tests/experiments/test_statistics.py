"""Paired differences: their intervals hold what they promise, and find what is there."""

import numpy as np
import pytest

from egemma_lab.experiments.statistics import holm, paired, verdict


def arms(rng, shift=0.0, seed_noise=0.0, seeds=3, n=200):
    """Two arms on the same questions: hard and easy ones, which cancel; a shift; noise of the seeds."""
    easy = rng.standard_normal(n)
    one, other = {}, {}
    for s in range(seeds):
        a = easy + 0.3 * rng.standard_normal(n) + shift + seed_noise * rng.standard_normal()
        b = easy + 0.3 * rng.standard_normal(n)
        one[s], other[s] = {"x": a[: n // 2], "y": a[n // 2 :]}, {"x": b[: n // 2], "y": b[n // 2 :]}
    return one, other


def test_the_difference_is_the_mean_over_sets_of_the_mean_over_questions_and_seeds():
    a = {
        0: {"x": np.array([1.0, 0.0]), "y": np.array([1.0])},
        1: {"x": np.array([1.0, 1.0]), "y": np.array([0.0])},
    }
    b = {s: {"x": np.zeros(2), "y": np.zeros(1)} for s in a}
    found = paired(a, b)
    assert found["by_seed"] == [pytest.approx((0.5 + 1) / 2), pytest.approx((1 + 0) / 2)]
    assert found["difference"] == pytest.approx(0.625)
    assert found == paired(a, b)  # the same numbers each time
    assert paired(b, a)["difference"] == pytest.approx(-0.625)


@pytest.mark.parametrize("seed_noise", [0.0, 0.1])
def test_intervals_of_no_difference_hold_it_about_as_often_as_they_say(seed_noise):
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(60):
        found = paired(*arms(rng, seed_noise=seed_noise, n=60))
        inside += found["low"] <= 0 <= found["high"]
    assert inside >= 50  # 57 expected; three seeds are few


def test_a_difference_as_large_as_detectable_is_usually_found():
    rng = np.random.default_rng(1)
    size = paired(*arms(rng))["detectable"]
    found = [paired(*arms(rng, shift=size))["low"] > 0 for _ in range(30)]
    assert sum(found) >= 18
    assert paired(*arms(rng, shift=size))["effect"] > 0.1


def test_seeds_that_disagree_widen_the_interval():
    rng = np.random.default_rng(2)
    quiet, loud = (paired(*arms(rng, seed_noise=noise)) for noise in (0.0, 0.5))
    assert loud["high"] - loud["low"] > 3 * (quiet["high"] - quiet["low"])


def test_holm_by_hand_and_in_any_order():
    assert holm([0.01, 0.02, 0.03, 0.5]) == [0.04, 0.06, 0.06, 0.5]
    assert holm([0.5, 0.03, 0.02, 0.01]) == [0.5, 0.06, 0.06, 0.04]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_verdicts():
    assert verdict(-0.7, -0.1, 0.01) == "same sign"
    assert verdict(-0.7, -0.1, 0.05) == "no difference to be seen"


@pytest.mark.parametrize(
    ("b", "words"),
    [
        ({1: {"x": np.zeros(2)}}, "other seeds"),
        ({0: {"y": np.zeros(2)}}, "other sets"),
        ({0: {"x": np.zeros(3)}}, "2 and 3 questions do not pair"),
    ],
)
def test_arms_that_do_not_pair_are_refused(b, words):
    with pytest.raises(ValueError, match=words):
        paired({0: {"x": np.zeros(2)}}, b)
