"""What the two views of width and precision share: the controls, and when weights are encoded."""

from egemma_lab.evaluate.vector_precision import WAYS
from egemma_lab.explore.panel import Panel
from egemma_lab.explore.precision_bench import Bench
from egemma_lab.explore.precision_setting import WEIGHTS, Setting


class SettingPanel(Panel):
    """A panel whose figure shows one `Setting`. Controls: `width`, `vectors`, `weights`, `setting`; `bench`: the data.

    Made from a model and texts; or from another such panel, whose controls and data it shares: moving one moves both.
    """

    def __init__(self, source, texts, options):
        if isinstance(source, SettingPanel):
            if texts is not None or any(value is not None for value in options.values()):
                raise ValueError(
                    "a linked panel has the texts of the other one: leave texts and the like out"
                )
            self.bench = source.bench
            self.width, self.vectors, self.weights = source.width, source.vectors, source.weights
        else:
            self.bench = Bench(source, texts, **options)
            self.width, self.vectors, self.weights = _controls(self.bench)
        super().__init__(self.describe())

    @property
    def setting(self):
        """The `Setting` that the controls stand at."""
        return Setting(self.width.value, self.vectors.value, self.weights.value)

    def watch(self, *others):
        """Call `_redraw` whenever a control moves; returns a box with the controls, these others among them."""
        import ipywidgets as widgets

        controls = [self.width, self.vectors, self.weights, *others]
        for control in controls:
            control.observe(self.guard(self._changed), names="value")
        return widgets.HBox(controls, layout=widgets.Layout(flex_flow="row wrap"))

    def _changed(self, _change):
        weights = self.weights.value
        if not self.bench.knows(weights):
            texts = len(self.bench.texts) + len(self.bench.questions)
            self.say(f"Rounding the weights to {weights} and encoding {texts:,} texts with them, once …")
            self.bench.table(weights)
        self._redraw()

    def describe(self):
        """The figure in words."""
        raise NotImplementedError

    def _redraw(self):
        raise NotImplementedError


def _controls(bench):
    import ipywidgets as widgets

    style = {"description_width": "initial"}
    width = widgets.SelectionSlider(
        options=bench.widths, value=bench.widths[-1], description="width", style=style
    )
    vectors = widgets.Dropdown(options=list(WAYS), value="float32", description="vectors", style=style)
    weights = widgets.Dropdown(options=list(WEIGHTS), value=WEIGHTS[0], description="weights", style=style)
    return width, vectors, weights
