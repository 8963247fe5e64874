"""Sliders and a button that begin a run in the background."""

from html import escape

from egemma_lab.explore.compare_runs_fresh import STARTS, FreshRun, free_folder, fresh_recipe
from egemma_lab.losses.own_terms import registered_names


class FreshForm:
    """Controls of a run of one's own, in `box`: `start` (the model), `weights` {term: slider}, `own_terms` likewise for
    the loss terms registered by now, `temperature`, `hardness`, `minutes`, `train`, `stop`; `bar` and `words` say how
    far it is, `run` is the `FreshRun`.

    panel: whose callbacks these are. settings: keywords of `FreshRun.start` that stay the same (pairs, teacher, probe).
    output: the folder for the runs' folders. done: called with the `Run` at its end.
    """

    def __init__(self, panel, settings, output, done):
        import ipywidgets as widgets

        self._panel, self._settings, self._output, self._add = panel, settings, output, done
        self.run = FreshRun(self._report, self._done, self._failed)
        self.start = widgets.Dropdown(options=list(STARTS.items()), description="model")
        self.weights = {
            term: _slider(1.0, 0.0, 5.0, 0.1, f"{term.replace('_', '-')} weight")
            for term in ("contrastive", "spread_out", "matching")
        }
        self.own_terms = {name: _slider(0.0, 0.0, 2.0, 0.05, f"{name} weight") for name in registered_names()}
        self.temperature = _slider(0.05, 0.01, 0.5, 0.01, "temperature τ")
        self.hardness = _slider(5.0, 0.0, 10.0, 0.5, "hardness α")
        self.minutes = _slider(2.0, 0.5, 20.0, 0.5, "minutes")
        self.train = widgets.Button(description="Train", icon="play")
        self.stop = widgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = widgets.FloatProgress(value=0.0, min=0.0, max=1.0)
        self.words = widgets.HTML()
        self.train.on_click(panel.guard(self._begin))
        self.stop.on_click(panel.guard(lambda _button: self.run.stop()))
        row = widgets.Layout(flex_flow="row wrap")
        title = widgets.HTML(
            "<b>A run of your own</b>: set the losses, press Train, and go on reading meanwhile."
        )
        sliders = [
            *self.weights.values(),
            *self.own_terms.values(),
            self.temperature,
            self.hardness,
            self.minutes,
        ]
        buttons = [self.start, self.train, self.stop, self.bar]
        self.box = widgets.VBox(
            [title, widgets.HBox(sliders, layout=row), widgets.HBox(buttons, layout=row), self.words]
        )

    def _begin(self, _button):
        weights = {term: slider.value for term, slider in self.weights.items()}
        recipe = fresh_recipe(
            self.start.value,
            self.minutes.value,
            weights=weights,
            own_terms={name: slider.value for name, slider in self.own_terms.items() if slider.value > 0},
            temperature=self.temperature.value,
            hardness=self.hardness.value,
        )
        folder = free_folder(self._output)
        self.train.disabled, self.stop.disabled = True, False  # before the start: a run may fail at once
        self.run.start(self.start.value, recipe, folder, **self._settings)

    def _report(self, share, words):
        self.bar.value, self.words.value = share, f'<div role="status">{escape(words)}</div>'

    def _done(self, run):
        self.train.disabled, self.stop.disabled = False, True
        self._report(1.0, f"{run!r}: in the comparison")
        self._add(run)

    def _failed(self, error):
        self.train.disabled, self.stop.disabled = False, True
        self._report(0.0, "The run ended with an error, which stands at the top.")
        self._panel.complain(error)


def _slider(value, low, high, step, name):
    import ipywidgets as widgets

    return widgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=name,
        style={"description_width": "10em"},
        layout=widgets.Layout(width="24em", max_width="100%"),
    )
