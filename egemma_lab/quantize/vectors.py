"""Vectors in fewer bytes, and back: one byte a dimension, or one bit."""

import numpy as np

from egemma_lab.model.vector_codes import (
    RANGED,
    bucket_sizes,
    check_precision,
    check_ranges,
    to_codes,
    value_ranges,
)


def quantize_vectors(vectors, precision, ranges=None):
    """Codes of vectors: (n, d) or (d,) floats -> whole numbers, those of sentence-transformers' `quantize_embeddings`.

    Parameters: `precision`, one of

    - "int8", "uint8": a byte a dimension. The range of each dimension is divided into 255 buckets; a code is a
      bucket's number, less 128 for int8. What lies outside the range gets the first or the last.
    - "binary", "ubinary": a bit a dimension, 1 where the value is above 0, eight of them in a byte, the first
      dimension in the highest bit; (n, ceil(d / 8)), as uint8 ("ubinary") or less 128 as int8 ("binary").
    - "float32": no codes, the vectors themselves.

    `ranges`, (2, d), the smallest and the largest value of each dimension, from `calibrate`. Only int8 and uint8
    need them; default: those of the vectors given. Codes made with different ranges cannot be compared, so whatever
    is to be searched together needs the same ranges, learnt once and stored.

    Arrays give an array, tensors a tensor on their device. ValueError for another precision, for vectors that are
    no floats, hold NaN or infinity, for ranges of another width, and where ranges would be those of one vector.

    Source: Shakir, Aarsen and Lee 2024, "Binary and Scalar Embedding Quantization" (huggingface.co/blog); the
    arithmetic is that of sentence-transformers 6, which rounds codes down.

    >>> vectors = np.array([[0.6, -0.8], [0.0, 1.0]], dtype=np.float32)
    >>> quantize_vectors(vectors, "uint8").tolist(), quantize_vectors(vectors, "ubinary").tolist()
    ([[255, 0], [0, 255]], [[128], [64]])
    """
    array, restore = _as_array(vectors)
    return restore(to_codes(array, precision, ranges))


def calibrate(vectors):
    """Ranges for int8 and uint8 from a calibration set: (n, d) -> (2, d) float32, smallest and largest values.

    Take vectors of the kind that will be stored, at the width they will have: some thousand documents of the corpus,
    or all of it. Values that lie outside later are cut off at the end of the range, so a set too small costs
    precision; queries may lie outside, since `search` leaves them in floats. The array is all there is to the
    ranges: `np.save` or safetensors keep it. ValueError for fewer than two vectors.

    >>> calibrate(np.array([[0.6, -0.8], [0.0, 1.0]])).tolist()
    [[0.0, -0.800000011920929], [0.6000000238418579, 1.0]]
    """
    array, restore = _as_array(vectors)
    return restore(value_ranges(array))


def dequantize_vectors(codes, precision, ranges=None, width=None):
    """The vectors that codes stand for: (..., d) or (..., ceil(d / 8)) -> (..., d) float32.

    int8 and uint8: the middle of each bucket, at most half a bucket from the value that was there, if that was
    inside the range; the same as faiss's 8-bit scalar quantizer reads. (sentence-transformers takes the bucket's
    lower end. That moves every vector by the same half bucket, so dot products order alike.) binary and ubinary:
    the signs, times 1 / sqrt(d), so that the vector has length 1. Quantizing the result gives the same codes.

    Parameters: `ranges`, those the codes were made with, for int8 and uint8; `width`, d of binary codes where it is
    no multiple of 8 (default: 8 times the bytes). Arrays give an array, tensors a tensor. ValueError for another
    precision, for codes of another type than it has, and where ranges or width do not fit.

    >>> codes = quantize_vectors(np.array([[0.6, -0.8]]), "binary")
    >>> dequantize_vectors(codes, "binary", width=2)
    array([[ 0.70710677, -0.70710677]], dtype=float32)
    """
    array, restore = _as_array(codes)
    check_codes(array, precision, width)
    if precision == "float32":
        vectors = array.astype(np.float32)
    elif precision in RANGED:
        if ranges is None:
            raise ValueError(
                f"{precision} codes mean nothing without the ranges they were made with: pass ranges="
            )
        ranges = check_ranges(ranges, array.shape[-1])
        buckets = array.astype(np.float32) + (128.5 if precision == "int8" else 0.5)
        vectors = ranges[0] + buckets * bucket_sizes(ranges)
    else:
        width = 8 * array.shape[-1] if width is None else width
        signs = np.unpackbits(as_bits(array), axis=-1, count=width) * np.float32(2) - 1
        vectors = signs / np.sqrt(np.float32(width))
    return restore(vectors.astype(np.float32, copy=False))


def bytes_per_vector(width, precision):
    """Bytes that one stored vector takes: 4 a dimension, 1 (int8, uint8), or an eighth (binary, ubinary).

    >>> [bytes_per_vector(256, precision) for precision in ("float32", "int8", "binary")]
    [1024, 256, 32]
    """
    check_precision(precision)
    if precision == "float32":
        return 4 * width
    return width if precision in RANGED else -(-width // 8)


def as_bits(codes):
    """The packed bits of binary or ubinary codes, uint8."""
    return codes if codes.dtype == np.uint8 else codes.view(np.uint8) ^ np.uint8(0x80)


def check_codes(codes, precision, width=None):
    """ValueError where an array cannot be codes of this precision (and, where it is given, this width)."""
    check_precision(precision)
    kinds = {"binary": "int8", "ubinary": "uint8"}
    expected = kinds.get(precision, precision)
    if codes.dtype != expected:
        raise ValueError(f"codes of type {codes.dtype}: those of precision {precision!r} are {expected}")
    columns = None if width is None else width if precision not in kinds else -(-width // 8)
    if codes.ndim == 0 or columns not in (None, codes.shape[-1]):
        raise ValueError(
            f"codes of shape {codes.shape}: vectors of width {width} have {columns} columns at precision {precision!r}"
        )


def as_numpy(values):
    """The array behind a tensor, bfloat16 as float32; anything else as an array."""
    if not hasattr(values, "detach"):
        return np.asarray(values)
    values = values.detach().cpu()
    return values.float().numpy() if str(values.dtype) == "torch.bfloat16" else values.numpy()


def _as_array(values):
    """A numpy array, and what turns a numpy array back into the kind and device that was given."""
    if not hasattr(values, "detach"):
        return as_numpy(values), lambda array: array
    import torch

    return as_numpy(values), lambda array: torch.from_numpy(array).to(values.device)
