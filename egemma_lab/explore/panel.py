"""What explorers share: a live figure with its controls, a line for words, and errors that show."""

import functools
import traceback
from html import escape

from egemma_lab.explore.displayed import show_live


class Panel:
    """A widget that shows itself where it is the last line of a cell, in Jupyter and in Colab.

    Subclasses make their controls, guard what these call, and end with `lay_out`. `box` is the ipywidgets box,
    `figure` the figure at the start, which travels with the widget for readers without a kernel; `message` the
    line of words below; `error` the last error that a callback had, None after a callback that had none.
    """

    def __init__(self, alt):
        import ipywidgets as widgets

        self.alt, self.box, self.figure, self.error = alt, None, None, None
        self.message = widgets.HTML()

    def lay_out(self, figure, *rows):
        """Put the rows below each other, the line of words under the first of them."""
        import ipywidgets as widgets

        self.figure = figure
        self.box = widgets.VBox([rows[0], self.message, *rows[1:]])

    def say(self, text):
        """Show a sentence of plain text."""
        self.message.value = f'<div role="status" style="line-height: 1.4">{escape(text)}</div>'

    def complain(self, error):
        """Show an error, its traceback behind a click."""
        self.error = error
        trace = escape("".join(traceback.format_exception(error)))
        self.message.value = (
            '<div role="alert" style="border-left: 4px solid #D55E00; padding-left: 0.8em; line-height: 1.4">'
            f"<b>✗ {type(error).__name__}</b>: {escape(str(error))}"
            f"<details><summary>where it happened</summary><pre>{trace}</pre></details></div>"
        )

    def guard(self, callback):
        """The callback, whose errors are shown in the widget and raised again: nobody loses one."""

        @functools.wraps(callback)
        def guarded(*arguments):
            if self.error is not None:
                self.error, self.message.value = None, ""
            try:
                return callback(*arguments)
            except Exception as error:
                self.complain(error)
                raise

        return guarded

    def _ipython_display_(self):
        show_live(self.box, self.figure, self.alt)

    def __repr__(self):
        return f"{type(self).__name__}: {self.alt}"
