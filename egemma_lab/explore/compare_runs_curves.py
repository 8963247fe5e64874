"""Runs side by side: curves of their losses and of their geometry."""

from html import escape
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from egemma_lab.explore.curves import OWN_UNIT, PANELS, terms
from egemma_lab.explore.style import CLASSES, COLOURS, DASHES, LEGEND_BELOW, styled

LOSSES = {"matching": "matching"}  # shorter than in `curves.PANELS`, for narrow panels
GEOMETRY = {  # column of `film_numbers` -> panel title, axis title
    "alignment": ("alignment", "squared distance"),
    "uniformity": ("uniformity", "0: a point, -4: even"),
    "effective_rank": ("effective rank", "dimensions"),
    "same_label": ("label of the nearest", "share that agrees"),
}
ALONG = {"step": "step", "share": "share of the run", "minutes": "minutes of training"}


def parts(runs):
    """What loss terms can be looked at: "whole", and each width and side that a run has its terms for.

    >>> import pandas as pd
    >>> from egemma_lab.explore.compare_runs_data import Compared
    >>> parts([Compared("a", pd.DataFrame(columns=["step", "contrastive", "contrastive/64", "matching/query"]))])
    ['whole', '64', 'query']
    """
    names = [name for run in runs for family in terms(run.history).values() for name in family]
    found = dict.fromkeys(name.partition("/")[2] for name in names if "/" in name)
    widths = sorted((part for part in found if part.isdigit()), key=int, reverse=True)
    return ["whole", *widths, *(part for part in found if not part.isdigit())]


def comparison_curves(runs, *, part="whole", along="step", smooth=1):
    """Loss terms above, geometry below, terms of your own at the foot; one colour and dash a run, a scale a panel.

    Parameters: `runs`, from `as_compared`, at most eight; `part`, one of `parts(runs)`: the whole terms, or those at
    a width or of a side; a term without such a part is shown whole, and its panel says so; `along`, what the steps
    are laid out along, one of `ALONG` (a film without a clock has no minutes and is left out there); `smooth`, the
    span in rows of an exponential moving average over the loss terms.

    The runs alone say how many traces a figure has, eight a run and one for each term of your own, so that a live
    figure can be updated.
    """
    if len(runs) > CLASSES:
        raise ValueError(f"{len(runs)} runs: eyes tell {CLASSES} lines apart; compare fewer at a time")
    if part not in parts(runs) or along not in ALONG:
        raise ValueError(f"part={part!r}, along={along!r}: allowed are {parts(runs)} and {list(ALONG)}")
    panels = _panels(runs, part)
    rows = -(-len(panels) // 4)
    titles = [panel.title for panel in panels]
    fig = make_subplots(rows, 4, subplot_titles=titles, horizontal_spacing=0.085, vertical_spacing=0.4 / rows)
    for number, run in enumerate(runs):
        for panel, (_, _, column, loss) in enumerate(panels):
            x, y = _line(run.history if loss else run.geometry, run, column, along, smooth if loss else 1)
            fig.add_trace(
                _curve(run.name, number, x, y, showlegend=panel == 0), panel // 4 + 1, panel % 4 + 1
            )
    for panel, (_, unit, _, _) in enumerate(panels):
        axes = {"row": panel // 4 + 1, "col": panel % 4 + 1}
        fig.update_yaxes(
            title={"text": unit, "font": {"size": 11}, "standoff": 2}, tickfont_size=11, nticks=5, **axes
        )
        fig.update_xaxes(
            title={"text": ALONG[along], "font": {"size": 11}}, tickfont_size=11, nticks=4, **axes
        )
    fig.update_annotations(font_size=13)
    fig.update_layout(legend=LEGEND_BELOW, margin={"l": 56, "r": 12})
    said = "as logged" if smooth == 1 else f"losses averaged over about {smooth} rows"
    return styled(fig, "Losses and geometry over training", said, height=280 * rows)


class _Panel(NamedTuple):
    title: str
    unit: str  # of its vertical axis
    column: str  # of the history, or of the geometry
    loss: bool


def _panels(runs, part):
    own = dict.fromkeys(name for run in runs for name in terms(run.history) if name not in PANELS)

    def loss(family, title, unit):
        column = _column(runs, family, part)
        return _Panel(LOSSES.get(family, title) + _which(column, part), unit, column, True)

    return [
        *(loss(family, *words) for family, words in PANELS.items()),
        *(_Panel(*words, column, False) for column, words in GEOMETRY.items()),
        *(loss(family, family, OWN_UNIT) for family in own),
    ]


def _column(runs, family, part):
    wanted = family if part == "whole" else f"{family}/{part}"
    return wanted if any(wanted in run.history for run in runs) else family


def _which(column, part):
    if "/" not in column:
        return "" if part == "whole" else " (whole)"
    return f", width {part}" if part.isdigit() else f", {part}"


def _line(table, run, column, along, smooth):
    """What a run's line goes through: two arrays, empty where the run does not know the column or the clock."""
    if table is None or column not in table:
        return np.zeros(0), np.zeros(0)
    known = table[table[column].notna()]
    values = known[column] if smooth == 1 else known[column].ewm(span=smooth).mean()
    steps = known["step"].to_numpy(dtype=np.float64)
    if along == "step":
        x = steps
    elif along == "share":
        x = steps / max(1, run.history["step"].max())
    elif "minutes" in run.history:
        x = np.interp(steps, run.history["step"], run.history["minutes"])
    else:
        return np.zeros(0), np.zeros(0)
    return x, values.to_numpy(dtype=np.float64)


def _curve(name, number, x, y, showlegend):
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        legendgroup=name,
        showlegend=showlegend,
        mode="lines",
        line={"color": COLOURS[number], "dash": DASHES[number], "width": 2},
        hovertemplate=f"{escape(name)}<br>%{{x:.4~g}}: %{{y:.4g}}<extra></extra>",
    )
