"""Every exercise of the notebooks: its answer is right, its typical wrong answers are told apart and explained."""

import math

import numpy as np
import pytest
import torch

from egemma_lab import geometry
from egemma_lab.data._negative_settings import MiningSettings
from egemma_lab.explore.questions import QUESTIONS
from egemma_lab.losses import contrastive_loss

NAMES = sorted(QUESTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_complete(name):
    asked = QUESTIONS[name]
    assert asked.right
    assert asked.solution
    assert 1 <= asked.minutes <= 15
    assert asked.difficulty in ("easy", "medium", "hard")
    assert len(asked.wrong) >= 3
    assert all(why.endswith((".", "?")) for _, why in asked.wrong)


@pytest.mark.parametrize("name", NAMES)
def test_the_right_answer_is_right_and_no_wrong_one_is(name):
    asked = QUESTIONS[name]
    if not callable(asked.answer):
        assert asked.check(asked.answer).right is True
    for typical, why in asked.wrong:
        if not callable(typical):
            verdict = asked.check(typical)
            assert verdict.right is False
            assert str(verdict) == f"Not yet. {why}"  # its own explanation, not an earlier one's


@pytest.mark.parametrize("name", NAMES)
def test_any_other_answer_gets_an_answer_too(name):
    for odd in ("no idea", [1, 2, 3], 1e9, -7, {"a": 1}, True, np.nan):
        verdict = QUESTIONS[name].check(odd)
        assert verdict.right is False
        assert len(str(verdict)) > len("Not yet. ")


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("geometry/cosine_by_hand", 24.0, "between −1 and 1"),
        ("geometry/a_map_by_chance", 0.1, "239 other texts"),
        ("geometry/a_map_by_chance", 0.418, "a tenth of that"),
        ("geometry/a_map_by_chance", 4.18, "divide by 100"),
        ("geometry/a_map_by_chance", 10, "the share"),
    ],
)
def test_families_of_wrong_answers(name, answer, says):
    assert says in str(QUESTIONS[name].check(answer))


def answer(name):
    return QUESTIONS[name].answer


def test_the_answers_are_what_the_package_computes():
    a, b = np.array([1.0, 2, 2]), np.array([2.0, 1, 2])
    assert answer("geometry/cosine_by_hand") == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)))
    assert answer("geometry/alignment_at_a_right_angle") == pytest.approx(
        geometry.alignment(np.eye(2), np.eye(2)[::-1])
    )
    cross = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert answer("geometry/mean_cosine_by_hand") == pytest.approx(geometry.mean_cosine(cross))
    rng = np.random.default_rng(0)
    kept = [
        geometry.neighbours_kept(rng.normal(size=(240, 8)), rng.normal(size=(240, 2)))[0] for _ in range(9)
    ]
    assert answer("geometry/a_map_by_chance") == pytest.approx(np.mean(kept), abs=5e-3)


def test_the_losses_of_knowing_nothing_are_those_of_the_recipe():
    # all cosines 0: queries, positives and hard negatives in three subspaces at right angles
    eye = torch.eye(192, dtype=torch.float64)
    loss = contrastive_loss(eye[:64], eye[64:128], temperature=0.05)
    assert answer("start_here/surprise_of_knowing_nothing") == pytest.approx(float(loss))
    with_hard_negatives = contrastive_loss(eye[:64], eye[64:128], eye[128:], temperature=0.05)
    assert answer("start_here/size_of_the_exam") == pytest.approx(math.exp(float(with_hard_negatives)))


def test_the_answers_on_contrastive_learning_are_what_the_loss_computes():
    exact = {"dtype": torch.float64}
    question = torch.tensor([[1.0, 0.0]], **exact)

    def at(cosine):
        return torch.tensor([[cosine, math.sqrt(1 - cosine**2)]], **exact)

    # one row, its positive at 0.7 and the other function in the hard negative's place: loss = log(1 + 1 / odds)
    loss = contrastive_loss(question, at(0.7), at(0.6), temperature=0.05, hardness=0)
    assert answer("contrastive/odds_at_a_temperature") == pytest.approx(1 / math.expm1(float(loss)))
    plain, weighted = (
        math.expm1(float(contrastive_loss(question, at(0.9), at(0.8), hardness=alpha))) for alpha in (0, 5)
    )
    assert answer("contrastive/weight_of_a_hard_negative") == pytest.approx(weighted / plain)
    four = torch.eye(64, **exact)
    four[1:4] = four[0]
    ids = torch.arange(64).clamp(min=3)  # the first four rows share their positive
    rows = [contrastive_loss(four, four, temperature=0.001, positive_ids=i) for i in (None, ids)]
    assert answer("contrastive/floor_with_copies") == pytest.approx(16 * float(rows[0]))  # 4 rows of 64
    assert float(rows[1]) == pytest.approx(0)
    no_cosine = torch.eye(64, **exact)
    per_pass = float(contrastive_loss(no_cosine[:32], no_cosine[32:]))
    assert answer("contrastive/choices_under_accumulation") == pytest.approx(math.exp(per_pass))
    settings = MiningSettings((1, 50), 0.95, None, None, 1, "top", 0)
    assert answer("contrastive/highest_score_of_a_negative") == pytest.approx(
        settings.limit(np.array([0.6]))[0]
    )
