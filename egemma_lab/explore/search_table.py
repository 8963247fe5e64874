"""Result lists beside each other as one HTML table, with what moved between them."""

from html import escape

import numpy as np

MISSED = 3  # texts of the first list that are named where they fell out of another
LETTERS, SHORTER = 140, 60  # of a text that are shown; of one that fell out
UP, DOWN, NEW = "#0072B2", "#D55E00", "#009E73"  # they hold on white and on dark; sign and words say the same
GRADES = {0: "", 1: "◐ in part", 2: "● answer"}


class ResultLists:
    """Lists of the same question, the first of which the others are compared with: shown as a table.

    found : `Found` of two or more settings, from `Searcher.ask`. texts : all texts. question : what was asked.
    relevant : {row: grade} of the texts that answer it, where that is known; they get a mark, and each list its nDCG.

    In JupyterLab, Colab and on GitHub it is a table; `repr` is plain text; `.alt` says in two sentences what moved.
    """

    def __init__(self, found, texts, question, relevant=None):
        self.found, self.texts, self.question = list(found), texts, question
        self.relevant = relevant or {}
        if not self.found:
            raise ValueError("no lists to show: ask at least one setting")

    def rows(self):
        """One list of cells a rank: each (row of the text, how it moved, grade), None where a list has ended.

        How it moved: ranks gained (above 0) or lost (below 0) against the first list; None where that one does not
        hold it among all it looked at.
        """
        before = self.found[0].places()
        table = []
        for rank in range(1, max(each.k for each in self.found) + 1):
            cells = []
            for each in self.found:
                if rank > each.k:
                    cells.append(None)
                    continue
                row = int(each.ids[rank - 1])
                moved = before[row] - rank if row in before else None
                cells.append((row, moved, self.relevant.get(row, 0)))
            table.append(cells)
        return table

    def missing(self, each):
        """Texts of the first list that this one lacks: [(row, rank in the first list, rank here or None)]."""
        first, places = self.found[0], each.places()
        shown = set(each.ids[: each.k].tolist())
        return [
            (int(row), rank, places.get(int(row)))
            for rank, row in enumerate(first.ids[: first.k], start=1)
            if int(row) not in shown
        ]

    def quality(self, each):
        """nDCG of the shown results, where it is known what answers the question; else None."""
        if not any(self.relevant.values()):
            return None
        from egemma_lab.evaluate.retrieval import measure

        run = {str(row): each.k - rank for rank, row in enumerate(each.ids[: each.k].tolist())}
        qrels = {"question": {str(row): grade for row, grade in self.relevant.items()}}
        metric = f"nDCG@{each.k}"
        return measure(qrels, {"question": run}, [metric])[metric]["question"]

    @property
    def alt(self):
        """The table in words."""
        first = self.found[0]
        top = f"{len(self.found)} result lists for “{self.question}”; {first.setting.name} has first: "
        shares = [
            f"{each.setting.name} shows {len(np.intersect1d(each.ids[: each.k], first.ids[: first.k]))} of its "
            f"{first.k} results"
            for each in self.found[1:]
        ]
        return "; ".join([top + self._text(first.ids[0]), *shares]) + "."

    def _text(self, row, letters=LETTERS):
        text = " ".join(self.texts[int(row)].split())
        return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"

    def __repr__(self):
        lines = [f"“{self.question}”"]
        for column, each in enumerate(self.found):
            lines.append(f"{each.setting.name}: {costs(each)}")
            for rank, cells in enumerate(self.rows(), start=1):
                if cells[column] is not None:
                    row, moved, grade = cells[column]
                    signs = " ".join(
                        filter(None, (movement(moved)[0] if column else "", GRADES.get(grade, GRADES[2])))
                    )
                    lines.append(f"{rank:3}. {self._text(row)}" + (f"  [{signs}]" if signs else ""))
        return "\n".join(lines)

    def _repr_html_(self):
        heads = "".join(f'<th scope="col" style="{_CELL}">{self._head(each)}</th>' for each in self.found)
        body = "".join(
            f'<tr><th scope="row" style="{_CELL}">{rank}</th>'
            + "".join(self._cell(cell, column) for column, cell in enumerate(cells))
            + "</tr>"
            for rank, cells in enumerate(self.rows(), start=1)
        )
        fell = "".join(f'<td style="{_CELL}">{self._fallen(each)}</td>' for each in self.found[1:])
        foot = (
            f'<tfoot><tr><th scope="row" style="{_CELL}">out</th><td></td>{fell}</tr></tfoot>' if fell else ""
        )
        caption = (
            f"“{escape(self.question)}” Arrows: ranks gained or lost against the first list; in the last line, what "
            "of it is out, and from which rank to which."
        )
        return (
            f'<table style="table-layout: fixed; width: 100%; border-collapse: collapse; line-height: 1.4">'
            f'<caption style="text-align: left">{caption}</caption><colgroup><col style="width: 3.5em"></colgroup>'
            f'<thead><tr><th scope="col" style="{_CELL}"><span title="rank">#</span></th>{heads}</tr></thead>'
            f"<tbody>{body}</tbody>{foot}</table>"
        )

    def _head(self, each):
        quality = self.quality(each)
        judged = "" if quality is None else f"<br>nDCG@{each.k} {quality:.2f}"
        name = escape(each.setting.name)
        return f'{name}<br><span style="font-weight: normal">{escape(costs(each))}{judged}</span>'

    def _cell(self, cell, column):
        if cell is None:
            return f'<td style="{_CELL}"></td>'
        row, moved, grade = cell
        mark = _mark(moved) if column else ""
        answer = f" <b>{GRADES.get(grade, GRADES[2])}</b>" if grade else ""
        return f'<td style="{_CELL}">{mark}{escape(self._text(row))}{answer}</td>'

    def _fallen(self, each):
        gone = self.missing(each)
        said = [
            _coloured(f"▼ {before} → {'beyond' if here is None else here} {self._text(row, SHORTER)}", DOWN)
            for row, before, here in gone[:MISSED]
        ]
        if len(gone) > MISSED:
            said.append(f"and {len(gone) - MISSED} more")
        return "<br>".join(said) or "none"


