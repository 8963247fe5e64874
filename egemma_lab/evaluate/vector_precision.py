"""What smaller vectors cost: quality against bytes, over widths and precisions."""

import numpy as np

from egemma_lab.evaluate.contestants import narrowed
from egemma_lab.evaluate.similarity import spearman_parts
from egemma_lab.evaluate.table import interval
from egemma_lab.quantize.coded_vectors import CodedVectors
from egemma_lab.quantize.searching import overlap, search
from egemma_lab.quantize.vectors import bytes_per_vector

# name in the table -> how `egemma_lab.quantize.search` is asked
WAYS = {
    "float32": {"precision": "float32"},
    "int8": {"precision": "int8"},
    "binary rescored": {"precision": "binary", "rescore": 4},
    "binary": {"precision": "binary", "rescore": 0},
}
# The same with a finer copy of the vectors beside the bits, for the second look alone.
WAYS_WITH_COPY = {
    "binary rescored by int8": {"precision": "binary", "rescore": 4, "rescore_precision": "int8"},
    "binary rescored by float32": {"precision": "binary", "rescore": 4, "rescore_precision": "float32"},
}
COLUMNS = ("metric", "n", "width", "precision", "bytes", "value", "low", "high")
COLUMNS += ("share", "share_low", "share_high", "recall")


def vector_frontier(queries, documents, widths, *, judge=None, metric=None, k=10, ways=WAYS):
    """`frontier` for vectors: queries (q, d), documents (n, d), cut at each of `widths` -> a frame without `task`.

    `judge(ids)`, what the rows found, (q, k) and best first, are worth to each query: (q,) numbers, whose mean is the
    `metric`. Default: the recall of the exact float32 search's k results, which needs no judgements.

    >>> vectors = np.random.default_rng(0).normal(size=(200, 32))
    >>> table = vector_frontier(vectors[:50], vectors, [32, 16])
    >>> table[["width", "precision", "bytes"]].values.tolist()[:3]
    [[32, 'float32', 128], [32, 'int8', 32], [32, 'binary rescored', 4]]
    """
    _, exact = search(queries, documents, k, "float32")

    def measured(width, way):
        _, found = search(queries[:, :width], documents[:, :width], k, **way)
        recall = overlap(found, exact)
        return (recall if judge is None else judge(found)), recall.mean()

    return _table(metric or f"recall@{k} of exact search", measured, queries.shape[1], widths, ways)


def pair_frontier(first, second, scores, widths, *, ways=WAYS):
    """`frontier` for pairs of vectors (n, d) with human scores (n,): Spearman, a frame without `task`.

    The first of a pair is the query, in floats; the second is stored. Without a second look both are bits; where a
    finer copy is kept, it decides.
    """

    def measured(width, way):
        precision = way.get("rescore_precision") or way["precision"]
        asked, stored = narrowed(first, width), CodedVectors.of(second[:, :width], precision)
        rows = np.arange(len(stored))
        if way.get("rescore") == 0:
            asked = CodedVectors.of(asked, precision).vectors(rows)
        return spearman_parts(stored.score(asked, rows[:, None])[:, 0], scores), float("nan")

    return _table("spearman", measured, first.shape[1], widths, ways)


def _table(metric, measured, full_width, widths, ways):
    """`measured(width, way)` gives (n,) values and the recall; here they become a frame with shares and intervals."""
    import pandas as pd

    reference, _ = measured(full_width, WAYS["float32"])
    rows = []
    for width in widths:
        for name, way in ways.items():
            values, recall = measured(width, way)
            place = [metric, len(values), width, name, stored_bytes(width, way)]
            rows.append([*place, np.mean(values), *interval(values), *_share(values, reference), recall])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def stored_bytes(width, way):
    """Bytes of a vector held for a way of searching, its finer copy included.

    >>> [stored_bytes(256, way) for way in (WAYS["binary"], WAYS_WITH_COPY["binary rescored by int8"])]
    [32, 288]
    """
    finer = way.get("rescore_precision")
    return bytes_per_vector(width, way["precision"]) + (
        0 if finer is None else bytes_per_vector(width, finer)
    )


def mean_frontier(frame):
    """The mean of several tasks' shares, one row a width and precision, under the task "mean".

    Intervals of tasks that share no queries add in squares. ValueError where a task lacks what another has.
    """
    import pandas as pd

    tasks, rows = frame["task"].nunique(), []
    for (width, precision), group in frame.groupby(["width", "precision"], sort=False):
        if len(group) != tasks:
            raise ValueError(
                f"{len(group)} of {tasks} tasks have width {width}, {precision}: the mean needs all"
            )
        share = group["share"].mean()
        below, above = (
            np.sqrt(((group[end] - group["share"]) ** 2).sum()) / tasks for end in ("share_low", "share_high")
        )
        rows.append(
            {
                "task": "mean",
                "metric": f"mean of {tasks} tasks",
                "n": int(group["n"].sum()),
                "width": width,
                "precision": precision,
                "bytes": group["bytes"].iloc[0],
                "share": share,
                "share_low": share - below,
                "share_high": share + above,
                "recall": group["recall"].mean(),
            }
        )
    return pd.DataFrame(rows, columns=["task", *COLUMNS])


def _share(values, reference):
    """Mean of values over mean of reference, and its interval: the ratio written as a mean of one part a query.

    Each part is the ratio plus the query's influence on it, (value - ratio * reference) / mean reference.
    """
    values, reference = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    below = reference.mean()
    if below == 0:
        return float("nan"), float("nan"), float("nan")
    ratio = values.mean() / below
    return (float(ratio), *interval(ratio + (values - ratio * reference) / below))
