"""One moment of a film as a figure: the map, the neighbours of one text, and the numbers beside it."""

import dataclasses

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from egemma_lab.explore.maps import space_map
from egemma_lab.explore.replay_film import moment_names
from egemma_lab.explore.replay_maps import KINDS, faithfulness
from egemma_lab.explore.replay_numbers import SHOWN, film_numbers
from egemma_lab.explore.style import INK, LEGEND_BELOW, OKABE_ITO, QUIET, styled

HOW_TO_READ = "the smaller a point, the fewer of its own lie beside it"
NEIGHBOURS = 8  # true neighbours that the chosen text is tied to
SMALLEST, GROWTH = 4, 10  # diameter of a point in pixels at share 0, and what it gains up to share 1


@dataclasses.dataclass(frozen=True)
class Scene:
    """A film laid out on a map.

    `maps` (T, n, 2); `kind`, one of `replay_maps.KINDS`; `kept` (T, n), each text's share of true neighbours there,
    NaN where it was not measured; `names` of the moments; `numbers`, what the sparklines show, {column: (T,)};
    `traces`, the points as `space_map` draws them, and `groups`, the rows of the texts that each of these shows.
    """

    film: object
    maps: np.ndarray
    kind: str
    kept: np.ndarray
    names: list
    numbers: dict
    traces: tuple
    groups: tuple


def make_scene(film, maps, kind="plane", numbers=None):
    """A `Scene` of the film on these maps; `numbers` are those of `film_numbers`, computed where they are not given."""
    numbers = film_numbers(film) if numbers is None else numbers
    kept = np.stack([faithfulness(*each) for each in zip(film.vectors, maps)])  # (T, n)
    known = [column for column in SHOWN if column in numbers and numbers[column].notna().any()]
    shown = {column: numbers[column].to_numpy(dtype=np.float64) for column in known}
    shown["kept"] = np.nanmean(kept, axis=1)
    traces = space_map(maps[-1], film.labels, film.texts).data
    labels, names = np.asarray(film.labels), [trace.name for trace in traces]
    # a trace that has no label's name shows all the others
    groups = [np.flatnonzero(labels == name if name in labels else ~np.isin(labels, names)) for name in names]
    return Scene(film, maps, kind, kept, moment_names(film), shown, traces, tuple(groups))


def point_sizes(kept):
    """Diameters in pixels for shares of true neighbours, (n,) -> (n,): what was not measured gets the mean.

    >>> point_sizes(np.array([0.0, 1.0, np.nan])).tolist()
    [4.0, 14.0, 9.0]
    """
    return (SMALLEST + GROWTH * np.nan_to_num(kept, nan=float(np.nanmean(kept)))).round(1)


def moving(scene, moment, chosen):
    """What a moment changes: one mapping of trace properties for each trace that moves, in the figure's order.

    First the groups of points, then the lines from the chosen text to its nearest texts, the chosen text, and the
    marks on the sparklines. The figure, the widget and the page without a kernel all draw from here.
    """
    points, film = scene.maps[moment], scene.film
    sizes = point_sizes(scene.kept[moment])
    changes = [{"x": points[ids, 0], "y": points[ids, 1], "marker.size": sizes[ids]} for ids in scene.groups]
    cosines = film.vectors[moment] @ film.vectors[moment, chosen]
    cosines[chosen] = -np.inf
    near = np.argsort(-cosines, kind="stable")[:NEIGHBOURS]
    lines = np.full((len(near), 3, 2), np.nan, dtype=np.float32)  # start, end, a gap
    lines[:, 0], lines[:, 1] = points[chosen], points[near]
    changes += [
        {"x": lines[..., 0].ravel(), "y": lines[..., 1].ravel()},
        {"x": points[[chosen], 0], "y": points[[chosen], 1]},
    ]
    beside = len(film) + 1  # where the value is written, right of the line
    for column, values in scene.numbers.items():
        value = float(values[moment])
        known = not np.isnan(value)
        said = SHOWN[column][1].format(value) if known else ""
        changes.append(
            {"x": [moment, beside], "y": [value, value] if known else [None, None], "text": ["", said]}
        )
    return changes


