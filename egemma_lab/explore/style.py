"""One look for every picture: colours that colour-blind readers can tell apart, each with its own mark.

The colours are the Okabe-Ito set (M. Okabe and K. Ito, Color Universal Design, 2008,
https://jfly.uni-koeln.de/color/). A colour never stands alone: points also differ in their symbol, lines
in their dash. The set has eight classes; a ninth is refused rather than given a colour twice.
"""

import plotly.graph_objects as go

# strongest on white first; yellow last, since it is the faintest
OKABE_ITO = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
    "yellow": "#F0E442",
}
COLOURS = tuple(OKABE_ITO.values())
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down")  # plotly
MARKERS = ("o", "s", "D", "^", "X", "P", "*", "v")  # the same eight in matplotlib
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "10px 3px 2px 3px", "2px 6px")
LINES = ("-", "--", ":", "-.", (0, (8, 2)), (0, (8, 2, 1, 2)), (0, (10, 3, 2, 3)), (0, (2, 6)))
CLASSES = len(COLOURS)

INK = "#1a1a1a"  # text and the line that matters most
QUIET = "#8a8a8a"  # whatever is background: "other", reference lines
GRID = "#e6e6e6"
FONT = "Open Sans, Verdana, DejaVu Sans, Arial, sans-serif"
WIDTH, HEIGHT = 900, 460  # of the static picture, in layout pixels: sharp at 800 and at 1280

# A legend below everything. One that hangs under the axes instead (a negative y) comes to lie on their titles when
# a window grows: plotly keeps the room that it needed when it had more rows.
LEGEND_BELOW = {"orientation": "h", "x": 0, "yref": "container", "y": 0, "yanchor": "bottom"}

_axis = {
    "gridcolor": GRID,
    "zeroline": False,
    "linecolor": QUIET,
    "showline": True,
    "ticks": "outside",
    "tickcolor": QUIET,
    "automargin": True,
    "title": {"standoff": 10},
}

# A white page of its own: legible as it is in a light notebook and in a dark one.
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 14, "color": INK},
        "title": {
            "x": 0.01,
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "yref": "container",
            "pad": {"t": 20},
            "font": {"size": 18},
        },
        "colorway": list(COLOURS),
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "margin": {"l": 70, "r": 24, "t": 84, "b": 64},
        "xaxis": _axis,
        "yaxis": _axis,
        "legend": {"itemsizing": "constant", "bgcolor": "rgba(255,255,255,0.85)"},
        "hoverlabel": {"align": "left", "font": {"family": FONT, "size": 13}},
    }
)


def class_marks(n):
    """Colour and symbol of each of `n` classes, as (colour, plotly symbol) pairs; at most eight.

    >>> class_marks(2)
    [('#0072B2', 'circle'), ('#E69F00', 'square')]
    """
    if not 0 <= n <= CLASSES:
        raise ValueError(f"{n} classes: eyes tell {CLASSES} apart; name up to {CLASSES} and group the rest")
    return list(zip(COLOURS[:n], SYMBOLS[:n]))


def heading(title, subtitle=None):
    """Title text with a smaller line below it, in the form every plotly version draws."""
    if not title or not str(title).strip():
        raise ValueError("a figure needs a title that says what is seen; got an empty one")
    if not subtitle:
        return f"<b>{title}</b>"
    return f"<b>{title}</b><br><span style='font-size:14px;color:#555555'>{subtitle}</span>"


def styled(fig, title, subtitle=None, *, x=None, y=None, height=HEIGHT):
    """Give `fig` the common look, its title and its axis titles; returns the same figure."""
    fig.update_layout(template=TEMPLATE, title_text=heading(title, subtitle), height=height)
    if x is not None:
        fig.update_xaxes(title_text=x)
    if y is not None:
        fig.update_yaxes(title_text=y)
    return fig
