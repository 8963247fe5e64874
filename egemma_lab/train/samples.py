"""A few of the training texts, drawn by the seed."""

import numpy as np


def some_texts(mixture, seed, most):
    """At most `most` texts, anchors and positives of rows that the seed draws, as many of each source."""
    texts = []
    share = max(1, most // (2 * len(mixture.sources)))
    for index, source in enumerate(mixture.sources):
        size = len(source)
        rows = np.random.default_rng([seed, index, most]).permutation(size)[:share]
        columns = source.dataset.select_columns(["anchor", "positive"])[np.sort(rows).tolist()]
        texts += [*columns["anchor"], *columns["positive"]]
    return texts
