"""Controls of a film that plays without a kernel: plotly's slider and buttons, for frames called "0", "1" and on."""

from egemma_lab.explore.style import INK


def film_slider(names, active, **place):
    """A slider with a step a name, at `active`; `place`: x, y, len, minorticklen. It shows one label at a time."""
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    steps = [
        {"label": name, "method": "animate", "args": [[str(number)], at_once]}
        for number, name in enumerate(names)
    ]
    return {
        "active": active,
        "steps": steps,
        "currentvalue": {"prefix": "", "font": {"size": 14, "color": INK}},
        "pad": {"t": 0},
        "ticklen": 0,
        "font": {"color": "rgba(0,0,0,0)"},  # so many labels below the slider would cover each other
        **place,
    }


def film_buttons(pause, y):
    """Play, with `pause` milliseconds a frame, and Pause; `y`, where their upper edge lies."""
    play = {"frame": {"duration": pause, "redraw": False}, "transition": {"duration": 0}, "fromcurrent": True}
    stop = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    return {
        "type": "buttons",
        "direction": "left",
        "x": 0,
        "y": y,
        "xanchor": "left",
        "yanchor": "top",
        "buttons": [
            {"label": "▶ Play", "method": "animate", "args": [None, play]},
            {"label": "❚❚ Pause", "method": "animate", "args": [[None], stop]},
        ],
    }
