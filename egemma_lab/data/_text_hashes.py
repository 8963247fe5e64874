"""What a plan of batches must know of a source's texts: how long they are, and which are equal."""

import numpy as np


def lengths_and_hashes(source):
    """Per row: characters of positive and negative (they make the padding); hashes `(2, n)` of anchor and positive.

    Of single texts: the texts' own characters, and their hashes twice. Hashes are int64 and the same for the same
    text in every process; a million texts collide with a chance of 3e-8.
    """
    import pandas as pd
    import pyarrow.compute as pc

    n = len(source)
    lengths = np.zeros(n, dtype=np.int64)
    hashes = np.empty((2, n), dtype=np.uint64)
    texts = ("anchor", "positive") if source.has_positives else ("anchor", "anchor")
    for start, table in source.tables():
        rows = slice(start, start + len(table))
        for column in set(table.column_names) & {"positive", "negative"} or {"anchor"}:
            lengths[rows] += pc.utf8_length(table[column]).to_numpy()
        for side, column in enumerate(texts):
            values = np.array(table[column].to_pylist(), dtype=object)
            hashes[side, rows] = pd.util.hash_array(values, categorize=False)
    return lengths, hashes.view(np.int64)


def small_ids(hashes):
    """`(2, n)` whole numbers from 0 on, equal where the hashes are."""
    import pandas as pd

    return pd.factorize(hashes.reshape(-1))[0].reshape(2, -1)
