"""Rotations of a vector space: they change no cosine, but which columns a cut keeps."""

import numpy as np


def pca_rotation(vectors):
    """The rotation that puts the directions with most of the vectors first: (n, D) -> (D, D), float32.

    Columns are the eigenvectors of the second moment V'V / n, largest eigenvalue first. Not of the
    covariance: nothing is centred when a student is trained or searched with, and of all cuts to k columns
    this one keeps the dot products best (Eckart-Young); the mean direction counts like any other. As a pure
    rotation it changes no cosine at full width. Signs are fixed: each column's largest entry is positive.

    >>> rotation = pca_rotation(np.array([[0.0, 3.0], [0.0, -2.0], [1.0, 0.0]]))
    >>> rotation.tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or len(vectors) == 0 or not np.isfinite(vectors).all():
        raise ValueError(f"vectors of shape {vectors.shape} must be (n, D), finite, with n at least 1")
    moment = np.zeros((vectors.shape[1],) * 2)
    for start in range(0, len(vectors), 8192):  # in float64 without a float64 copy of all
        chunk = vectors[start : start + 8192].astype(np.float64)
        moment += chunk.T @ chunk
    _, columns = np.linalg.eigh(moment / len(vectors))  # ascending
    columns = columns[:, ::-1]
    largest = np.take_along_axis(columns, np.abs(columns).argmax(axis=0)[None], axis=0)  # (1, D)
    return np.ascontiguousarray(columns * np.sign(largest), dtype=np.float32)


def nearest_rotation(vectors, targets):
    """The rotation after which vectors lie nearest to their targets: (n, d), (n, d) -> (d, d), float32.

    Of all orthonormal matrices the one with the least sum of squared distances between vectors @ rotation and
    targets (orthogonal Procrustes, Schoenemann 1966): U V' of the singular value decomposition U S V' of
    vectors' targets. It turns a student's space towards its teacher's without changing a cosine within it.
    ValueError unless both have one shape, with n >= d.

    >>> nearest_rotation(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    vectors, targets = (np.asarray(x, dtype=np.float64) for x in (vectors, targets))
    if vectors.shape != targets.shape or vectors.ndim != 2 or vectors.shape[0] < vectors.shape[1]:
        raise ValueError(
            f"vectors of shape {vectors.shape} and targets of shape {targets.shape}: expected both (n, d), n at least d"
        )
    left, _, right = np.linalg.svd(vectors.T @ targets)
    return (left @ right).astype(np.float32)


def check_rotation(rotation, width):
    """The matrix as float32, or ValueError where it is not an orthonormal (width, width) one."""
    rotation = np.ascontiguousarray(rotation, dtype=np.float32)
    if rotation.shape != (width, width):
        raise ValueError(
            f"rotation has shape {rotation.shape}, expected ({width}, {width}), the teacher's width"
        )
    error = np.abs(rotation.T @ rotation - np.eye(width, dtype=np.float32)).max()
    if not error < 1e-3:
        raise ValueError(f"rotation is not orthonormal: its columns' products are off by {error:.2g}")
    return rotation
