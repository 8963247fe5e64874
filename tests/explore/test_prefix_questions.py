"""The exercises of notebook 06: their answers are what the package computes."""

import numpy as np
import pytest
import torch

from egemma_lab.evaluate.contestants import narrowed
from egemma_lab.explore.questions import QUESTIONS
from egemma_lab.losses import matryoshka_loss


def answer(name):
    return QUESTIONS[f"prefix_widths/{name}"].answer


def test_the_cosine_is_that_of_normalised_prefixes():
    question, document = np.array([[0, 0.6, 0, 0.8]]), np.array([[0.1, 0.7, 0.5, 0.5]])
    assert np.linalg.norm(document) == pytest.approx(1)
    cosine = narrowed(question, 2) @ narrowed(document, 2).T
    assert answer("cosine_of_two_prefixes") == pytest.approx(cosine.item())


def test_the_length_is_that_of_random_directions():
    drawn = np.random.default_rng(0).normal(size=(2000, 256))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    lengths = np.sqrt((drawn[:, :64] ** 2).sum(axis=1).mean())
    assert answer("length_of_a_prefix") == pytest.approx(lengths, abs=5e-3)


def test_a_column_is_heard_by_the_losses_wide_enough_for_it():
    x = torch.randn(4, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    heard = []

    def note(prefix):
        heard.append(prefix.shape[1] > 100)
        return prefix.sum()

    matryoshka_loss(note, x, dims=(256, 128, 64, 32))
    assert answer("losses_that_a_column_hears") == sum(heard)


def test_the_price_counts_every_multiplication():
    corpus, short, full, candidates = 1_000_000, 32, 256, 1000
    once, twice = corpus * full, corpus * short + candidates * full
    assert answer("price_of_two_looks") == pytest.approx(once / twice)
