import numpy as np
import pytest
from sklearn.decomposition import PCA

from egemma_lab import geometry


def blobs():
    rng = np.random.default_rng(0)
    centres = np.eye(10)[[0, 3, 7]] * 4
    labels = np.repeat(np.arange(3), 30)
    return centres[labels] + rng.normal(size=(90, 10)) * 0.3, labels


def test_plane_agrees_with_scikit_learn():
    rows, _ = blobs()
    plane, peer = geometry.pca_plane(rows, 3), PCA(3).fit(rows)
    np.testing.assert_allclose(plane.explained, peer.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(plane.transform(rows)), np.abs(peer.transform(rows)), atol=1e-9)


def test_plane_stays_where_it_was_learnt():
    rows, _ = blobs()
    plane = geometry.pca_plane(rows)
    np.testing.assert_allclose(
        plane.transform(rows[:1] + 1) - plane.transform(rows[:1]), [plane.axes.sum(axis=1)]
    )
    with pytest.raises(ValueError, match="has 4 columns; this plane was learnt on 10"):
        plane.transform(np.ones((2, 4)))


def test_same_rows_same_signs():
    rows, _ = blobs()
    again = geometry.pca_plane(rows[::-1])
    np.testing.assert_allclose(again.axes, geometry.pca_plane(rows).axes, atol=1e-9)


def test_too_many_dimensions_are_refused():
    with pytest.raises(ValueError, match="dimensions=3 must lie between 1 and 2"):
        geometry.pca_plane(np.random.default_rng(0).normal(size=(3, 5)), 3)


@pytest.mark.slow
def test_umap_repeats_and_keeps_groups_apart():
    rows, labels = blobs()
    first = geometry.project_umap(rows, seed=1)
    np.testing.assert_array_equal(first, geometry.project_umap(rows, seed=1))
    kept, _ = geometry.neighbours_kept(rows, first)
    assert kept > 0.4
    centre = np.stack([first[labels == label].mean(axis=0) for label in range(3)])
    nearest = np.linalg.norm(first[:, None] - centre[None], axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.95


def test_umap_names_too_few_rows():
    with pytest.raises(ValueError, match="neighbours=15 must lie between 2 and 9"):
        geometry.project_umap(np.random.default_rng(0).normal(size=(10, 4)))
