"""The map of a setting and the cosines of a few texts, beside each other."""

import functools

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from egemma_lab.explore.maps import hover_texts, space_map
from egemma_lab.explore.matryoshka_maps import KINDS
from egemma_lab.explore.style import LEGEND_BELOW, OKABE_ITO, heading, styled

BLUES = [[0, "#ffffff"], [0.35, "#9ecae1"], [0.7, OKABE_ITO["blue"]], [1, "#08306b"]]
SMALLEST, GROWTH = 4, 10  # diameter of a point in pixels at share 0, and what it gains up to share 1
LETTERS = "ABCDEFGHIJKL"  # names of the texts whose cosines are shown; so many at most
PALEST = 0.15  # opacity of a point none of whose neighbours are kept
HOW_TO_READ = "small points: few of their neighbours here lie beside them on the map"


def matryoshka_figure(maps, setting, shown, kind="plane"):
    """Left: the map of a setting. Right: the cosines of a few texts there.

    maps: `Maps`; setting: a `Setting`; shown: rows of the texts on the right; kind: "plane" or "umap".
    A point's size is the share of its neighbours here that lie beside it on the map; its opacity the share of its
    neighbours by the full vectors that are its neighbours here. Unmeasured points have the mean of both. The traces
    are the same for every setting: the groups of points as `space_map` makes them, then the cosines.
    """
    bench = maps.bench
    fig = make_subplots(1, 2, column_widths=[0.58, 0.42], horizontal_spacing=0.2, subplot_titles=[" ", " "])
    fig.update_annotations(font_size=13)
    for trace in space_map(maps.view(setting, kind).points, bench.labels, bench.texts).data:
        fig.add_trace(trace, 1, 1)
    said = np.array([hover_texts([bench.texts[row]])[0] for row in shown], dtype=object)
    of_full = similarities(bench, bench.full, shown)
    fig.add_trace(
        go.Heatmap(
            customdata=np.stack([*np.meshgrid(said, said, indexing="ij"), of_full], axis=-1),  # (m, m, 3)
            zmin=0,
            zmax=1,
            colorscale=BLUES,
            showscale=False,
            texttemplate="%{text}",
            textfont={"size": 12},
            xgap=1,
            ygap=1,
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>cosine %{z:.3f}, of the full vectors "
            "%{customdata[2]:.3f}<extra></extra>",
        ),
        1,
        2,
    )
    styled(fig, "Width and precision", height=620)
    letters = LETTERS[: len(shown)]
    names = [f"{bench.labels[row][:16]} {letter}" for row, letter in zip(shown, letters)]
    axis = {"tickvals": np.arange(len(shown)), "showgrid": False}
    fig.update_xaxes(ticktext=list(letters), tickangle=0, row=1, col=2, **axis)
    fig.update_yaxes(ticktext=names, autorange="reversed", row=1, col=2, **axis)
    fig.update_layout(legend={**LEGEND_BELOW, "font": {"size": 12}}, margin={"t": 146})
    redraw_matryoshka(fig, maps, setting, shown, kind)
    return fig


def redraw_matryoshka(fig, maps, setting, shown, kind="plane"):
    """Bring a figure of `matryoshka_figure` to another setting or kind of map."""
    for trace, change in zip(fig.data, moving(maps, setting, shown, kind), strict=True):
        trace.update(change)
    title, subtitle, left, right = headlines(maps, setting, kind)
    fig.layout.title.text = heading(title, subtitle)
    fig.layout.annotations[0].text, fig.layout.annotations[1].text = left, right
    first, second = (
        ("first axis", "second axis") if kind == "umap" else ("first principal direction", "second")
    )
    for axis, name, limits in zip((fig.layout.xaxis, fig.layout.yaxis), (first, second), spans(maps, kind)):
        axis.title.text, axis.range = name, limits


def moving(maps, setting, shown, kind):
    """What a setting changes: one mapping of trace properties for each trace of the figure, in order."""
    bench, view = maps.bench, maps.view(setting, kind)
    sizes = SMALLEST + GROWTH * np.nan_to_num(view.shown, nan=float(np.nanmean(view.shown)))
    opacity = PALEST + (1 - PALEST) * np.nan_to_num(view.kept, nan=float(np.nanmean(view.kept)))
    changes = [
        {
            "x": view.points[rows, 0],
            "y": view.points[rows, 1],
            "marker": {"size": sizes[rows].round(1), "opacity": opacity[rows].round(2)},
        }
        for rows in groups(bench.labels)
    ]
    cosines = similarities(bench, setting, shown)
    whole = (100 * cosines).round().astype(int)
    return [*changes, {"z": cosines.round(3), "text": whole}]


def similarities(bench, setting, shown):
    """The cosines of a few texts with each other at a setting: (m, m)."""
    vectors = bench.stored(setting)[shown].astype(np.float64)
    return vectors @ vectors.T


def headlines(maps, setting, kind):
    """Title and subtitle of the figure, and the titles of its two panels."""
    bench, view = maps.bench, maps.view(setting, kind)
    row = bench.row(setting)
    title = f"{str(setting)[0].upper()}{str(setting)[1:]}"
    said = (  # short lines: at 800 pixels a cell has room for eighty letters
        f"{row['bytes']:,} bytes a vector, {row['metric']} {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        f"<br>keeps {np.nanmean(view.kept):.0%} of the full vectors' neighbours; pale points: few of them"
    )
    near = f"{KINDS[kind]}: shows {np.nanmean(view.shown):.0%} of these neighbours"
    return title, f"{said}<br>{HOW_TO_READ}", near, "cosines of a few texts, times 100"


def spans(maps, kind):
    """Ranges of the two axes, the same for all settings: those of the full vectors' map, and a margin."""
    points = maps.view(maps.bench.full, kind).points
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.12 * (high - low)
    return [[float(a), float(b)] for a, b in zip(low - margin, high + margin)]


def groups(labels):
    """The rows that each of `space_map`'s traces shows."""
    return _groups(tuple(labels))


@functools.lru_cache(maxsize=8)  # labels stay as they are while a slider moves
def _groups(labels):
    labels = np.asarray(labels)
    names = [trace.name for trace in space_map(np.zeros((len(labels), 2)), labels).data]
    return [np.flatnonzero(labels == name if name in labels else ~np.isin(labels, names)) for name in names]


def choose_texts(labels, count=8):
    """Rows of a few texts to compare: two of each of the first labels, or the first texts where all are alike.

    >>> choose_texts(["a", "a", "a", "b", "b", "c"], 4)
    [0, 1, 3, 4]
    """
    rows = []
    for label in dict.fromkeys(labels):
        rows += [row for row, each in enumerate(labels) if each == label][
            : 2 if len(set(labels)) > 1 else count
        ]
    return sorted(rows[:count])


def describe_matryoshka(maps, setting, kind="plane"):
    """The figure in words, for who cannot see it."""
    bench, view, row = maps.bench, maps.view(setting, kind), maps.bench.row(setting)
    return (
        f"Map of {len(bench.texts):,} texts at {setting}, beside the cosines of a few of them. The space keeps "
        f"{np.nanmean(view.kept):.0%} of the full vectors' neighbours, the map shows {np.nanmean(view.shown):.0%} of "
        f"those that there are; {row['metric']} is {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})."
    )