_CELL = (
    "text-align: left; vertical-align: top; white-space: normal; overflow-wrap: anywhere; padding: 3px 8px"
)


def costs(found):
    """What a list cost: width and precision, time, memory.

    >>> import numpy as np
    >>> from egemma_lab.explore.search_data import Found, SearchSetting
    >>> costs(Found(SearchSetting("", None, 64, "binary"), np.array([0]), np.array([1.0]), 5.04, 0.2, 6400, 64, 1))
    '64 × binary, 6.4 kB; 5.0 ms to encode, 0.20 ms to search'
    """
    setting = found.setting
    finer = f" + {setting.rescore_precision}" if setting.rescore_precision else ""
    size = f"{found.nbytes / 1e6:.2f} MB" if found.nbytes >= 1e6 else f"{found.nbytes / 1e3:.1f} kB"
    return (
        f"{found.width} × {setting.precision}{finer}, {size}; {found.encode_ms:.1f} ms to encode, "
        f"{found.search_ms:.2f} ms to search"
    )


def movement(moved):
    """How a text moved, as a sign and in words.

    >>> movement(2), movement(0), movement(None)
    (('▲ 2', 'up 2 ranks'), ('=', 'same rank'), ('★ new', 'not in the first list'))
    """
    if moved is None:
        return "★ new", "not in the first list"
    if moved == 0:
        return "=", "same rank"
    ranks = f"{abs(moved):,} rank{'s' * (abs(moved) != 1)}"
    return (f"▲ {moved:,}", f"up {ranks}") if moved > 0 else (f"▼ {-moved:,}", f"down {ranks}")


def _mark(moved):
    sign, words = movement(moved)
    colour = NEW if moved is None else UP if moved > 0 else DOWN if moved < 0 else "inherit"
    return f'<b role="img" aria-label="{words}" title="{words}">{_coloured(sign, colour)}</b> '


def _coloured(words, colour):
    """Colour for the sign at the beginning alone: letters in it would be too faint on white or on a dark page."""
    return f'<span style="color: {colour}">{words[0]}</span>{escape(words[1:])}'
