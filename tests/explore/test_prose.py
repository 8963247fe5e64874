from egemma_lab.explore.prose import Prose, inline


def test_paragraphs_code_and_fences():
    html = inline("First `a<b`.\n\nSecond.\n\n```python\nx = 1  # <\n```\n")
    assert html == "<p>First <code>a&lt;b</code>.</p><p>Second.</p><pre>x = 1  # &lt;</pre>"


def test_signs_stand_beside_colours():
    class Both(Prose):
        blocks = [("right", "yes"), ("wrong", "no"), ("hidden", "secret")]  # noqa: RUF012

    html = Both()._repr_html_()
    assert "✓" in html
    assert "✗" in html
    assert repr(Both()) == "yes\nno"
