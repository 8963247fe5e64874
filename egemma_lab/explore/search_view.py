"""The widget over `Searcher` and `ResultLists`: one question, up to four ways to search."""

from egemma_lab.evaluate.contestants import opened
from egemma_lab.explore.displayed import show_widget
from egemma_lab.explore.panel import Panel
from egemma_lab.explore.search_data import Searcher, default_settings
from egemma_lab.explore.search_table import ResultLists
from egemma_lab.explore.search_texts import corpus_of

LISTS = 4
NONE = "(none)"


def search(model, texts=None, settings=None, *, question=None, questions=None, answers=None, k=10):
    """One question, the results of two to four ways to search beside each other: what moves, what it costs.

    Against the first list, arrows say how many ranks a text gained or lost. Above each list stand what is stored, its
    bytes, and the milliseconds for the question's vector and for the search; below it, what of the first list is gone.
    Where it is known what answers a question, answers are marked and each list has its nDCG.

    model : an EmbeddingGemma, its name or folder. texts : strings; "python-docs" (1,000 functions of installed
    packages, mined when first used); default: the 800 short texts of `topic_corpus`. settings : `SearchSetting`s to
    choose from, the first four on show (default: full, cut, in bits with and without a second look; also int8, without
    prompts, and the teacher MiniLM). question : to begin with (default: the first that is known, else the first text).
    questions, answers : for texts of your own, as in `matryoshka`. k : results, to begin with.

    Controls: the question (type any, Enter to ask, or choose a known one), the settings of the lists, the number of
    results. Returns a panel that shows itself; `.lists` is the `ResultLists` on show. The texts are encoded once a
    model, when it is first asked.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> texts = ["the moon orbits the earth", "bread rises in the oven", "a comet passes the sun"]
    >>> panel = search(new_model("micro", train_tokenizer(texts, vocab_size=400)), texts, k=2)
    >>> panel.question.value = "what passes the sun?"
    >>> len(panel.lists.found), panel.lists.found[0].k
    (4, 2)
    """
    return SearchPanel(opened(model), texts, settings, question, questions, answers, k)


class SearchPanel(Panel):
    """See `search`. Controls: `question`, `choices` (a menu a list), `k`; `table`: the widget with the lists."""

    def __init__(self, model, texts, settings, question, questions, answers, k):
        import ipywidgets as widgets

        self.texts, self.questions, self.qrels = corpus_of(texts, questions, answers)
        settings = list(default_settings(model) if settings is None else settings)
        self.settings = {each.name: each for each in settings}
        if len(self.settings) != len(settings) or len(settings) < 2:
            raise ValueError(
                f"settings {[each.name for each in settings]}: give at least two, each with a name of its own"
            )
        if not 1 <= k <= len(self.texts):
            raise ValueError(
                f"k={k} results: with {len(self.texts)} texts it lies between 1 and {len(self.texts)}"
            )
        self.searcher = Searcher(self.texts)
        if question is None:
            question = self.questions[0] if self.questions else self.texts[0]
        style, wide = {"description_width": "initial"}, widgets.Layout(width="98%")
        self.question = widgets.Combobox(
            value=question,
            options=list(dict.fromkeys(self.questions)),
            description="question (Enter to ask)",
            continuous_update=False,
            style=style,
            layout=wide,
        )
        names = list(self.settings)
        self.choices = [
            widgets.Dropdown(
                options=names if i < 2 else [NONE, *names],
                value=names[i] if i < len(names) else NONE,
                description=f"list {i + 1}",
                layout=widgets.Layout(width="260px"),
            )
            for i in range(LISTS)
        ]
        self.k = widgets.IntSlider(value=k, min=1, max=min(30, len(self.texts)), description="results")
        self.table = widgets.HTML(layout=widgets.Layout(width="98%"))
        super().__init__("")
        for control in (self.question, *self.choices, self.k):
            control.observe(self.guard(self._redraw), names="value")
        row = widgets.HBox([*self.choices, self.k], layout=widgets.Layout(flex_flow="row wrap"))
        self.lay_out(None, widgets.VBox([self.question, row]), self.table)
        self._redraw()
        self.alt = self.lists.alt

    @property
    def shown(self):
        """The settings on show, in order."""
        return [self.settings[choice.value] for choice in self.choices if choice.value != NONE]

    def _redraw(self, _change=None):
        found = []
        for setting in self.shown:
            if not self.searcher.knows(setting):
                self.say(f"Encoding {len(self.texts):,} texts for “{setting.name}”, once …")
            found.append(self.searcher.ask(self.question.value, setting, self.k.value))
        self.lists = ResultLists(found, self.texts, self.question.value, self._relevant())
        self.table.value = self.lists._repr_html_()
        self.say(f"{len(self.texts):,} texts. Times are of this machine, one question at a time.")

    def _relevant(self):
        """{row: grade} of the question on show, None where it is not one of the known ones."""
        if not self.qrels or self.question.value not in self.questions:
            return None
        graded = self.qrels[str(self.questions.index(self.question.value))]
        return {int(row): grade for row, grade in graded.items()}

    def _ipython_display_(self):
        data = {"text/html": self.lists._repr_html_(), "text/plain": repr(self.lists)}
        show_widget(self.box, data, {"alt": self.alt})
