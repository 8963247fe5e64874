import base64
import sys
import types

import plotly.graph_objects as go
import pytest

from egemma_lab.explore import camera
from egemma_lab.explore.showing import PLOTLY_MIME, bundle, show

PICTURE = b"not really a picture"


@pytest.fixture
def line():
    return go.Figure(go.Scatter(x=[1, 2, 3], y=[1, 3, 2]), layout={"title": "A line"})


@pytest.fixture
def slow_mode(monkeypatch):
    monkeypatch.delenv("EGEMMA_FAST", raising=False)


@pytest.mark.parametrize("alt", [None, "", "  \n", 3])
def test_alt_text_is_required(line, alt):
    with pytest.raises(ValueError, match="text description"):
        show(line, alt)


def test_one_bundle_with_figure_picture_and_words(line, slow_mode, monkeypatch):
    monkeypatch.setattr(camera, "photograph", lambda fig, **size: PICTURE)
    data, metadata = bundle(line, "A line that\n rises and falls")
    assert set(data) == {PLOTLY_MIME, "image/jpeg", "text/plain"}
    assert data[PLOTLY_MIME]["layout"]["title"]["text"] == "A line"
    assert data[PLOTLY_MIME]["config"]["showSendToCloud"] is False  # no button that uploads the figure
    assert base64.b64decode(data["image/jpeg"]) == PICTURE
    assert data["text/plain"] == "A line that rises and falls"
    assert metadata == {"alt": data["text/plain"], "image/jpeg": {"alt": data["text/plain"], "width": 900}}


def test_size_and_scale_of_the_picture_are_passed_on(line, slow_mode, monkeypatch):
    asked = []
    monkeypatch.setattr(camera, "photograph", lambda fig, **size: asked.append(size))
    bundle(line, "A line.", height=300, scale=1.5)
    bundle(line, "A line.")
    assert asked == [
        {"width": None, "height": 300, "scale": 1.5},
        {"width": None, "height": None, "scale": 2},
    ]


def test_without_a_browser_the_figure_and_the_words_stay(line, slow_mode, monkeypatch):
    monkeypatch.setattr(camera, "photograph", lambda fig, **size: None)
    data, metadata = bundle(line, "A line")
    assert set(data) == {PLOTLY_MIME, "text/plain"}
    assert metadata == {"alt": "A line"}


def test_fast_mode_opens_no_browser(line, monkeypatch):
    monkeypatch.setenv("EGEMMA_FAST", "1")
    monkeypatch.setattr(camera, "photograph", lambda fig, **size: pytest.fail("drew a picture in fast mode"))
    assert "image/jpeg" not in bundle(line, "A line")[0]


def test_notebook_gets_exactly_one_output(line, monkeypatch):
    outputs = []
    monkeypatch.setenv("EGEMMA_FAST", "1")
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda data, **kw: outputs.append((data, kw)))
    show(line, "A line")
    [(data, keywords)] = outputs
    assert PLOTLY_MIME in data
    assert keywords == {"raw": True, "metadata": {"alt": "A line"}}


def test_colab_is_left_to_plotly(line, monkeypatch):
    shown = []
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setattr(go.Figure, "show", lambda self: shown.append(self))
    show(line, "A line")
    assert shown == [line]
