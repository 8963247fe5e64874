"""The playground as one plotly figure that plays without a kernel: in a stored notebook, on a web page."""

import numpy as np

from egemma_lab.explore.film_controls import film_buttons, film_slider
from egemma_lab.explore.playground_drawing import SPACE_TRACES
from egemma_lab.explore.playground_figure import HEIGHT, moving, playground_figure
from egemma_lab.explore.playground_sides import advance, begin, describe_both

PICTURES = 40  # frames of a page: with all 40 it weighs under 300 kB
DIGITS = 3  # of coordinates: a thousandth of the circle is less than a pixel
PAUSE = 120  # milliseconds a frame
# the same in all frames, and the look ahead, which would be a third of the page's weight
LEFT_OUT = {"outline", "teacher", next(trace["name"] for trace in SPACE_TRACES if "next" in trace["name"])}


def playground_page(a="the paper's", b="collapse", *, space="circle", seed=0, steps=160):
    """Two settings from the same start as a figure with a play button and a slider over the steps.

    Parameters: as in `loss_playground`; `steps`, how many gradient steps in all, in at most 40 pictures.

    Returns a plotly figure that shows the last picture; what it shows in words is its `layout.meta["alt"]`. Show it, or
    write it to a page of its own, `page.write_html("playground.html")`: under 300 kB and plotly.js.

    >>> page = playground_page("the paper's", "collapse", steps=4)
    >>> [frame.name for frame in page.frames]
    ['0', '1', '2', '3', '4']
    """
    import plotly.graph_objects as go

    sides = [begin(settings, space, seed) for settings in (a, b)]
    pace = max(1, -(-steps // PICTURES))
    film = [sides]
    for _ in range(-(-steps // pace)):
        film.append([advance(side, pace) for side in film[-1]])
    page = playground_figure(film[-1])
    which = [i for i, trace in enumerate(page.data) if trace.name not in LEFT_OUT]
    for trace in page.data:
        if "next" in trace.name:
            trace.visible = False
    frames = []
    for number, moment in enumerate(film):
        changes = moving(moment)
        frames.append(go.Frame(name=str(number), traces=which, data=[_frame(changes[i]) for i in which]))
    page.frames = frames
    names = [f"step {moment[0].state.steps}" for moment in film]
    page.update_layout(
        meta={"alt": describe_both(film[-1])},
        sliders=[film_slider(names, len(names) - 1, x=0.29, len=0.71, y=-0.06, minorticklen=0)],
        updatemenus=[film_buttons(PAUSE, y=-0.08)],
        height=HEIGHT + 70,
        margin={"b": 110},
    )
    return page


def _frame(change):
    """A trace's properties in a frame: numbers of few digits as lists are shorter than in base64."""
    numbers = {name: value for name, value in change.items() if name not in ("text", "marker.size")}
    return {"type": "scatter"} | {name.replace(".", "_"): _short(value) for name, value in numbers.items()}


def _short(values):
    return [
        None if np.isnan(value) else value for value in np.asarray(values, np.float64).round(DIGITS).tolist()
    ]
