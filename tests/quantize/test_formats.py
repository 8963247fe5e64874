"""Rounding: bit for bit what GGUF and torchao compute, what loops compute, and what is read back from bytes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from egemma_lab.model.packed_weights import BITS
from egemma_lab.quantize.formats import FORMATS, pack, round_weight, scheme_of, unpack

SCHEMES = tuple(BITS)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def matrix(seed, dtype=torch.float32, rows=24, columns=128):
    """Weights of very different sizes from row to row, with ties, zeros and rows of zeros among them."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator)
    weight *= 10.0 ** torch.linspace(-4, 2, rows).unsqueeze(1)
    weight[2] = 0.0
    weight[3, ::2] = 0.0
    weight[4] = (torch.randint(-4, 5, (columns,), generator=generator) / 4).float()  # halves of a step, ties
    weight[5, 7], weight[5, 3] = -3000.0, 3000.0  # as large, with both signs
    return weight.to(dtype)


def same_bits(one, other):
    return one.dtype == other.dtype and torch.equal(one.view(torch.uint8), other.view(torch.uint8))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("scheme", "kind"), [("int8_block", "Q8_0"), ("int4_block", "Q4_0")])
def test_blocks_are_those_of_gguf_bit_for_bit(scheme, kind, dtype, seed):
    from gguf import GGMLQuantizationType, quants

    weight = matrix(seed, dtype)
    kind = GGMLQuantizationType[kind]
    expected = quants.quantize(weight.float().numpy(), kind)  # (rows, blocks * (2 + bytes))
    codes, scales = pack(weight, scheme)
    blocks = codes.numpy().view(np.uint8).reshape(*scales.shape, -1)
    mine = np.concatenate([scales.numpy()[..., None].view(np.uint8), blocks], axis=-1)
    assert mine.reshape(expected.shape).tobytes() == expected.tobytes()
    values = quants.dequantize(expected, kind)
    assert unpack(codes, scales, scheme).numpy().tobytes() == values.astype(np.float32).tobytes()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_forward_pass_has_what_is_unpacked_bit_for_bit(scheme, dtype, seed):
    weight = matrix(seed, dtype)
    codes, scales = pack(weight, scheme)
    assert codes.dtype == (torch.int8 if BITS[scheme] == 8 else torch.uint8)
    assert codes.shape == (24, 128 * BITS[scheme] // 8)
    assert scales.dtype == torch.float16
    assert same_bits(unpack(codes, scales, scheme).to(dtype), round_weight(weight, scheme))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_rounding_twice_is_rounding_once(scheme, seed):
    codes, scales = pack(matrix(seed), scheme)
    again, scales_again = pack(unpack(codes, scales, scheme), scheme)
    assert same_bits(codes, again)
    assert torch.equal(scales, scales_again)  # a scale of 0 may lose its sign


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("scheme", "least", "most"), [("int8_channel", -128, 127), ("int4_channel", -8, 7)])
def test_channels_are_those_of_torchao(scheme, least, most, seed, monkeypatch):
    """The same codes. Scales are kept in float16 here, in float32 there: that moves a weight by at most 2**-11 of
    itself, or, where the scale is smaller than float16's normal numbers, by its code times 2**-25."""
    monkeypatch.syspath_prepend(
        Path(sys.prefix) / "peers"
    )  # `make setup` puts it there, out of others' sight
    from torchao.quantization.quant_primitives import (
        MappingType,
        choose_qparams_affine,
        dequantize_affine,
        quantize_affine,
    )

    weight = matrix(seed)
    block = (1, weight.shape[1])
    scale, zero = choose_qparams_affine(
        weight, MappingType.SYMMETRIC_NO_CLIPPING_ERR, block, torch.int8, quant_min=least, quant_max=most
    )
    theirs = quantize_affine(weight, block, scale, zero, torch.int8, quant_min=least, quant_max=most)
    values = dequantize_affine(theirs, block, scale, zero, torch.int8, quant_min=least, quant_max=most)
    codes, scales = pack(weight, scheme)
    mine = unpack(codes, torch.ones_like(scales), scheme)
    assert torch.equal(mine, theirs.float())
    torch.testing.assert_close(unpack(codes, scales, scheme), values, rtol=2**-11, atol=-least * 2**-25)


