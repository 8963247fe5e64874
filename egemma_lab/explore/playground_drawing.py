"""The points of the playground as lines and markers of one space, seen from somewhere."""

import functools
import operator

import numpy as np
import torch.nn.functional as F

from egemma_lab.explore.playground import step
from egemma_lab.explore.style import INK, OKABE_ITO, QUIET

VIEW = (0.0, 25.0)  # turn and tilt in degrees
ABOVE = 90.0  # the tilt that shows what the first two numbers see
AHEAD = 10  # steps that the thin lines look ahead
LANES = {
    "query": 1.0,
    "positive": 0.91,
    "hard negative": 0.82,
    "teacher": 1.1,
}  # radii that keep points apart

_MARKS = {
    "query": {"color": OKABE_ITO["blue"], "symbol": "circle", "size": 8},
    "positive": {"color": OKABE_ITO["orange"], "symbol": "diamond-open", "size": 9, "line_width": 2},
    "hard negative": {"color": OKABE_ITO["vermillion"], "symbol": "x", "size": 7},
}


def _line(name, **line):
    return {"name": name, "mode": "lines", "hoverinfo": "skip", "line": line}


# the traces of one space, in the order in which `space_data` gives their data
SPACE_TRACES = [
    {**_line("outline", color=QUIET, width=1), "showlegend": False},
    {
        "name": "teacher",
        "mode": "markers",
        "marker": {"color": QUIET, "symbol": "circle-open", "size": 6},
        "hovertemplate": "the teacher's %{text}<extra></extra>",
    },
    _line("pair", color=QUIET, width=1.5),
    _line("copies", color=INK, width=1.5, dash="dot"),
    _line(f"next {AHEAD} steps", color=OKABE_ITO["green"], width=1.5),
    *(
        {
            "name": name,
            "mode": "markers",
            "marker": mark,
            "hovertemplate": "%{text}<extra></extra>",
        }
        for name, mark in _MARKS.items()
    ),
]


def space_data(state, settings, view):
    """What changes in the traces of one space: a dict of properties for each of `SPACE_TRACES`.

    On the circle the sides are drawn on rings of their own, so that what lies together does not hide; every vector
    still has length 1. On the sphere the far side is paler and smaller.
    """
    n, ids = state.points.shape[1], state.world.ids.tolist()
    shown = _shown(state.points, view, LANES)  # (3, n, 3) x, y, depth
    paces = state.points + AHEAD * (step(state, settings).points - state.points)
    ahead = _shown(F.normalize(paces, dim=-1), view, LANES)
    teacher = _shown(state.world.teacher, view, dict.fromkeys(LANES, LANES["teacher"]))
    originals = state.world.originals
    copies = np.stack([shown[:2, originals:], shown[:2, ids[originals:]]])  # (2 ends, 2 sides, copies, 3)
    names = [
        [f"{side} {i}{' (a copy)' if row >= originals else ''}" for row, i in enumerate(ids)]
        for side in _MARKS
    ]
    return [
        _outline(state.points.shape[2], view),
        _markers(teacher.reshape(-1, 3), functools.reduce(operator.iadd, names, []), 6),
        _segments(shown[0], shown[1]),
        _segments(copies[0].reshape(-1, 3), copies[1].reshape(-1, 3)),
        _segments(shown.reshape(3 * n, 3), ahead.reshape(3 * n, 3)),
        *(_markers(points, text, _MARKS[name]["size"]) for name, points, text in zip(_MARKS, shown, names)),
    ]


def seen_from(points, view):
    """Points (..., d) as x, y and depth (..., 3), depth towards the eye.

    On the circle that is x, y and 0. The sphere is seen from far away: first turned by `turn` degrees about its
    third axis, then from `tilt` degrees above the plane of the first two numbers. Tilt 90 looks straight down: what
    is seen then is the first two numbers, and a point's direction from the middle is its prefix of width 2.

    >>> seen_from(np.array([[0.6, 0.0, 0.8]]), (0.0, 90.0)).round(3).tolist()
    [[0.6, 0.0, 0.8]]
    """
    points = np.asarray(points, dtype=np.float64)
    x, y = points[..., 0], points[..., 1]
    if points.shape[-1] == 2:
        return np.stack([x, y, np.zeros_like(x)], axis=-1)
    turn, tilt = np.radians(view)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    z = points[..., 2]
    return np.stack([x, y * np.sin(tilt) + z * np.cos(tilt), z * np.sin(tilt) - y * np.cos(tilt)], axis=-1)


def _shown(points, view, lanes):
    """(3, n, d) tensor -> (3, n, 3) coordinates of the picture, each side on its ring where it is a circle."""
    shown = seen_from(points.numpy(), view)
    if points.shape[-1] == 2:
        shown[..., :2] *= np.array([lanes[side] for side in _MARKS])[:, None, None]
    return shown.astype(np.float32)


def _outline(d, view):
    """The circle; of the sphere its edge, and the equator: where the third number is 0."""
    angle = np.linspace(0, 2 * np.pi, 61)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (61, 2)
    if d == 3:
        flat = np.concatenate([ring, np.zeros((61, 1))], axis=1)
        ring = np.concatenate([ring, [[np.nan, np.nan]], seen_from(flat, view)[:, :2]])
    ring = ring.astype(np.float32)
    return {"x": ring[:, 0], "y": ring[:, 1]}


def _segments(ends, others):
    """Lines from each row of `ends` to the same row of `others`, broken between them."""
    gap = np.full_like(ends[:, :2], np.nan)
    path = np.stack([ends[:, :2], others[:, :2], gap], axis=1).reshape(-1, 2)
    return {"x": path[:, 0], "y": path[:, 1]}


def _markers(points, text, size):
    far = points[:, 2] < -1e-6
    return {
        "x": points[:, 0],
        "y": points[:, 1],
        "text": text,
        "marker.opacity": np.where(far, 0.4, 1.0),
        "marker.size": np.where(far, size - 2, size),
    }
