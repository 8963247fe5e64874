"""Maps of the texts at every setting, each turned towards that of the full vectors, and how far to trust them."""

import dataclasses
import functools
import hashlib

import numpy as np

from egemma_lab.evaluate.vector_precision import WAYS
from egemma_lab.explore.flips_data import nearest_others
from egemma_lab.explore.precision_setting import UNROUNDED, Setting
from egemma_lab.explore.replay_maps import SAMPLE, faithfulness
from egemma_lab.geometry import pca_plane, project_umap
from egemma_lab.model.rotation import nearest_rotation
from egemma_lab.quantize.searching import overlap
from egemma_lab.settings import cache_dir

KINDS = {"plane": "plane (PCA)", "umap": "UMAP"}
DEPTH = 10  # neighbours of a text
# UMAP from the full vectors' map: at its usual rate of 1 nearly equal vectors came to lie far apart, and fewer true
# neighbours beside each other
EPOCHS, RATE = 200, 0.03


@dataclasses.dataclass(frozen=True)
class View:
    """The texts at one setting: `points` (n, 2); `shown` (n,), of each text's neighbours here the share that lies
    beside it on the map; `kept` (n,), of its neighbours by the full vectors the share that are its neighbours here.
    NaN where it was not measured: of more than 1,000 texts on 1,000."""

    points: np.ndarray
    shown: np.ndarray
    kept: np.ndarray


class Maps:
    """Views of a `Bench`'s texts at its settings, made when they are first asked for.

    The map of the full vectors comes first; every other is made from its own vectors and then turned, and mirrored
    where that helps, so that its points lie nearest to those (orthogonal Procrustes). What still moves has moved.
    """

    def __init__(self, bench):
        self.bench = bench
        self._views = {}

    def view(self, setting, kind="plane"):
        """The `View` at a setting; kind is "plane" or, once `make_umap` has been there, "umap"."""
        setting = _distinct(setting)
        if (setting, kind) not in self._views:
            if kind != "plane":
                raise ValueError(f"no {kind!r} map of {setting} yet: make_umap({setting.weights!r}) makes it")
            stored = self.bench.stored(setting)
            points = pca_plane(stored).transform(stored)
            if setting != self.bench.full:
                points = turned_towards(points, self.view(self.bench.full).points)
            self._add(setting, kind, points)
        return self._views[setting, kind]

    def has(self, kind, weights=UNROUNDED):
        """Whether all views of this kind are there under one weight format, or made at once."""
        return kind == "plane" or all((each, kind) in self._views for each in self.settings(weights))

    def make_umap(self, weights=UNROUNDED, seed=0):
        """UMAP maps of all settings of a weight format: a minute the first time, then from the cache folder.

        That of the full vectors is UMAP's own; the others start from it, so that texts stay where they can.
        """
        full = self.bench.full
        if not self.has("umap", UNROUNDED) and weights != UNROUNDED:
            self.make_umap(UNROUNDED, seed)
        start = None if weights == UNROUNDED else self._views[full, "umap"].points
        for setting in self.settings(weights):
            stored = self.bench.stored(setting)
            points = _cached_umap(stored, start, seed)
            if setting == full:
                start = points
            self._add(setting, "umap", points)

    def settings(self, weights):
        """All settings that differ in what is stored, that of the widest floats first."""
        return [
            Setting(width, vectors, weights)
            for width in reversed(self.bench.widths)
            for vectors in ("float32", "int8", "binary")
        ]

    def _add(self, setting, kind, points):
        stored = self.bench.stored(setting)
        shown = faithfulness(stored, points, DEPTH)
        others = [view.kept for (each, _), view in self._views.items() if each == setting]
        kept = others[0] if others else self._kept(stored)
        self._views[setting, kind] = View(points.astype(np.float32), shown, kept)

    def _kept(self, stored):
        rows, true = self._true
        kept = np.full(len(stored), np.nan, dtype=np.float32)
        kept[rows] = overlap(nearest_others(stored[rows], np.arange(len(rows)), DEPTH)[0], true)
        return kept

    @functools.cached_property
    def _true(self):
        """Rows that are measured, and the neighbours of each among them by the full vectors."""
        full = self.bench.stored(self.bench.full)
        rows = np.arange(len(full))
        if len(rows) > SAMPLE:
            rows = np.random.default_rng(0).choice(len(rows), SAMPLE, replace=False)
        return rows, nearest_others(full[rows], np.arange(len(rows)), DEPTH)[0]


def turned_towards(points, goal):
    """A map turned, mirrored where that helps and moved so that its points lie nearest to a goal: (n, 2) each.

    >>> square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    >>> turned_towards(square[:, ::-1] * [1, -1] + 5, square).round(6).tolist()
    [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    """
    centred = points - points.mean(axis=0)
    middle = goal.mean(axis=0)
    return centred @ nearest_rotation(centred, goal - middle) + middle


def _distinct(setting):
    """A second look changes what is found, not what is stored."""
    return dataclasses.replace(setting, vectors=WAYS[setting.vectors]["precision"])


def _cached_umap(stored, start, seed):
    """UMAP of unit rows, from a starting map where one is given: centred, of radius 1, turned towards the start."""
    about = hashlib.sha256(np.ascontiguousarray(stored, np.float32).tobytes())
    about.update(
        f"{stored.shape} {seed} {EPOCHS} {RATE}".encode() + (b"" if start is None else start.tobytes())
    )
    path = cache_dir("maps") / f"umap-{about.hexdigest()[:16]}.npy"
    if path.is_file():
        return np.load(path, allow_pickle=False)
    neighbours = min(15, len(stored) - 1)
    if start is None:
        points = _level(project_umap(stored, seed, neighbours))
    else:
        import umap

        reducer = umap.UMAP(
            n_neighbors=neighbours,
            metric="cosine",
            init=start.copy(),
            n_epochs=EPOCHS,
            learning_rate=RATE,
            random_state=seed,
            n_jobs=1,
        )
        points = turned_towards(_level(reducer.fit_transform(np.asarray(stored, np.float32))), start)
    unfinished = path.with_suffix(".part")
    with open(unfinished, "wb") as file:
        np.save(file, points.astype(np.float32), allow_pickle=False)
    unfinished.replace(path)
    return points.astype(np.float32)


def _level(points):
    centred = points - points.mean(axis=0)
    return centred / np.sqrt((centred**2).sum(axis=1).mean())
