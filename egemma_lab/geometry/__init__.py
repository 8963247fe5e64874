"""Numbers and maps of an embedding space: arrays in, arrays, dicts and frames out."""

from egemma_lab.geometry.metrics import (
    alignment,
    effective_rank,
    hubness,
    intrinsic_dimension,
    isoscore,
    mean_cosine,
    report,
    uniformity,
)
from egemma_lab.geometry.neighbours import nearest, neighbour_flips, neighbours_kept
from egemma_lab.geometry.projections import Plane, pca_plane, project_umap

__all__ = [
    "Plane",
    "alignment",
    "effective_rank",
    "hubness",
    "intrinsic_dimension",
    "isoscore",
    "mean_cosine",
    "nearest",
    "neighbour_flips",
    "neighbours_kept",
    "pca_plane",
    "project_umap",
    "report",
    "uniformity",
]
