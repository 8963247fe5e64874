"""Maps of every moment of a film: one plane for all, UMAP with the moments tied together, UMAP made anew."""

import hashlib
import warnings
from importlib import resources

import numpy as np

KINDS = {
    "plane": "fixed plane (PCA)",
    "aligned": "aligned UMAP",
    "anew": "UMAP made anew each time",
}
STOPS = 12  # moments that UMAP maps are made of: a minute instead of five
SAMPLE = 1000  # texts that faithfulness is measured on where there are more


def plane_maps(vectors):
    """All moments on one plane, that of the last: (T, n, d) -> (T, n, 2) and the shares of variance (2,).

    Whatever moves on it has really moved. What moves across the plane is not seen: read the shares.
    """
    from egemma_lab.geometry import pca_plane

    plane = pca_plane(vectors[-1])
    return np.stack([plane.transform(each) for each in vectors]).astype(np.float32), plane.explained


def choose_stops(moments, count=STOPS):
    """Which of so many moments get a UMAP map: ascending, the first and the last among them.

    >>> choose_stops(60, 4)
    [0, 20, 39, 59]
    >>> choose_stops(3)
    [0, 1, 2]
    """
    return np.unique(np.linspace(0, moments - 1, min(count, moments)).round().astype(int)).tolist()


def umap_maps(film, kind, count=STOPS, seed=0):
    """UMAP maps of all moments of a film: (T, n, 2), each about its centre and of radius 1 (root mean square).

    kind: "aligned" fits `count` moments together, each text tied to itself in the moments beside it
    (`umap.AlignedUMAP`); "anew" fits each of them alone, with a seed of its own, as one does who draws a UMAP after
    every epoch. `fill_between` says what the other moments get. The bundled film's maps are bundled; others take one
    to two minutes for 500 texts the first time, and then come from the cache (`settings.cache_dir`).
    ValueError for another kind.
    """
    from egemma_lab.settings import cache_dir

    if kind not in ("aligned", "anew"):
        raise ValueError(f"kind={kind!r} is not one of 'aligned', 'anew'")
    stops = choose_stops(len(film), count)
    name = _file_name(film, kind, stops, seed)
    bundled = resources.files("egemma_lab").joinpath("assets", "replay_maps", name)
    path = bundled if bundled.is_file() else cache_dir("maps") / name
    if not path.is_file():
        made = (_aligned if kind == "aligned" else _anew)(film.vectors[stops], seed)
        unfinished = path.with_suffix(".part")
        with open(unfinished, "wb") as file:
            np.save(file, _level(made).astype(np.float16), allow_pickle=False)
        unfinished.replace(path)
    with path.open("rb") as file:
        maps = np.load(file, allow_pickle=False).astype(np.float32)
    return fill_between(maps, stops, len(film), kind)


def _file_name(film, kind, stops, seed):
    """The axes are as they were recorded, to the bit, and depend on every vector of the film."""
    about = f"{kind} {stops} {seed} {film.vectors.shape} {film.moments['step'].tolist()}"
    key = hashlib.sha256(about.encode() + np.ascontiguousarray(film.axes).tobytes()).hexdigest()[:16]
    return f"{kind}-{key}.npy"


def _aligned(vectors, seed):
    import umap

    same = {i: i for i in range(vectors.shape[1])}
    mapper = umap.AlignedUMAP(metric="cosine", n_neighbors=_near(vectors), min_dist=0.1, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*n_jobs.*")  # that a seed means one thread
        return np.stack(mapper.fit_transform(list(vectors), relations=[same] * (len(vectors) - 1)))


def _anew(vectors, seed):
    from egemma_lab.geometry import project_umap

    return np.stack([project_umap(each, seed + i, _near(vectors)) for i, each in enumerate(vectors)])


def _near(vectors):
    return min(15, vectors.shape[1] - 1)


def _level(maps):
    centred = maps - maps.mean(axis=1, keepdims=True)  # (S, n, 2)
    return centred / np.sqrt((centred**2).sum(axis=2).mean(axis=1))[:, None, None]


def fill_between(maps, stops, moments, kind):
    """Maps of all moments from those at the stops: (S, n, 2) -> (T, n, 2).

    "aligned": between two stops the texts go in straight lines. "anew": each moment has the map of the stop nearest
    to it, since there is nothing between two maps that were made apart.

    >>> fill_between(np.array([[[0.0, 0.0]], [[2.0, 4.0]]]), [0, 2], 3, "aligned")[1].tolist()
    [[1.0, 2.0]]
    """
    stops, at = np.asarray(stops), np.arange(moments)
    if kind == "anew":
        return maps[np.abs(stops[None] - at[:, None]).argmin(axis=1)]
    after = np.searchsorted(stops, at).clip(1, len(stops) - 1)
    share = ((at - stops[after - 1]) / (stops[after] - stops[after - 1]))[:, None, None]
    return ((1 - share) * maps[after - 1] + share * maps[after]).astype(np.float32)


def faithfulness(vectors, points, k=10, seed=0):
    """Of each text's k true neighbours the share that the map shows as such: (n, d), (n, 2) -> (n,), 0 to 1.

    Of more than 1,000 texts it is measured on 1,000 drawn by the seed, among themselves; the others get NaN.
    """
    from egemma_lab.geometry import neighbours_kept

    rows = np.arange(len(vectors))
    if len(rows) > SAMPLE:
        rows = np.random.default_rng(seed).choice(len(rows), SAMPLE, replace=False)
    kept = np.full(len(vectors), np.nan, dtype=np.float32)
    kept[rows] = neighbours_kept(vectors[rows], points[rows], min(k, len(rows) - 2))[1]
    return kept


def way_on_the_map(before, after):
    """How far the middle text goes from one map to the next, in radii of the map: (n, 2) each -> float.

    The radius is the root mean square distance from the centre. Read it: 0, nothing moves; about 1.3, the two maps
    have nothing to do with each other.
    """
    radius = np.sqrt(((after - after.mean(axis=0)) ** 2).sum(axis=1).mean())
    return float(np.median(np.linalg.norm(after - before, axis=1)) / max(radius, 1e-12))


def turned(before, after):
    """The angle by which the middle text's vector turned, in degrees: unit rows (n, d) each -> float.

    >>> round(turned(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])))
    90
    """
    cosines = (np.asarray(before, dtype=np.float64) * after).sum(axis=1).clip(-1, 1)
    return float(np.degrees(np.median(np.arccos(cosines))))
