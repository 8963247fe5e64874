"""Search in a corpus whose vectors do not fit into memory: chunk by chunk, keeping the best of each query."""

from contextlib import nullcontext

import numpy as np

from egemma_lab.evaluate.contestants import narrowed
from egemma_lab.evaluate.retrieval import CHUNK_SCORES, DEPTH, tie_keys, top
from egemma_lab.quantize.coded_vectors import BATCH, matrix_products


def search_in_chunks(query_vectors, chunks, document_ids, widths=(None,), depth=DEPTH):
    """What `search` finds, at several widths, with one chunk of document vectors in memory at a time.

    `query_vectors` (q, d), unit rows; `chunks`, an iterable of unit rows (c, d) that together are the
    vectors of `document_ids` in order; `widths`, where to cut (None: nowhere). Returns {width: rankings}, the
    rankings as those of `search`, ties included. Memory: a chunk, and q times `depth` scores a width.

    >>> vectors = np.eye(3, dtype=np.float32)
    >>> found = search_in_chunks(vectors[:1], [vectors[:2], vectors[2:]], ["a", "b", "c"], depth=1)
    >>> found[None]
    [{'a': 1.0}]
    """
    queries = {width: narrowed(query_vectors, width) for width in widths}
    best = {width: None for width in widths}
    start = 0
    for vectors in chunks:
        keys = tie_keys(document_ids[start : start + len(vectors)])
        order = np.argsort(keys, kind="stable")
        for width in widths:
            documents = narrowed(vectors[order], width)
            scores, columns = top_of_chunk(queries[width], documents, depth)
            found = (scores, keys[order][columns], start + order[columns])
            best[width] = found if best[width] is None else _merged(best[width], found, depth)
        start += len(vectors)
    if start != len(document_ids):
        raise ValueError(f"the chunks hold {start} vectors for {len(document_ids)} documents")
    return {
        width: [
            {document_ids[row]: score for row, score in zip(rows, scores)}
            for rows, scores in zip(found[2].tolist(), found[0].tolist())
        ]
        for width, found in best.items()
    }


def top_of_chunk(queries, documents, k):
    """The k best documents of each query, best first, among equals the first: scores and columns, (q, k).

    With faiss where it is installed (`pip install 'egemma-lab[eval]'`), which holds no matrix of all scores;
    else with torch, a block of queries at a time. Both compare every document in float32.
    """
    try:
        import faiss
    except ImportError:
        return _by_torch(queries, documents, k)
    k = min(k, len(documents))
    queries, documents = np.ascontiguousarray(queries), np.ascontiguousarray(documents)
    # one more than asked: where the last place ties with the next, faiss leaves open which of them it gives
    wanted = min(k + 1, len(documents))
    with matrix_products() if len(queries) >= BATCH else nullcontext():
        scores, columns = faiss.knn(queries, documents, wanted, metric=faiss.METRIC_INNER_PRODUCT)
    order = np.lexsort((columns, -scores))
    scores, columns = (np.take_along_axis(part, order, axis=1) for part in (scores, columns))
    open_ended = scores[:, k] == scores[:, k - 1] if wanted > k else np.zeros(len(queries), dtype=bool)
    scores, columns = scores[:, :k].copy(), columns[:, :k].copy()
    if open_ended.any():
        scores[open_ended], columns[open_ended] = _by_torch(queries[open_ended], documents, k)
    return scores, columns


def _by_torch(queries, documents, k):
    import torch

    queries, documents = torch.from_numpy(queries), torch.from_numpy(documents)
    blocks = queries.split(max(1, CHUNK_SCORES // max(1, len(documents))))
    found = [top(block @ documents.T, k) for block in blocks]
    return tuple(torch.cat(part).numpy() for part in zip(*found))


def _merged(before, found, depth):
    """The best `depth` of two lists of (scores, keys, rows), each (q, k); equal scores in order of the keys."""
    scores, keys, rows = (np.concatenate(pair, axis=1) for pair in zip(before, found))
    order = np.lexsort((keys, -scores))[:, :depth]
    return tuple(np.take_along_axis(part, order, axis=1) for part in (scores, keys, rows))
