"""The widget over `find_flips` and `flips_figure`: the change, the number of neighbours and the text to be moved."""

from collections.abc import Mapping

from egemma_lab.explore.flips_data import find_flips, text_neighbours
from egemma_lab.explore.flips_figure import describe_flips, flips_figure, redraw_flips
from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.panel import Panel
from egemma_lab.explore.tables import Table

OFFERED = 500  # texts in the list to choose from, those that lose most; of the others, type a part


def flips(before, after, texts=None, *, k=10, name="the change"):
    """Which texts lose or gain neighbours between two versions of a space, and whether margins told so before.

    Left, one text: the ranks of its neighbours before and after, those that were lost and those that came in. Right,
    all texts: how many neighbours each loses, and the share that flips against the margin (how far the neighbour's
    cosine lay from the edge of the neighbourhood) with 95% intervals. Below, the left panel as a table of texts.

    before : (n, d) vectors. after : (n, e) vectors, row i the same text; or a mapping of names to such arrays, the
    changes to choose from, as `{"width 64": vectors[:, :64], "int4 weights": rounded.encode(texts)}`. texts : n
    strings (default: the rows' numbers). k : neighbours, to begin with. name : what a single change is called.

    Returns a panel that shows itself; `.flips` is the `Flips` on show, `.table` the widget below. ValueError where
    rows do not fit together, or k is not possible.

    >>> import numpy as np
    >>> vectors = np.random.default_rng(0).normal(size=(40, 16))
    >>> panel = flips(vectors, {"width 8": vectors[:, :8], "width 4": vectors[:, :4]}, k=5)
    >>> panel.change.value = "width 4"
    >>> panel.k.value = 3
    """
    changes = after if isinstance(after, Mapping) else {name: after}
    if not changes:
        raise ValueError("after is an empty mapping: give at least one array of vectors")
    if texts is not None and len(texts) != len(before):
        raise ValueError(f"{len(before)} vectors but {len(texts)} texts: one each is needed")
    return FlipsPanel(before, dict(changes), None if texts is None else list(texts), k)


class FlipsPanel(Panel):
    """See `flips`. Controls: `change`, `k`, `text`; `live`: the figure; `row`: the text on the left."""

    def __init__(self, before, changes, texts, k):
        import ipywidgets as widgets

        self._before, self._changes, self._found, self.texts = before, changes, {}, texts
        first = next(iter(changes))
        found = self._find(first)
        if not 1 <= k <= found.most:
            raise ValueError(f"k={k} neighbours: with {len(before)} texts it lies between 1 and {found.most}")
        super().__init__(describe_flips(found, k, first))
        lost = found.lost(k)
        order = found.rows[(-lost).argsort(kind="stable")]
        self.row = int(order[0])
        self.change = widgets.Dropdown(options=list(changes), value=first, description="change")
        self.k = widgets.IntSlider(
            value=k, min=1, max=found.most, description="neighbours", layout=widgets.Layout(max_width="100%")
        )
        self.text = widgets.Combobox(
            value=self._name(self.row),
            options=list(dict.fromkeys(self._name(row) for row in order[:OFFERED])),
            description="text",
            continuous_update=False,
            layout=widgets.Layout(width="640px", max_width="98%"),
        )
        self.table = widgets.HTML()
        figure = flips_figure(found, self.row, k, texts=texts, name=first)
        self.live = live_figure(figure)
        self.change.observe(self.guard(self._redraw), names="value")
        self.k.observe(self.guard(self._redraw), names="value")
        self.text.observe(self.guard(self._choose), names="value")
        row = widgets.HBox([self.change, self.k], layout=widgets.Layout(flex_flow="row wrap"))
        self.lay_out(figure, widgets.VBox([row, self.text]), self.live, self.table)
        self._tell()

    @property
    def flips(self):
        """The `Flips` on show."""
        return self._find(self.change.value)

    def _find(self, name):
        if name not in self._found:
            self._found[name] = find_flips(self._before, self._changes[name])
        return self._found[name]

    def _name(self, row):
        return str(row) if self.texts is None else self.texts[row]

    def _choose(self, change):
        self.row = find_row(change["new"], self.texts, len(self._before))
        if self._name(self.row) != change["new"]:
            self.text.value = self._name(self.row)  # which calls this again
            return
        self._redraw(whole=False)

    def _redraw(self, _change=None, whole=True):
        with self.live.batch_update():
            redraw_flips(
                self.live,
                self.flips,
                self.row,
                self.k.value,
                texts=self.texts,
                name=self.change.value,
                whole=whole,
            )
        self._tell(whole)

    def _tell(self, whole=True):
        k = self.k.value
        if whole or not self.message.value:
            self.say(describe_flips(self.flips, k, self.change.value))
        self.table.value = neighbour_table(self.flips, self.row, k, self.texts)._repr_html_()


def neighbour_table(flips, row, k, texts=None):
    """`text_neighbours` to be read: a `Table` with the neighbours' texts, and a sign before each change.

    >>> import numpy as np
    >>> before = np.array([[1.0, 0.0], [0.9, 0.1], [0.6, 0.4], [0.0, 1.0]])
    >>> table = neighbour_table(find_flips(before, before), 0, 1, ["a", "b", "c", "d"])
    >>> print(repr(table).replace(chr(160), " "))  # blanks that do not break a line
    Neighbours of “a”
    change text  rank before  rank after  cosine before  cosine after  margin before
    = kept    b            1           1          0.994         0.994          0.162
    """
    found = text_neighbours(flips, row, k)
    signs = {"kept": "=\u00a0kept", "lost": "▼\u00a0lost", "gained": "▲\u00a0gained"}  # on one line
    shown = found.assign(
        change=found["change"].map(signs),
        text=[f"text {i}" if texts is None else " ".join(texts[i].split()) for i in found["neighbour"]],
    )
    names = {"similarity_before": "cosine before", "similarity_after": "cosine after"}
    names |= {name: name.replace("_", " ") for name in ("rank_before", "rank_after", "margin_before")}
    columns = ["change", "text", "rank_before", "rank_after", *list(names)[:2], "margin_before"]
    title = f"text {row}" if texts is None else f"“{' '.join(texts[row].split())}”"
    return Table(shown[columns].rename(columns=names), f"Neighbours of {title}", digits=3)


def find_row(wanted, texts, count):
    """The row of a text, or of the first that contains it whatever the case; without texts, of its number.

    >>> find_row("moon", ["The sun.", "A moon."], 2)
    1
    """
    if texts is None:
        if not (wanted.isdigit() and int(wanted) < count):
            raise ValueError(f"text {wanted!r}: there are no texts here, give a row from 0 to {count - 1}")
        return int(wanted)
    if wanted in texts:
        return texts.index(wanted)
    part = wanted.strip().casefold()
    rows = [row for row, text in enumerate(texts) if part and part in text.casefold()]
    if not rows:
        raise ValueError(f"no text contains {wanted!r}: choose one from the list, or type a part of one")
    return rows[0]
