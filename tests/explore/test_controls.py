import numpy as np
import plotly.graph_objects as go
import pytest

from egemma_lab.explore import displayed, move
from egemma_lab.explore.named import named


def wave(frequency=1, shape="sine"):
    x = np.linspace(0, 1, 11)
    y = np.sin(frequency * x) if shape == "sine" else np.sign(np.sin(frequency * x))
    return go.Figure(go.Scatter(x=x, y=y), layout={"title": f"{shape} of frequency {frequency}"})


def test_a_slider_redraws_what_the_function_returns(capsys):
    box = move(wave, "A sine", frequency=(2, 1, 9, 1), shape=["sine", "square"])
    slider, menu, live, _ = box.children
    assert capsys.readouterr().out == "Figure: A sine\n"
    slider.value = 7
    np.testing.assert_array_equal(live.data[0].y, wave(7).data[0].y)
    menu.value = "square"
    np.testing.assert_array_equal(live.data[0].y, wave(7, "square").data[0].y)
    assert live.layout.title.text == "square of frequency 7"


def test_kinds_of_controls():
    import ipywidgets as widgets

    whole, real, _ = move(wave, "A sine", frequency=(2, 1, 9, 1), shape=["sine"]).children[:3]
    assert isinstance(whole, widgets.IntSlider)
    assert isinstance(real, widgets.Dropdown)
    assert isinstance(move(wave, "A sine", frequency=(2.0, 1.0, 9.0, 0.5)).children[0], widgets.FloatSlider)


def test_an_error_shows_is_raised_and_goes_with_the_next_good_move():
    box = move(lambda x: wave(1 / x), "A sine", x=(2, 0, 9, 1))
    slider, _, words = box.children
    with pytest.raises(ZeroDivisionError):
        slider.value = 0
    assert "ZeroDivisionError</b>: division by zero" in words.value
    slider.value = 4
    assert words.value == ""


def test_a_start_outside_its_range_is_named():
    with pytest.raises(ValueError, match=r"frequency=\(0, 1, 9, 1\): the start 0"):
        move(wave, "A sine", frequency=(0, 1, 9, 1))


def test_the_widget_travels_with_its_starting_position(monkeypatch):
    outputs, shown = [], []
    monkeypatch.setenv("EGEMMA_FAST", "1")
    monkeypatch.setattr(displayed, "named", lambda box: shown.append(named(box)) or shown[0])
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda data, **kw: outputs.append((data, kw["metadata"])))
    box = move(wave, "A sine of frequency 2", frequency=(2, 1, 9, 1))
    [(data, metadata)] = outputs
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == shown[0].model_id
    assert shown[0].children[0] is box
    assert data["application/vnd.plotly.v1+json"]["layout"]["title"]["text"] == "sine of frequency 2"
    assert data["text/plain"] == metadata["alt"] == "A sine of frequency 2"
