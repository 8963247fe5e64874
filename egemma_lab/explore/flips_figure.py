"""Neighbour flips drawn: one text's ranks, how many texts lose how many neighbours, and the curve of margins."""

from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from egemma_lab.explore.flips_data import flip_curve, foretold, text_neighbours
from egemma_lab.explore.maps import hover_texts
from egemma_lab.explore.style import INK, OKABE_ITO, QUIET, heading, styled

# change -> colour, dash of its line, symbols at its two ends
CHANGES = {
    "kept": (QUIET, "solid", "circle", "circle"),
    "lost": (OKABE_ITO["vermillion"], "dash", "circle", "triangle-down"),
    "gained": (OKABE_ITO["blue"], "solid", "circle", "triangle-up"),
}
_SMALLEST = 0.01  # of a side's pairs: a bin with fewer is no point of the curve
# side of the curve -> colour, dash, symbol, name in the legend
SIDES = {
    "neighbour": (OKABE_ITO["vermillion"], "dash", "triangle-down", "neighbours that are lost"),
    "outsider": (OKABE_ITO["blue"], "solid", "triangle-up", "next texts that come in"),
}
NAME = 32  # letters of a text in a title: at 800 pixels more would reach into the next panel


def flips_figure(flips, row, k=10, *, texts=None, name="the change"):
    """Left: the ranks of one text's neighbours before and after. Right: all texts, and what margins foretell.

    flips: from `find_flips`. row: the text on the left, any. k: neighbours. texts: n strings for titles and the
    pointer. name: what the change is called. Six traces for every setting: those of the left panel are kept, lost,
    gained; then the bars, and the two sides of the curve.

    >>> from egemma_lab.explore.flips_data import find_flips
    >>> rng = np.random.default_rng(0)
    >>> before = rng.normal(size=(30, 8))
    >>> fig = flips_figure(find_flips(before, before[:, :4]), row=0, k=3)
    >>> [trace.name for trace in fig.data[:3]]
    ['kept', 'lost', 'gained']
    """
    fig = _empty()
    redraw_flips(fig, flips, row, k, texts=texts, name=name)
    return fig


