"""The playground drawn: two spaces side by side, and what has been measured on the way below them."""

import numpy as np

from egemma_lab.explore.playground_drawing import SPACE_TRACES, VIEW, space_data
from egemma_lab.explore.style import DASHES, OKABE_ITO, styled

WIDTH, HEIGHT = 620, 690  # it fits beside its controls in a window of 1280 pixels, and alone in one of 800
CURVES = {  # what is drawn over the steps -> its title, how to read it, and the range that it has at least
    "contrastive": ("contrastive term, nats", (0.0, 2.0)),
    "spread_out": ("spread-out term", (0.0, 2.0)),
    "matching": ("matching term", (0.0, 2.0)),
    "alignment": ("alignment (0: pairs meet)", (0.0, 0.02)),
    "uniformity": ("uniformity", (-2.0, 0.0)),
    "accuracy": ("neighbour accuracy", (0.0, 1.0)),
}
FIRST_CURVE = 3  # the number of its axes; 1 and 2 are the spaces
LINES = (("blue", DASHES[0]), ("vermillion", DASHES[2]))  # of A and of B


def playground_figure(sides, view=VIEW):
    """The figure of two sides (see `playground_sides`). `view`: (turn, tilt) in degrees, from where
    the sphere is seen; see `seen_from`.

    Its traces are the same in number and order for all sides and views; `moving` gives what changes.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=4,  # the second is left to the legend
        cols=6,
        specs=[
            [{"colspan": 3}, None, None, {"colspan": 3}, None, None],
            [None] * 6,
            [{"colspan": 2}, None] * 3,
            [{"colspan": 2}, None] * 3,
        ],
        row_heights=[0.61, 0.01, 0.19, 0.19],
        vertical_spacing=0.075,
        horizontal_spacing=0.07,
        subplot_titles=[*side_titles(sides), *(title for title, _ in CURVES.values())],
    )
    for column, letter in ((1, "A"), (4, "B")):
        for trace in SPACE_TRACES:
            trace = {**trace, "showlegend": letter == "A" and trace.get("showlegend", True)}
            figure.add_scatter(**trace, legendgroup=trace["name"], row=1, col=column)
    for number, name in enumerate(CURVES):
        for letter, (colour, dash) in zip("AB", LINES):
            figure.add_scatter(
                name=letter,
                mode="lines",
                line={"color": OKABE_ITO[colour], "dash": dash, "width": 2},
                legendgroup=letter,
                showlegend=name == "alignment",  # known from the start, as the loss terms are not
                hovertemplate=f"{letter}, step %{{x}}: %{{y:.3g}}<extra></extra>",
                row=3 + number // 3,
                col=1 + 2 * (number % 3),
            )
    for trace, change in zip(figure.data, moving(sides, view), strict=True):
        trace.update(change)
    styled(
        figure, "Loss playground", "A and B begin at the same points and see the same batches", height=HEIGHT
    )
    _arrange(figure)
    for axis, span in axis_ranges(sides).items():
        figure.layout[axis].range = span
    return figure


def moving(sides, view=VIEW):
    """What changes from picture to picture: a dict of properties for each trace of `playground_figure`."""
    changes = [change for side in sides for change in space_data(side.state, side.settings, view)]
    for name in CURVES:
        for side in sides:
            known = [(row["steps"], row[name]) for row in side.history if name in row]
            x, y = zip(*known) if known else ((), ())
            changes.append({"x": np.asarray(x, dtype=np.int32), "y": np.asarray(y, dtype=np.float32)})
    return changes


def axis_ranges(sides):
    """Ranges of the curves' axes, {axis of the layout: [low, high]}, that hold all of both histories.

    They widen in steps of 1, 2, 3, 5, 10, ... and so seldom: to change a range is to draw the whole figure again.

    >>> from egemma_lab.explore.playground_sides import begin
    >>> axis_ranges([begin("collapse"), begin("too cold")])["xaxis8"]
    [0, 50.0]
    """
    last = _next_round(max(50, *(side.history[-1]["steps"] for side in sides)))
    ranges = {}
    for number, (name, (_, (low, high))) in enumerate(CURVES.items(), start=FIRST_CURVE):
        values = [row[name] for side in sides for row in side.history if name in row]
        low, high = -_next_round(-min([low, *values])), _next_round(max([high, *values]))
        margin = 0.04 * (high - low)  # a line at the edge would be cut in half
        ranges |= {f"xaxis{number}": [0, last], f"yaxis{number}": [low - margin, high + margin]}
    return ranges


def _next_round(value):
    """The smallest of 0.01, 0.02, 0.03, 0.05, 0.1, ... that is not below; 0 for what is not above 0."""
    if value < 1e-4:  # a loss of 0 comes out as a little more or less
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(power * digit for digit in (1, 2, 3, 5, 10) if power * digit >= value * (1 - 1e-9)))


def side_titles(sides):
    """What stands above the two spaces.

    >>> from egemma_lab.explore.playground_sides import begin
    >>> side_titles([begin("collapse"), begin("too cold")])
    ['<b>A</b> · collapse', '<b>B</b> · too cold']
    """
    return [f"<b>{letter}</b> · {side.name}" for letter, side in zip("AB", sides)]


def _arrange(figure):
    for column, axis in ((1, "x"), (4, "x2")):
        bare = {"range": [-1.2, 1.2], "visible": False, "fixedrange": True}
        figure.update_xaxes(**bare, row=1, col=column, constrain="domain")
        figure.update_yaxes(**bare, row=1, col=column, scaleanchor=axis, constrain="domain")
    for row in (3, 4):
        for column in (1, 3, 5):
            small = {"nticks": 4, "tickfont": {"size": 11}, "title": None, "automargin": False}
            figure.update_xaxes(**small, row=row, col=column)
            figure.update_yaxes(**small, row=row, col=column)
    figure.update_xaxes(title={"text": "steps", "standoff": 2, "font": {"size": 12}}, row=4)
    figure.update_yaxes(tickformat=".0%", row=4, col=5)
    figure.update_annotations(font_size=13)
    figure.update_layout(
        width=WIDTH,
        margin={"l": 44, "r": 18, "t": 84, "b": 40},
        legend={
            "orientation": "h",
            "x": 0.5,
            "xanchor": "center",
            "y": 0.53,
            "yanchor": "top",
            "font_size": 12,
        },
        uirevision="kept",
    )
