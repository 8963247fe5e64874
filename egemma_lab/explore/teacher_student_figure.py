"""A student beside its teacher as a figure: cosine against cosine, and the way there."""

import dataclasses

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from egemma_lab.explore.style import DASHES, INK, LEGEND_BELOW, OKABE_ITO, styled
from egemma_lab.explore.teacher_student_measures import (
    KINDS,
    correlation,
    cosine_density,
    deviations,
    pair_cosines,
    pairs_of,
    ranks,
)

BINS = 60
SCALE = [[0, "#e8f1f8"], [0.5, "#56B4E9"], [0.8, "#0072B2"], [1, "#00263b"]]  # light to dark, blue
COLOURS_OF = dict(zip(KINDS, ("black", "blue", "orange", "green")))
ROLES = {"query": ("queries", "vermillion"), "document": ("documents", "purple")}


@dataclasses.dataclass(frozen=True)
class Agreement:
    """What of a `Taught` is drawn: `taught`; `pairs` and `teacher`, rows (m, 2) and the teacher's cosines (m,) of each
    kind; `order`, {kind: (T,) Spearman}; `deviation`, {role: (T,) mean distance}, empty without a shared space;
    `edges` of the bins."""

    taught: object
    pairs: dict
    teacher: dict
    order: dict
    deviation: dict
    edges: np.ndarray


def make_agreement(taught):
    """An `Agreement`: every kind of pair that the texts have (at least three pairs), over all moments."""
    pairs = {kind: pairs_of(taught.roles, kind) for kind in KINDS}
    pairs = {kind: rows for kind, rows in pairs.items() if len(rows) >= 3}
    if len(pairs) == 2:
        pairs = {"all": pairs["all"]}  # one role alone: the other kind is the same
    teacher = {kind: pair_cosines(taught.teacher, rows) for kind, rows in pairs.items()}
    order = {kind: _correlations(taught.student, rows, teacher[kind]) for kind, rows in pairs.items()}
    low = min(-0.2, *(float(values.min()) for values in teacher.values()))
    return Agreement(taught, pairs, teacher, order, _deviation(taught), np.linspace(low, 1, BINS + 1))


def _correlations(student, pairs, teacher):
    """Spearman's correlation with the teacher's cosines at each moment: (T, n, d), (m, 2), (m,) -> (T,)."""
    known = ranks(teacher)
    return np.array([correlation(known, ranks(pair_cosines(vectors, pairs))) for vectors in student])


def _deviation(taught):
    if taught.shared is None:
        return {}
    roles = np.asarray(taught.roles)
    distances = np.stack([deviations(vectors, taught.targets) for vectors in taught.shared])  # (T, n)
    return {role: distances[:, roles == role].mean(axis=1) for role in ROLES if role in taught.roles}


def agreement_changes(agreement, moment, kind="all"):
    """What a moment and a kind of pair change: one mapping of properties for each trace that moves, in their order.

    The density of cosines first, then a mark on every line on the right.
    """
    student = pair_cosines(agreement.taught.student[moment], agreement.pairs[kind])
    counts = cosine_density(agreement.teacher[kind], student, agreement.edges)
    with np.errstate(divide="ignore"):
        shown = np.where(counts > 0, np.log10(counts), None)  # None and not NaN, which JSON does not know
    lines = [*agreement.order.values(), *agreement.deviation.values()]
    return [
        {"z": shown, "customdata": counts},
        *(
            {"x": [moment], "y": [None if np.isnan(values[moment]) else float(values[moment])]}
            for values in lines
        ),
    ]


