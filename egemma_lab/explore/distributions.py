"""Distributions of a space: cosines of pairs, and how the variance falls over directions."""

import numpy as np
import plotly.graph_objects as go

from egemma_lab.explore.style import COLOURS, DASHES, QUIET, class_marks, styled


def similarity_histogram(groups, *, title="Cosines", bins=60, subtitle=None):
    """How cosines are distributed in each group, say positive pairs against random pairs.

    Parameters
    ----------
    groups : {name: cosines}, one array of cosines (-1 to 1) a group, at most eight groups. Each is drawn
        as its share of pairs a bin, so that groups of different sizes can be compared; a dashed line
        stands at each group's mean.
    bins : number of bins between the smallest and the largest cosine of all groups.

    >>> fig = similarity_histogram({"positive": [0.8, 0.9], "random": [0.0, 0.1, 0.2]})
    >>> [float(sum(trace.y)) for trace in fig.data]
    [1.0, 1.0]
    """
    groups = {str(name): np.asarray(values, dtype=np.float64).ravel() for name, values in groups.items()}
    for name, values in groups.items():
        if not values.size:
            raise ValueError(f"the group {name!r} is empty: give at least one cosine a group")
        if np.abs(values).max() > 1 + 1e-4:
            raise ValueError(f"the group {name!r} holds {np.abs(values).max():.3g}: cosines lie in -1 to 1")
    low = min(values.min() for values in groups.values())
    high = max(values.max() for values in groups.values())
    edges = np.linspace(low, max(high, low + 1e-6), bins + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    half = (edges[1] - edges[0]) / 2
    # an empty bin more at each end, so that the outer bars are whole
    ends = [edges[0] - half, *middle, edges[-1] + half]
    fig = go.Figure()
    for i, (name, (colour, _)) in enumerate(zip(groups, class_marks(len(groups)))):
        values = groups[name]
        share = np.histogram(values, edges)[0] / values.size
        fig.add_scatter(
            x=ends,
            y=[0, *share, 0],
            name=f"{name} (mean {values.mean():.2f})",
            mode="lines",
            line={"color": colour, "dash": DASHES[i], "shape": "hvh", "width": 2},
            fill="tozeroy",
            hovertemplate=f"{name}<br>cosine %{{x:.3f}}: %{{y:.1%}}<extra></extra>",
        )
        fig.add_vline(x=values.mean(), line={"color": colour, "dash": DASHES[i], "width": 1})
    fig.update_xaxes(range=[ends[0], ends[-1]])
    fig.update_yaxes(tickformat=".0%", rangemode="tozero")
    return styled(fig, title, subtitle, x="cosine", y="share of pairs")


def spectrum(embeddings, *, title="Variance over directions", subtitle=None):
    """Share of the second moment in each principal direction, largest first, of one or several spaces.

    Parameters
    ----------
    embeddings : (n, d) array, or {name: (n, d) array}. The vectors are not centred: a direction that all
        of them share is part of what is shown (it makes the first value large).

    Read it: a flat line at 1/d is a space that uses all its directions alike; one large first value is a
    cone; a steep fall is a space of few directions.

    >>> fig = spectrum({"two axes": [[1.0, 0.0], [0.0, 1.0]]})
    >>> fig.data[0].y.round(3).tolist()
    [0.5, 0.5]
    """
    spaces = embeddings if isinstance(embeddings, dict) else {"embeddings": embeddings}
    fig, widths = go.Figure(), set()
    for i, (name, vectors) in enumerate(spaces.items()):
        vectors = np.asarray(vectors, dtype=np.float64)
        if vectors.ndim != 2 or not vectors.size:
            raise ValueError(f"{name!r} has the shape {vectors.shape}; a spectrum needs (n, d) vectors")
        moment = np.linalg.eigvalsh(vectors.T @ vectors / len(vectors))[::-1].clip(0)  # (d,)
        share = (moment / moment.sum())[: len(vectors)]  # n vectors show n directions at most
        widths.add(vectors.shape[1])
        fig.add_scatter(
            x=np.arange(1, len(share) + 1),
            y=share,
            name=str(name),
            mode="lines",
            line={"color": COLOURS[i % 8], "dash": DASHES[i % 8], "width": 2},
            hovertemplate=f"{name}<br>direction %{{x}}: %{{y:.3%}}<extra></extra>",
        )
    seen = max(len(trace.x) for trace in fig.data)
    for width in sorted(widths):
        fig.add_scatter(
            x=[1, seen],
            y=[1 / width] * 2,
            name=f"1/{width}: all directions alike",
            mode="lines",
            line={"color": QUIET, "dash": "dot", "width": 1.5},
            hoverinfo="skip",
        )
    fig.update_yaxes(type="log", tickformat="~%", dtick=1)
    return styled(fig, title, subtitle, x="principal direction", y="share of the second moment (log scale)")
