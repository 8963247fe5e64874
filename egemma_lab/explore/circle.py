"""The unit circle: the one unit sphere that fits on paper."""

import numpy as np
import plotly.graph_objects as go

from egemma_lab.explore.style import OKABE_ITO, QUIET, styled


def circle_pairs(anchors, positives=None, *, title="Vectors on the unit circle", subtitle=None, names=None):
    """Unit vectors of the plane as arrows from the centre; each anchor tied to its positive by a line.

    Parameters
    ----------
    anchors : (n, 2) unit rows.
    positives : (n, 2) unit rows, the i-th belonging to the i-th anchor; optional.
    names : n short names written beside the anchors; optional.

    >>> fig = circle_pairs([[1, 0], [0, 1]], [[0.6, 0.8], [0, 1]])
    >>> [trace.name for trace in fig.data]
    ['unit circle', 'pair', 'anchor', 'positive']
    """
    anchors = _unit_rows(anchors, "anchors")
    angle = np.linspace(0, 2 * np.pi, 181)
    fig = go.Figure()
    fig.add_scatter(
        x=np.cos(angle),
        y=np.sin(angle),
        name="unit circle",
        mode="lines",
        line={"color": QUIET, "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    if positives is None:
        starts, ends, link = np.zeros_like(anchors), anchors, "from the centre"
    else:
        starts, ends, link = anchors, _unit_rows(positives, "positives"), "pair"
        if len(ends) != len(anchors):
            raise ValueError(f"{len(anchors)} anchors but {len(ends)} positives: each anchor needs its own")
    gap = np.full((len(anchors), 1), np.nan)  # a break in the line after each pair
    fig.add_scatter(
        x=np.concatenate([starts[:, :1], ends[:, :1], gap], axis=1).ravel(),
        y=np.concatenate([starts[:, 1:], ends[:, 1:], gap], axis=1).ravel(),
        name=link,
        mode="lines",
        line={"color": QUIET, "width": 1.5},
        hoverinfo="skip",
    )
    _points(fig, anchors, "anchor", "blue", "circle", names)
    if positives is not None:
        _points(fig, ends, "positive", "orange", "diamond", None)
    fig.update_xaxes(range=[-1.25, 1.25], scaleanchor="y", constrain="domain")
    fig.update_yaxes(range=[-1.25, 1.25])
    fig.update_layout(
        legend_x=0.8, showlegend=positives is not None
    )  # beside the circle, not at the far edge
    return styled(fig, title, subtitle, x="first coordinate", y="second coordinate", height=520)


def _points(fig, points, name, colour, symbol, names):
    fig.add_scatter(
        x=points[:, 0],
        y=points[:, 1],
        name=name,
        mode="markers+text" if names is not None else "markers",
        text=names,
        textposition=[_outwards(x, y) for x, y in points],
        marker={"color": OKABE_ITO[colour], "symbol": symbol, "size": 10, "line": {"width": 1}},
        hovertemplate=f"{name} (%{{x:.2f}}, %{{y:.2f}})<extra></extra>",
    )


def _outwards(x, y):
    """Where a point's name stands: on the far side from the middle, where no line to another point crosses it.

    >>> _outwards(1, 0), _outwards(0, -1), _outwards(-0.6, 0.8)
    ('middle right', 'bottom center', 'top left')
    """
    across = "right" if x > 0.4 else "left" if x < -0.4 else "center"
    along = "top" if y > 0.4 else "bottom" if y < -0.4 else "middle"
    return f"{along} {across}"


def _unit_rows(points, name):
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"{name} have the shape {points.shape}; the circle takes (n, 2)")
    lengths = np.linalg.norm(points, axis=1)
    if np.abs(lengths - 1).max(initial=0) > 1e-3:
        raise ValueError(
            f"{name} hold a row of length {lengths[np.abs(lengths - 1).argmax()]:.3g}; the circle takes unit "
            "rows: divide each row by its length first"
        )
    return points
