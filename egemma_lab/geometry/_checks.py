"""What every function of this package asks of its arrays."""

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
