"""Lines over steps: the loss terms of a run."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from egemma_lab.explore.style import COLOURS, DASHES, INK, styled
from egemma_lab.losses.own_terms import BOOKS

# family of terms -> (panel title, axis title with its unit)
PANELS = {
    "loss": ("loss", "weighted sum of the terms"),
    "contrastive": ("contrastive", "nats, summed over widths"),
    "spread_out": ("spread-out", "squared cosine, summed"),
    "matching": ("embedding matching", "distance, summed over sides"),
}
OWN_UNIT = "value of the term"  # of any other
NO_TERMS = {*BOOKS, "minutes", "eval"}  # `minutes` is the comparison's own


def terms(history):
    """Loss terms in `history`, by family: {"contrastive": ["contrastive", "contrastive/256", ...], ...}.

    The recipe's come first, then what else was logged: matching word by word, terms of your own, what a callback adds.

    >>> import pandas as pd
    >>> terms(pd.DataFrame({"step": [1], "loss": [2.0], "contrastive": [2.0], "contrastive/64": [1.0]}))
    {'loss': ['loss'], 'contrastive': ['contrastive', 'contrastive/64']}
    """
    found, named = {}, {str(column).partition("/")[0]: None for column in history.columns}
    for family in [*PANELS, *(name for name in named if name not in PANELS.keys() | NO_TERMS)]:
        names = [c for c in history.columns if c == family or str(c).startswith(f"{family}/")]
        if names:
            found[family] = sorted(names, key=lambda name: name != family)  # the whole first, its parts after
    return found


def loss_curves(history, *, smooth=1, title="The loss terms over training"):
    """Every loss term over steps, one panel a term; inside a panel the widths (or sides) it is made of.

    Parameters
    ----------
    history : pandas.DataFrame as `run.history`: a column `step`, and any of loss, contrastive[/width],
        spread_out[/width], matching[/side], terms of your own; rows where a term is missing are left out of its line.
    smooth : span, in rows, of an exponential moving average; 1 (the default) shows what was logged,
        since a smoothed curve hides the noise that small batches make.

    Click a width in the legend to hide it in every panel.
    """
    found = terms(history)
    if "step" not in history.columns or not found.keys() & PANELS.keys():
        raise ValueError(
            f"history has the columns {', '.join(map(str, history.columns)) or '(none)'}; needed are `step` "
            f"and at least one of {', '.join(PANELS)}"
        )
    if smooth < 1:
        raise ValueError(f"smooth={smooth}: the span is a number of rows, 1 or more")
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    panels = {family: PANELS.get(family, (family, OWN_UNIT)) for family in found}
    titles = [title for title, _ in panels.values()]
    fig = make_subplots(rows, columns, subplot_titles=titles, vertical_spacing=0.34 / rows)
    marks = {}
    for panel, (family, names) in enumerate(found.items()):
        row, column = panel // columns + 1, panel % columns + 1
        for name in names:
            part = name.partition("/")[2]
            line = {"color": INK, "width": 2.5}
            if part:
                mark = marks.setdefault(part, len(marks))
                line = {"color": COLOURS[mark % 8], "dash": DASHES[mark % 8], "width": 1.8}
            known = history[["step", name]].dropna()
            values = known[name] if smooth == 1 else known[name].ewm(span=smooth).mean()
            label = (f"width {part}" if part.isdigit() else part) or "whole term"
            seen = {trace.name for trace in fig.data}
            fig.add_trace(
                go.Scatter(
                    x=known["step"].to_numpy(),
                    y=values.to_numpy(),
                    name=label,
                    legendgroup=label,
                    showlegend=label not in seen,
                    line=line,
                    mode="lines" if len(known) > 1 else "markers",
                    meta=name,
                    hovertemplate=f"{name}<br>step %{{x}}: %{{y:.4g}}<extra></extra>",
                ),
                row,
                column,
            )
        fig.update_yaxes(title_text=panels[family][1], title_font_size=12, row=row, col=column)
        fig.update_xaxes(title_text="step", row=row, col=column)
    note = "black: the whole term; coloured: the widths or sides it is the sum of"
    if smooth > 1:
        note += f"; exponential moving average over {smooth} rows"
    return styled(fig, title, note, height=120 + 290 * rows)
