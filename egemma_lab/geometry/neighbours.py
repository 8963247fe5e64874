"""Nearest neighbours, and which of them change."""

import numpy as np

from egemma_lab.geometry._checks import as_rows, as_unit_rows, cosine_blocks, without_self


def nearest(queries, corpus, k, exclude_self=False):
    """The k rows of `corpus` with the highest cosine to each query: (q, d), (n, d) -> (q, k) scores, (q, k) ids.

    Exact, best first, ties by the lower id; scores float64. `exclude_self`: queries are the corpus itself, and row i
    is no neighbour of row i. ValueError where there are not k rows to find.

    >>> scores, ids = nearest(np.eye(3), np.eye(3), 1)
    >>> ids.tolist(), scores.tolist()
    ([[0], [1], [2]], [[1.0], [1.0], [1.0]])
    """
    queries, corpus = as_unit_rows(queries, "queries", 1), as_unit_rows(corpus, "corpus", 1)
    _check_k(k, len(corpus) - exclude_self)
    scores, ids = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.int64)
    for start, block in cosine_blocks(queries, corpus):  # (c, n)
        if exclude_self:
            without_self(block, start)
        best = _best(block, k)
        ids[start : start + len(block)] = best
        scores[start : start + len(block)] = np.take_along_axis(block, best, axis=1)
    return scores, ids


def _best(block, k):
    """Columns of the k largest entries of each row, largest first, ties by the lower column: (c, n) -> (c, k)."""
    kth = -np.partition(-block, k - 1, axis=1)[:, k - 1 : k]  # (c, 1)
    result = np.empty((len(block), k), dtype=np.int64)
    for row, (values, threshold) in enumerate(zip(block, kth)):
        columns = np.flatnonzero(values >= threshold)
        result[row] = columns[np.argsort(-values[columns], kind="stable")][:k]
    return result


def neighbour_flips(before, after, k=10):
    """Which neighbours each row loses or gains between two versions of the same space.

    before, after: (n, d) and (n, e), row i the same text in both. Returns a DataFrame, one row a change: `row`,
    `neighbour`, `change` ("lost" or "gained"), `rank_before`, `rank_after` (1 is nearest), `similarity_before`,
    `similarity_after`, and `margin_before`: how far the neighbour's similarity lay inside (lost) or outside (gained)
    the k-th best before. Small margins are the first to flip.

    >>> before = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> neighbour_flips(before, before, k=1).empty
    True
    """
    import pandas as pd

    before, after = as_unit_rows(before, "before"), as_unit_rows(after, "after")
    if len(before) != len(after):
        raise ValueError(f"before has {len(before)} rows and after {len(after)}; row i must be the same text")
    _check_k(k, len(before) - 1)
    parts = []
    for (start, old), (_, new) in zip(cosine_blocks(before, before), cosine_blocks(after, after)):
        rows = np.arange(start, start + len(old))
        sims = [
            without_self(old, start),
            without_self(new, start),
        ]  # (c, n) each; nobody is its own neighbour
        ranks = [_ranks(block) for block in sims]
        inside = [rank <= k for rank in ranks]
        at, neighbour = np.nonzero(inside[0] != inside[1])
        boundary = -np.partition(-sims[0], k - 1, axis=1)[:, k - 1]  # the k-th best before
        beyond = -np.partition(-sims[0], k, axis=1)[:, k] if len(before) > k + 1 else boundary
        lost = inside[0][at, neighbour]
        similarity = sims[0][at, neighbour]
        parts.append(
            pd.DataFrame(
                {
                    "row": rows[at],
                    "neighbour": neighbour,
                    "change": np.where(lost, "lost", "gained"),
                    "rank_before": ranks[0][at, neighbour],
                    "rank_after": ranks[1][at, neighbour],
                    "similarity_before": similarity,
                    "similarity_after": sims[1][at, neighbour],
                    "margin_before": np.where(lost, similarity - beyond[at], boundary[at] - similarity),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _ranks(block):
    """Rank of every column in its row, 1 for the largest: (c, n) -> (c, n)."""
    order = np.argsort(-block, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, block.shape[1] + 1)[None].repeat(len(block), 0), axis=1)
    return ranks


def neighbours_kept(high, low, k=10):
    """How faithful a map is: the share of each row's true k neighbours that are still its k neighbours there.

    high: (n, d) vectors, neighbours by cosine, as in search. low: (n, m) coordinates of the map, neighbours by
    Euclidean distance, as the eye sees them. Returns (mean over rows, per row (n,)), both from 0 to 1.
    Read it: 1, the map shows the neighbourhoods as they are; k / (n - 1), it could as well be random.

    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> neighbours_kept(x / np.linalg.norm(x, axis=1, keepdims=True), x / np.linalg.norm(x, axis=1, keepdims=True))[0]
    1.0
    """
    from sklearn.neighbors import NearestNeighbors

    low = as_rows(low, "low")
    _, true = nearest(high, high, k, exclude_self=True)
    if len(true) != len(low):
        raise ValueError(f"high has {len(true)} rows and low {len(low)}; row i must be the same text")
    seen = (
        NearestNeighbors(n_neighbors=k).fit(low).kneighbors(return_distance=False)
    )  # (n, k), itself left out
    kept = (true[:, :, None] == seen[:, None, :]).any(axis=2).mean(axis=1)
    return float(kept.mean()), kept


def _check_k(k, most):
    if not 1 <= k <= most:
        raise ValueError(
            f"k={k} neighbours were asked for; with this many rows it must lie between 1 and {most}"
        )
