"""Two maps of the same texts in a widget: what is drawn around on one stands out on both."""

from html import escape

import numpy as np

from egemma_lab.explore.compare_runs_data import texts_in_common, togetherness
from egemma_lab.explore.compare_runs_linked import linked_maps, make_side
from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.replay_film import FEWEST
from egemma_lab.explore.tables import Table

LISTED = 12  # chosen texts that are written out


class LinkedMaps:
    """Controls `left` and `right` (values: (a run's name, "start" or "end")) and `word`, for who cannot draw: a part of
    a text or label; the `figure`, and `found`, words on what is chosen; all in `box`. `texts` are those that both runs
    have, `chosen` the rows of them that stand out.

    guard: what callbacks are wrapped in, `Panel.guard`.
    """

    def __init__(self, runs, guard):
        import ipywidgets as widgets

        self._guard = guard
        self._setting = False  # while it is True, it is not the learner who moves the controls
        self.texts, self.labels, self.chosen = [], [], []
        self._on_left = []
        style = {"description_width": "initial"}
        self.left = widgets.Dropdown(description="left map", style=style)
        self.right = widgets.Dropdown(description="right map", style=style)
        self.figure, self.found = live_figure({}), widgets.HTML()
        self.word = widgets.Text(
            description="texts or labels with",
            continuous_update=False,
            style=style,
            placeholder="part, then Enter",
        )
        choices = widgets.HBox(
            [self.left, self.right, self.word], layout=widgets.Layout(flex_flow="row wrap")
        )
        self.box = widgets.VBox([choices, self.figure, self.found])
        self.offer(runs)
        for control in (self.left, self.right):
            control.observe(guard(self.draw), names="value")
        self.word.observe(guard(self._search), names="value")

    def offer(self, runs):
        """Let the maps be chosen among the beginnings and ends of these runs; what was chosen stays.

        At first the left one shows how the first run began, the right one how the last run ended that has its texts.
        """
        self._films = {run.name: run.film for run in runs if run.film is not None}
        self.box.layout.display = "none" if not self._films else None
        if not self._films:
            return
        ends = [(name, end) for name in self._films for end in ("start", "end")]
        first, *others = self._films
        related = [name for name in others if self._in_common(first, name) >= FEWEST]
        defaults = (first, "start"), ([first, *related][-1], "end")
        self._setting = True
        for control, default in zip((self.left, self.right), defaults):
            chosen = control.value if control.value in ends else default
            control.options = [(", ".join(end), end) for end in ends]
            control.value = chosen
        self._setting = False
        self.draw()

    def _in_common(self, *names):
        return len(texts_in_common(*(self._films[name] for name in names))[0])

    def draw(self, _change=None):
        """Both maps anew, with nothing chosen."""
        if self._setting:
            return
        ends = self.left.value, self.right.value
        films = [self._films[name] for name, _ in ends]
        rows = texts_in_common(*films)
        if len(rows[0]) < FEWEST:
            raise ValueError(
                f"{ends[0][0]!r} and {ends[1][0]!r} have {len(rows[0])} texts in common, and two maps need {FEWEST}: "
                "give runs the same lab.train(..., probe=texts)"
            )
        self.names = [", ".join(end) for end in ends]
        self.vectors = [
            film.vectors[0 if end == "start" else -1][each] for film, (_, end), each in zip(films, ends, rows)
        ]
        self.texts = [films[0].texts[row] for row in rows[0]]
        self.labels = [films[0].labels[row] for row in rows[0]]
        self._forget_word()
        self.chosen, self.found.value = [], ""
        fresh = linked_maps(*map(make_side, self.names, self.vectors), self.labels, self.texts)
        with self.figure.batch_update():
            self.figure.data = ()
            self.figure.add_traces(fresh.data)
            self.figure.layout = fresh.layout
        left, right = self.figure.data[:2]
        left.on_selection(self._guard(self._drawn_on_left))
        right.on_selection(self._guard(self._drawn))
        right.on_deselect(self._guard(lambda *_: self._drawn_around(())))

    # Whatever is drawn on either map, plotly calls every trace, in their order: those of the other map with no points.
    # It also chooses these points, or none, on each of them.
    def _drawn_on_left(self, _trace, points, _selector):
        self._on_left = list(points.point_inds)

    def _drawn(self, _trace, points, selector):
        if selector is None:  # not drawn: plotly 5 says so when a drawing is taken away
            self._mark()
            return
        self._rub_out()
        self._drawn_around(self._on_left + list(points.point_inds))

    def _rub_out(self):
        """Take away what was drawn: plotly would choose what is inside it again whenever it draws anew.

        Of the drawing Python is not told, and it sends what changes only: so first another one, of no extent.
        """
        self.figure.layout.selections = [{"type": "rect", "x0": 0, "x1": 0, "y0": 0, "y1": 0}]
        self.figure.layout.selections = ()

    def _drawn_around(self, rows):
        self._forget_word()
        self.choose(rows)

    def _search(self, change):
        if self._setting:
            return
        part = change["new"].strip().casefold()
        both = [f"{label}\n{text}".casefold() for label, text in zip(self.labels, self.texts)]
        rows = [row for row, said in enumerate(both) if part and part in said]
        if part and not rows:
            raise ValueError(f"none of the {len(both)} texts and of their labels contains {change['new']!r}")
        self.choose(rows)

    def _forget_word(self):
        self._setting = True
        self.word.value = ""
        self._setting = False

    def choose(self, rows):
        """Let these rows of `texts` stand out on both maps, as drawing around them does; none frees all."""
        self.chosen = np.unique(np.asarray(rows, dtype=np.int64))
        self._mark()
        self.found.value = self._words() if len(self.chosen) else ""

    def _mark(self):
        # Only a change is sent, and the browser may by now show less than Python knows of: first none, then these.
        for selected in ((), self.chosen if len(self.chosen) else None):
            with self.figure.batch_update():
                for trace in self.figure.data[:2]:
                    trace.selectedpoints = selected

    def _words(self):
        import pandas as pd

        said = f"{len(self.chosen)} of {len(self.texts)} texts."
        if len(self.chosen) > 1:
            shares = [
                f"{togetherness(each, self.chosen):.0%} ({name})"
                for name, each in zip(self.names, self.vectors)
            ]
            said += f" Of the texts nearest to one of them, so many are others of them: {', '.join(shares)}."
        listed = self.chosen[:LISTED]
        table = pd.DataFrame(
            {"label": [self.labels[i] for i in listed], "text": [self.texts[i] for i in listed]}
        )
        return f"<p>{escape(said)}</p>{Table(table)._repr_html_()}"
