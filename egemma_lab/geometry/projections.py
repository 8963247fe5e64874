"""From many dimensions to two: a fixed plane that can be trusted to stay, and a map that bends."""

import numpy as np

from egemma_lab.geometry._checks import as_rows, as_unit_rows


class Plane:
    """A linear projection learnt once and then kept, so that whatever moves on it has really moved.

    `mean (d,)`, `axes (m, d)` orthonormal rows, `explained (m,)` share of the variance along each.
    """

    def __init__(self, mean, axes, explained):
        self.mean, self.axes, self.explained = mean, axes, explained

    def transform(self, embeddings):
        """Coordinates on the plane: (n, d) -> (n, m)."""
        rows = as_rows(embeddings, at_least=1)
        if rows.shape[1] != len(self.mean):
            raise ValueError(
                f"embeddings has {rows.shape[1]} columns; this plane was learnt on {len(self.mean)}"
            )
        return (rows - self.mean) @ self.axes.T

    def __repr__(self):
        return f"Plane({len(self.mean)} -> {len(self.axes)} dimensions, {self.explained.sum():.0%} of the variance)"


def pca_plane(embeddings, dimensions=2):
    """The plane on which the rows spread most: (n, d) -> `Plane`.

    Signs are fixed (each axis' largest entry is positive), so the same rows give the same picture everywhere. Read
    `explained`: where two axes hold 10% of the variance, two points that meet on the plane may be far apart.

    >>> rows = np.array([[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    >>> plane = pca_plane(rows)
    >>> plane.explained.tolist(), plane.transform(rows)[0].tolist()
    ([0.8, 0.2], [2.0, 0.0])
    """
    rows = as_rows(embeddings)
    if not 1 <= dimensions <= min(rows.shape[1], len(rows) - 1):
        raise ValueError(
            f"dimensions={dimensions} must lie between 1 and {min(rows.shape[1], len(rows) - 1)} for rows of "
            f"shape {rows.shape}"
        )
    mean = rows.mean(axis=0)
    _, singular, axes = np.linalg.svd(rows - mean, full_matrices=False)
    axes = axes[:dimensions]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)  # (m, 1)
    variances = singular**2
    total = variances.sum()
    explained = variances[:dimensions] / total if total > 0 else np.zeros(dimensions)
    return Plane(mean, axes * np.sign(largest), explained)


def project_umap(embeddings, seed=0, neighbours=15, min_distance=0.1, dimensions=2):
    """UMAP coordinates, cosine metric: (n, d) -> (n, m) float32.

    A map of neighbourhoods: which texts lie together can be read from it; distances between groups, their sizes and
    densities can not. Always show `neighbours_kept` beside it. One thread and a seed: the same rows give the same map
    on the same machine, not on another. The first call imports numba, which takes seconds.
    Source: McInnes et al. 2018, arXiv:1802.03426.
    """
    rows = as_unit_rows(embeddings, at_least=5)
    if not 2 <= neighbours < len(rows):
        raise ValueError(
            f"neighbours={neighbours} must lie between 2 and {len(rows) - 1}, one below the rows"
        )
    import umap

    reducer = umap.UMAP(
        n_components=dimensions,
        n_neighbors=neighbours,
        min_dist=min_distance,
        metric="cosine",
        random_state=seed,
        n_jobs=1,
    )
    return reducer.fit_transform(rows.astype(np.float32))
