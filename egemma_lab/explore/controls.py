"""Sliders over a pure figure function: nothing is computed here that the function does not compute."""

from egemma_lab.explore.displayed import show_live
from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.panel import Panel


def move(make, alt, /, **controls):
    """A figure with sliders: each move calls `make` again and redraws.

    Its starting position travels in the same output as a figure and a picture of its own (see `show`): that is
    what a reader sees who has no kernel.

    Parameters
    ----------
    make : function of the controls that returns a plotly figure. The figure's traces must be the same in
        number and kind for every setting; what moves is their data, the title and the ranges.
    alt : text description of the figure at its starting position.
    controls : one keyword an argument of `make`: (start, low, high, step) for a slider, or a list of
        choices (the first is the start) for a menu.

    Returns the widget box, whose `.children` are the controls, the live figure, and the line in which an error of
    `make` shows; the sliders are plain ipywidgets that exist in versions 7 and 8. Where there is no notebook, only
    the description is printed.

    >>> from egemma_lab.explore import circle_pairs
    >>> import numpy as np
    >>> def turned(angle):
    ...     return circle_pairs([[np.cos(angle), np.sin(angle)]])
    >>> box = move(turned, "One vector on the unit circle, pointing right", angle=(0.0, 0.0, 6.0, 0.1))
    Figure: One vector on the unit circle, pointing right
    >>> slider, figure, _ = box.children
    >>> slider.value = 3.0
    >>> round(float(figure.data[2].x[0]), 2)
    -0.99
    """
    import ipywidgets as widgets

    inputs = {name: _control(widgets, name, spec) for name, spec in controls.items()}
    start = make(**{name: control.value for name, control in inputs.items()})
    live = live_figure(start)
    panel = Panel(alt)

    def redraw(_change):
        fresh = make(**{name: control.value for name, control in inputs.items()})
        with live.batch_update():
            for old, new in zip(live.data, fresh.data, strict=True):
                old.update(new.to_plotly_json(), overwrite=False)
            live.layout.update(fresh.layout)

    for control in inputs.values():
        control.observe(panel.guard(redraw), names="value")
    box = widgets.VBox([*inputs.values(), live, panel.message])
    show_live(box, start, alt)
    return box


def _control(widgets, name, spec):
    common = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(spec, list):
        return widgets.Dropdown(options=spec, value=spec[0], **common)
    start, low, high, step = spec
    if not low <= start <= high:
        raise ValueError(
            f"{name}=({start}, {low}, {high}, {step}): the start {start} is not in {low}..{high}"
        )
    kind = widgets.IntSlider if all(isinstance(v, int) for v in spec) else widgets.FloatSlider
    layout = widgets.Layout(width="480px", max_width="100%")
    # redrawing while the knob is held keeps the link between hand and picture
    return kind(value=start, min=low, max=high, step=step, layout=layout, continuous_update=True, **common)
