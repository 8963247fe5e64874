"""The exercises of notebook 05: their answers are what the package computes."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from egemma_lab.explore.questions import QUESTIONS
from egemma_lab.losses import matryoshka_loss, spread_out_loss
from egemma_lab.quantize import quantize_vectors


def answer(name):
    return QUESTIONS[f"spread_out/{name}"].answer


def test_the_second_moments_are_those_of_the_loss():
    three = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    assert answer("second_moment_by_hand") == pytest.approx(float(spread_out_loss(three)))
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).repeat(8, 1)
    assert answer("two_opposite_vectors") == pytest.approx(float(spread_out_loss(opposite)))


def test_random_directions_have_what_is_said():
    generator = torch.Generator().manual_seed(0)
    query, positive = (normalize(torch.randn(4000, 256, generator=generator), dim=1) for _ in range(2))
    measured = float(matryoshka_loss(spread_out_loss, query, positive, dims=(256, 128, 64, 32)))
    assert answer("what_random_gives") == pytest.approx(measured, rel=0.01)


def test_the_bound_is_reached_by_copies_of_a_basis():
    # 1,024 vectors of width 128: eight copies of an orthonormal basis are a tight frame
    assert answer("welch_bound") == pytest.approx(
        float(spread_out_loss(torch.eye(128).repeat(8, 1))), rel=1e-5
    )


def test_the_bits_of_a_cone():
    vectors = 0.01 * np.random.default_rng(0).standard_normal((600, 256))
    vectors[:, 0] = 0.9
    bits = np.unpackbits(quantize_vectors(vectors.astype(np.float32), "ubinary"), axis=1)
    differing = (bits[:300] != bits[300:]).sum(axis=1).mean()
    assert differing == pytest.approx(127.5, abs=1.5)
    assert answer("bits_of_a_cone") == int(127.5)