def loops(weight, scheme):
    """The five rules in plain Python, in float32 where they say so."""
    rows, one = [], np.float32(1)
    for row in weight.numpy():
        size = 32 if scheme.endswith("block") else len(row)
        values = []
        for start in range(0, len(row), size):
            group = row[start : start + size]
            if scheme == "int8_block":
                scale = max(abs(x) for x in group) / np.float32(127)
            elif scheme == "int4_block":
                scale = max(group, key=abs) / np.float32(-8)  # max takes the first of equals
            elif scheme == "ternary":
                scale = sorted(abs(x) for x in group)[(len(group) - 1) // 2]
            else:
                bits = BITS[scheme]
                low, high = np.float32(-(2 ** (bits - 1))), np.float32(2 ** (bits - 1) - 1)
                scale = max(min(group.min(), 0) / low, max(group.max(), 0) / high)
            for x in group:
                y = x * (one / scale) if scale else np.float32(0)
                if scheme == "int8_block":
                    code = np.sign(y) * np.floor(abs(np.float64(y)) + 0.5)
                elif scheme == "int4_block":
                    code = min(15, int(y + np.float32(8.5))) - 8
                elif scheme == "ternary":
                    code = max(-1, min(1, round(float(y))))
                else:
                    code = max(low, min(high, round(float(y))))
                values.append(np.float32(code) * np.float32(np.float16(scale)))
        rows.append(values)
    return np.array(rows, dtype=np.float32)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_rule_is_what_loops_compute(scheme):
    weight = matrix(seed=9, rows=12, columns=64)
    assert np.array_equal(round_weight(weight, scheme).numpy(), loops(weight, scheme))


def test_numbers_worked_out_by_hand():
    row = torch.zeros(1, 32)
    row[0, :6] = torch.tensor([-16.0, 15.0, 8.9, 1.1, -1.0, 0.9])
    codes, scales = pack(row, "int4_block")
    assert scales.tolist() == [[2.0]]  # -16 / -8; 15 / 2 = 7.5 is cut to 7, halves go up: -0.5 to 0
    assert unpack(codes, scales, "int4_block")[0, :6].tolist() == [-16.0, 14.0, 8.0, 2.0, 0.0, 0.0]
    assert codes[0, :2].tolist() == [
        0 | 8 << 4,
        15 | 8 << 4,
    ]  # the seventeenth weight shares the first's byte

    row[0, :6] = torch.tensor([127.0, -2.5, 2.5, 0.5, -0.49, 126.4])
    codes, scales = pack(row, "int8_block")
    assert scales.tolist() == [[1.0]]
    assert codes[0, :6].tolist() == [127, -3, 3, 1, 0, 126]  # halves away from zero

    ternary = round_weight(torch.tensor([[0.1, -0.3, 0.2, 5.0]]), "ternary")  # median 0.2 (the lower one)
    torch.testing.assert_close(ternary, torch.tensor([[0.0, -0.2, 0.2, 0.2]]), rtol=1e-3, atol=0)


def test_finer_codes_lie_nearer():
    weight = torch.randn(16, 256, generator=torch.Generator().manual_seed(0))
    error = {scheme: (round_weight(weight, scheme) - weight).square().mean().sqrt() for scheme in SCHEMES}
    order = ["int8_block", "int8_channel", "int4_block", "int4_channel", "ternary"]
    assert sorted(error, key=error.get) == order
    assert error["int8_block"] < 0.01
    assert error["int4_block"] < 0.1


def test_what_goes_into_no_float16_scale_is_zero_or_refused():
    tiny = torch.full((1, 32), 1e-39)
    for scheme in SCHEMES:
        assert torch.equal(round_weight(tiny, scheme), torch.zeros(1, 32))
    with pytest.raises(ValueError, match=r"int8_block cannot hold weights of up to 1e\+08"):
        pack(torch.full((1, 32), 1e8), "int8_block")
    with pytest.raises(ValueError, match="cannot hold weights of up to nan"):
        pack(torch.full((1, 32), float("nan")), "ternary")


@pytest.mark.parametrize(
    ("shape", "scheme", "words"),
    [
        ((4, 48), "int8_block", r"shape \(4, 48\): int8_block needs .* a multiple of 32"),
        ((4, 48), "int4_block", "Choose a model of such a width, or the format 'mixed_channel'"),
        ((4, 7), "int4_channel", "a multiple of 2"),
        ((4, 6), "ternary", "a multiple of 4"),
        ((64,), "int8_channel", "needs a matrix"),
        ((4, 32), "int5", "'int5' is not one of the schemes .* int8_block, int4_block"),
        ((4, 32), "mixed_channel", "is not one of the schemes"),
    ],
)
def test_what_cannot_be_packed_is_refused(shape, scheme, words):
    with pytest.raises(ValueError, match=words):
        pack(torch.ones(shape), scheme)


def test_formats_name_a_scheme_for_every_tensor():
    for format in FORMATS:
        assert scheme_of(format, "dense_up.weight") in SCHEMES
    assert scheme_of("mixed_channel", "text_model.layers.3.self_attn.o_proj.weight") == "int8_channel"
    assert scheme_of("mixed_channel", "text_model.layers.3.mlp.up_proj.weight") == "int4_channel"
    with pytest.raises(ValueError, match="format='int4' is not one of 'int8_block', 'int4_block'"):
        scheme_of("int4", "dense_up.weight")
