import io
import warnings

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from egemma_lab.explore import camera


@pytest.fixture(autouse=True)
def fresh_camera(monkeypatch):
    monkeypatch.setattr(camera, "_state", {"browser": None, "failed": None})


def png_of(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


def test_no_browser_no_picture_and_no_noise(monkeypatch):
    monkeypatch.setattr(camera, "browser_path", lambda: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert camera.photograph(go.Figure()) is None


def test_a_failing_browser_is_said_once_with_its_reason(monkeypatch):
    calls = []

    def broken(figure, options):
        calls.append(options)
        raise RuntimeError("the sandbox said no")

    monkeypatch.setattr(camera, "browser_path", lambda: "/somewhere/chromium")
    monkeypatch.setattr(camera, "_draw", broken)
    with pytest.warns(UserWarning, match="/somewhere/chromium failed with RuntimeError: the sandbox said no"):
        assert camera.photograph(go.Figure()) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert camera.photograph(go.Figure()) is None
    assert len(calls) == 1


def test_heavy_pictures_are_drawn_again_at_a_smaller_scale(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    scales = []

    def draw(figure, options):
        scales.append(options["scale"])
        side = int(150 * options["scale"] ** 2)
        return png_of(noise[:side, :side])

    monkeypatch.setattr(camera, "MAX_BYTES", 120_000)
    monkeypatch.setattr(camera, "browser_path", lambda: "/somewhere/chromium")
    monkeypatch.setattr(camera, "_draw", draw)
    assert len(camera.photograph(go.Figure())) <= camera.MAX_BYTES
    assert scales == [2, 1.5]


def test_size_comes_from_the_figure_unless_given(monkeypatch):
    sizes = []
    monkeypatch.setattr(camera, "browser_path", lambda: "/somewhere/chromium")
    small = png_of(np.zeros((4, 4, 3), np.uint8))
    monkeypatch.setattr(camera, "_draw", lambda fig, o: sizes.append((o["width"], o["height"])) or small)
    camera.photograph(go.Figure(layout={"height": 300}))
    camera.photograph(go.Figure(), width=500, height=200)
    assert sizes == [(camera.WIDTH, 300), (500, 200)]


def test_jpeg_keeps_what_a_plot_shows():
    # not PNG: JupyterLab's plotly extension would show it in the place of the live figure
    plot = np.full((200, 300, 3), 255, np.uint8)
    plot[50:60] = (0, 114, 178)
    picture = Image.open(io.BytesIO(camera._compressed(png_of(plot))))
    assert picture.format == "JPEG"
    assert np.abs(np.subtract(picture.getpixel((10, 55)), (0, 114, 178))).max() <= 4
    assert np.abs(np.subtract(picture.getpixel((10, 10)), 255)).max() <= 2
