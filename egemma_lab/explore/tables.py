"""Tables to read: whole sentences, left-aligned text, numbers with as many digits as they deserve."""

from html import escape

from egemma_lab.explore.prose import marked


class Table:
    """A DataFrame shown as a plain table: text to the left and never cut, numbers to the right and rounded.

    Parameters
    ----------
    frame : pandas.DataFrame. Its index is shown where it has names of rows, not where it only counts.
    caption : a line above the table, in which `x` is code.
    digits : decimals of the numbers that are not whole.

    >>> import pandas as pd
    >>> Table(pd.DataFrame({"text": ["a", "b"], "cosine": [0.5, -0.001]}), caption="Two texts")
    Two texts
    text  cosine
       a    0.50
       b    0.00
    """

    def __init__(self, frame, caption="", digits=2):
        import pandas as pd

        counts = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
        shown = frame.reset_index(drop=counts).rename(columns={"index": ""})
        numeric = [pd.api.types.is_numeric_dtype(kind) for kind in shown.dtypes]
        self.caption = caption
        self._numeric = numeric
        self._frame = pd.DataFrame(
            {i: [_said(value, digits) for value in shown.iloc[:, i]] for i in range(shown.shape[1])}
        ).set_axis([str(column) for column in shown.columns], axis=1)

    def __repr__(self):
        text = self._frame.to_string(index=False)
        return f"{self.caption}\n{text}" if self.caption else text

    def _repr_html_(self):
        align = [
            f'style="text-align: {"right" if number else "left"}; padding: 2px 8px"'
            for number in self._numeric
        ]
        head = "".join(f"<th {side}>{escape(name)}</th>" for name, side in zip(self._frame.columns, align))
        rows = [
            "<tr>" + "".join(f"<td {side}>{escape(cell)}</td>" for cell, side in zip(row, align)) + "</tr>"
            for row in self._frame.itertuples(index=False, name=None)
        ]
        caption = (
            f'<caption style="text-align: left">{marked(self.caption)}</caption>' if self.caption else ""
        )
        head = f"{caption}<thead><tr>{head}</tr></thead>"
        # a widget would space the lines as it spaces sliders
        return f'<table style="line-height: 1.4">{head}<tbody>{"".join(rows)}</tbody></table>'


def _said(value, digits):
    if isinstance(value, float) or (hasattr(value, "dtype") and value.dtype.kind == "f"):
        rounded = round(float(value), digits) + 0.0  # no "-0.00"
        return f"{rounded:,.{digits}f}"
    return str(value)
