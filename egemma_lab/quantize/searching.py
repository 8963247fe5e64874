"""Search among quantized vectors, the best of them looked at again, and what is lost by it."""

import numpy as np

from egemma_lab.quantize.coded_vectors import CodedVectors, best, unit_rows
from egemma_lab.quantize.vectors import as_numpy, bytes_per_vector


def search(queries, corpus, k, precision="binary", rescore=4, *, rescore_precision=None, ranges=None):
    """The k nearest of a quantized corpus: (q, d), (n, d) -> scores (q, k) float32, ids (q, k), best first.

    One query (d,) gives (k,). Every vector of the corpus is compared; ties go to the lower id; where the corpus has
    fewer than k rows there are as many columns as rows, so none for an empty one.

    Parameters
    ----------
    queries : floats; they are never rounded, except to look through bits.
    corpus : floats, quantized here; or codes that `quantize_vectors` or `encode(precision=...)` made.
    precision : how the corpus is held: "float32", "int8", "uint8", "binary" (the smallest) or "ubinary".
    rescore : of bits, k * rescore candidates are found by Hamming distance and ordered anew by the float query. 0:
        no second look, the score is the cosine of the two sign vectors. Default 4: what sentence-transformers
        recommends. Bytes and floats are compared with the float query from the start, so that it changes nothing
        there without a `rescore_precision`.
    rescore_precision : what the candidates are held against: None, the codes themselves (no byte more is stored);
        "int8" or "float32", a finer copy of the same vectors, which a store would have to keep beside the codes.
    ranges : (2, d), from `calibrate`, for int8. Default: those of the corpus, which as a whole is the best
        calibration set; codes need the ones they were made with.

    Rows that are not of length 1, such as vectors just cut, are brought to it first. Scores are cosines as near as
    the codes come to them (`dequantize_vectors`). ValueError for widths that differ, k below 1, rows of zeros.
    Source: Yamada, Asai and Hajishirzi 2021 (arXiv:2106.00882), for candidates by bits and scores by floats.

    >>> corpus = np.array([[0.6, 0.8], [0.8, 0.6], [-0.6, 0.8]])
    >>> scores, ids = search(np.array([1.0, 0.2]), corpus, k=2, rescore_precision="float32")
    >>> ids.tolist(), [f"{score:.3f}" for score in scores]
    ([1, 0], ['0.902', '0.745'])
    """
    stored, finer = hold(corpus, precision, rescore_precision, ranges)
    return find(queries, stored, k, rescore, finer)


def hold(corpus, precision, rescore_precision=None, ranges=None):
    """The corpus as `search` holds it: CodedVectors, and a finer copy of them or None."""
    stored = CodedVectors.of(corpus, precision, ranges)
    if rescore_precision is None:
        return stored, None
    if as_numpy(corpus).dtype.kind != "f":
        raise ValueError("rescore_precision= needs the float vectors of the corpus, and codes were given")
    if bytes_per_vector(8, rescore_precision) <= bytes_per_vector(8, precision):
        raise ValueError(f"rescore_precision={rescore_precision!r} is no finer than precision={precision!r}")
    return stored, CodedVectors.of(corpus, rescore_precision, ranges)


def find(queries, stored, k, rescore, finer=None):
    """`search` among vectors that are stored already: CodedVectors, and finer ones to rescore with or None."""
    array = as_numpy(queries)
    rows = unit_rows(np.atleast_2d(array), "queries")
    if rows.shape[1] != stored.width:
        raise ValueError(
            f"queries of width {rows.shape[1]} for a corpus of width {stored.width}: cut both at the same width "
            "(truncate_dim=)"
        )
    whole = all(isinstance(number, int | np.integer) for number in (k, rescore))
    if not whole or k < 1 or rescore < 0:
        raise ValueError(
            f"k={k}, rescore={rescore}: k must be at least 1, rescore 0 (none) or more, both whole"
        )
    again = finer is not None or stored.precision in ("binary", "ubinary")
    if rescore and again:
        _, candidates = stored.nearest(rows, k * rescore)
        scores, ids = best((finer or stored).score(rows, candidates), candidates, k)
    else:
        scores, ids = stored.nearest(rows, k)
    return (scores[0], ids[0]) if array.ndim == 1 else (scores, ids)


def recall_against_exact(queries, corpus, k=10, precision="binary", rescore=4, *, width=None, **options):
    """How much of the exact search's answer survives: the share of the true k nearest that are found.

    queries (q, d), corpus (n, d), floats; `width`, where both are cut before they are quantized (default: not at
    all); `options`, those of `search`. The truth is the search over all floats at full width. Returns (mean over
    the queries, per query (q,)), each from 0 to 1.

    Read it: 1, nobody can tell the quantized search from the exact one; k / n, it finds what chance finds. It is
    stricter than any measure of quality: neighbours that swap with equally good ones lower it too. So report it
    beside nDCG, not in its place.

    >>> vectors = np.random.default_rng(0).normal(size=(100, 64))
    >>> recall_against_exact(vectors, vectors, k=1)[0]  # each finds itself
    1.0
    """
    _, true = search(np.atleast_2d(as_numpy(queries)), corpus, k, "float32")
    _, found = search(
        np.atleast_2d(as_numpy(queries))[:, :width],
        as_numpy(corpus)[:, :width],
        k,
        precision,
        rescore,
        **options,
    )
    kept = overlap(found, true)
    return float(kept.mean()), kept


def overlap(found, true):
    """The share of each row's true ids among those found: (q, k), (q, k) -> (q,)."""
    if true.shape[1] == 0:
        raise ValueError("an empty corpus has no nearest vectors to be found")
    return (true[:, :, None] == found[:, None, :]).any(axis=2).mean(axis=1)