def redraw_flips(fig, flips, row, k, *, texts=None, name="the change", whole=True):
    """Bring a figure of `flips_figure` to another text or k; `whole=False` where only the text is another."""
    table = text_neighbours(flips, row, k)
    for trace, change in zip(fig.data[:3], CHANGES):
        mine = table[table["change"] == change]
        ranks = np.full((len(mine), 3), np.nan)  # before, after, a gap
        ranks[:, 0], ranks[:, 1] = mine["rank_before"], mine["rank_after"]
        said = [f"text {i}" for i in mine["neighbour"]]
        if texts is not None:
            said = hover_texts([texts[i] for i in mine["neighbour"]])
        trace.update(
            x=np.tile([0.0, 1.0, np.nan], len(mine)), y=ranks.ravel(), customdata=np.repeat(said, 3).tolist()
        )
    deepest = float(table[["rank_before", "rank_after"]].to_numpy().max())
    fig.layout.shapes[0].update(y0=k + 0.5, y1=k + 0.5)
    fig.layout.yaxis.range = [np.log10(1.4 * max(deepest, k + 1)), np.log10(0.7)]
    title = f"text {row}" if texts is None else f"“{escape(_short(texts[row]))}”"
    fig.layout.annotations[0].text = f"ranks of the neighbours of<br>{title}"
    if not whole:
        return
    lost = flips.lost(k)
    fig.data[3].update(x=np.arange(k + 1), y=np.bincount(lost, minlength=k + 1))
    fig.layout.xaxis2.update(tick0=0, dtick=max(1, k // 5))
    curve = flip_curve(flips, k)
    for trace, side in zip(fig.data[4:], SIDES):
        mine = curve[curve["side"] == side]
        mine = mine[mine["n"] >= _SMALLEST * mine["n"].sum()]
        shares = mine["share"].to_numpy()
        trace.update(
            x=mine["margin"].to_numpy(),
            y=shares,
            error_y={
                "array": mine["share_high"].to_numpy() - shares,
                "arrayminus": shares - mine["share_low"].to_numpy(),
            },
            customdata=mine[["flipped", "n"]].to_numpy(),
        )
    fig.layout.annotations[1].text = f"of {len(lost):,} texts, how many of {_neighbours(k)} each loses"
    told = foretold(flips, k)
    said = (
        ""
        if np.isnan(told)
        else f"<br>of a lost and a kept one, the lost had the smaller margin in {told:.0%}"
    )
    fig.update_layout(
        title_text=heading(
            f"Neighbour flips: {name}", f"{1 - lost.mean() / k:.0%} of {_neighbours(k)} kept{said}"
        )
    )


def describe_flips(flips, k, name="the change"):
    """The figure in words, for who cannot see it.

    >>> from egemma_lab.explore.flips_data import find_flips
    >>> before = np.array([[1.0, 0.0], [0.9, 0.1], [0.6, 0.4], [0.0, 1.0]])
    >>> describe_flips(find_flips(before, before), 1, "no change")
    'Neighbour flips by no change: of 4 texts 4 keep their nearest one; 100% of neighbours are kept.'
    """
    lost = flips.lost(k)
    said = (
        f"Neighbour flips by {name}: of {len(lost):,} texts {(lost == 0).sum():,} keep "
        f"{'their nearest one' if k == 1 else f'all of their {k} nearest'}; "
        f"{1 - lost.mean() / k:.0%} of neighbours are kept."
    )
    curve = flip_curve(flips, k)
    mine = curve[curve["side"] == "neighbour"]
    if lost.any() and len(mine) > 1:
        first, last = mine.iloc[0], mine.iloc[-1]
        said += (
            f" Of neighbours with a margin of about {first['margin']:.3f} {first['share']:.0%} are lost, with about "
            f"{last['margin']:.3f} {last['share']:.0%}."
        )
    return said


def _neighbours(k):
    return "1 neighbour" if k == 1 else f"{k} neighbours"


def _short(text):
    text = " ".join(text.split())
    return text if len(text) <= NAME else text[: NAME - 1].rstrip() + "…"


def _empty():
    """The figure without data: all that never moves."""
    fig = make_subplots(
        2,
        2,
        specs=[[{"rowspan": 2}, {}], [None, {}]],
        column_widths=[0.42, 0.58],
        horizontal_spacing=0.13,
        vertical_spacing=0.24,
        subplot_titles=[" ", " ", "share that flips, by its margin before"],
    )
    fig.update_annotations(font_size=13)
    for change, (colour, dash, *symbols) in CHANGES.items():
        fig.add_trace(
            go.Scatter(
                name=change,
                mode="lines+markers",
                line={"color": colour, "dash": dash, "width": 1.5},
                marker={
                    "symbol": symbols[1],
                    "size": 9,
                    "color": colour,
                    "line": {"width": 0.5, "color": INK},
                },
                hovertemplate=f"%{{customdata}}<br>{change}: rank %{{y}} %{{x}}<extra></extra>",
            ),
            1,
            1,
        )
    fig.add_trace(
        go.Bar(
            marker_color=QUIET,
            showlegend=False,
            hovertemplate="%{y} texts lose %{x}<extra></extra>",
        ),
        1,
        2,
    )
    for colour, dash, symbol, name in SIDES.values():
        fig.add_trace(
            go.Scatter(
                name=name,
                mode="lines+markers",
                line={"color": colour, "dash": dash},
                marker={"symbol": symbol, "size": 9, "color": colour},
                error_y={"type": "data", "symmetric": False, "thickness": 1.2, "width": 4},
                legend="legend2",
                hovertemplate="margin %{x:.3f}: %{customdata[0]:,} of %{customdata[1]:,}, %{y:.1%}<extra></extra>",
            ),
            2,
            2,
        )
    fig.add_shape(
        type="line", xref="x domain", yref="y", x0=0, x1=1, line={"color": INK, "dash": "dot", "width": 1.5}
    )
    styled(fig, "Neighbour flips", height=620)
    fig.update_xaxes(tickvals=[0, 1], ticktext=["before", "after"], range=[-0.2, 1.2], row=1, col=1)
    ticks = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]
    fig.update_yaxes(title_text="rank (1 is nearest)", type="log", tickvals=ticks, row=1, col=1)
    fig.update_xaxes(title_text="neighbours lost", row=1, col=2)
    fig.update_yaxes(title_text="texts", row=1, col=2)
    fig.update_xaxes(title_text="margin (difference of cosines)", rangemode="tozero", row=2, col=2)
    fig.update_yaxes(title_text="share", tickformat=".0%", rangemode="tozero", row=2, col=2)
    return fig.update_layout(
        legend={"orientation": "h", "x": 0, "y": -0.12},
        legend2={"x": 1, "xanchor": "right", "y": -0.13, "yanchor": "top"},
        margin={"t": 130},
    )
