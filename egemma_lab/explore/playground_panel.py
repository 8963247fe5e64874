"""The loss playground: points that the real losses move, two settings side by side, everything on a slider."""

from dataclasses import replace
from html import escape

import numpy as np

from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.panel import Panel
from egemma_lab.explore.playground_controls import SettingsBox
from egemma_lab.explore.playground_drawing import ABOVE, VIEW
from egemma_lab.explore.playground_figure import axis_ranges, moving, playground_figure, side_titles
from egemma_lab.explore.playground_frames import playground_page
from egemma_lab.explore.playground_motion import marks_moved
from egemma_lab.explore.playground_presets import PRESETS, find_preset
from egemma_lab.explore.playground_sides import OWN, advance, begin, describe, describe_both
from egemma_lab.explore.playground_world import SPACES
from egemma_lab.settings import sized

PAUSE = (
    40  # milliseconds after which the browser asks for the next picture, or later where drawing takes longer
)
WORDS_EVERY = 5  # pictures, while it plays: nobody reads faster
PACE = 4  # steps a picture, at the start
STARTS = 5  # seeds to choose from


def loss_playground(a="the paper's", b="collapse", *, space="circle", seed=0):
    """A few dozen points, moved by gradient steps of the losses that train the real model; A against B.

    Ten rows (query, positive, hard negative) start together in the narrow cone of an untrained network and move on
    the circle or the sphere, under two settings at once. Play, pause, step, reset; a preset or sliders for each side:
    weights of the three terms, temperature, hardness, batch size, learning rate, which negatives, the mask of
    duplicates, Matryoshka widths (on the sphere), and a weight for each loss term of your own that is registered
    (`egemma_lab.losses.register_term`). Below: the loss terms of each step, and geometry.

    Parameters: `a`, `b`, names of presets (`playground_presets.PRESETS`) or `playground.Settings`; `space`, "circle" or
    "sphere"; `seed`, which starting points and batches.

    Returns a `LossPlayground`, which shows itself at the end of a cell. Raises ValueError for unknown names.
    `playground_page` makes a figure that plays without a kernel.

    >>> playground = loss_playground("the paper's", "too cold", space="sphere")
    >>> playground.advance(20)
    >>> playground.history.query("side == 'B'")[["steps", "accuracy"]].to_dict("list")
    {'steps': [0, 20], 'accuracy': [0.4, 1.0]}
    """
    return LossPlayground(a, b, space, seed)


