import numpy as np
import pandas as pd

from egemma_lab.explore import Table


def test_texts_are_whole_escaped_and_left_numbers_right():
    frame = pd.DataFrame({"text": ["a < b " * 40], "cosine": np.float32([0.123456]), "n": [7]})
    html = Table(frame, caption="R&D of `f`", digits=3)._repr_html_()
    assert "&lt; b " * 1 in html
    assert html.count("a &lt; b") == 40
    assert '<td style="text-align: right; padding: 2px 8px">0.123</td>' in html
    assert '<td style="text-align: right; padding: 2px 8px">7</td>' in html
    assert ">R&amp;D of <code>f</code></caption>" in html


def test_named_rows_are_shown_and_counted_ones_are_not():
    named = pd.DataFrame({"value": [1.0]}, index=["student"])
    assert "student" in str(Table(named))
    assert str(Table(pd.DataFrame({"value": [1.0]}))).split() == ["value", "1.00"]
    ranks = pd.DataFrame({"value": [1.0]}, index=pd.RangeIndex(1, 2, name="rank"))
    assert str(Table(ranks)).split() == ["rank", "value", "1", "1.00"]


def test_no_minus_zero_and_the_same_output_twice():
    frame = pd.DataFrame({"x": [-1e-9]})
    assert "-0" not in str(Table(frame))
    assert Table(frame)._repr_html_() == Table(frame)._repr_html_()
