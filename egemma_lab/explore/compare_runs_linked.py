"""Two maps of the same texts, on which the same rows stand out."""

import dataclasses
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from egemma_lab.explore.maps import MANY, space_map
from egemma_lab.explore.replay_figure import HOW_TO_READ, point_sizes
from egemma_lab.explore.replay_maps import faithfulness
from egemma_lab.explore.style import INK, LEGEND_BELOW, OKABE_ITO, styled

SYMBOL_CODES = {  # plotly's numbers for the symbols that `space_map` draws
    "circle": 0,
    "square": 1,
    "diamond": 2,
    "cross": 3,
    "x": 4,
    "triangle-up": 5,
    "triangle-down": 6,
    "star": 17,
    "circle-open": 100,
}


@dataclasses.dataclass(frozen=True)
class Side:
    """One of two maps: `name`, `points` (m, 2), and `kept` (m,), each text's share of true neighbours there."""

    name: str
    points: np.ndarray
    kept: np.ndarray


def make_side(name, vectors):
    """The plane on which these vectors (m, d) spread most, as a `Side`."""
    from egemma_lab.geometry import pca_plane

    points = pca_plane(vectors).transform(vectors).astype(np.float32)
    return Side(name, points, faithfulness(vectors, points))


def linked_maps(left, right, labels, texts, chosen=()):
    """The same texts on two maps; the chosen rows stand out on both, all others fade.

    The first two traces are the maps, row i the same text on both; the others are the legend's. Places on one say
    nothing about places on the other: the two planes are turned as they please.
    """
    groups = space_map(left.points, labels).data  # which labels are drawn apart, and how
    marks = [(group.marker.color, group.marker.symbol) for group in groups]
    group_of = {group.name: number for number, group in enumerate(groups)}
    numbers = np.array([group_of.get(label, 0) for label in labels])  # the first group holds all others
    titles = [
        f"{escape(side.name)}<br>keeps {np.nanmean(side.kept):.0%} of the true neighbours"
        for side in (left, right)
    ]
    fig = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.07)
    scatter = go.Scattergl if len(labels) > MANY else go.Scatter
    shown = [f"<b>{escape(str(label))}</b><br>{escape(text[:80])}" for label, text in zip(labels, texts)]
    for column, side in enumerate((left, right), start=1):
        sizes = point_sizes(side.kept)
        trace = scatter(
            x=side.points[:, 0],
            y=side.points[:, 1],
            name=side.name,
            mode="markers",
            marker={**_markers(marks, numbers), "size": sizes, "opacity": 0.85, "line": {"width": 0}},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 0.12}},
            selectedpoints=None if not len(chosen) else list(chosen),
            text=shown,
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
        fig.add_trace(trace, 1, column)
    for group, (colour, symbol) in zip(groups, marks):
        marker = {"color": colour, "symbol": symbol, "size": 9}
        fig.add_trace(go.Scatter(x=[None], y=[None], name=group.name, mode="markers", marker=marker), 1, 1)
    fig.update_annotations(font_size=13)
    fig.update_layout(
        dragmode="lasso",
        legend={**LEGEND_BELOW, "itemclick": False, "itemdoubleclick": False},
        newselection={"line": {"color": INK}},
        activeselection={"fillcolor": OKABE_ITO["sky"], "opacity": 0.2},
    )
    title = "The same texts on two maps: draw around some"
    styled(fig, title, HOW_TO_READ, x="first principal direction", y="second", height=540)
    return fig.update_layout(yaxis2_title_text=None, margin_t=110)


def _markers(marks, numbers):
    """Colour and symbol of every point by the number of its group: plotly checks numbers a hundred times faster than
    names, which is what twenty thousand points need."""
    steps = [[(i + end) / len(marks), colour] for i, (colour, _) in enumerate(marks) for end in (0, 1)]
    return {
        "color": numbers + 0.5,
        "colorscale": steps,
        "cmin": 0,
        "cmax": len(marks),
        "symbol": np.array([SYMBOL_CODES[symbol] for _, symbol in marks])[numbers].tolist(),
    }
