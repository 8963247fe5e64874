"""Numbers that describe a cloud of vectors: what each says, and how to read it."""

import numpy as np

from egemma_lab.geometry._checks import as_rows, as_unit_rows, cosine_blocks, without_self
from egemma_lab.geometry.neighbours import nearest


def alignment(first, second, power=2):
    """How far apart the two sides of a pair lie: mean ||x - y||^power over unit rows; (n, d) each -> float.

    Read it: 0, every pair coincides; 2 (at power 2), pairs are as far apart as random directions; lower is better,
    but a collapsed space has 0 too: read it beside `uniformity`.
    Source: Wang & Isola 2020, arXiv:2005.10242, alpha = 2.

    >>> round(alignment(np.eye(2), np.eye(2)[::-1]), 6)
    2.0
    """
    first, second = as_unit_rows(first, "first", 1), as_unit_rows(second, "second", 1)
    if first.shape != second.shape:
        raise ValueError(f"first has shape {first.shape} and second {second.shape}; pairs need equal shapes")
    return float((np.linalg.norm(first - second, axis=1) ** power).mean())


def uniformity(embeddings, t=2.0):
    """How evenly unit rows cover the sphere: log mean exp(-t ||x - y||^2) over pairs of rows; (n, d) -> float.

    Read it: 0, collapsed to a point; -2t = -4, uniform on a sphere of many dimensions (about -4 + 8/d at width d);
    lower is more even. A row is not compared with itself.
    Source: Wang & Isola 2020, arXiv:2005.10242, t = 2.

    >>> abs(uniformity(np.ones((4, 3)))) < 1e-12
    True
    """
    rows = as_unit_rows(embeddings)
    total = 0.0
    for start, cosines in cosine_blocks(rows, rows):
        kernel = np.exp(-2.0 * t * (1.0 - cosines))  # (c, n); ||x - y||^2 = 2 - 2 cos
        total += without_self(kernel, start, 0.0).sum()
    return float(np.log(total / (len(rows) * (len(rows) - 1))))


def mean_cosine(embeddings):
    """Mean cosine of two different rows; (n, d) -> float.

    Read it: 1, collapsed; 0, directions cancel, as they do when uniform. It sees only the mean vector: a cloud in one
    plane can have 0. Computed as (||sum of unit rows||^2 - n) / (n (n - 1)).

    >>> mean_cosine(np.eye(3))
    0.0
    """
    rows = as_unit_rows(embeddings)
    n = len(rows)
    return float((np.square(rows.sum(axis=0)).sum() - n) / (n * (n - 1)))


def isoscore(embeddings):
    """How many of its dimensions the cloud really uses, evenly: IsoScore in [0, 1]; (n, d) -> float.

    Read it: 1, the same variance in every direction; 0, all on one line (or in one point, which has no variance at
    all and is given 0). Not a goal by itself: good models are often below 0.2.
    Source: Rudman et al. 2022, arXiv:2108.07344.

    >>> isoscore(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    1.0
    """
    variances = _variances(embeddings)  # (d,)
    d = len(variances)
    if d < 2:
        raise ValueError(f"embeddings has {d} column; isotropy needs at least 2 directions to compare")
    length = np.linalg.norm(variances)
    if length == 0:
        return 0.0
    diagonal = np.sqrt(d) * variances / length
    defect = np.linalg.norm(diagonal - 1.0) / np.sqrt(2.0 * (d - np.sqrt(d)))
    share = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2
    return float(np.clip((d * share - 1.0) / (d - 1.0), 0.0, 1.0))


def effective_rank(embeddings):
    """How many directions carry the variance: exp of the entropy of its shares; (n, d) -> float from 1 to d.

    Read it: 1, a line (0.0 for a single point); d, all directions alike. A soft count: ten equal directions give 10.
    Source: Roy & Vetterli 2007, "The effective rank", on the covariance's eigenvalues.

    >>> round(effective_rank(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 6)
    2.0
    """
    variances = _variances(embeddings)
    if variances.sum() == 0:
        return 0.0
    shares = variances / variances.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def intrinsic_dimension(embeddings, discard=0.1):
    """Of how many dimensions the surface looks that the rows lie on, close up: TwoNN; (n, d) -> float.

    Read it: 2 for points on any smooth surface, whatever d; d for a cloud that fills the space (below it in practice
    from about 20 dimensions on: the estimate needs more points than anyone has). NaN where all rows are equal.
    The ratio of the distances to the second and the first neighbour follows a Pareto law whose exponent is the
    dimension; the largest ratios (`discard`, a share) are left out and a line through the origin is fitted. Equal
    rows count once: a distance of 0 has no ratio. Source: Facco et al. 2017, doi:10.1038/s41598-017-11873-y.

    >>> plane = np.random.default_rng(0).normal(size=(500, 2)) @ np.eye(2, 30)
    >>> round(intrinsic_dimension(plane))
    2
    """
    if not 0 < discard < 1:
        raise ValueError(f"discard={discard} must lie between 0 and 1; 0.1 leaves out the largest tenth")
    rows = np.unique(as_rows(embeddings), axis=0)
    if len(rows) < 3:
        return float("nan")
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=2).fit(rows).kneighbors()  # (n, 2), itself left out
    distances = distances[distances[:, 0] > 0]  # rows closer than float64 resolves count as equal
    ratios = np.sort(distances[:, 1] / distances[:, 0])
    kept = min(len(ratios) - 1, max(2, int(len(ratios) * (1.0 - discard))))  # the last has log(1 - F) = -inf
    x = np.log(ratios[:kept])
    y = -np.log1p(-np.arange(1, kept + 1) / len(ratios))
    return float(x @ y / (x @ x)) if x @ x > 0 else float("nan")


def hubness(embeddings, k=10):
    """Whether a few rows are everybody's neighbour: skewness of how often a row is among others' k nearest.

    (n, d) -> float. Read it: 0, all rows are found equally often; above 1, hubs crowd the result lists, and as many
    rows are hardly ever found. Grows with intrinsic dimension. Source: Radovanović et al. 2010, JMLR 11.
    """
    rows = as_unit_rows(embeddings)
    _, ids = nearest(rows, rows, k, exclude_self=True)
    counts = np.bincount(ids.ravel(), minlength=len(rows)).astype(np.float64)
    spread = counts.std()
    return float(((counts - counts.mean()) ** 3).mean() / spread**3) if spread > 0 else 0.0


def report(embeddings, pairs=None):
    """All metrics of this module as a dict, in the order of a table.

    embeddings: (n, d), n at least 12 (hubness looks at ten neighbours). pairs: optionally (first, second), (m, d)
    each, row i of both saying the same; alignment is measured on them and left out without them. Compares all rows
    with all rows: seconds for a few thousand, minutes from 50,000 on; pass a sample.

    >>> sorted(report(np.random.default_rng(0).normal(size=(50, 8))))[:3]
    ['effective_rank', 'hubness', 'intrinsic_dimension']
    """
    embeddings = as_rows(embeddings, at_least=12)
    result = {} if pairs is None else {"alignment": alignment(*pairs)}
    for metric in (uniformity, mean_cosine, isoscore, effective_rank, intrinsic_dimension, hubness):
        result[metric.__name__] = metric(embeddings)
    return result


def _variances(embeddings):
    """Variances along the principal axes: eigenvalues of the covariance, (d,)."""
    rows = as_rows(embeddings)
    return np.clip(np.linalg.eigvalsh(np.atleast_2d(np.cov(rows, rowvar=False, bias=True))), 0.0, None)
