import time

import numpy as np
import pytest
from films import kept_by

from egemma_lab.explore import matryoshka
from egemma_lab.explore.matryoshka_figure import matryoshka_figure
from egemma_lab.explore.matryoshka_maps import Maps
from egemma_lab.explore.precision_setting import Setting


@pytest.fixture
def panel(micro_model, tiny_texts):
    return matryoshka(micro_model, tiny_texts[::4], compare=[0, 5, 9])


def shows(panel, setting, kind="plane"):
    """Whether the live figure is the one that the pure functions give for a setting."""
    expected = matryoshka_figure(panel.maps, setting, [0, 5, 9], kind)
    for live, pure in zip(panel.live.data, expected.data, strict=True):
        for name in ("x", "y", "z"):
            np.testing.assert_array_equal(getattr(live, name, None), getattr(pure, name, None))
        np.testing.assert_array_equal(
            getattr(live.marker, "size", None), getattr(pure.marker, "size", None)
        ) if (live.type == "scatter") else None
    assert panel.setting == setting
    assert panel.live.layout.title.text == expected.layout.title.text
    return True


def test_each_control_moves_the_figure_as_the_functions_say(panel):
    assert shows(panel, Setting(64))
    panel.width.value = 16
    assert shows(panel, Setting(16))
    panel.vectors.value = "binary"
    assert shows(panel, Setting(16, "binary"))
    panel.weights.value = "int8_block"
    assert shows(panel, Setting(16, "binary", "int8_block"))
    assert "int8_block weights" in panel.message.value


def spread(stored, start, seed):
    """Stands for UMAP, which takes long: the first two columns."""
    return np.ascontiguousarray(stored[:, :2], dtype=np.float32)


def test_umap_is_made_beside_the_plane(panel, monkeypatch):
    monkeypatch.setattr("egemma_lab.explore.matryoshka_maps._cached_umap", spread)
    panel.kind.value = "umap"
    panel.job.join(60) if panel.job else None
    assert shows(panel, Setting(64), "umap")
    assert panel.live.layout.xaxis.title.text == "first axis"
    panel.width.value = 16
    assert shows(panel, Setting(16), "umap")
    panel.weights.value = "ternary"
    panel.job.join(60) if panel.job else None
    assert shows(panel, Setting(16, weights="ternary"), "umap")
    panel.kind.value = "plane"
    assert shows(panel, Setting(16, weights="ternary"))


def test_an_error_in_the_thread_shows(panel, monkeypatch):
    monkeypatch.setattr(Maps, "make_umap", lambda *_: 1 / 0)
    panel.kind.value = "umap"
    panel.job.join(60)
    assert panel.kind.value == "plane"
    assert "ZeroDivisionError" in panel.message.value


def test_an_error_shows_and_is_raised(panel, monkeypatch):
    monkeypatch.setattr("egemma_lab.explore.matryoshka_view.redraw_matryoshka", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        panel.width.value = 32
    assert "ZeroDivisionError" in panel.message.value


def test_what_cannot_be_compared_is_refused(micro_model, tiny_texts):
    with pytest.raises(ValueError, match=r"compare=\[60\]: give 1 to 12 rows of texts, from 0 to 49"):
        matryoshka(micro_model, tiny_texts[::4], compare=[60])
    with pytest.raises(ValueError, match="give 1 to 12 rows"):
        matryoshka(micro_model, tiny_texts[::4], compare=range(13))


def test_moves_keep_nothing(panel):
    def move(i):
        panel.width.value = (16, 32)[i % 2]

    assert kept_by(move) < 1_000  # bytes a move; about 200


def test_twenty_thousand_points_go_to_webgl_and_move(micro_model, tiny_texts):
    panel = matryoshka(micro_model, tiny_texts[:20])
    rng = np.random.default_rng(0)
    bench = panel.bench
    bench.texts, bench.labels = [""] * 20_000, [f"label {i % 5}" for i in range(20_000)]
    bench._encoded["unrounded"] = rng.normal(size=(20_000, 64)).astype(np.float32), None
    maps = Maps(bench)
    fig = matryoshka_figure(maps, Setting(64), [0, 1])
    assert {trace.type for trace in fig.data} == {"scattergl", "heatmap"}
    from egemma_lab.explore.matryoshka_figure import redraw_matryoshka

    before = np.array(fig.data[0].x)
    redraw_matryoshka(fig, maps, Setting(32), [0, 1])
    assert not np.array_equal(fig.data[0].x, before)
    began = time.process_time()
    redraw_matryoshka(
        fig, maps, Setting(64), [0, 1]
    )  # a move to what is known: no work for each point in Python
    assert time.process_time() - began < 1
    np.testing.assert_array_equal(fig.data[0].x, before)
