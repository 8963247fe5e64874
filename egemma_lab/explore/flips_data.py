"""Which neighbours a change of the space flips, and whether their margins told so before."""

import dataclasses

import numpy as np

from egemma_lab.geometry import nearest

SAMPLE = 2000  # texts whose neighbours are looked up where there are more; all texts can be neighbours
DEEPEST = 50  # neighbours of a text that are looked at, at most


@dataclasses.dataclass(frozen=True)
class Flips:
    """The nearest texts of m rows before and after a change, as `find_flips` finds them.

    `before`, `after`: the vectors, (n, d) and (n, e). `rows` (m,): the texts that were asked. Of each, before the
    change and best first: `ids` (m, p) its nearest texts, `cosines` (m, p), and `places` (m, p), where these texts
    stand among its nearest p after the change, from 0; p where they are not among them. `most`: the largest number
    of neighbours that can be looked at, p // 2, so that there are as many texts outside as inside.
    """

    before: np.ndarray
    after: np.ndarray
    rows: np.ndarray
    ids: np.ndarray
    cosines: np.ndarray
    places: np.ndarray
    _ranked: dict = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def most(self):
        return self.ids.shape[1] // 2

    def ranked(self, row):
        """All texts as neighbours of one, before and after: (ranks (n,), from 1 and 0 for itself, cosines (n,)) each.

        Those of the last row are kept, since they do not depend on k: a moved slider need not sort all texts again.
        """
        if row not in self._ranked:
            self._ranked.clear()
            self._ranked[row] = [_ranked(vectors, row) for vectors in (self.before, self.after)]
        return self._ranked[row]

    def lost(self, k):
        """How many of its k nearest texts each row loses, (m,); it gains as many."""
        return (self.places[:, :k] >= k).sum(axis=1)

    def margins(self, k):
        """How far each of the 2k nearest lies from the edge of the neighbourhood, and whether it crossed it.

        Two arrays (m, 2k). Columns up to k are neighbours: the margin is the cosine less that of the best outsider,
        crossed means lost. The others are outsiders: the last neighbour's cosine less theirs, crossed means gained.
        """
        cosines, inside = self.cosines[:, : 2 * k], np.arange(2 * k) < k
        last, first_outside = cosines[:, k - 1 : k], cosines[:, k : k + 1]
        margins = np.where(inside, cosines - first_outside, last - cosines)
        return margins, (self.places[:, : 2 * k] < k) != inside


def find_flips(before, after, *, most=DEEPEST, seed=0):
    """Look up the neighbours before and after a change: a `Flips`.

    before, after: (n, d) and (n, e) floats, row i the same text in both; neighbours are those by cosine, ties to the
    lower row. most: how many neighbours may be asked for later (default 50, fewer where there are few texts). Of more
    than 2,000 texts, 2,000 drawn by the seed are asked; all of them can be neighbours. ValueError for fewer than three
    texts, for numbers of rows that differ, and for what `geometry.nearest` refuses.

    >>> before = np.array([[1.0, 0.0], [0.9, 0.1], [0.6, 0.4], [0.0, 1.0]])
    >>> flips = find_flips(before, before[:, ::-1])
    >>> flips.most, flips.lost(1).tolist()
    (1, [0, 0, 0, 0])
    """
    before, after = np.asarray(before), np.asarray(after)
    if len(before) != len(after):
        raise ValueError(f"before has {len(before)} rows and after {len(after)}; row i must be the same text")
    if len(before) < 3:
        raise ValueError(
            f"{len(before)} texts: at least 3 are needed for one neighbour to take another's place"
        )
    rows = np.arange(len(before))
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SAMPLE, replace=False))
    pool = min(2 * most, len(before) - 1)
    ids, cosines = nearest_others(before, rows, pool)
    after_ids, _ = nearest_others(after, rows, pool)
    places = np.empty_like(ids)
    for row, (mine, theirs) in enumerate(zip(ids, after_ids)):
        same = mine[:, None] == theirs[None]  # (p, p)
        places[row] = np.where(same.any(axis=1), same.argmax(axis=1), pool)
    return Flips(before, after, rows, ids, cosines, places)


def nearest_others(vectors, rows, pool):
    """The `pool` nearest of each of these rows, itself left out: ids and cosines, (m, p) each."""
    cosines, ids = nearest(vectors[rows], vectors, pool + 1)
    itself = ids == rows[:, None]
    itself[~itself.any(axis=1), -1] = True  # crowded out by copies of the text: then the last one goes
    return ids[~itself].reshape(len(rows), pool), cosines[~itself].reshape(len(rows), pool)


