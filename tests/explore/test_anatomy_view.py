import numpy as np
import pytest

from egemma_lab.explore import anatomy
from egemma_lab.explore.anatomy_data import dissect
from egemma_lab.explore.anatomy_drawing import anatomy_figure

TEXT = "Saturn orbits the distant sun."


@pytest.fixture
def panel(micro_model):
    return anatomy(micro_model, TEXT)


def shows(panel, model, text, prompt_name, causal, reach, layer, head):
    """Whether the live figure's data are those that the pure functions give for a setting."""
    found = dissect(model, text, prompt_name, causal, reach)
    without = None if prompt_name is None else dissect(model, text, None, causal, reach)
    expected = anatomy_figure(found, layer, head, without=without)
    for live, pure in zip(panel.live.data, expected.data, strict=True):
        for name in ("x", "y", "z"):
            np.testing.assert_array_equal(getattr(live, name, None), getattr(pure, name, None))
    assert panel.live.layout.title.text == expected.layout.title.text
    assert panel.live.layout.height == expected.layout.height
    return True


def test_each_control_moves_the_figure_as_the_functions_say(panel, micro_model):
    assert shows(panel, micro_model, TEXT, None, False, None, 6, None)
    panel.layer.value = 2
    assert shows(panel, micro_model, TEXT, None, False, None, 2, None)
    panel.head.value = 1
    assert shows(panel, micro_model, TEXT, None, False, None, 2, 1)
    panel.window.value = 3
    assert shows(panel, micro_model, TEXT, None, False, 3, 2, 1)
    panel.direction.value = True
    assert shows(panel, micro_model, TEXT, None, True, 3, 2, 1)
    panel.prompt.value = "query"
    assert shows(panel, micro_model, TEXT, "query", True, 3, 2, 1)
    panel.text.value = "Mars reflects a cold moon."
    assert shows(panel, micro_model, "Mars reflects a cold moon.", "query", True, 3, 2, 1)
    panel.window.value = "own"
    panel.head.value = "mean"
    assert shows(panel, micro_model, "Mars reflects a cold moon.", "query", True, None, 2, None)


def test_it_can_begin_anywhere(micro_model):
    panel = anatomy(micro_model, TEXT, prompt_name="STS", causal=True, reach=5, layer=3, head=2)
    assert shows(panel, micro_model, TEXT, "STS", True, 5, 3, 2)
    assert panel.prompt.value == "STS"
    assert "layer 3, head 2" in panel.alt
    assert anatomy(micro_model, TEXT, reach=0).window.value == 0


def test_the_line_of_words(panel, micro_model):
    assert "(32,768 weights) or their product (4,096)" in panel.message.value
    assert "prompt" not in panel.message.value
    panel.direction.value = True
    cosine = dissect(micro_model, TEXT).vector @ dissect(micro_model, TEXT, causal=True).vector
    assert f"under the model&#x27;s own masks: {cosine:.3f}" in panel.message.value
    panel.prompt.value = "query"
    share = dissect(micro_model, TEXT, "query", causal=True).share_of("prompt")
    assert f"{share:.1%} of the squared length" in panel.message.value


def test_long_texts_are_cut_and_the_panel_says_so(panel):
    panel.text.value = " ".join([TEXT] * 20)
    assert len(panel.found.tokens) == 64
    assert "The first 64 of" in panel.message.value


def test_an_error_shows_and_is_raised(panel, monkeypatch):
    monkeypatch.setattr("egemma_lab.explore.anatomy_view.redraw_anatomy", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        panel.layer.value = 1
    assert "ZeroDivisionError" in panel.message.value


def test_what_the_model_has_not_is_refused(micro_model):
    with pytest.raises(ValueError, match="layer=9 is not one of 1 to 6"):
        anatomy(micro_model, TEXT, layer=9)
    with pytest.raises(ValueError, match="prompt_name='none' is not one of"):
        anatomy(micro_model, TEXT, prompt_name="none")


def test_each_distinct_prompt_once(panel, micro_model):
    shown = [name for _, name in panel.prompt.options]
    assert shown[0] is None
    prompts = [micro_model.prompts[name] for name in shown[1:]]
    assert sorted(prompts) == sorted(set(micro_model.prompts.values()))


def test_few_dissections_are_kept(panel):
    for i in range(20):
        panel.text.value = f"Mars passes a cold moon {i}."
    assert panel._dissect.cache_info().currsize <= 8
