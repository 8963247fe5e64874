"""What is drawn of the playground and said of it: sides, their history, places, ranges, the page with frames."""

import json
from dataclasses import replace

import numpy as np
import pytest

from egemma_lab.explore import playground_page, playground_sides
from egemma_lab.explore.playground import Settings, step
from egemma_lab.explore.playground_drawing import AHEAD, LANES, SPACE_TRACES, seen_from, space_data
from egemma_lab.explore.playground_figure import CURVES, WIDTH, axis_ranges, moving, playground_figure
from egemma_lab.explore.playground_sides import advance, begin, describe, describe_both
from egemma_lab.explore.playground_world import ROWS

NAMES = [trace["name"] for trace in SPACE_TRACES]


@pytest.fixture(scope="module")
def sides():
    return [advance(begin(name), 6) for name in ("the paper's", "collapse")]


def test_history_is_what_was_measured_and_never_grows_beyond_its_bound(monkeypatch):
    monkeypatch.setattr(playground_sides, "MOST", 8)
    side = begin("collapse")
    for _ in range(30):
        side = advance(side)
        assert len(side.history) <= 8
    assert side.history[0]["steps"] == 0
    assert side.history[-1]["steps"] == side.state.steps == 30
    assert side.history[-1]["contrastive"] == side.state.terms["contrastive"]


def test_sides_with_settings_of_ones_own():
    side = begin(Settings(temperature=0.3), "sphere", 2)
    assert (side.name, side.state.world.space, side.state.world.seed) == ("own settings", "sphere", 2)
    with pytest.raises(ValueError, match="there is no preset 'none'"):
        begin("none")


def test_words_follow_the_numbers(sides):
    paper, collapse = sides
    assert "all texts lie nearly together" in describe(collapse)
    assert "copies of one text" not in describe(collapse)
    now = {**paper.history[-1], "accuracy": 0.8, "uniformity": -1.5, "copies": 0.5}
    said = describe(replace(paper, history=(now,)))
    assert (
        "After 6 steps 8 of 10 queries find their own positive; the texts use the circle about as evenly"
        in said
    )
    assert said.endswith("copies of one text lie apart (cosine 0.50).")
    hair = describe(replace(paper, history=({**now, "accuracy": 1.0, "margin": 0.004},)))
    assert "10 of 10 queries find their own positive, but by a hair (margin 0.004)" in hair
    assert "from the first two numbers alone" in describe(begin("too cold", "sphere"))
    assert "B, collapse: After 6 steps" in describe_both(sides)


def test_points_stand_where_the_state_has_them(sides):
    side = sides[0]
    data = dict(zip(NAMES, space_data(side.state, side.settings, (0.0, 25.0))))
    for index, name in enumerate(("query", "positive", "hard negative")):
        points = np.stack([data[name]["x"], data[name]["y"]], axis=1)
        np.testing.assert_allclose(points, LANES[name] * side.state.points[index].numpy(), atol=1e-6)
    pairs = data["pair"]["x"].reshape(ROWS, 3)
    np.testing.assert_allclose(pairs[:, 0], side.state.points[0, :, 0], atol=1e-6)
    np.testing.assert_allclose(pairs[:, 1], LANES["positive"] * side.state.points[1, :, 0], atol=1e-6)
    assert np.isnan(pairs[:, 2]).all()


def test_the_thin_lines_look_ahead_along_the_next_step(sides):
    side = sides[0]
    data = dict(zip(NAMES, space_data(side.state, side.settings, (0.0, 25.0))))
    line = np.stack([data[f"next {AHEAD} steps"][axis].reshape(3, ROWS, 3) for axis in "xy"], axis=-1)
    after = step(side.state, side.settings).points.numpy()
    before = side.state.points.numpy()
    turned = which_way(before[0], after[0])  # each query goes round
    assert (turned == which_way(line[0, :, 0].astype(float), line[0, :, 1].astype(float))).all()


def which_way(before, after):
    """The sign of the turn from each row (x, y) to its next: 1 is against the clock."""
    return np.sign(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])


def test_the_sphere_from_above_is_its_first_two_numbers():
    points = np.random.default_rng(0).normal(size=(20, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    above = seen_from(points, (0.0, 90.0))
    np.testing.assert_allclose(above, points, atol=1e-12)
    anywhere = seen_from(points, (37.0, 12.0))
    np.testing.assert_allclose(anywhere @ anywhere.T, points @ points.T, atol=1e-12)  # a rotation
    side = advance(begin("the paper's", "sphere"))
    opacity = space_data(side.state, side.settings, (180.0, 0.0))[-3]["marker.opacity"]
    assert (opacity == 0.4).all()  # turned away, the cone of the start is on the far side


def test_traces_are_the_same_for_all_sides_and_hold_what_moving_says(sides):
    figure = playground_figure(sides)
    assert len(figure.data) == len(moving(sides)) == 2 * len(SPACE_TRACES) + 2 * len(CURVES)
    sphere = playground_figure([begin("too cold", "sphere")] * 2, (10.0, 90.0))
    assert [trace.name for trace in figure.data] == [trace.name for trace in sphere.data]
    for trace, change in zip(figure.data, moving(sides)):
        for name, value in change.items():
            np.testing.assert_array_equal(trace[name], value)
    accuracy = figure.data[-2]
    assert list(accuracy.x) == [0, 6]
    assert accuracy.y[-1] == pytest.approx(sides[0].history[-1]["accuracy"])
    assert figure.layout.width == WIDTH
    assert figure.layout.annotations[1].text == "<b>B</b> · collapse"


def test_ranges_hold_every_value_and_seldom_change():
    pair, seen = [begin("the paper's", "sphere"), begin("batch of two", "sphere")], []
    for _ in range(15):
        pair = [advance(side, 2) for side in pair]
        ranges = axis_ranges(pair)
        seen.append(json.dumps(ranges))
        for number, name in enumerate(CURVES, start=3):
            low, high = ranges[f"yaxis{number}"]
            values = [row[name] for side in pair for row in side.history if name in row]
            assert low <= min(values)
            assert max(values) <= high
            assert ranges[f"xaxis{number}"][1] >= 30
    assert len(set(seen)) <= 8


def test_a_page_plays_without_a_kernel_and_is_small():
    page = playground_page("the paper's", "too cold", space="sphere", steps=82)
    assert [frame.name for frame in page.frames] == [str(i) for i in range(len(page.frames))]
    assert len(page.frames) == 29  # pictures three steps apart, the start and the end among them
    assert page.layout.sliders[0].steps[-1].label == "step 84"
    assert page.layout.meta["alt"].startswith(
        "Points moved by the losses on two spheres. A, the paper's: After 84"
    )
    last = page.frames[-1]
    for index, data in zip(last.traces, last.data):
        np.testing.assert_allclose(np.array(data.x, float), np.array(page.data[index].x, float), atol=6e-4)
    per_frame = len(page.to_html(include_plotlyjs=False)) / len(page.frames)
    assert 41 * per_frame < 300_000
    assert not any("next" in trace.name for trace in page.data if trace.visible is not False)
