"""The playground as a widget: what its controls do is what the pure functions say."""

import numpy as np
import pytest
from films import kept_by

from egemma_lab.explore import displayed, loss_playground, playground_panel
from egemma_lab.explore.named import named
from egemma_lab.explore.playground import Settings, step
from egemma_lab.explore.playground_figure import axis_ranges, moving
from egemma_lab.explore.playground_motion import marks_moved
from egemma_lab.explore.playground_presets import PRESETS
from egemma_lab.explore.playground_sides import advance, begin
from egemma_lab.losses import register_term


@pytest.fixture
def playground():
    return loss_playground("the paper's", "collapse")


def assert_drawn(playground, sides, view=(0.0, 25.0)):
    """The live figure shows these sides, and nothing else."""
    for trace, change in zip(playground.live.data, moving(sides, view), strict=True):
        for name, value in change.items():
            np.testing.assert_array_equal(trace[name], value)
    for axis, span in axis_ranges(sides).items():
        assert list(playground.live.layout[axis].range) == pytest.approx(span)
    titles = [annotation.text for annotation in playground.live.layout.annotations[:2]]
    assert titles == [f"<b>{letter}</b> · {side.name}" for letter, side in zip("AB", sides)]


def fresh(*steps, a="the paper's", b="collapse", **where):
    sides = [begin(settings, **where) for settings in (a, b)]
    for number in steps:
        sides = [advance(side, number) for side in sides]
    return sides


def test_play_step_and_reset(playground):
    assert_drawn(playground, fresh())
    playground.play.value = 1
    assert_drawn(playground, fresh(4))
    playground.pace.value = 2
    playground.play.value = 3  # the browser skipped one: the kernel was busy
    assert_drawn(playground, fresh(4, 2))
    playground.step_button.click()
    assert_drawn(playground, fresh(4, 2, 1))
    playground.play.value = 0  # its stop button
    assert_drawn(playground, fresh())
    playground.advance(3)
    playground.reset_button.click()
    assert_drawn(playground, fresh())
    assert playground.history["steps"].tolist() == [0, 0]


def test_words_are_those_of_what_is_drawn(playground):
    playground.step_button.click()
    assert "After 1 step " in playground.message.value
    assert "cone of the untrained start stays shut" in playground.message.value
    playground.play.value = 1
    assert "After 5 steps" not in playground.message.value  # while it plays, not with every picture
    setattr(playground.play, playground._playing, True)
    setattr(playground.play, playground._playing, False)
    assert "After 5 steps" in playground.message.value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contrastive", 2.0),
        ("spread_out", 0.0),
        ("matching", 3.0),
        ("temperature", 0.5),
        ("hardness", 20.0),
        ("batch_size", 2),
        ("learning_rate", 0.2),
        ("negatives", "in-batch"),
        ("mask", False),
    ],
)
def test_each_slider_shows_at_once_and_in_the_next_step(playground, name, value):
    playground.advance(3)
    before = [np.array(trace.x) for trace in playground.live.data]
    playground.boxes[0].controls[name].value = value
    settings = Settings(**{name: value})
    assert playground.sides[0].settings == settings
    assert playground.presets[0].value == "own settings"
    after = [np.array(trace.x) for trace in playground.live.data]
    changed = [not np.array_equal(x, y, equal_nan=True) for x, y in zip(before, after)]
    ahead = [i for i, trace in enumerate(playground.live.data) if trace.name.startswith("next")]
    # the look ahead of A, and nothing else; without the mask it moves only where copies meet
    assert [i for i, moved in enumerate(changed) if moved] in ([ahead[0]], [])
    assert changed[ahead[0]] or name == "mask"
    expected = advance(begin("the paper's"), 3).state
    playground.advance(1)
    np.testing.assert_array_equal(playground.sides[0].state.points, step(expected, settings).points)


def test_presets_load_into_either_side_and_both_start_anew(playground):
    playground.advance(5)
    playground.presets[1].value = "too cold"
    assert_drawn(playground, fresh(b="too cold"))
    assert playground.boxes[1].settings == PRESETS["too cold"].settings
    playground.load("A", Settings(temperature=0.03, hardness=0))
    assert playground.boxes[0].controls["temperature"].value == 0.03
    assert playground.presets[0].value == "own settings"
    assert playground.sides[0].settings.hardness == 0
    playground.load("B", Settings(contrastive=7.5))
    assert playground.boxes[1].settings.contrastive == 7.5  # beyond the slider's end, which moves
    playground.presets[0].value = "too cold"
    playground.presets[0].value = "own settings"
    assert playground.sides[0].name == "own settings"
    assert playground.sides[0].settings == PRESETS["too cold"].settings
    with pytest.raises(ValueError, match="letter='C'"):
        playground.load("C", "collapse")


