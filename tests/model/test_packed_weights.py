"""Codes in bytes, and packed folders that are damaged, incomplete or somebody else's."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from egemma_lab.model import load_model
from egemma_lab.model.packed_weights import PACKED, PACKING, from_bytes, to_bytes, unpack


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("groups", [1, 3])
def test_every_code_comes_back_from_its_bytes(bits, groups):
    half = 2 ** (bits - 1)
    codes = torch.randint(-half, half, (5, 24), generator=torch.Generator().manual_seed(bits)).to(torch.int8)
    codes[0, 0], codes[0, 1] = -half, half - 1
    packed = to_bytes(codes, groups, bits)
    assert packed.nbytes == codes.nbytes * bits // 8
    assert torch.equal(from_bytes(packed, groups, bits), codes)


def test_a_byte_of_ternary_codes_by_hand():
    codes = torch.tensor([[-1, 0, 1, 0, 1, -1, 0, 0]], dtype=torch.int8)  # raised by two: 1 2 3 2 3 1 2 2
    packed = to_bytes(codes, groups=1, bits=2)
    assert packed.tolist() == [[1 | 3 << 2 | 3 << 4 | 2 << 6, 2 | 2 << 2 | 1 << 4 | 2 << 6]]
    scales = torch.tensor([[0.25]]).half()
    assert unpack(packed, scales, "ternary").tolist() == [[-0.25, 0.0, 0.25, 0.0, 0.25, -0.25, 0.0, 0.0]]


@pytest.fixture
def packed(saved, tmp_path):
    from egemma_lab.quantize import save_packed

    return save_packed(load_model(saved), tmp_path / "packed", "mixed_channel")


def test_packed_tensors_that_do_not_fit_are_refused(packed):
    path = packed / PACKED
    whole, attention = load_file(path), "text_model.layers.0.self_attn.q_proj.weight"

    def refused(message, **changes):
        tensors = {**whole, **{name.replace("__", "."): value for name, value in changes.items()}}
        save_file({name: value for name, value in tensors.items() if value is not None}, path)
        with pytest.raises(ValueError, match=message):
            load_model(packed)

    dense = whole["dense_up.weight"]
    refused("dense_up.weight.scales is missing", dense_up__weight__scales=None)
    refused("dense_up.weight is missing", dense_up__weight=None)
    refused("extra is not part of this model", extra=torch.zeros(2))
    refused(
        r"dense_up.weight has shape \(256, 31\) and type torch.uint8", dense_up__weight=dense[:, 1:].clone()
    )
    refused("dense_up.weight has shape .* torch.int8", dense_up__weight=dense.view(torch.int8))
    refused("dense_up.weight has shape", dense_up__weight__scales=whole["dense_up.weight.scales"][1:].clone())
    refused("dense_up.weight holds NaN", dense_up__weight__scales=torch.full((256, 1), torch.inf).half())
    refused(r"norm.weight has shape \(63,\)", text_model__norm__weight=torch.zeros(63))
    refused("norm.weight holds NaN", text_model__norm__weight=torch.full((64,), torch.nan))
    refused("q_proj.weight has shape", **{attention.replace(".", "__"): whole[attention].view(torch.uint8)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"{PACKED} is damaged"):
        load_model(packed)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"{PACKED} is missing"):
        load_model(packed)


def test_a_packing_that_says_nothing_usable_is_refused(packed, edit):
    whole = json.loads((packed / PACKING).read_text())["tensors"]
    for tensors, message in (
        ({**whole, "dense_up.weight": "int5"}, "'int5' is not one of the schemes"),
        ({**whole, "norm": "int8_block"}, "norm.scales is missing"),
        (
            {name: scheme for name, scheme in whole.items() if name != "dense_up.weight"},
            "not part of this model",
        ),
        (["dense_up.weight"], "expected an object of name -> scheme"),
    ):
        edit(packed / PACKING, tensors=tensors)
        with pytest.raises(ValueError, match=message):
            load_model(packed)
    edit(packed / PACKING, tensors=whole, tokenizer="nowhere")
    with pytest.raises(ValueError, match="shares the tokenizer of 'nowhere', which is no bundled model"):
        load_model(packed)