def _ranked(vectors, row):
    cosines, order = nearest(vectors[[row]], vectors, len(vectors))
    others = order[0] != row
    ranks, values = np.zeros(len(vectors), dtype=int), np.zeros(len(vectors))
    ranks[order[0][others]] = np.arange(1, len(vectors))
    values[order[0]] = cosines[0]
    return ranks, values


def flip_curve(flips, k, bins=8):
    """The share that flips against the margin before: a DataFrame, a row a bin, for neighbours and for outsiders.

    Neighbours are the k nearest before, outsiders the next k. Bins hold equal numbers of neighbours; outsiders are
    counted in the same bins. Columns: `side` ("neighbour" or "outsider"), `low` and `high` (the bin's margins; the
    outsiders' last bin is open above), `margin` (the middle one), `n`, `flipped`, `share`, and its 95% interval
    `share_low` to `share_high` (Wilson's). The interval takes pairs as independent; those of one text are not
    quite, so it is a little narrow. Empty bins are left out.

    Read it: falls from near 0.5 to 0 where margins tell what will flip; flat where the change does not care.
    """
    import pandas as pd

    margins, flipped = flips.margins(k)
    edges = np.unique(np.quantile(margins[:, :k], np.linspace(0, 1, bins + 1)))
    if len(edges) == 1:  # all margins alike
        edges = np.append(edges, edges + 1e-9)
    sides = []
    for side, columns in (("neighbour", slice(0, k)), ("outsider", slice(k, None))):
        values, hits = margins[:, columns].ravel(), flipped[:, columns].ravel()
        bin_of = np.searchsorted(edges[1:-1], values, side="right")
        n, hit = (np.bincount(bin_of, weights, len(edges) - 1) for weights in (None, hits))
        filled = np.flatnonzero(n)
        low, high = wilson_interval(hit[filled], n[filled])
        sides.append(
            pd.DataFrame(
                {
                    "side": side,
                    "low": edges[filled],
                    "high": edges[filled + 1],
                    "margin": [float(np.median(values[bin_of == i])) for i in filled],
                    "n": n[filled],
                    "flipped": hit[filled].astype(int),
                    "share": hit[filled] / n[filled],
                    "share_low": low,
                    "share_high": high,
                }
            )
        )
    return pd.concat(sides, ignore_index=True)


def wilson_interval(hits, n):
    """95% interval of a share, hits of n, arrays: Wilson 1927, the shares that the count does not contradict.

    >>> [round(float(end), 3) for end in wilson_interval(np.array(0), np.array(10))]
    [0.0, 0.278]
    """
    z, share = 1.959964, hits / n
    middle = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(0, middle - half) / (1 + z**2 / n), np.minimum(1, (middle + half) / (1 + z**2 / n))


def foretold(flips, k):
    """How well margins predict which neighbours are lost: the area under the ROC curve, or NaN.

    Of one neighbour that is lost and one that is kept, drawn from all, the chance that the lost one had the smaller
    margin. Read it: 1, margins tell all; 0.5, nothing. NaN where none or all are lost.
    """
    from sklearn.metrics import roc_auc_score

    margins, flipped = (each[:, :k].ravel() for each in flips.margins(k))
    return float(roc_auc_score(flipped, -margins)) if 0 < flipped.sum() < len(flipped) else float("nan")


def text_neighbours(flips, row, k):
    """The neighbours of one text before and after: a DataFrame, those kept, lost and gained, by rank before.

    row: any text, also one that was not among those asked. Columns: `neighbour` (its row), `change` ("kept", "lost"
    or "gained"), `rank_before`, `rank_after` (1 is nearest), `similarity_before`, `similarity_after`, and
    `margin_before`, as in `Flips.margins`.
    """
    import pandas as pd

    (rank, cosine), (rank_after, cosine_after) = flips.ranked(row)
    shown = np.flatnonzero(((rank <= k) | (rank_after <= k)) & (np.arange(len(rank)) != row))
    shown = shown[np.argsort(rank[shown])]
    inside, remains = rank[shown] <= k, rank_after[shown] <= k
    last, first_outside = (cosine[rank == place][0] for place in (k, k + 1))
    return pd.DataFrame(
        {
            "neighbour": shown,
            "change": np.select([inside & remains, inside], ["kept", "lost"], "gained"),
            "rank_before": rank[shown],
            "rank_after": rank_after[shown],
            "similarity_before": cosine[shown],
            "similarity_after": cosine_after[shown],
            "margin_before": np.where(inside, cosine[shown] - first_outside, last - cosine[shown]),
        }
    )
