"""The exercises of notebook 08: their answers are what the package computes."""

import numpy as np
import pytest
import torch

from egemma_lab.explore.questions import QUESTIONS
from egemma_lab.train import MixtureSearch, greedy_soup
from egemma_lab.train.mixture_proposals import drawn_mixture


def answer(name):
    return QUESTIONS[f"souping/{name}"].answer


def test_the_soup_in_the_bowl():
    assert answer("soup_in_a_bowl") == np.mean([2, -1]) ** 2


def test_independent_errors_cancel_by_their_number():
    errors = np.random.default_rng(0).standard_normal((4, 100_000))
    errors *= np.sqrt(0.12 / (errors**2).mean(axis=1, keepdims=True))  # each with a mean square of 0.12
    assert answer("four_in_a_soup") == pytest.approx((errors.mean(axis=0) ** 2).mean(), rel=0.03)


def test_greedy_takes_what_the_exercise_says(make_micro):
    models, marks = {}, {"A": 1.0, "B": 2.0, "C": 4.0}
    for name, mark in marks.items():  # a number in each model that tells which ones are in an average
        model = make_micro()
        model.text_model.norm.weight.data = torch.full_like(model.text_model.norm.weight, mark)
        models[name] = model
    scores = {1.0: 0.70, 2.0: 0.68, 4.0: 0.66, 1.5: 0.69, 2.5: 0.71, 3.0: 0.72, 7 / 3: 0.70}

    def score(model):
        mark = float(model.text_model.norm.weight[0])
        return scores[min(scores, key=lambda known: abs(known - mark))]

    _, report = greedy_soup(models.values(), score)
    taken = {list(models)[position] for position in report.loc[report["accepted"], "position"]}
    assert taken == answer("greedy_by_hand")
    assert QUESTIONS["souping/greedy_by_hand"].check({"A", "C"}).right is True
    assert QUESTIONS["souping/greedy_by_hand"].check({"B"}).right is False


def test_the_floor_is_lifted_as_the_search_lifts_it():
    class Drawn:
        def dirichlet(self, concentration):
            return np.array([0.5, 0.3, 0.2, 0.0])

    shares = drawn_mixture(4, 1.0, 0.05, Drawn())
    assert answer("share_above_a_floor") == pytest.approx(shares[0])
    assert shares.sum() == pytest.approx(1)
    assert MixtureSearch(list("abcd"), seed=0, floor=0.05).ask()["a"] == pytest.approx(0.25)


def test_the_best_of_ten_is_lucky():
    luck = np.random.default_rng(0).normal(0, 0.01, (100_000, 10)).max(axis=1).mean()
    assert answer("luck_of_the_best") == pytest.approx(luck, abs=1e-4)
    assert QUESTIONS["souping/luck_of_the_best"].check(luck).right is True
