import numpy as np
import pytest
from films import kept_by

from egemma_lab.explore import matryoshka, precision
from egemma_lab.explore.precision_figure import (
    bytes_sentence,
    describe_precision,
    precision_figure,
    quality_table,
    redraw_precision,
)
from egemma_lab.explore.precision_setting import Setting, weight_bytes


@pytest.fixture(scope="module")
def shared(micro_model, tiny_texts):
    """A panel whose bench all tests of this file share."""
    texts = tiny_texts[::4]
    questions = [f"What {text[:-1]}?" for text in texts[:8]]
    return precision(micro_model, texts, questions=questions, answers=[[i] for i in range(8)])


@pytest.fixture
def panel(shared):
    yield shared
    shared.width.value, shared.vectors.value, shared.weights.value = 64, "float32", "unrounded"


def shows(panel, setting):
    """Whether figure, table and words are those that the pure functions give for a setting."""
    expected = precision_figure(panel.bench, setting)
    for live, pure in zip(panel.live.data, expected.data, strict=True):
        np.testing.assert_array_equal(live.x, pure.x)
        np.testing.assert_array_equal(live.y, pure.y)
    assert panel.setting == setting
    assert panel.live.layout.title.text == expected.layout.title.text
    assert panel.table.value == quality_table(panel.bench, setting)._repr_html_()
    assert bytes_sentence(panel.bench, setting) in panel.message.value
    return True


def test_each_control_moves_the_figure_as_the_functions_say(panel):
    assert shows(panel, Setting(64))
    panel.width.value = 32
    assert shows(panel, Setting(32))
    panel.vectors.value = "binary"
    assert shows(panel, Setting(32, "binary"))
    panel.weights.value = "int4_block"
    assert shows(panel, Setting(32, "binary", "int4_block"))


def test_the_mark_stands_on_its_row(panel):
    bench, setting = panel.bench, Setting(32, "binary rescored")
    fig = precision_figure(bench, Setting(64))
    redraw_precision(fig, bench, setting)
    mark = next(trace for trace in fig.data if trace.name == "you are here")
    row = bench.row(setting)
    assert (list(mark.x), list(mark.y)) == ([4], [row["value"]])
    assert f"4 bytes a vector, nDCG@10 {row['value']:.3f}" in fig.layout.title.text


def test_the_height_is_the_same_for_all_weights(panel):
    ranges = {
        precision_figure(panel.bench, Setting(64, weights=w)).layout.yaxis.range
        for w in ("unrounded", "ternary")
    }
    assert len(ranges) == 1


def test_the_words_hold_the_numbers(panel):
    bench, setting = panel.bench, Setting(32, "int8", "int8_block")
    said = bytes_sentence(bench, setting)
    assert "32 bytes a vector, 1.6 kB for 50 texts: 8 times smaller" in said
    assert f"{weight_bytes(bench.model, 'int8_block') / 1e3:.3g} kB instead of" in said
    assert bytes_sentence(bench, bench.full).startswith("256 bytes a vector, 12.8 kB for 50 texts. Weights: ")
    assert f"nDCG@10 {bench.row(setting)['value']:.3f}" in describe_precision(bench, setting)


def test_the_table_says_what_is_sure(panel):
    rows = panel.bench.comparison(Setting(32, "binary"))
    shown = quality_table(panel.bench, Setting(32, "binary"))._frame
    for row, said in zip(rows.itertuples(), shown.itertuples(index=False)):
        sure = (
            "yes, worse"
            if row.difference_high < 0
            else "yes, better"
            if row.difference_low > 0
            else "undecided"
        )
        assert said[-1] == sure
        assert said[3].startswith(f"{row.difference:+.3f} (")
    assert set(quality_table(panel.bench, panel.bench.full)._frame["sure?"]) == {"undecided"}


def test_linked_panels_move_together(panel):
    space = matryoshka(panel)
    assert space.bench is panel.bench
    space.width.value = 32
    assert shows(panel, Setting(32))
    assert "Width 32" in space.live.layout.title.text
    panel.vectors.value = "int8"
    assert "int8" in space.live.layout.title.text
    with pytest.raises(ValueError, match="leave texts and the like out"):
        matryoshka(panel, ["a text"])
    with pytest.raises(ValueError, match="leave texts and the like out"):
        precision(space, labels=["a"])


def test_an_error_shows_and_is_raised(panel, monkeypatch):
    monkeypatch.setattr("egemma_lab.explore.precision_view.redraw_precision", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        panel.width.value = 32
    assert "ZeroDivisionError" in panel.message.value


def test_moves_keep_nothing(panel):
    def move(i):
        panel.width.value = (32, 64)[i % 2]

    assert kept_by(move) < 4_000  # bytes a move; about 2,200
