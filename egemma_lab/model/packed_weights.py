"""Rounded weights as they lie on disk: small whole numbers in bytes, and a float16 scale a group of them.

A packed folder is a model's folder with two files in place of its weights. `packed.safetensors` holds all tensors by
their names in the model: a rounded one's codes, its scales beside it as `<name>.scales`, the others in float32.
`packing.json` holds `format`, `tensors` (name -> scheme) and perhaps `tokenizer`: the bundled model whose it shares.
"""

from contextlib import ExitStack

import torch

from egemma_lab.model.layout import read_json
from egemma_lab.model.weights import open_tensors, refuse

PACKED, PACKING = "packed.safetensors", "packing.json"

# How many bits a code has in each scheme; the rules that make codes are in quantize/formats.py.
BITS = {"int8_block": 8, "int4_block": 4, "int8_channel": 8, "int4_channel": 4, "ternary": 2}


def unpack(codes, scales, scheme):
    """What `egemma_lab.quantize.pack` packed, as weights: (rows, bytes), (rows, groups) -> (rows, columns) float32.

    A weight is its code times its group's scale; nothing else is done to it, so every reader computes the same.
    ValueError for a scheme that is not one of int8_block, int4_block, int8_channel, int4_channel, ternary.

    >>> unpack(torch.tensor([[0x5C, 0x9A]], dtype=torch.uint8), torch.tensor([[0.5]]).half(), "int4_channel")
    tensor([[ 2.0000,  1.0000, -1.5000,  0.5000]])
    """
    return dequantize_matrix(from_bytes(codes, scales.shape[1], scheme_bits(scheme)), scales)


def dequantize_matrix(codes, scales):
    """(rows, columns) int8, (rows, groups) float16 -> (rows, columns) float32: each code times its group's scale."""
    groups = codes.unflatten(1, (scales.shape[1], -1)).float()  # (rows, groups, size)
    return (groups * scales.float().unsqueeze(-1)).flatten(1)


def to_bytes(codes, groups, bits):
    """int8 codes in fewer bits: (rows, columns) -> (rows, columns * bits / 8) uint8; 8 bits stay as they are.

    As in ggml's Q4_0: a group's first half lies in the low bits of its bytes, the second half in the high ones
    (of 2 bits: quarters), each code raised by half its range so that none is negative.
    """
    if bits == 8:
        return codes
    parts = (codes + 2 ** (bits - 1)).view(torch.uint8).unflatten(1, (groups, 8 // bits, -1))
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=codes.device).view(-1, 1)
    return (parts << shifts).sum(2, dtype=torch.uint8).flatten(1)


def from_bytes(packed, groups, bits):
    """The int8 codes that `to_bytes` was given: (rows, columns * bits / 8) -> (rows, columns)."""
    if bits == 8:
        return packed
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=packed.device).view(-1, 1)
    parts = (packed.unflatten(1, (groups, 1, -1)) >> shifts) & (2**bits - 1)  # (rows, groups, 8 / bits, size)
    return (parts.flatten(1).view(torch.int8)) - 2 ** (bits - 1)


def scheme_bits(scheme):
    """The bits of a code; ValueError for a scheme unknown here."""
    if not isinstance(scheme, str) or scheme not in BITS:
        raise ValueError(f"{scheme!r} is not one of the schemes weights are packed in: {', '.join(BITS)}")
    return BITS[scheme]


def is_packed(folder):
    """Whether a model's folder holds packed weights."""
    return (folder / PACKING).is_file()


def shared_tokenizer(folder):
    """The name of the bundled model whose tokenizer a packed folder shares; None where it has its own."""
    name = read_json(folder / PACKING).get("tokenizer")
    if name is not None and not isinstance(name, str):
        raise ValueError(
            f"{folder / PACKING} has tokenizer={name!r:.60}, expected the name of a bundled model"
        )
    return name


def read_packed(folder, expected, dtype):
    """All tensors of a packed folder: {name: tensor} in `dtype`, for `expected`, {name: shape}.

    FileNotFoundError where a file is missing; ValueError where one is damaged, where a tensor is missing, has another
    shape or type, is none of the expected, or holds NaN or infinity, and for a scheme unknown here.
    """
    schemes = read_json(folder / PACKING).get("tensors")
    if not isinstance(schemes, dict):
        raise ValueError(f"{folder / PACKING} names no tensors: expected an object of name -> scheme")
    path = folder / PACKED
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: the folder is incomplete")
    with ExitStack() as stack:
        opened = open_tensors(stack, path)
        # copies: a tensor that stays mapped into the file would change, or crash, with the file
        stored = {name: opened.get_tensor(name).clone() for name in sorted(opened.keys())}
    names = [*expected, *(f"{name}.scales" for name in schemes)]
    problems = [f"{name} is missing" for name in names if name not in stored]
    problems += [f"{name} is not part of this model" for name in stored if name not in names]
    refuse(folder, problems)
    tensors = {}
    for name, shape in expected.items():
        tensor, scales = stored[name], stored.get(f"{name}.scales")
        if scales is not None and _fits(tensor, scales, shape, scheme_bits(schemes[name])):
            tensor = unpack(tensor, scales, schemes[name])
        if tensor.shape != shape or not tensor.is_floating_point():
            problems.append(
                f"{name} has shape {tuple(tensor.shape)} and type {tensor.dtype}, expected {tuple(shape)}"
            )
        elif not tensor.isfinite().all():
            problems.append(f"{name} holds NaN or infinity")
        tensors[name] = tensor.to(dtype)
    refuse(folder, problems)
    return tensors


def _fits(codes, scales, shape, bits):
    """Whether codes and scales are those of a matrix of this shape."""
    kind = torch.int8 if bits == 8 else torch.uint8
    right = (
        codes.dtype == kind and scales.dtype == torch.float16 and codes.ndim == scales.ndim == 2 == len(shape)
    )
    if not right or codes.shape != (shape[0], shape[1] * bits // 8) or len(scales) != shape[0]:
        return False
    return scales.shape[1] > 0 and codes.shape[1] % scales.shape[1] == 0
