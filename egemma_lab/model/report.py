"""A table of checks, as text and as HTML."""

import html
from typing import NamedTuple


class Check(NamedTuple):
    """One line of a report: what was looked at, whether it is right, what was found and what was expected."""

    check: str
    ok: bool
    found: str
    expected: str


_HEAD = ("ok", "check", "found", "expected")


def _cells(row):
    return ("yes" if row.ok else "NO", row.check, row.found, row.expected)


class Report:
    """Checks in their order. `ok`: all of them are; `rows`: the Check tuples; prints as a table.

    >>> print(Report([Check("length", True, "1.000", "1"), Check("dtype", False, "float16", "float32")]))
    ok   check   found    expected
    yes  length  1.000    1
    NO   dtype   float16  float32
    1 of 2 checks failed
    """

    def __init__(self, rows):
        self.rows = list(rows)

    @property
    def ok(self):
        return all(row.ok for row in self.rows)

    @property
    def failed(self):
        """The rows that are not right."""
        return [row for row in self.rows if not row.ok]

    def __str__(self):
        lines = [_HEAD, *map(_cells, self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        table = ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines]
        return "\n".join([*table, self._summary()])

    __repr__ = __str__

    def _repr_html_(self):
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in _HEAD)
        body = "".join(
            "<tr>"
            + "".join(f"<td style='text-align:left'>{html.escape(text)}</td>" for text in _cells(row))
            + "</tr>"
            for row in self.rows
        )
        return f"<table><tr>{head}</tr>{body}</table><p>{self._summary()}</p>"

    def _summary(self):
        if self.ok:
            return f"all {len(self.rows)} checks passed"
        return f"{len(self.failed)} of {len(self.rows)} checks failed"
