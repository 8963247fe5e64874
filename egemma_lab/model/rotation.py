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
