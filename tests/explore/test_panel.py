import plotly.graph_objects as go
import pytest

from egemma_lab.explore import displayed
from egemma_lab.explore.named import named
from egemma_lab.explore.panel import Panel


def reciprocal():
    import ipywidgets as widgets

    panel = Panel("One over x")
    slider = widgets.IntSlider(value=2, min=0, max=9)
    slider.observe(panel.guard(lambda change: panel.say(f"1/x is {1 / change['new']:.2f}")), names="value")
    panel.lay_out(go.Figure(), slider)
    return panel, slider


def test_an_error_shows_is_raised_and_goes_with_the_next_good_move():
    panel, slider = reciprocal()
    slider.value = 4
    assert "1/x is 0.25" in panel.message.value
    with pytest.raises(ZeroDivisionError):
        slider.value = 0
    assert "ZeroDivisionError</b>: division by zero" in panel.message.value
    assert isinstance(panel.error, ZeroDivisionError)
    slider.value = 5
    assert panel.error is None
    assert "ZeroDivisionError" not in panel.message.value
    assert "1/x is 0.20" in panel.message.value


def test_words_are_escaped():
    panel, _ = reciprocal()
    panel.say("a < b")
    assert "a &lt; b" in panel.message.value
    panel.complain(ValueError("<script>"))
    assert "<script>" not in panel.message.value


def test_it_shows_itself_with_its_picture(monkeypatch):
    outputs, shown = [], []
    monkeypatch.setenv("EGEMMA_FAST", "1")
    monkeypatch.setattr(displayed, "named", lambda box: shown.append(named(box)) or shown[0])
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda data, **kw: outputs.append(data))
    panel, _ = reciprocal()
    panel._ipython_display_()
    assert outputs[0]["application/vnd.jupyter.widget-view+json"]["model_id"] == shown[0].model_id
    assert shown[0].children[0] is panel.box
    assert outputs[0]["text/plain"] == "One over x"
    assert repr(panel) == "Panel: One over x"
