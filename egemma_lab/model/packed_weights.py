"""Rounded weights as they lie on disk: small whole numbers in bytes, and a float16 scale a group of them."""

import torch

PACKED, PACKING = "packed.safetensors", "packing.json"  # the tensors, and which of them is packed in which scheme

# How many bits a code has in each scheme; the rules that make codes are in quantize/formats.py.
BITS = {"int8_block": 8, "int4_block": 4, "int8_channel": 8, "int4_channel": 4, "ternary": 2}


def unpack(codes, scales, scheme):
    """What `egemma_lab.quantize.pack` packed, as weights: (rows, bytes), (rows, groups) -> (rows, columns) float32.

    A weight is its code times its group's scale; nothing else is done to it, so every reader computes the same.
    ValueError for a scheme that is not one of int8_block, int4_block, int8_channel, int4_channel, ternary.

    >>> unpack(torch.tensor([[0x5C, 0x9A]], dtype=torch.uint8), torch.tensor([[0.5]]).half(), "int4_channel")
    tensor([[ 2.0000,  1.0000, -1.5000,  0.5000]])
    """
    return dequantize(from_bytes(codes, scales.shape[1], scheme_bits(scheme)), scales)


def dequantize(codes, scales):
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
    if scheme not in BITS:
        raise ValueError(f"{scheme!r} is not one of the schemes weights are packed in: {', '.join(BITS)}")
    return BITS[scheme]
