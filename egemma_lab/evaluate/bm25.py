"""BM25: ranking by shared words, the floor that a search by meaning must beat."""

import numpy as np

from egemma_lab.data.words import words
from egemma_lab.evaluate.retrieval import DEPTH, top

K1, B = 1.2, 0.75  # Lucene's defaults


def bm25_search(queries, documents, document_ids, depth=DEPTH, show_progress_bar=None):
    """The best documents of each query by BM25: a list of `{document id: score}`, best first.

    score(q, d) = sum over words w of q of idf(w) tf / (tf + k1 (1 - b + b |d| / mean |d|)) with idf(w) = ln(1
    + (N - df + 0.5) / (df + 0.5)), Lucene's form of Robertson and Zaragoza (2009, Eq. 3.15), through the
    library `bm25s`. Documents without a word of the query are not found. Both sides are cut into words by
    `egemma_lab.data.words.words`: lower case, identifiers also into their parts; no stemming, no stop words.

    `queries` and `documents` are lists of str.

    >>> [found] = bm25_search(["read a csv file"], ["def read_csv(): ...", "def close(): ..."], ["a", "b"])
    >>> list(found)
    ['a']
    """
    import torch
    from bm25s import BM25

    from egemma_lab.evaluate.retrieval import tie_order

    order = tie_order(document_ids)
    ids = [document_ids[index] for index in order]
    bar = bool(show_progress_bar)
    index = BM25(k1=K1, b=B, method="lucene", backend="numpy")
    index.index([words(documents[place]) for place in order], show_progress=bar)
    known = set(index.vocab_dict)
    rankings = []
    for query in queries:
        asked = [word for word in words(query) if word in known]
        scores = index.get_scores(asked) if asked else np.zeros(len(ids), dtype=np.float32)
        values, columns = top(torch.as_tensor(scores)[None], depth)
        pairs = zip(columns[0].tolist(), values[0].tolist())
        rankings.append({ids[column]: value for column, value in pairs if value > 0})
    return rankings
