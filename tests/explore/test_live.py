import base64
import io
import types

import pytest
from PIL import Image

from egemma_lab.explore import LivePlot, live


def row(step):
    return {
        "step": step,
        "epoch": 0,
        "source": "python-docs",
        "loss": 6 / step,
        "contrastive": 3 / step,
        "contrastive/64": 2 / step,
        "contrastive/32": 1 / step,
        "matching": 2 / step,
        "tokens_per_second": 1234.0,
        "seconds": 0.5 * step,
    }


class Handle:
    def __init__(self):
        self.pictures = []

    def update(self, data, **keywords):
        self.pictures.append((data, keywords["metadata"]))


@pytest.fixture
def notebook(monkeypatch):
    handle, first = Handle(), []

    def display(data, **keywords):
        assert keywords["display_id"]
        first.append((data, keywords["metadata"]))
        return handle

    monkeypatch.setattr(live, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    handle.first = first
    return handle


def test_outside_a_notebook_nothing_is_drawn(monkeypatch):
    monkeypatch.setattr(live, "draw", lambda rows: pytest.fail("drew outside a notebook"))
    plot = LivePlot(period=0)
    plot.on_start(None)
    plot.on_step(None, row(1))
    plot.on_end(None)
    assert not live.in_notebook()


def test_one_display_that_is_updated(notebook):
    plot = LivePlot(period=0)
    plot.on_start(None)
    for step in (1, 2, 3):
        plot._due = 0.0  # as if the time had passed
        plot.on_step(None, row(step))
    plot.on_end(None)
    assert len(notebook.first) == 1
    assert len(notebook.pictures) == 3
    data, metadata = notebook.pictures[-1]
    assert metadata["image/png"]["alt"] == data["text/plain"]
    assert data["text/plain"].startswith(
        "Loss terms after 3 steps: loss from 6 to 2, contrastive from 3 to 1"
    )
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size == (1200, 320)
    assert set(data) == {"image/png", "text/plain"}  # no widget, nothing to save a state of


def test_drawing_waits_its_period_but_the_last_picture_is_never_missed(notebook, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(live, "draw", lambda rows: b"")
    plot = LivePlot(period=2)
    plot.on_start(None)
    for step in range(1, 51):
        clock[0] += 0.1
        plot.on_step(None, row(step))
    assert len(notebook.first) + len(notebook.pictures) == 3  # 5 seconds: at once, after 2 and after 4
    plot.on_end(None)
    assert "after 50 steps" in notebook.pictures[-1][0]["text/plain"]


def test_slow_drawing_becomes_rare(notebook, monkeypatch):
    clock = [100.0]

    def slow(rows):
        clock[0] += 1.0
        return b""

    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(live, "draw", slow)
    plot = LivePlot(period=2)
    plot.on_start(None)
    plot.on_step(None, row(1))
    assert plot._due - clock[0] == pytest.approx(1.0 / live.SHARE)


def test_a_second_run_starts_afresh(notebook):
    plot = LivePlot()
    for _ in range(2):
        plot.on_start(None)
        plot.on_step(None, row(1))
    assert len(plot.rows) == 1
    assert len(notebook.first) == 2


def test_long_runs_are_thinned_but_end_where_they_end():
    many = [row(step) for step in range(1, 5002)]
    thinned = live.thin(many)
    assert len(thinned) <= live.MOST + 1
    assert (thinned[0]["step"], thinned[-1]["step"]) == (1, 5001)
    assert live.thin(many[:3]) == many[:3]


def test_a_resumed_run_shows_its_earlier_steps():
    state = types.SimpleNamespace(history_rows=[row(1), row(2)])
    plot = LivePlot()
    plot.on_start(state)
    plot.on_step(state, row(3))
    assert [shown["step"] for shown in plot.rows] == [1, 2, 3]
    assert len(state.history_rows) == 2  # the run's own list is left alone
