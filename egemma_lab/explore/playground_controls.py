"""The sliders of one side of the playground: they hold its settings, nothing else."""

from egemma_lab.explore.playground import NEGATIVES, Settings
from egemma_lab.explore.playground_world import ROWS

WEIGHTS = {
    "contrastive": "contrastive weight",
    "spread_out": "spread-out weight",
    "matching": "matching weight",
}
# a slider of plain logarithms would move what is given to the nearest of its ticks, 0.05 to 0.0501
SCALE = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]


class SettingsBox:
    """The controls of one `Settings`: `controls` by the name of the setting, `box` to show them.

    `on_change` is called with the new `Settings` after each move of the learner's; `show` sets all controls and calls
    nobody.
    """

    def __init__(self, settings, on_change):
        import ipywidgets as widgets

        self._calling = on_change
        self._showing = False
        self.controls = _controls(widgets, settings)
        for control in self.controls.values():
            control.observe(self._moved, names="value")
        self.box = widgets.VBox(list(self.controls.values()))

    @property
    def settings(self):
        """What the controls say."""
        return Settings(**{name: control.value for name, control in self.controls.items()})

    def show(self, settings):
        """Set all controls to these settings."""
        self._showing = True
        try:
            _set(self.controls, settings)
        finally:
            self._showing = False

    def _moved(self, _change):
        if not self._showing:
            self._calling(self.settings)


def _controls(widgets, settings):
    common = {
        "style": {"description_width": "140px"},
        "layout": widgets.Layout(width="360px", max_width="98%"),
    }
    made = {
        name: widgets.FloatSlider(min=0, max=5, step=0.1, description=said, readout_format=".1f", **common)
        for name, said in WEIGHTS.items()
    }
    made["temperature"] = widgets.SelectionSlider(options=SCALE, description="temperature", **common)
    made["hardness"] = widgets.FloatSlider(
        min=0, max=50, step=1, description="hardness", readout_format=".0f", **common
    )
    made["batch_size"] = widgets.IntSlider(min=2, max=ROWS, description="batch size", **common)
    made["learning_rate"] = widgets.SelectionSlider(options=SCALE, description="learning rate", **common)
    made["negatives"] = widgets.Dropdown(options=NEGATIVES, description="negatives", **common)
    made["mask"] = widgets.Checkbox(description="mask duplicates", **common)
    made["matryoshka"] = widgets.Checkbox(description="widths 3 and 2 (sphere)", **common)
    _set(made, settings)
    return made


def _set(controls, settings):
    for name, control in controls.items():
        value = getattr(settings, name)
        if hasattr(control, "options") and value not in control.options:
            control.options = sorted([*control.options, value])
        elif hasattr(control, "max"):
            control.max = max(control.max, value)
        control.value = value
