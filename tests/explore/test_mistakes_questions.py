"""The answers of notebook 12's exercises, computed by what they are about."""

import math

import pytest
import torch

from egemma_lab.explore.questions.mistakes import QUESTIONS
from egemma_lab.losses import contrastive_loss
from egemma_lab.losses.matryoshka import unit_prefix


def test_the_prefixes_point_the_same_way():
    vectors = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.1, 0.1, 0.7, 0.7]])
    first, second = unit_prefix(vectors, 2)
    assert QUESTIONS["cut_and_compare"].answer == pytest.approx((first @ second).item())
    assert (vectors[0] @ vectors[1]).item() == pytest.approx(0.8)  # one of the wrong answers


def test_float16_holds_the_sum_up_to_the_answer_and_not_beyond():
    answer = QUESTIONS["a_square_too_large"].answer

    def summed(x):
        return torch.full((1024,), x, dtype=torch.float64).square().sum().to(torch.float16)

    assert summed(answer).isfinite()
    assert summed(answer * 1.01).isinf()


def test_eight_batches_of_eight_are_an_easier_exam():
    same = torch.ones(64, 3)
    whole = contrastive_loss(same, same).item()
    small = sum(contrastive_loss(same[i : i + 8], same[i : i + 8]).item() for i in range(0, 64, 8)) / 8
    assert QUESTIONS["accumulated_batches"].answer == pytest.approx(small)
    assert whole == pytest.approx(math.log(64), rel=1e-5)
    assert contrastive_loss(same[:1], same[:1]).item() == 0


def test_the_leak_counts_question_by_question():
    answered = [True] * 20 + [i % 5 < 3 for i in range(80)]  # 60% of the eighty that did not leak
    assert QUESTIONS["a_leak"].answer == pytest.approx(sum(answered) / 100)
