import numpy as np
import pandas as pd
import pytest

from egemma_lab.explore import loss_curves
from egemma_lab.explore.curves import terms


@pytest.fixture
def history():
    steps = np.arange(1, 31)
    frame = pd.DataFrame({"step": steps, "loss": 5 / steps, "gradient_norm": 1.0})
    for name in ("contrastive/64", "contrastive", "contrastive/32", "spread_out", "spread_out/64"):
        frame[name] = len(name) / steps
    return frame


def test_terms_lists_the_whole_first_and_nothing_else(history):
    assert terms(history) == {
        "loss": ["loss"],
        "contrastive": ["contrastive", "contrastive/64", "contrastive/32"],
        "spread_out": ["spread_out", "spread_out/64"],
    }


def test_a_term_of_ones_own_has_a_panel(history):
    frame = history.assign(koleo=0.5, source="pairs", seconds=1.0, **{"koleo/64": 0.2, "eval/ndcg@10": 0.3})
    assert list(terms(frame)) == ["loss", "contrastive", "spread_out", "koleo"]
    assert terms(frame)["koleo"] == ["koleo", "koleo/64"]
    fig = loss_curves(frame)
    assert [title.text for title in fig.layout.annotations] == ["loss", "contrastive", "spread-out", "koleo"]
    (whole,) = [trace for trace in fig.data if trace.meta == "koleo"]
    np.testing.assert_array_equal(whole.y, frame["koleo"])


def test_lines_hold_what_was_logged(history):
    fig = loss_curves(history)
    for trace in fig.data:
        np.testing.assert_array_equal(trace.x, history["step"])
        np.testing.assert_array_equal(trace.y, history[trace.meta])
    assert [trace.meta for trace in fig.data] == [n for names in terms(history).values() for n in names]


def test_one_legend_entry_a_width_for_all_panels(history):
    shown = [trace.name for trace in loss_curves(history).data if trace.showlegend]
    assert shown == ["whole term", "width 64", "width 32"]


def test_rows_without_a_term_are_left_out_of_its_line(history):
    history.loc[history.index[3:], "spread_out"] = np.nan
    fig = loss_curves(history)
    [line] = [trace for trace in fig.data if trace.meta == "spread_out"]
    assert list(line.x) == [1, 2, 3]


def test_smoothing_is_said(history):
    fig = loss_curves(history, smooth=5)
    assert "moving average over 5 rows" in fig.layout.title.text
    np.testing.assert_allclose(fig.data[0].y, history["loss"].ewm(span=5).mean())


def test_axes_have_titles(history):
    layout = loss_curves(history).layout
    assert layout.yaxis2.title.text == "nats, summed over widths"
    assert layout.xaxis.title.text == layout.xaxis3.title.text == "step"
    assert "loss terms" in layout.title.text


def test_one_step_is_a_dot_not_an_empty_line(history):
    assert {trace.mode for trace in loss_curves(history.head(1)).data} == {"markers"}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"loss": [1.0]}), "needed are `step`"),
        (pd.DataFrame({"step": [1], "accuracy": [1.0]}), "step, accuracy"),
    ],
)
def test_a_table_without_terms_is_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        loss_curves(frame)
