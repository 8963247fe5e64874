"""How weights are rounded: a group of them becomes small whole numbers and one scale."""

import torch

from egemma_lab.model.packed_weights import dequantize_matrix, scheme_bits, to_bytes, unpack

__all__ = ["FORMATS", "pack", "round_weight", "scheme_of", "unpack"]

BLOCK = 32  # weights of a block, in GGUF's Q8_0 and Q4_0

# format of a model -> (scheme of a tensor, scheme of the attention's four matrices)
FORMATS = {
    "int8_block": ("int8_block", "int8_block"),
    "int4_block": ("int4_block", "int4_block"),
    "mixed_channel": ("int4_channel", "int8_channel"),
    "ternary": ("ternary", "ternary"),
}


def scheme_of(format, name):
    """The scheme that a format rounds a tensor in, by the tensor's name in the model.

    Every matrix is rounded (token table, attention, feed-forward, both Dense layers), no norm is: that is what
    llama.cpp's files for this architecture hold as well. ValueError for an unknown format.

    >>> scheme_of("mixed_channel", "text_model.embed_tokens.weight")
    'int4_channel'
    >>> scheme_of("mixed_channel", "text_model.layers.0.self_attn.q_proj.weight")
    'int8_channel'
    """
    if format not in FORMATS:
        raise ValueError(f"format={format!r} is not one of {', '.join(map(repr, FORMATS))}")
    everywhere, attention = FORMATS[format]
    return attention if ".self_attn." in name else everywhere


def pack(weight, scheme):
    """Round a matrix and pack its codes: (rows, columns) -> codes (rows, bytes), scales (rows, groups) float16.

    Parameters: `weight`, of any float type, rounded from its float32 values; `scheme`, one of

    - "int8_block": blocks of 32, scale max|x| / 127, as GGUF's Q8_0, bit for bit;
    - "int4_block": blocks of 32, scale m / -8 where m is the weight of largest magnitude with its sign, codes -8 to
      7, as GGUF's Q4_0, bit for bit: a block's scale and its 16 bytes here are the 18 bytes there;
    - "int8_channel", "int4_channel": one scale a row, the smallest at which nothing is clipped to -128..127 or
      -8..7 (torchao's SYMMETRIC_NO_CLIPPING_ERR);
    - "ternary": codes -1, 0, 1, one scale a row, the median of |x| (absmedian of BitNet b1.58 Reloaded, Nielsen and
      Schneider-Kamp 2024, arXiv:2407.09527, which has one scale a matrix).

    Codes are int8, or uint8 where several share a byte. `unpack(codes, scales, scheme)` gives the rounded weights;
    rounding those again gives the same codes and scales. ValueError for another scheme, for columns that are no
    multiple of 32 (block) or of the codes in a byte, and for weights that are not finite or too large for a
    float16 scale.

    >>> codes, scales = pack(torch.tensor([[-4.0, 1.0, 3.5, 0.3]]), "int4_channel")
    >>> codes.tolist(), scales.tolist()
    ([[240, 154]], [[0.5]])
    >>> unpack(codes, scales, "int4_channel")
    tensor([[-4.0000,  1.0000,  3.5000,  0.5000]])
    """
    check_matrix(weight, scheme)
    codes, scales = quantize_matrix(weight.detach(), scheme)
    if not (weight.isfinite().all() and scales.isfinite().all()):
        raise ValueError(
            f"{scheme} cannot hold weights of up to {weight.abs().max():.3g}: they must be finite, and scales fit "
            "into float16 (65,504)"
        )
    return to_bytes(codes, scales.shape[1], scheme_bits(scheme)), scales


def round_weight(weight, scheme):
    """The weights that `unpack` reads from what `pack` wrote, in the dtype given: (rows, columns) -> the same."""
    return dequantize_matrix(*quantize_matrix(weight, scheme)).to(weight.dtype)


def quantize_matrix(weight, scheme):
    """(rows, columns) -> codes (rows, columns) int8, scales (rows, groups) float16; see `pack`."""
    size = BLOCK if scheme.endswith("_block") else weight.shape[1]
    groups = weight.float().unflatten(1, (-1, size))  # (rows, groups, size)
    codes, scales = _RULES[scheme](groups)
    return codes.to(torch.int8).flatten(1), scales.squeeze(-1).half()


def check_matrix(weight, scheme, name="the weight"):
    """ValueError where a tensor's shape does not go into a scheme."""
    multiple = max(BLOCK if scheme.endswith("_block") else 1, 8 // scheme_bits(scheme))
    if weight.ndim != 2 or weight.shape[1] % multiple:
        raise ValueError(
            f"{name} has shape {tuple(weight.shape)}: {scheme} needs a matrix whose second dimension is a multiple "
            f"of {multiple}. Choose a model of such a width, or the format 'mixed_channel'"
        )


# Each rule: groups (..., size) float32 -> codes (..., size) whole numbers as floats, scales (..., 1) float32.
# Codes are made with the float32 scale and read with the float16 one, as in ggml.


def _int8_block(groups):
    scale = groups.abs().amax(-1, keepdim=True) / 127
    scaled = groups * _inverse(scale)
    whole = scaled.trunc()
    return whole + (2 * (scaled - whole)).trunc(), scale  # halves away from zero, as C's roundf


def _int4_block(groups):
    largest = groups.abs().argmax(-1, keepdim=True)  # the first, where several are as large
    scale = groups.gather(-1, largest) / -8
    return (groups * _inverse(scale) + 8.5).trunc().clamp(max=15) - 8, scale


def _channel(groups, bits):
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    low, high = groups.aminmax(dim=-1, keepdim=True)
    scale = torch.maximum(low.clamp(max=0) / least, high.clamp(min=0) / most)
    return (groups * _inverse(scale)).round().clamp(least, most), scale


def _ternary(groups):
    scale = groups.abs().median(-1, keepdim=True).values
    return (groups * _inverse(scale)).round().clamp(-1, 1), scale


def _inverse(scale):
    """1 / scale, and 0 where that is infinite: there all codes are 0."""
    return (1 / scale).nan_to_num(posinf=0.0, neginf=0.0)


_RULES = {
    "int8_block": _int8_block,
    "int4_block": _int4_block,
    "int8_channel": lambda groups: _channel(groups, 8),
    "int4_channel": lambda groups: _channel(groups, 4),
    "ternary": _ternary,
}
