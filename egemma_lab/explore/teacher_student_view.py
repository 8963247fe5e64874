"""Teacher and student in a widget: what the student has learnt of the teacher's similarities, and who finds what."""

import numpy as np

from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.panel import Panel
from egemma_lab.explore.style import heading
from egemma_lab.explore.tables import Table
from egemma_lab.explore.teacher_student_data import as_taught
from egemma_lab.explore.teacher_student_figure import (
    agreement_changes,
    agreement_figure,
    agreement_headline,
    make_agreement,
)
from egemma_lab.explore.teacher_student_measures import search_table

PAUSE = 300  # milliseconds a moment while it plays


def teacher_student(student=None, teacher=None, texts=None):
    """A student beside its teacher: every pair's similarity, over training, and what search with both finds.

    Parameters: `student`, a `Run` or its folder, a recorded training (a `Replay`, its folder, None for the bundled
    nano's), or a model such as `lab.load_model("nano")`, which has one moment; `teacher`, a `Teacher` or the name of
    one (default: the run's, else all-MiniLM-L6-v2); `texts`, for a model: strings, or rows with "text" and perhaps
    "label" and "role" ("query" or "document"; default: the bundled probe). A run brings its own texts.

    Left, how many pairs have which cosines: on the dashed line both agree. Right, the rank correlation by kind of
    pair, and how far queries and documents lie from where the teacher has them: a loss that matches only one of the
    two leaves the other behind, as far as its line stays above. Below, who finds what, among queries and documents
    that belong together: documents by the teacher and queries by the student is the asymmetric search.

    Returns a `TeacherStudent`, which shows itself at the end of a cell. Raises TypeError for a run with texts or
    what is no run, ValueError for fewer than three texts, and what `load_teacher` raises.
    """
    return TeacherStudent(as_taught(student, teacher, texts))


class TeacherStudent(Panel):
    """See `teacher_student`. `moment`, `play` and `kind` are the controls, `live` the figure, `table` who finds what,
    `found` the same as a DataFrame, or None where no text answers another."""

    def __init__(self, taught):
        import ipywidgets as widgets

        self.taught, self.agreement = taught, make_agreement(taught)
        last = len(taught.names) - 1
        super().__init__(_describe(self.agreement, last))
        figure = agreement_figure(self.agreement, last)
        self.live = live_figure(figure)
        self._moving = self.live.data[-len(agreement_changes(self.agreement, last)) :]
        wide = widgets.Layout(width="420px", max_width="100%")
        self.play = widgets.Play(value=last, min=0, max=last, interval=PAUSE)
        self.moment = widgets.IntSlider(value=last, min=0, max=last, description="moment", layout=wide)
        self.kind = widgets.Dropdown(options=list(self.agreement.pairs), description="pairs of")
        self.table = widgets.HTML()
        widgets.jslink((self.play, "value"), (self.moment, "value"))
        for control in (self.moment, self.kind):
            control.observe(self.guard(self._redraw), names="value")
        controls = [self.play, self.moment, self.kind] if last else [self.kind]
        row = widgets.HBox(controls, layout=widgets.Layout(flex_flow="row wrap"))
        self.lay_out(figure, row, self.live, self.table)
        self._redraw()

    def _redraw(self, _change=None):
        moment, kind = self.moment.value, self.kind.value
        with self.live.batch_update():
            for trace, change in zip(
                self._moving, agreement_changes(self.agreement, moment, kind), strict=True
            ):
                trace.update(change)
            self.live.layout.title.text = heading(*agreement_headline(self.agreement, moment, kind))
        self.found = who_finds_what(self.taught, moment)
        self.say(self.taught.how)
        if self.found is None:
            self.table.value = "<p>No text is known to answer another one here, so nothing is searched.</p>"
        else:
            caption = (
                f"{len(set(self.taught.answers[:, 0]))} queries look for the documents that answer them among "
                f"{self.taught.roles.count('document')}, {self.taught.names[moment]}"
            )
            self.table.value = Table(self.found, caption)._repr_html_()


def who_finds_what(taught, moment):
    """`search_table` of a moment; None where no text answers another, or the two share no space."""
    if not len(taught.answers) or taught.shared is None:
        return None
    queries = np.unique(taught.answers[:, 0])
    documents = [row for row, role in enumerate(taught.roles) if role == "document"]
    relevant = [set(taught.answers[taught.answers[:, 0] == query, 1].tolist()) for query in queries]
    return search_table(taught.shared[moment], taught.targets, taught.teacher, queries, documents, relevant)


def _describe(agreement, moment):
    return (
        f"Density of {len(agreement.pairs['all']):,} pairs of texts, the student's cosine over the teacher's, with the "
        f"line on which both agree; right, rank correlation by kind of pair, and distance from the teacher's vectors, "
        f"over {len(agreement.taught.names)} moments. At the last one Spearman's correlation is "
        f"{agreement.order['all'][moment]:.2f}."
    )