@pytest.mark.parametrize("name", PRESETS)
def test_controls_show_every_preset_as_it_is(playground, name):
    playground.boxes[0].show(PRESETS[name].settings)
    assert playground.boxes[0].settings == PRESETS[name].settings


def test_space_start_and_view(playground):
    assert playground.tilt.disabled
    assert playground.boxes[0].controls["matryoshka"].disabled
    playground.space.value = "sphere"
    assert not playground.tilt.disabled
    assert not playground.boxes[1].controls["matryoshka"].disabled
    assert_drawn(playground, fresh(space="sphere"))
    playground.seed.value = 1
    assert_drawn(playground, fresh(space="sphere", seed=1))
    playground.tilt.value = 90
    playground.turn.value = 40
    assert_drawn(playground, fresh(space="sphere", seed=1), (40.0, 90.0))


def test_an_error_stops_playing_and_shows(playground, monkeypatch):
    def broken(*_):
        raise ValueError("the points have no direction")

    setattr(playground.play, playground._playing, True)
    monkeypatch.setattr(playground_panel, "advance", broken)
    with pytest.raises(ValueError, match="no direction"):
        playground.play.value = 1
    assert "the points have no direction" in playground.message.value
    assert getattr(playground.play, playground._playing) is False
    monkeypatch.undo()
    playground.reset_button.click()
    assert "no direction" not in playground.message.value


def test_history_is_a_table_of_both_sides(playground):
    playground.advance(2)
    table = playground.history
    assert table["side"].tolist() == ["A", "A", "B", "B"]
    assert table["steps"].tolist() == [0, 2, 0, 2]
    assert table["contrastive"].isna().tolist() == [True, False, True, False]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="there is no preset 'the papers'"):
        loss_playground("the papers")
    with pytest.raises(ValueError, match="space='cube'"):
        loss_playground(space="cube")


def test_moves_keep_nothing(playground):
    slider = playground.boxes[0].controls["temperature"]
    assert kept_by(lambda i: setattr(slider, "value", (0.1, 0.2)[i % 2])) < 1000


def test_moved_marks_travel_as_an_animation_that_redraws_nothing_else(playground, monkeypatch):
    sent = []
    monkeypatch.setattr(
        type(playground.live),
        "_send_animate_msg",
        lambda figure, **message: sent.append(message),
        raising=True,
    )
    with marks_moved(playground.live):
        playground.live.data[0].x = [0.0, 1.0]
    [message] = sent
    assert message["animation_opts"]["frame"] == {"duration": 0, "redraw": False}
    assert message["trace_indexes"] == [0]


def test_it_shows_itself_with_a_page_that_plays_without_a_kernel(playground, monkeypatch):
    outputs, shown = [], []
    monkeypatch.setenv("EGEMMA_FAST", "1")
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", lambda data, **kw: outputs.append(data))
    monkeypatch.setattr(displayed, "named", lambda box: shown.append(named(box)) or shown[0])
    playground._ipython_display_()
    [data] = outputs
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == shown[0].model_id
    assert shown[0].children[0] is playground.box
    assert len(data["application/vnd.plotly.v1+json"]["frames"]) == 9
    assert "two circles" in data["text/plain"]


def test_a_term_of_ones_own_has_a_slider(no_own_terms):
    @register_term()
    def apart(vectors):
        return (vectors.query @ vectors.query.T).mean()

    playground = loss_playground("the paper's", "collapse")
    slider = playground.boxes[0].own_terms["apart"]
    assert slider in playground.boxes[0].box.children
    assert slider.value == 0
    before = playground.sides[0].state.points
    slider.value = 2.0
    assert playground.sides[0].settings == Settings(own_terms={"apart": 2.0})
    playground.advance(1)
    expected = step(begin("the paper's").state, Settings(own_terms={"apart": 2.0})).points
    np.testing.assert_array_equal(playground.sides[0].state.points, expected)
    assert not np.array_equal(playground.sides[0].state.points, before)

    @register_term()
    def late(vectors):  # registered when the panel stood already
        return vectors.query.square().mean()

    playground.load("A", Settings(own_terms={"late": 1.0}))
    assert playground.boxes[0].own_terms["late"].value == 1
    assert playground.boxes[0].own_terms["apart"].value == 0
    assert playground.boxes[0].settings == Settings(own_terms={"late": 1.0})

    both = Settings(own_terms={"apart": 1.0, "late": 2.0})
    assert loss_playground(both, "collapse").sides[0].settings == both  # as given, before anything is moved
