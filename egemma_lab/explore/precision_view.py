"""The widget over `precision_figure`: what widths, vectors and weights cost, and what they save."""

from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.precision_figure import (
    bytes_sentence,
    describe_precision,
    precision_figure,
    quality_table,
    redraw_precision,
)
from egemma_lab.explore.precision_panel import SettingPanel


def precision(model, texts=None, *, labels=None, questions=None, answers=None):
    """Quality against bytes, under any width, precision of the vectors and format of the weights.

    The figure holds all widths and precisions of the chosen weights, with a mark where you are; below it, every
    metric here and without any loss, and whether the questions suffice to tell them apart.

    model : an EmbeddingGemma, its name or folder; or the panel of `matryoshka`, to be linked with: the two then share
    texts, encodings and controls. texts, labels, questions, answers : as in `matryoshka`.

    Returns a panel that shows itself; `.setting` is where it stands. A weight format is encoded when it is first
    chosen, which takes seconds; after that every move is at once.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> texts = [f"text number {i}" for i in range(20)]
    >>> panel = precision(new_model("micro", train_tokenizer(texts, vocab_size=400)), texts)
    >>> panel.vectors.value = "binary"
    >>> str(panel.setting)
    'width 64, binary vectors, unrounded weights'
    """
    return PrecisionPanel(model, texts, {"labels": labels, "questions": questions, "answers": answers})


class PrecisionPanel(SettingPanel):
    """See `precision`; `live`: the figure, `table`: the numbers below it."""

    def __init__(self, source, texts, options):
        import ipywidgets as widgets

        super().__init__(source, texts, options)
        figure = precision_figure(self.bench, self.setting)
        self.live = live_figure(figure)
        self.table = widgets.HTML()
        self.lay_out(figure, self.watch(), self.live, self.table)
        self._tell()

    def describe(self):
        return describe_precision(self.bench, self.setting)

    def _redraw(self):
        with self.live.batch_update():
            redraw_precision(self.live, self.bench, self.setting, self.setting.weights != self._drawn)
        self._tell()

    def _tell(self):
        self._drawn = self.setting.weights
        self.say(bytes_sentence(self.bench, self.setting))
        self.table.value = quality_table(self.bench, self.setting)._repr_html_()
