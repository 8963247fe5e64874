"""The exercises of notebook 07: their answers are what the package computes."""

import numpy as np
import pytest
import torch

from egemma_lab.evaluate.vector_precision import stored_bytes
from egemma_lab.explore.questions import QUESTIONS
from egemma_lab.quantize import pack, quantize_vectors
from egemma_lab.quantize.formats import round_weight
from egemma_lab.quantize.weights import Rounding


def answer(name):
    return QUESTIONS[f"fewer_bits/{name}"].answer


def test_the_code_is_that_of_the_package():
    ranges = np.array([[-0.4], [0.6]], dtype=np.float32)
    assert quantize_vectors(np.array([[0.3]]), "int8", ranges).item() == answer("code_of_a_number")


def test_the_bytes_are_those_of_bits_with_a_copy():
    way = {"precision": "binary", "rescore_precision": "int8"}
    fitting = [width for width in (768, 512, 256, 128) if 2e7 * stored_bytes(width, way) <= 6e9]
    assert answer("bytes_of_an_index") == max(fitting)


def test_a_weight_of_a_block_is_read_back_as_said():
    block = torch.zeros(1, 32)
    block[0, 3], block[0, 7] = 6.0, -5.8
    assert round_weight(block, "int4_block")[0, 7].item() == answer("weight_in_a_block")


def test_the_size_is_that_of_packed_blocks():
    codes, scales = pack(torch.randn(64, 128), "int4_block")
    bits = 8 * (codes.nbytes + scales.nbytes) / (64 * 128)
    assert answer("size_of_a_model") == pytest.approx(308 * bits / 8)


def test_the_gradient_goes_past_the_rounding_of_the_package(monkeypatch):
    monkeypatch.setattr("egemma_lab.quantize.weights.round_weight", lambda weight, scheme: weight.round())
    weight = torch.tensor([[1.2]], requires_grad=True)
    ((3 * Rounding("int8_block")(weight) - 5) ** 2).sum().backward()
    assert weight.grad.item() == pytest.approx(answer("gradient_past_a_rounding"))