class LossPlayground(Panel):
    """See `loss_playground`. `sides` are A and B as they are now (`playground_sides.Side`), `history` all that was
    measured; `advance`, `load`, `restart` do what the controls do; `live` is the figure."""

    def __init__(self, a, b, space, seed):
        import ipywidgets as widgets

        self.sides = [begin(settings, space, seed) for settings in (a, b)]
        super().__init__(describe_both(self.sides))
        # of one height, so that nothing beside it moves while the words change
        self.message.layout = widgets.Layout(height="215px", overflow="auto")
        self.live = live_figure(playground_figure(self.sides))
        self._drawn = moving(self.sides)
        self._make_controls(widgets, space, seed)
        wrapping = widgets.Layout(flex_flow="row wrap", align_items="flex-start")
        above = [self.play, self.step_button, self.reset_button, *self.presets]
        self.box = widgets.VBox(
            [
                widgets.HBox(above, layout=wrapping),
                widgets.HBox([self.live, self._beside(widgets)], layout=wrapping),
            ]
        )
        self._words()

    def _make_controls(self, widgets, space, seed):
        narrow = {"layout": widgets.Layout(width="185px"), "style": {"description_width": "50px"}}
        wide = {
            "layout": widgets.Layout(width="370px", max_width="100%"),
            "style": {"description_width": "50px"},
        }
        preset_box = {"layout": widgets.Layout(width="260px"), "style": {"description_width": "20px"}}
        # the browser counts; it sends the next number when the kernel is idle and its own drawing done, so that
        # neither can fall behind
        self.play = widgets.Play(min=0, max=10**9, interval=PAUSE, show_repeat=False, description="Play")
        self._playing = "playing" if self.play.has_trait("playing") else "_playing"  # ipywidgets 8, and 7
        self.step_button = widgets.Button(description="Step", layout=widgets.Layout(width="70px"))
        self.reset_button = widgets.Button(description="Reset", layout=widgets.Layout(width="70px"))
        self.pace = widgets.IntSlider(value=PACE, min=1, max=20, description="pace", **wide)
        self.space = widgets.Dropdown(options=list(SPACES), value=space, description="space", **narrow)
        seeds = sorted({*range(STARTS), seed})
        self.seed = widgets.Dropdown(options=seeds, value=seed, description="start", **narrow)
        self.turn = widgets.IntSlider(
            value=int(VIEW[0]), min=-180, max=180, step=5, description="turn", **wide
        )
        self.tilt = widgets.IntSlider(
            value=int(VIEW[1]), min=0, max=int(ABOVE), step=5, description="tilt", **wide
        )
        self.presets, self.boxes = [], []
        for number, (letter, side) in enumerate(zip("AB", self.sides)):
            preset = widgets.Dropdown(
                options=[*PRESETS, OWN], value=side.name, description=letter, **preset_box
            )
            preset.observe(self.guard(lambda change, n=number: self._choose(n, change["new"])), names="value")
            self.presets.append(preset)
            self.boxes.append(SettingsBox(side.settings, self.guard(lambda new, n=number: self._set(n, new))))
        self.play.observe(self.guard(self._tick), names="value")
        self.play.observe(self.guard(lambda _: self._words()), names=self._playing)
        self.step_button.on_click(self.guard(lambda _: self.advance(1)))
        self.reset_button.on_click(self.guard(lambda _: self.restart()))
        for control in (self.space, self.seed):
            control.observe(self.guard(lambda _: self.restart()), names="value")
        for control in (self.turn, self.tilt):
            control.observe(self.guard(lambda _: self._draw()), names="value")
        self._fit_to_space()

    def _beside(self, widgets):
        """The column beside the figure."""
        tabs = widgets.Tab([box.box for box in self.boxes])
        for number, letter in enumerate("AB"):
            tabs.set_title(number, f"Settings of {letter}")
        rows = [
            self.message,
            tabs,
            widgets.HBox([self.space, self.seed]),
            self.pace,
            self.turn,
            self.tilt,
        ]
        return widgets.VBox(rows, layout=widgets.Layout(width="400px", max_width="100%"))

    @property
    def history(self):
        """All that was measured, a DataFrame: one row a picture and side."""
        import pandas as pd

        return pd.DataFrame(
            [{"side": letter, **row} for letter, side in zip("AB", self.sides) for row in side.history]
        )

    def advance(self, steps=1):
        """Take some gradient steps on both sides and draw."""
        self._advance(steps)
        self._words()

    def _advance(self, steps):
        self.sides = [advance(side, steps) for side in self.sides]
        self._draw()

    def load(self, letter, settings):
        """Give side "A" or "B" a preset, by its name, or `Settings` of your own; both sides start anew."""
        if letter not in ("A", "B"):
            raise ValueError(f"letter={letter!r} is not one of 'A', 'B'")
        number = "AB".index(letter)
        side = begin(settings, self.space.value, self.seed.value)
        self.sides[number] = side
        self.boxes[number].show(side.settings)
        self.presets[number].value = side.name
        self.restart()

    def restart(self):
        """Put all points back where they began, with the settings as they are."""
        self.sides = [
            replace(begin(side.settings, self.space.value, self.seed.value), name=side.name)
            for side in self.sides
        ]
        self._fit_to_space()
        self._draw()
        self._words()

    def complain(self, error):
        setattr(self.play, self._playing, False)
        super().complain(error)

    def _tick(self, change):
        if change["new"] < change["old"]:  # the stop button puts it back to 0
            self.restart()
            return
        self._advance(self.pace.value)
        if change["new"] % WORDS_EVERY == 0:
            self._words()

    def _choose(self, number, name):
        if name == self.sides[number].name:
            return
        if name == OWN:
            self._set(number, self.sides[number].settings)
        else:
            self.load("AB"[number], name)

    def _set(self, number, settings):
        """New settings for one side, whose points go on from where they are."""
        self.sides[number] = replace(self.sides[number], settings=settings, name=OWN)
        self.presets[number].value = OWN
        self._draw()
        self._words()

    def _fit_to_space(self):
        on_circle = self.space.value == "circle"
        for control in (self.turn, self.tilt, *(box.controls["matryoshka"] for box in self.boxes)):
            control.disabled = on_circle

    def _draw(self):
        view = (float(self.turn.value), float(self.tilt.value))
        changes = moving(self.sides, view)
        with marks_moved(self.live):
            for trace, change, drawn in zip(self.live.data, changes, self._drawn, strict=True):
                for name, value in change.items():
                    if not _same(value, drawn[name]):  # what stands still is not sent again
                        trace[name] = value
        with self.live.batch_update():  # sends nothing where nothing changes, as nearly always
            for axis, span in axis_ranges(self.sides).items():
                self.live.layout[axis].range = span
            for annotation, title in zip(self.live.layout.annotations, side_titles(self.sides)):
                annotation.text = title
        self._drawn = changes

    def _words(self):
        said = []
        for letter, side in zip("AB", self.sides):
            expected = "" if side.name == OWN else f" <i>{escape(find_preset(side.name).expect)}</i>"
            said.append(
                f'<p style="line-height: 1.35; margin: 0.4em 0"><b>{letter}</b>{expected} {escape(describe(side))}</p>'
            )
        # announced to screen readers, but not ten times a second
        role = "" if getattr(self.play, self._playing) else ' role="status"'
        self.message.value = f"<div{role}>{''.join(said)}</div>"

    def _ipython_display_(self):
        # what stays in a saved notebook plays without a kernel
        self.figure = playground_page(
            *(side.settings if side.name == OWN else side.name for side in self.sides),
            space=self.space.value,
            seed=self.seed.value,
            steps=sized(160, 8),
        )
        self.alt = self.figure.layout.meta["alt"]
        super()._ipython_display_()


def _same(values, others):
    if isinstance(values, list):
        return values == others
    return np.array_equal(values, others, equal_nan=True)
