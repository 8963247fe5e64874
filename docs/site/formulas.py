"""Sphinx extension: formulas as MathML, made while the site is built.

Browsers draw MathML themselves, so that a page with formulas fetches no script from anywhere and works offline.
`html_math_renderer = "mathml"` in conf.py chooses it.
"""

import re

# What TeX reads in its own way and docutils in another -> the same, written so that both agree.
PLAINER = {
    r"\\frac\s*(\d)(\d)": r"\\frac{\1}{\2}",  # \frac12 is a half, not 12 over what follows
    r"\\(hat|bar|tilde)\s*(\w|\\[a-z]+)(?=[_^])": r"{{}\\\1{\2}}",  # \hat w_i: the index stands beside, not below
}


def plainer(tex):
    r"""A LaTeX formula in the words that docutils knows.

    >>> print(plainer(r"\frac12 + \hat w_i"))
    \frac{1}{2} + {{}\hat{w}}_i
    """
    for pattern, written in PLAINER.items():
        tex = re.sub(pattern, written, tex)
    return tex


def as_mathml(tex, block):
    """A LaTeX formula as a `<math>` element, to stand on a line of its own if `block`; docutils turns it over."""
    from docutils.utils.math import MathError
    from docutils.utils.math.latex2mathml import tex2mathml
    from sphinx.errors import ExtensionError

    try:
        return tex2mathml(plainer(tex), as_block=block)
    except MathError as error:
        raise ExtensionError(f"{error}, in the formula {tex!r}: docutils has no MathML for it") from error


def _put(block):
    def visit(translator, node):
        from docutils.nodes import SkipNode

        formula = as_mathml(node.astext(), block)
        translator.body.append(f'<div class="formula">{formula}</div>' if block else formula)
        raise SkipNode

    return visit


def setup(app):
    app.add_html_math_renderer("mathml", (_put(False), None), (_put(True), None))
    return {"parallel_read_safe": True}