def replay_figure(scene, moment, chosen=0):
    """The map of a moment, with sparklines of losses and geometry beside it.

    Parameters: `scene`, see `make_scene`; `moment`, from 0; `chosen`, the row of the text whose true neighbours are
    tied to it. The traces that `moving` speaks of are the last ones.
    """
    film, columns = scene.film, list(scene.numbers)
    rows = len(columns)
    specs = [[{"rowspan": rows} if row == 0 else None, {}] for row in range(rows)]
    fig = make_subplots(
        rows,
        2,
        specs=specs,
        column_widths=[0.68, 0.32],
        horizontal_spacing=0.08,
        vertical_spacing=0.05,
        subplot_titles=["", *(SHOWN[column][0] for column in columns)],
    )
    fig.update_annotations(font_size=11, xanchor="left", x=fig.layout.xaxis2.domain[0], yshift=-3)
    for row, column in enumerate(columns, start=1):
        fig.add_trace(_sparkline(scene, column), row, 2)
        ends = [-1, 1.3 * len(film) + 2]  # room for the value on the right
        fig.update_xaxes(showticklabels=row == rows, nticks=4, tickfont_size=10, range=ends, row=row, col=2)
        fig.update_yaxes(
            nticks=3, tickfont_size=10, showgrid=False, range=_span(scene, column), row=row, col=2
        )
    for border in _borders(film):
        fig.add_vline(border, line={"color": QUIET, "width": 1, "dash": "dot"}, col=2)
    for trace in (*scene.traces, *_of_the_chosen_text()):
        fig.add_trace(trace, 1, 1)
    for row, column in enumerate(columns, start=1):
        fig.add_trace(_mark(column), row, 2)
    for trace, change in zip(fig.data[rows:], moving(scene, moment, chosen), strict=True):
        redraw(trace, change)
    fig.update_xaxes(title={"text": "moment of the film", "font": {"size": 12}}, row=rows, col=2)
    # a few early strays would shrink all the rest; zooming out shows them
    low, high = np.quantile(scene.maps, [0.002, 0.998], axis=(0, 1))
    margin = 0.06 * (high - low)
    first, second = _axis_names(scene.kind)
    fig.update_xaxes(title_text=first, range=[low[0] - margin[0], high[0] + margin[0]], row=1, col=1)
    fig.update_yaxes(title_text=second, range=[low[1] - margin[1], high[1] + margin[1]], row=1, col=1)
    fig.update_layout(legend={**LEGEND_BELOW, "font": {"size": 12}})
    return styled(fig, *headline(scene, moment), height=700)


def redraw(trace, change):
    """Give a trace the properties that `moving` says."""
    for name, value in change.items():
        trace[name] = value


def headline(scene, moment):
    """Title and subtitle of a moment: which it is, on what map, and how far that may be trusted."""
    kept = scene.numbers["kept"][moment]
    title = f"{scene.names[moment]}, {KINDS[scene.kind]}"
    return title, f"keeps {kept:.0%} of the true neighbours; {HOW_TO_READ}"


def _span(scene, column):
    values = scene.numbers[column]
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    spread = (high - low) or 3.0
    return [low - 0.15 * spread, high + 0.4 * spread]  # above, room between a value at the top and the title


def _sparkline(scene, column):
    where = [f"{name}<br>{SHOWN[column][0]}" for name in scene.names]
    return go.Scatter(
        x=np.arange(len(where)),
        y=scene.numbers[column],
        text=where,
        mode="lines",
        line={"color": OKABE_ITO["blue"], "width": 1.8},
        showlegend=False,
        hovertemplate="%{text}: %{y:.4g}<extra></extra>",
    )


def _mark(column):
    return go.Scatter(
        name=column,
        mode="markers+text",
        marker={"color": OKABE_ITO["vermillion"], "size": [9, 0], "symbol": "diamond", "opacity": 1},
        textposition="middle right",
        cliponaxis=False,
        textfont={"size": 12, "color": INK},
        showlegend=False,
        hoverinfo="skip",
    )


def _of_the_chosen_text():
    lines = go.Scatter(
        name="its nearest texts",
        mode="lines",
        line={"color": INK, "width": 1},
        hoverinfo="skip",
    )
    star = go.Scatter(
        name="chosen text",
        mode="markers",
        marker={
            "color": OKABE_ITO["vermillion"],
            "symbol": "star",
            "size": 16,
            "line": {"width": 1, "color": INK},
        },
        hoverinfo="skip",
    )
    return lines, star


def _borders(film):
    """Where one stage ends and the next begins, between two moments."""
    stages = film.moments["stage"].tolist()
    return [i - 0.5 for i in range(1, len(stages)) if stages[i] != stages[i - 1]]


def _axis_names(kind):
    if kind == "plane":
        return "first principal direction of the last moment", "second principal direction"
    return "first axis of UMAP (no unit)", "second axis of UMAP (no unit)"
