"""A film as one plotly figure that plays without a kernel: in a stored notebook, on a web page."""

import numpy as np

from egemma_lab.explore.film_controls import film_buttons, film_slider
from egemma_lab.explore.replay_figure import make_scene, moving, replay_figure
from egemma_lab.explore.replay_film import as_film, find_text
from egemma_lab.explore.replay_maps import plane_maps
from egemma_lab.explore.style import heading

DIGITS = 3  # of coordinates: a thousandth of the map is less than a pixel
PAUSE = 150  # milliseconds a moment


def replay_page(run=None, *, text=None):
    """A training as a figure with a slider and a play button, all moments inside: show it, or write it to HTML.

    Parameters: `run`, what `training_replay` takes (default: the bundled nano's training); `text`, the text whose
    nearest neighbours are tied to it, or a part of it (default: the first query, where there is one). The map is the
    fixed plane; its share of true neighbours has a sparkline of its own. With sixty moments of 500 texts the figure
    weighs under 1.2 MB.

    Returns a plotly figure: `lab.explore.show(page, "...")`, or `page.write_html("film.html")`.
    """
    import plotly.graph_objects as go

    film = as_film(run)
    chosen = find_text(film, text)
    scene = make_scene(film, plane_maps(film.vectors)[0])
    last = len(film) - 1
    page = replay_figure(scene, last, chosen)
    frames = []
    for moment in range(len(film)):
        changes = [_frame(change) for change in moving(scene, moment, chosen)]
        which = list(range(len(page.data) - len(changes), len(page.data)))
        frames.append(go.Frame(name=str(moment), data=changes, traces=which))
    page.frames = frames
    title = f"{len(film)} moments of a training, {len(film.texts)} texts"
    page.update_layout(
        title_text=heading(title, "size: share of its true neighbours that lie beside a point (small: few)"),
        sliders=[film_slider(scene.names, last, x=0.24, len=0.76, y=-0.22, minorticklen=3)],
        updatemenus=[film_buttons(PAUSE, y=-0.24)],
        height=800,
        margin={"b": 150},
        legend={"yref": "paper", "yanchor": "top", "y": -0.1},
    )
    return page


def _frame(change):
    """A trace's properties in a frame: numbers of a few digits as lists are shorter than float32 in base64."""
    short = {name.replace(".", "_"): _short(value) for name, value in change.items()}
    return {"type": "scatter", **short}


def _short(values):
    if not isinstance(values, np.ndarray):
        return values
    return [None if np.isnan(value) else value for value in values.astype(np.float64).round(DIGITS).tolist()]
