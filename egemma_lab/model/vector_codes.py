"""Vectors as small whole numbers: the arithmetic behind `encode(precision=...)` and `quantize_vectors`."""

import warnings

import numpy as np

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")
RANGED = ("int8", "uint8")  # those that need a smallest and a largest value of each dimension
BUCKETS = 255


def to_codes(vectors, precision, ranges=None):
    """Codes of vectors (..., d), as sentence-transformers' `quantize_embeddings` makes them; all in numpy.

    See `egemma_lab.quantize.quantize_vectors`, which is this for tensors too.
    """
    check_precision(precision)
    vectors = check_vectors(vectors)
    if precision == "float32":
        return vectors.astype(np.float32)
    if precision in RANGED:
        if ranges is None and vectors.ndim == 2 and len(vectors) == 0:
            return np.zeros(vectors.shape, precision)
        ranges = value_ranges(vectors) if ranges is None else check_ranges(ranges, vectors.shape[-1])
        codes = np.floor((vectors - ranges[0]) / bucket_sizes(ranges, empty=1)).clip(0, BUCKETS)
        return codes.astype(np.uint8) if precision == "uint8" else (codes - 128).astype(np.int8)
    bits = np.packbits(vectors > 0, axis=-1)
    return bits if precision == "ubinary" else (bits ^ 0x80).view(np.int8)  # the byte less 128


def value_ranges(vectors):
    """The smallest and the largest value of each dimension: (n, d) -> (2, d) float32.

    ValueError for fewer than two vectors, which would leave every range empty.
    """
    vectors = check_vectors(vectors)
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ValueError(
            f"vectors of shape {vectors.shape} give no ranges: calibrate on at least two, better some "
            "thousand, or pass ranges="
        )
    return np.stack([vectors.min(axis=0), vectors.max(axis=0)]).astype(np.float32)


def ranges_of_call(precision, ranges, width, count):
    """The ranges that `encode` is to use for `count` texts, checked before any is encoded; None: their own."""
    check_precision(precision)
    if precision not in RANGED:
        return None
    if ranges is not None:
        return check_ranges(ranges, width)
    how = "pass ranges=egemma_lab.quantize.calibrate(vectors), learnt from vectors of the corpus"
    if count == 1:
        raise ValueError(f"one text alone gives no ranges for {precision}: {how}")
    if count:
        warnings.warn(
            f"{precision} codes with these {count} texts' own ranges compare with no other call's: {how}",
            stacklevel=4,
        )
    return None


def bucket_sizes(ranges, empty=0):
    """How much of its dimension one of the 255 buckets covers, (d,) float32; `empty` where all values are equal."""
    sizes = (ranges[1] - ranges[0]) / BUCKETS
    return np.where(sizes == 0, np.float32(empty), sizes)


def check_precision(precision):
    if precision not in PRECISIONS:
        known = ", ".join(map(repr, PRECISIONS))
        raise ValueError(f"precision={precision!r} is not one of the precisions known here ({known})")


def check_vectors(vectors, name="vectors"):
    """Finite floats with at least one dimension, as an array, or an error that says what was given."""
    vectors = np.asarray(vectors)
    if vectors.dtype.kind != "f" or vectors.ndim == 0:
        raise ValueError(
            f"{name} of type {vectors.dtype} and shape {vectors.shape}: expected floats, (n, d) or (d,); codes "
            "cannot be quantized again"
        )
    if not np.isfinite(vectors).all():
        raise ValueError(f"{name} hold NaN or infinity, which has no code")
    return vectors


def check_ranges(ranges, width):
    """Ranges (2, d) as float32, or ValueError where they are not that."""
    ranges = np.asarray(ranges)
    if ranges.shape != (2, width):
        raise ValueError(
            f"ranges of shape {ranges.shape} for vectors of width {width}: expected (2, {width}), smallest and "
            "largest values; calibrate at the width that is quantized, since a cut vector is brought to length 1"
        )
    if not np.isfinite(ranges).all() or (ranges[0] > ranges[1]).any():
        raise ValueError("ranges hold a smallest value above its largest, NaN or infinity: calibrate again")
    return ranges.astype(np.float32)
