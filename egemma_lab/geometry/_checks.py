"""What every function of this package asks of its arrays, and similarities a block of rows at a time."""

import numpy as np


def as_rows(embeddings, name="embeddings", at_least=2):
    """The rows as a float64 array (n, d), or ValueError naming what is wrong with them."""
    rows = np.asarray(embeddings)
    if rows.ndim != 2:
        raise ValueError(f"{name} has shape {rows.shape}; expected (n, d), one row a text")
    if len(rows) < at_least:
        raise ValueError(f"{name} has {len(rows)} rows; at least {at_least} are needed here")
    if not np.issubdtype(rows.dtype, np.floating):
        raise ValueError(f"{name} has dtype {rows.dtype}; expected floating point numbers")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise ValueError(f"{name} has NaN or infinity in {len(bad)} rows, first in row {bad[0]}")
    return rows.astype(np.float64)


def as_unit_rows(embeddings, name="embeddings", at_least=2):
    """The rows at unit length, float64 (n, d); ValueError where one is zero and so has no direction."""
    rows = as_rows(embeddings, name, at_least)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    zero = np.flatnonzero(lengths == 0)
    if len(zero):
        raise ValueError(f"{name} has {len(zero)} zero rows, first row {zero[0]}: they have no direction")
    return rows / lengths


CELLS = 2**23  # similarities held at once: 64 MB of float64


def cosine_blocks(queries, corpus):
    """Yield (start, cosines (c, n)) of unit rows, c queries at a time from row `start` on.

    Rounded at the twelfth decimal, far below the digits of float32: so equal rows (and the many equal similarities
    of quantized vectors) tie exactly, instead of being ordered by the noise of the matrix product.
    """
    step = max(1, CELLS // len(corpus))
    for start in range(0, len(queries), step):
        yield start, (queries[start : start + step] @ corpus.T).round(12)


def without_self(block, start, value=-np.inf):
    """The block (c, n) with each row's entry for itself set to `value`, in place."""
    block[np.arange(len(block)), np.arange(start, start + len(block))] = value
    return block
