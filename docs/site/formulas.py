"""Sphinx extension: formulas as MathML, made while the site is built.

Browsers draw MathML themselves, so that a page with formulas fetches no script from anywhere and works offline.
`html_math_renderer = "mathml"` in conf.py chooses it.
"""


def as_mathml(tex, block):
    """A LaTeX formula as a `<math>` element, to stand on a line of its own if `block`; docutils turns it over."""
    from docutils.utils.math import MathError
    from docutils.utils.math.latex2mathml import tex2mathml
    from sphinx.errors import ExtensionError

    try:
        return tex2mathml(tex, as_block=block)
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
