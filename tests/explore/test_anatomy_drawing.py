import json

import numpy as np
import pytest

from egemma_lab.explore.anatomy_data import dissect, matched_shares
from egemma_lab.explore.anatomy_drawing import (
    anatomy_figure,
    describe_anatomy,
    height,
    mask_figure,
    redraw_anatomy,
)

TEXT = "Saturn orbits the distant sun."


def drawn(figure):
    return figure.to_plotly_json()


@pytest.fixture(scope="module")
def plain(micro_model):
    return dissect(micro_model, TEXT)


@pytest.fixture(scope="module")
def causal(micro_model):
    return dissect(micro_model, TEXT + " Mars follows a cold moon.", "query", causal=True, reach=2)


def test_weights_where_they_may_be_and_grey_elsewhere(causal):
    hidden, weights = anatomy_figure(causal, 2, 1).data[:2]
    np.testing.assert_array_equal(hidden.z == 1, ~causal.allowed[1])
    np.testing.assert_array_equal(np.equal(weights.z, None), ~causal.allowed[1])
    np.testing.assert_allclose(
        np.where(causal.allowed[1], weights.z, 0).astype(float), causal.attention[1, 0]
    )
    assert weights.zmax == pytest.approx(causal.attention[1, 0].max())


def test_a_bar_for_every_token_once(causal, plain):
    bars = anatomy_figure(causal, 1).data[2:5]
    stacked = np.array([bar.x for bar in bars], dtype=float)
    assert (np.isfinite(stacked).sum(axis=0) == 1).all()
    np.testing.assert_allclose(np.nansum(stacked, axis=0), causal.shares)
    assert [bar.showlegend for bar in bars] == [True, True, True]
    assert [bar.showlegend for bar in anatomy_figure(plain, 1).data[2:5]] == [True, False, True]
    assert len({(bar.marker.color, bar.marker.pattern.shape) for bar in bars}) == 3
    assert len({bar.marker.pattern.shape for bar in bars}) == 3  # never colour alone


def test_the_shares_without_prompt_stand_beside(micro_model):
    behind, plain = dissect(micro_model, TEXT, "STS"), dissect(micro_model, TEXT)
    fig = anatomy_figure(behind, 6, 2, without=plain)
    np.testing.assert_allclose(fig.data[5].x, matched_shares(behind, plain))
    assert fig.data[5].showlegend
    assert not anatomy_figure(plain, 6, 2).data[5].showlegend


def test_redrawing_gives_what_drawing_afresh_gives(plain, causal):
    fig = anatomy_figure(plain, 6, 2)
    redraw_anatomy(fig, causal, 1, None, without=plain)
    np.testing.assert_equal(drawn(fig), drawn(anatomy_figure(causal, 1, None, without=plain)))
    redraw_anatomy(fig, plain, 6, 2)
    np.testing.assert_equal(drawn(fig), drawn(anatomy_figure(plain, 6, 2)))


def test_titles_say_what_is_seen(plain):
    fig = anatomy_figure(plain, 6, 2)
    assert "Layer 6 (full), head 2" in fig.layout.title.text
    assert "Layer 1 (sliding), mean of its heads" in anatomy_figure(plain, 1).layout.title.text
    assert "<b>Mine</b>" in anatomy_figure(plain, 1, title="Mine").layout.title.text
    assert fig.layout.xaxis2.title.text == "share of the vector"
    assert list(fig.layout.yaxis.ticktext) == plain.tokens
    assert fig.layout.yaxis.range[0] > fig.layout.yaxis.range[1]  # the first token on top


def test_short_texts_have_numbers_in_their_cells(plain, causal):
    assert len(plain.tokens) <= 12 < len(causal.tokens)
    assert anatomy_figure(plain, 1).data[1].texttemplate == "%{z:.2f}"
    assert anatomy_figure(causal, 1).data[1].texttemplate == ""
    assert height(2) < height(20) < height(60) <= 1000


def test_in_words(causal):
    words = describe_anatomy(causal, 2, 1)
    taken = causal.attention[1, 0].mean(axis=0)
    assert f"of {len(causal.tokens)} tokens in layer 2, head 1" in words
    assert f"({taken.max():.0%})" in words
    assert f"{causal.shares.max():.0%}" in words
    assert "mean of its heads" in describe_anatomy(causal, 2)


def test_masks_beside_each_other():
    causal, all_see = np.tri(3, dtype=bool), np.ones((3, 3), dtype=bool)
    fig = mask_figure({"causal": causal, "all": all_see}, ["a", "b", "c"])
    np.testing.assert_array_equal(fig.data[0].z, causal)
    np.testing.assert_array_equal(np.array(fig.data[0].text) == "●", causal)  # not told by colour alone
    assert [note.text for note in fig.layout.annotations] == ["causal", "all"]
    with pytest.raises(ValueError, match=r"'odd' has the shape \(2, 2\); 3 tokens"):
        mask_figure({"odd": np.ones((2, 2))}, ["a", "b", "c"])


def test_what_goes_to_the_browser_is_json(causal):
    from plotly.graph_objects import FigureWidget

    for trace in FigureWidget(anatomy_figure(causal, 1))._data:  # as a widget holds it: vectors go as bytes
        grids = {name: np.asarray(trace[name]).tolist() for name in ("z", "customdata") if name in trace}
        json.dumps(grids, allow_nan=False)
