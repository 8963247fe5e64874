"""The sliders of one side of the playground: they hold its settings, nothing else."""

from egemma_lab.explore.playground import NEGATIVES, Settings
from egemma_lab.explore.playground_world import ROWS
from egemma_lab.losses.own_terms import registered_names

WEIGHTS = {
    "contrastive": "contrastive weight",
    "spread_out": "spread-out weight",
    "matching": "matching weight",
}
# a slider of plain logarithms would move what is given to the nearest of its ticks, 0.05 to 0.0501
SCALE = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]


class SettingsBox:
    """The controls of one `Settings`: `controls` by the name of the setting, `own_terms` by that of a loss term of
    the learner's (all that are registered by now), `box` to show them.

    `on_change` is called with the new `Settings` after each move of the learner's; `show` sets all controls and calls
    nobody.
    """

    def __init__(self, settings, on_change):
        import ipywidgets as widgets

        self._calling = on_change
        self._showing = False
        self.controls = _controls(widgets)
        for control in self.controls.values():
            control.observe(self._moved, names="value")
        self.own_terms = {}
        self.box = widgets.VBox(list(self.controls.values()))
        self._add_sliders(registered_names())
        self.show(settings)

    @property
    def settings(self):
        """What the controls say."""
        own = {name: control.value for name, control in self.own_terms.items() if control.value > 0}
        return Settings(own_terms=own, **{name: control.value for name, control in self.controls.items()})

    def show(self, settings):
        """Set all controls to these settings."""
        self._showing = True
        self._add_sliders(settings.own_terms)
        try:
            _set(self.controls, vars(settings))
            _set(self.own_terms, settings.own_terms)
        finally:
            self._showing = False

    def _add_sliders(self, own_terms):
        """A slider on top for each term of the learner's that has none yet."""
        import ipywidgets as widgets

        for name in own_terms:
            if name not in self.own_terms:
                self.own_terms[name] = _weight(widgets, f"{name} weight")
                self.own_terms[name].observe(self._moved, names="value")
                self.box.children = (self.own_terms[name], *self.box.children)

    def _moved(self, _change):
        if not self._showing:
            self._calling(self.settings)


def _common(widgets):
    return {
        "style": {"description_width": "140px"},
        "layout": widgets.Layout(width="360px", max_width="98%"),
    }


def _weight(widgets, said):
    return widgets.FloatSlider(
        min=0, max=5, step=0.1, description=said, readout_format=".1f", **_common(widgets)
    )


def _controls(widgets):
    common = _common(widgets)
    made = {name: _weight(widgets, said) for name, said in WEIGHTS.items()}
    made["temperature"] = widgets.SelectionSlider(options=SCALE, description="temperature", **common)
    made["hardness"] = widgets.FloatSlider(
        min=0, max=50, step=1, description="hardness", readout_format=".0f", **common
    )
    made["batch_size"] = widgets.IntSlider(min=2, max=ROWS, description="batch size", **common)
    made["learning_rate"] = widgets.SelectionSlider(options=SCALE, description="learning rate", **common)
    made["negatives"] = widgets.Dropdown(options=NEGATIVES, description="negatives", **common)
    made["mask"] = widgets.Checkbox(description="mask duplicates", **common)
    made["matryoshka"] = widgets.Checkbox(description="widths 3 and 2 (sphere)", **common)
    return made


def _set(controls, values):
    for name, control in controls.items():
        value = values.get(name, 0.0)
        if hasattr(control, "options") and value not in control.options:
            control.options = sorted([*control.options, value])
        elif hasattr(control, "max"):
            control.max = max(control.max, value)
        control.value = value
