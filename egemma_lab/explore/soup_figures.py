"""Pictures of souping: the loss along lines of weights, and mixtures of three sources in their triangle."""

import plotly.graph_objects as go

from egemma_lab.explore.style import COLOURS, DASHES, INK, QUIET, SYMBOLS, class_marks, styled

# what a trial of `MixtureSearch` is called where it is drawn
KINDS = {
    "uniform": "uniform",
    "dirichlet": "drawn (Dirichlet)",
    "bayes": "Bayesian optimisation",
    "given": "given",
}


def line_between(curves, *, title="The loss between two models", subtitle=None, y="loss (nats)", level=None):
    """Values on straight lines of weights from one model to another, one curve a line.

    Parameters
    ----------
    curves : {name: frame}, at most eight, each with the columns `share` (of the second model, 0 to 1) and `score`, as
        `lab.train.along_the_line` returns them.
    level : (value, name) of a dashed line to compare with, such as what guessing gives; None: none.

    >>> import pandas as pd
    >>> fig = line_between({"a to b": pd.DataFrame({"share": [0, 0.5, 1], "score": [2.0, 1.5, 2.1]})})
    >>> [trace.name for trace in fig.data]
    ['a to b']
    """
    fig = go.Figure()
    marks = class_marks(len(curves))
    for (name, frame), (colour, symbol), dash in zip(curves.items(), marks, DASHES):
        fig.add_scatter(
            x=frame["share"].to_numpy(),
            y=frame["score"].to_numpy(),
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 8},
            hovertemplate=f"{name}<br>share %{{x:.2f}}: %{{y:.3f}}<extra></extra>",
        )
    if level is not None:
        value, name = level
        fig.add_hline(
            y=value,
            line={"color": QUIET, "dash": "dash", "width": 1},
            annotation={"text": name, "font": {"color": INK}},
            annotation_position="top left",
        )
    fig = styled(fig, title, subtitle, x="share of the second model (0: the first alone)", y=y)
    return fig.update_layout(legend={"orientation": "h", "y": -0.2, "yanchor": "top"}, margin={"b": 110})


def mixture_triangle(table, *, title="Mixtures of three sources", subtitle=None):
    """Mixtures of three sources as points of a triangle: a corner is one source alone, the middle all alike.

    table : as `MixtureSearch.table()` returns it, of three sources: columns `kind` and `weight/<name>`, and perhaps
    `score`, then drawn as the points' size (the best the largest) and told by hovering. Each kind has its colour and
    its symbol. ValueError for another number of sources.

    >>> import pandas as pd
    >>> row = {"kind": "uniform", "score": 0.5, "weight/a": 0.2, "weight/b": 0.3, "weight/c": 0.5}
    >>> fig = mixture_triangle(pd.DataFrame([row]))
    >>> fig.data[0].name, float(fig.data[0].a[0])
    ('uniform', 0.2)
    """
    columns = [name for name in table.columns if str(name).startswith("weight/")]
    if len(columns) != 3:
        raise ValueError(f"{len(columns)} sources ({', '.join(columns)}): a triangle shows three")
    scored = "score" in table.columns and table["score"].notna().all()
    low, high = (table["score"].min(), table["score"].max()) if scored else (0, 0)
    fig = go.Figure()
    for number, (kind, name) in enumerate(KINDS.items()):
        rows = table[table["kind"] == kind]
        if rows.empty:
            continue
        size, hover = 8, "%{a:.2f}, %{b:.2f}, %{c:.2f}<extra>" + name + "</extra>"
        if scored:
            size = (8 + 16 * (rows["score"] - low) / ((high - low) or 1)).to_numpy()
            hover = "score %{customdata:.4f}<br>" + hover
        fig.add_scatterternary(
            a=rows[columns[0]].to_numpy(),
            b=rows[columns[1]].to_numpy(),
            c=rows[columns[2]].to_numpy(),
            customdata=rows["score"].to_numpy() if scored else None,
            name=name,
            mode="markers",
            marker={
                "color": COLOURS[number],
                "symbol": SYMBOLS[number],
                "size": size,
                "opacity": 0.8,
                "line": {"width": 1, "color": "white"},
            },
            hovertemplate=hover,
        )
    names = [name.removeprefix("weight/") for name in columns]
    axes = {
        f"{side}axis": {
            "title": {"text": f"<b>{name}</b>"},
            "tickformat": ".0%",
            "gridcolor": "#dddddd",
            "linecolor": QUIET,
            "nticks": 5,
        }
        for side, name in zip("abc", names)
    }
    fig.update_layout(ternary={"sum": 1, "bgcolor": "white", **axes})
    styled(fig, title, subtitle, height=520)
    return fig.update_layout(margin={"t": 110}, showlegend=True)
