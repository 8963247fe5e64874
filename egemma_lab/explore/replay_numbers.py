"""What a film says in numbers: losses and geometry moment by moment, and the neighbours of one text."""

import numpy as np

from egemma_lab.explore.replay_film import belonging_pairs

SAMPLE = 1000  # texts that the geometry is measured on where there are more

# column -> what a sparkline is headed with, and how its value is written
SHOWN = {
    "contrastive": ("contrastive loss (nats)", "{:.2f}"),
    "spread_out": ("spread-out loss", "{:.3f}"),
    "matching": ("matching loss", "{:.3f}"),
    "alignment": ("alignment (0: pairs in one)", "{:.2f}"),
    "uniformity": ("uniformity (-4: even)", "{:.2f}"),
    "effective_rank": ("effective rank (dimensions)", "{:.0f}"),
    "same_label": ("nearest has the same label", "{:.0%}"),
    "kept": ("neighbours kept by the map", "{:.0%}"),
}


def film_numbers(film):
    """One row a moment: its loss terms, and the geometry of its vectors.

    A pandas.DataFrame with the loss terms that the film has, and `alignment` (of texts that belong together, where
    the film knows which), `uniformity`, `effective_rank` (see `egemma_lab.geometry`), `same_label` (share of texts
    whose nearest other text has the same label; absent where all labels are equal). Of more than 1,000 texts,
    1,000 evenly chosen ones are measured.
    """
    import pandas as pd

    from egemma_lab.geometry import alignment, effective_rank, uniformity

    pairs, labels = belonging_pairs(film), np.asarray(film.labels)
    rows = np.unique(np.linspace(0, len(labels) - 1, min(SAMPLE, len(labels))).round().astype(int))
    found = []
    for vectors in film.vectors:  # (n, d)
        some = vectors[rows]
        row = {} if pairs is None else {"alignment": alignment(vectors[pairs[:, 0]], vectors[pairs[:, 1]])}
        row |= {"uniformity": uniformity(some), "effective_rank": effective_rank(some)}
        if len(set(labels)) > 1:
            row["same_label"] = _same_label(some, labels[rows])
        found.append(row)
    terms = film.moments.drop(columns=["stage", "step", "kept", "neighbours_kept"])
    return pd.concat([terms, pd.DataFrame(found)], axis=1)


def _same_label(vectors, labels):
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    return float((labels[cosines.argmax(axis=1)] == labels).mean())


def neighbour_ranks(vectors, text):
    """Every text's rank among the neighbours of one, nearest is 1, itself 0: (T, n, d), index -> (T, n) int.

    >>> neighbour_ranks(np.array([[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]]), 0).tolist()
    [[0, 2, 1]]
    """
    cosines = np.einsum("tnd,td->tn", vectors, vectors[:, text])
    cosines[:, text] = np.inf
    order = np.argsort(-cosines, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    return ranks


def neighbour_table(film, text, moment, k=8):
    """The k texts nearest to one at a moment, and how near they were at the beginning and are at the end.

    A pandas.DataFrame: `rank`, `cosine`, `label`, `text`, `at the start`, `at the end` (ranks). Whatever rose far is
    what the training taught about this text.
    """
    import pandas as pd

    ranks = neighbour_ranks(film.vectors[[moment, 0, -1]], text)  # (3, n)
    found = np.argsort(ranks[0])[1 : k + 1]
    return pd.DataFrame(
        {
            "rank": ranks[0, found],
            "cosine": film.vectors[moment][found] @ film.vectors[moment, text],
            "label": [film.labels[i] for i in found],
            "text": [film.texts[i] for i in found],
            "at the start": ranks[1, found],
            "at the end": ranks[2, found],
        }
    )