def agreement_figure(agreement, moment, kind="all"):
    """Every pair's cosine, the teacher's against the student's, and how both came together over the moments.

    Left the density of pairs with the line on which the two agree; right the rank correlation by kind of pair, and
    the distance of queries and documents from where the teacher has them. The traces that `agreement_changes` speaks
    of are the last ones.
    """
    rows = 2 if agreement.deviation else 1
    fig = make_subplots(
        rows,
        2,
        specs=[[{"rowspan": rows}, {}]] + [[None, {}]] * (rows - 1),
        column_widths=[0.56, 0.44],
        horizontal_spacing=0.14,
        vertical_spacing=0.17,
        subplot_titles=["", "order of the pairs' cosines", "distance from the teacher's vector"][: 1 + rows],
    )
    fig.update_annotations(font_size=13)
    edges = agreement.edges
    colours = [OKABE_ITO[COLOURS_OF[kind]] for kind in agreement.order]
    colours += [OKABE_ITO[ROLES[role][1]] for role in agreement.deviation]
    names = [*agreement.order, *(ROLES[role][0] for role in agreement.deviation)]
    places = [1] * len(agreement.order) + [2] * len(agreement.deviation)
    lines = [*agreement.order.values(), *agreement.deviation.values()]
    for number, (name, colour, place, values) in enumerate(zip(names, colours, places, lines)):
        fig.add_trace(_line(agreement.taught.names, name, colour, DASHES[number % 8], values), place, 2)
    same = {"color": INK, "dash": "dash", "width": 1.5}
    ends = [edges[0], edges[-1]]
    fig.add_trace(
        go.Scatter(x=ends, y=ends, mode="lines", line=same, name="both agree", showlegend=False), 1, 1
    )
    fig.add_trace(_heat((edges[:-1] + edges[1:]) / 2), 1, 1)
    for name, colour, place in zip(names, colours, places):
        mark = {"color": colour, "size": 11, "symbol": "diamond", "line": {"width": 1, "color": INK}}
        fig.add_trace(
            go.Scatter(mode="markers", marker=mark, name=name, showlegend=False, hoverinfo="skip"), place, 2
        )
    changes = agreement_changes(agreement, moment, kind)
    for trace, change in zip(fig.data[-len(changes) :], changes, strict=True):
        trace.update(change)
    fig.update_xaxes(title_text="cosine by the teacher", range=ends, row=1, col=1)
    fig.update_yaxes(title_text="cosine by the student", range=ends, row=1, col=1)
    fig.update_yaxes(title={"text": "Spearman", "font": {"size": 12}}, row=1, col=2)
    if rows == 2:
        fig.update_yaxes(
            title={"text": "mean distance", "font": {"size": 12}}, rangemode="tozero", row=2, col=2
        )
    fig.update_xaxes(title={"text": "moment", "font": {"size": 12}}, row=rows, col=2)
    fig.update_layout(legend=LEGEND_BELOW)
    return styled(fig, *agreement_headline(agreement, moment, kind), height=560)


def agreement_headline(agreement, moment, kind="all"):
    """Title and subtitle: which moment, what pairs, how well their order agrees."""
    count = len(agreement.pairs[kind])
    which = "all pairs" if kind == "all" else f"pairs of {kind}"
    title = f"{agreement.taught.names[moment]}: Spearman {agreement.order[kind][moment]:.2f} over {which}"
    return (
        title,
        f"{count:,} pairs; above the dashed line they are more alike to the student",
    )


def _line(moments, name, colour, dash, values):
    return go.Scatter(
        x=np.arange(len(values)),
        y=values,
        name=name,
        mode="lines",
        line={"color": colour, "dash": dash, "width": 2},
        text=moments,
        hovertemplate=f"{name}<br>%{{text}}: %{{y:.3f}}<extra></extra>",
    )


def _heat(middle):
    return go.Heatmap(
        x=middle,
        y=middle,
        colorscale=SCALE,
        showscale=True,
        colorbar={
            "title": {"text": "pairs", "font": {"size": 11}},
            "tickvals": [0, 1, 2, 3, 4],
            "ticktext": ["1", "10", "100", "1,000", "10,000"],
            "len": 0.4,
            "x": 0.4,
            "y": 0.08,  # its last number clear of the axis
            "yanchor": "bottom",
            "thickness": 10,
            "tickfont": {"size": 10},
        },
        hovertemplate="teacher %{x:.2f}, student %{y:.2f}: %{customdata} pairs<extra></extra>",
    )
