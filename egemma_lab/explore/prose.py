"""A few lines of text that look the same in light and dark notebooks, and read well without HTML."""

import re
from html import escape

# colours that hold on white and on dark; each kind also has its sign and its words
_BARS = {"right": ("#009E73", "✓"), "wrong": ("#D55E00", "✗"), "open": ("#0072B2", "→")}


_TIGHT = "margin: 0.3em 0"


class Prose:
    """Base of things that are shown as text: subclasses have `.blocks`, a list of (kind, text).

    Kinds: "head" (small heading), "text", "hidden" (opened by a click), "right", "wrong", "open".
    """

    blocks = ()

    def __repr__(self):
        return "\n".join(text for kind, text in self.blocks if kind != "hidden")

    def _repr_html_(self):
        parts = [_html(kind, text) for kind, text in self.blocks]
        return f'<div style="max-width: 46em">{"".join(parts)}</div>'


def marked(text):
    """Escaped HTML of one line or paragraph, with `x` as code, **x** bold and *x* in italics.

    >>> marked("is `a < b ** 2 ** 3`? **Yes**, 2*3*4 *is* 24")
    'is <code>a &lt; b ** 2 ** 3</code>? <b>Yes</b>, 2*3*4 <i>is</i> 24'
    """
    return re.sub(
        r"`([^`]+)`|\*\*(\S(?:[^*`]*\S)?)\*\*|(?<!\w)\*(\S(?:[^*`]*\S)?)\*(?!\w)",
        _mark,
        escape(text, quote=False),
    )


def _mark(found):
    tag = ("code", "b", "i")[found.lastindex - 1]
    return f"<{tag}>{found[found.lastindex]}</{tag}>"


def inline(text):
    """Escaped HTML of plain text: blank lines make paragraphs, fenced lines blocks of code; marks as in `marked`.

    >>> inline("is `a < b`?")
    '<p>is <code>a &lt; b</code>?</p>'
    """
    html = []
    for i, part in enumerate(re.split(r"^```\w*\n(.*?)^```$", text.strip(), flags=re.DOTALL | re.MULTILINE)):
        if i % 2:  # the inside of a fence
            html.append(f"<pre>{escape(part.rstrip())}</pre>")
            continue
        for paragraph in filter(None, map(str.strip, re.split(r"\n\s*\n", part))):
            html.append(f"<p>{marked(paragraph)}</p>")
    return "".join(html)


def _html(kind, text):
    if kind == "head":
        return f"<p><b>{escape(text)}</b></p>"
    if kind == "hidden":
        return f"<details><summary>Solution</summary>{inline(text)}</details>"
    if kind == "text":
        return inline(text)
    colour, sign = _BARS[kind]
    return (
        f'<div style="border-left: 4px solid {colour}; padding: 0.1em 0.8em; margin: 0.5em 0; '
        f'display: flex; gap: 0.6em"><p aria-hidden="true" style="{_TIGHT}"><b>{sign}</b></p>'
        f"<div>{inline(text).replace('<p>', f'<p style={_TIGHT!r}>')}</div></div>"
    )


def say(text):
    """Show a sentence that was computed: as Markdown in a notebook, as plain text elsewhere.

    What a notebook's prose says about its own results goes through here, so that no number in the text can
    differ from the one that was measured.

    >>> say(f"One plus one is {1 + 1}.")
    One plus one is 2.
    """
    from IPython import get_ipython

    if get_ipython() is None:
        print(text)
        return
    from IPython.display import Markdown, display

    display(Markdown(text))
