"""Points of a space drawn in the plane, with the share of true neighbours that the drawing keeps."""

import textwrap
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from egemma_lab.explore.style import CLASSES, INK, LEGEND_BELOW, QUIET, class_marks, styled

MANY = 2000  # above this many points the drawing is left to WebGL
OTHER = "other"


def space_map(
    points,
    labels,
    texts=None,
    *,
    title="Map of the space",
    kept=None,
    highlight=None,
    axes=("component 1", "component 2"),
):
    """Scatter of points in the plane, one colour and symbol a label, the text of each under the pointer.

    Parameters
    ----------
    points : (n, 2) plane coordinates, from `geometry.pca_plane` or `geometry.project_umap`.
    labels : n labels. Up to eight are drawn apart; of more, the seven most frequent are, the rest is "other".
    texts : n strings shown on hover, cut at 160 characters.
    kept : share of true nearest neighbours that the drawing keeps (0 to 1, `geometry.neighbours_kept`);
        it goes into the subtitle, because a map is only as true as that.
    highlight : labels to draw apart instead of the most frequent ones, at most eight.
    axes : titles of the two axes, say "first principal component"; UMAP's axes have no unit.

    >>> fig = space_map([[0, 0], [1, 1], [2, 0]], ["a", "b", "a"], ["x", "y", "z"], kept=0.5)
    >>> [(trace.name, trace.marker.symbol) for trace in fig.data]
    [('a', 'circle'), ('b', 'square')]
    """
    points, labels, texts = _checked(points, labels, texts)
    fig = go.Figure(_traces(points, labels, texts, _classes(labels, highlight)))
    fig.update_layout(legend_title_text="")
    return styled(fig, title, _faithfulness(kept), x=axes[0], y=axes[1], height=560)


def before_after_map(
    before,
    after,
    labels,
    texts=None,
    *,
    title="Before and after",
    titles=("before", "after"),
    kept=(None, None),
    highlight=None,
    axes=("component 1", "component 2"),
):
    """Two maps of the same texts side by side, with one legend: say, before and after training.

    `before` and `after` are (n, 2) each; the other arguments are those of `space_map`, `kept` one share a
    panel. The two panels have axes of their own: places in one say nothing about places in the other.
    """
    before, labels, texts = _checked(before, labels, texts)
    after, _, _ = _checked(after, labels, texts)
    classes = _classes(labels, highlight)
    panel_titles = [
        f"{name} · {_faithfulness(k)}" if k is not None else name for name, k in zip(titles, kept)
    ]
    fig = make_subplots(1, 2, subplot_titles=panel_titles, horizontal_spacing=0.09)
    for column, points in enumerate((before, after), start=1):
        for trace in _traces(points, labels, texts, classes):
            trace.legendgroup, trace.showlegend = trace.name, column == 1
            fig.add_trace(trace, 1, column)
    fig.update_annotations(font_size=13)
    fig = styled(fig, title, x=axes[0], y=axes[1], height=560)
    fig.update_layout(legend=LEGEND_BELOW)
    return fig


def _checked(points, labels, texts):
    points = np.asarray(points, dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points have the shape {points.shape}; a map needs (n, 2): project them first")
    labels = np.asarray([str(label) for label in labels])
    texts = None if texts is None else [str(text) for text in texts]
    for name, given in (("labels", labels), ("texts", texts)):
        if given is not None and len(given) != len(points):
            raise ValueError(f"{len(points)} points but {len(given)} {name}: one each is needed")
    return points, labels, texts


def _classes(labels, highlight):
    """Labels drawn apart, in the order of the legend."""
    names, counts = np.unique(labels, return_counts=True)
    if highlight is not None:
        unknown = [str(h) for h in highlight if str(h) not in names]
        if unknown:
            raise ValueError(f"highlight names {unknown}, which no point carries; there are {list(names)}")
        if len(highlight) > CLASSES:
            raise ValueError(f"highlight names {len(highlight)} labels; at most {CLASSES} can be told apart")
        return [str(h) for h in highlight]
    if len(names) <= CLASSES:
        return names.tolist()
    frequent = np.argsort(-counts, kind="stable")[: CLASSES - 1]
    return names[np.sort(frequent)].tolist()


def _traces(points, labels, texts, classes):
    scatter = go.Scattergl if len(points) > MANY else go.Scatter
    hover = np.full(len(points), "", dtype=object) if texts is None else hover_texts(texts)
    groups = [(name, labels == name, *mark) for name, mark in zip(classes, class_marks(len(classes)))]
    rest = ~np.isin(labels, classes)
    if rest.any():  # drawn first, below the others
        groups.insert(0, (f"{OTHER} ({len(np.unique(labels[rest]))})", rest, QUIET, "circle-open"))
    return [
        scatter(
            x=points[mask, 0],
            y=points[mask, 1],
            name=name,
            mode="markers",
            marker={
                "color": colour,
                "symbol": symbol,
                "size": 5 if len(points) > MANY else 6 if len(points) > 500 else 8,
                "opacity": 0.85,
                "line": {"width": 0.5, "color": INK},
            },
            text=hover[mask],
            customdata=labels[mask],
            hovertemplate="<b>%{customdata}</b><br>%{text}<extra></extra>",
        )
        for name, mask, colour, symbol in groups
    ]


def hover_texts(texts, limit=160, width=60):
    """Texts as the small HTML of a hover box: one run of blanks is one space, cut, wrapped, escaped."""
    shown = np.empty(len(texts), dtype=object)
    for i, text in enumerate(texts):
        lines = textwrap.wrap(" ".join(text[: 4 * limit].split()), width, max_lines=-(-limit // width))
        shown[i] = "<br>".join(escape(line) for line in lines)
    return shown


def _faithfulness(kept):
    if kept is None:
        return None
    if not 0 <= kept <= 1:
        raise ValueError(f"kept={kept}: the share of neighbours kept lies between 0 and 1")
    return f"keeps {kept:.0%} of the true nearest neighbours"
