"""The widget over `matryoshka_figure`: the space under width, precision and rounded weights."""

import functools
import threading

from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.matryoshka_figure import (
    LETTERS,
    choose_texts,
    describe_matryoshka,
    matryoshka_figure,
    redraw_matryoshka,
)
from egemma_lab.explore.matryoshka_maps import KINDS, Maps
from egemma_lab.explore.precision_panel import SettingPanel

MAKING = "Making UMAP maps, a minute the first time. The plane is shown, and the controls go on working, meanwhile."


def matryoshka(model, texts=None, *, labels=None, questions=None, answers=None, compare=None):
    """The space of some texts while its vectors get shorter, coarser, or come from rounded weights.

    Left a map of the texts, turned towards that of the full vectors, so that what moves has moved. A small point is
    one that few of its neighbours lie beside: there the map misleads. A pale one has lost most of the neighbours that
    the full vectors give it: there the space has changed. Right, the cosines of a few texts.

    model : an EmbeddingGemma, its name or folder; or a panel of `precision`, to be linked with. texts : strings
    (default: the 800 of `topic_corpus` and its 40 questions). labels : what groups them. questions, answers : for each
    question the rows of texts that answer it, as a list or as {row: grade}; without them each text asks for its own
    true neighbours. compare : rows of up to twelve texts for the right side (default: two of each of four labels).

    Controls: width; vectors (how they are stored and searched); weights; the map, a plane at once or UMAP, which
    shows more neighbours and takes a minute the first time. `precision(panel)` gives the costs of the same setting,
    linked. Returns a panel that shows itself.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> texts = [f"text number {i}" for i in range(20)]
    >>> panel = matryoshka(new_model("micro", train_tokenizer(texts, vocab_size=400)), texts)
    >>> panel.width.value = 32
    >>> "32" in panel.live.layout.title.text
    True
    """
    options = {"labels": labels, "questions": questions, "answers": answers}
    return MatryoshkaPanel(model, texts, options, compare)


class MatryoshkaPanel(SettingPanel):
    """See `matryoshka`; `kind`: the menu of maps, `live`: the figure, `maps`: the `Maps`; `job`: the thread that makes
    UMAP maps, None before the first."""

    def __init__(self, source, texts, options, compare):
        import ipywidgets as widgets

        super().__init__(source, texts, options)
        self.job = None
        self.shown = choose_texts(self.bench.labels) if compare is None else list(compare)
        if not 1 <= len(self.shown) <= len(LETTERS) or not all(
            0 <= i < len(self.bench.texts) for i in self.shown
        ):
            raise ValueError(
                f"compare={compare!r}: give 1 to {len(LETTERS)} rows of texts, from 0 to {len(self.bench.texts) - 1}"
            )
        self.kind = widgets.Dropdown(
            options=[(name, kind) for kind, name in KINDS.items()], description="map"
        )
        figure = matryoshka_figure(self.maps, self.setting, self.shown)
        self.live = live_figure(figure)
        self.lay_out(figure, self.watch(self.kind), self.live)
        self.say(self.describe())

    @functools.cached_property
    def maps(self):
        return Maps(self.bench)

    def describe(self):
        return describe_matryoshka(self.maps, self.setting)

    def _redraw(self):
        setting, wanted = self.setting, self.kind.value
        kind = wanted if self.maps.has(wanted, setting.weights) else "plane"
        with self.live.batch_update():
            redraw_matryoshka(self.live, self.maps, setting, self.shown, kind)
        self.say(describe_matryoshka(self.maps, setting, kind) if kind == wanted else MAKING)
        if kind != wanted and (self.job is None or not self.job.is_alive()):
            self.job = threading.Thread(target=self._make, args=(setting.weights,), name="umap", daemon=True)
            self.job.start()

    def _make(self, weights):
        """In a thread of its own: UMAP maps under these weights. An error is shown, and the map is the plane again."""
        try:
            self.maps.make_umap(weights)
        except Exception as error:
            self.kind.value = "plane"
            self.complain(error)
            return
        self.job = None
        self.guard(self._redraw)()
