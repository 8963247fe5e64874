"""Each preset shows what its sentence says, on the circle and on the sphere, from three starts."""

import functools

import numpy as np
import pytest

from egemma_lab.explore.playground import loss_terms
from egemma_lab.explore.playground_measures import query_margins
from egemma_lab.explore.playground_presets import PRESETS, find_preset
from egemma_lab.explore.playground_sides import advance, begin
from egemma_lab.explore.playground_world import SPACES, make_world

SEEDS = (0, 1, 2)
STOPS = (0, 60, 120)  # steps after which sides are looked at


@functools.cache
def side_after(name, space, seed, steps):
    if steps == 0:
        return begin(name, space, seed)
    before = max(stop for stop in STOPS if stop < steps)
    return advance(side_after(name, space, seed, before), steps - before)


def after(name, space, seed, steps=60):
    """(side, its measures, its loss terms over all rows) after some steps of a preset."""
    side = side_after(name, space, seed, steps)
    points, world = side.state.points, side.state.world
    terms = loss_terms(points, world.teacher, world.ids, side.settings)
    return side, side.history[-1], {term: value.item() for term, value in terms.items()}


def cosine_to_hard_negatives(points):
    query, _, negative = points
    return float((query * negative).sum(dim=-1).mean())


def cosine_to_the_start(side):
    return float((side.state.points * side.state.world.start).sum(dim=-1).mean())


@pytest.fixture(params=[(space, seed) for space in SPACES for seed in SEEDS], ids=str)
def where(request):
    return request.param


def test_the_papers(where):
    _, now, _ = after("the paper's", *where)
    _, before, _ = after("the paper's", *where, steps=0)
    assert now["alignment"] < 0.01
    assert now["accuracy"] >= 0.8
    assert now["margin"] > 0.03
    assert now["uniformity"] < -0.75 < before["uniformity"]
    assert now["teacher"] > before["teacher"]
    assert now["copies"] > 0.95


def test_contrastive_alone(where):
    _, now, _ = after("contrastive alone", *where, steps=120)
    assert now["accuracy"] >= 0.8
    assert now["teacher"] < after("the paper's", *where, steps=120)[1]["teacher"] - 0.03


def test_collapse(where):
    _, now, terms = after("collapse", *where)
    _, before, _ = after("collapse", *where, steps=0)
    assert now["mean_cosine"] > 0.95
    assert now["mean_cosine"] > before["mean_cosine"]
    assert now["uniformity"] > -0.2
    assert now["alignment"] < 1e-3
    assert terms["contrastive"] < 1e-3


def test_too_cold(where):
    """The loss falls on and on; the margins stay behind those of a temperature of 0.05, and so does the cone."""
    losses = [after("too cold", *where, steps=steps)[2]["contrastive"] for steps in STOPS]
    assert losses[0] > 2 * losses[1] > 2 * losses[2]
    assert losses[2] < 0.1 * losses[0]
    _, now, _ = after("too cold", *where, steps=120)
    _, usual, _ = after("contrastive alone", *where, steps=120)
    assert 0.05 < now["margin"] / usual["margin"] < 0.2
    assert now["mean_cosine"] > 0.85
    assert now["uniformity"] > 0.3 * usual["uniformity"]


def test_too_warm(where):
    side, now, _ = after("too warm", *where)
    usual_side, usual, _ = after("contrastive alone", *where)
    assert cosine_to_the_start(side) > 0.98
    assert cosine_to_the_start(usual_side) < 0.95
    assert now["uniformity"] > 0.6 * usual["uniformity"]
    assert now["margin"] < 0.5 * usual["margin"]


def test_no_spread_out(where):
    _, now, terms = after("no spread-out", *where)
    _, usual, with_it = after("the paper's", *where)
    _, before, _ = after("no spread-out", *where, steps=0)
    assert before["uniformity"] > now["uniformity"] > usual["uniformity"] + 0.05
    assert terms["spread_out"] > with_it["spread_out"]


def test_distillation_alone(where):
    side, now, _ = after("distillation alone", *where)
    usual_side, usual, _ = after("the paper's", *where)
    world = side.state.world
    assert now["teacher"] > usual["teacher"] + 0.05
    assert now["teacher"] > 0.7
    assert now["margin"] < usual["margin"]
    crowded = [cosine_to_hard_negatives(points) for points in (side.state.points, world.teacher)]
    assert abs(crowded[0] - crowded[1]) < 0.15
    assert cosine_to_hard_negatives(usual_side.state.points) < crowded[1] - 0.2
    later = side_after("distillation alone", *where, 120).state.points
    found = [query_margins(points, world) > 0 for points in (later, world.teacher)]
    assert (found[0] == found[1]).mean() > 0.65  # its mistakes


def test_duplicates_without_the_mask(where):
    _, now, _ = after("duplicates without the mask", *where, steps=120)
    _, masked, _ = after("the paper's", *where, steps=120)
    assert masked["copies"] > 0.95
    assert now["copies"] < masked["copies"] - (0.1 if where[0] == "sphere" else 0.003)


def test_hardness_too_high(where):
    side, now, _ = after("hardness too high", *where)
    usual_side, usual, _ = after("the paper's", *where)
    reached, teacher = cosine_to_hard_negatives(side.state.points), side.state.world.teacher
    assert reached < cosine_to_hard_negatives(usual_side.state.points) - 0.2
    assert reached < cosine_to_hard_negatives(teacher) - 0.4
    assert now["teacher"] < usual["teacher"]


def test_batch_of_two(where):
    _, _now, among_all = after("batch of two", *where)
    _, _usual, usual_among_all = after("the paper's", *where)
    assert np.median(batch_losses("batch of two", *where)) < np.median(batch_losses("the paper's", *where))
    assert among_all["contrastive"] > usual_among_all["contrastive"]


def batch_losses(name, space, seed):
    """The contrastive term of twelve steps that follow on the sixty."""
    side = side_after(name, space, seed, 60)
    for _ in range(12):
        side = advance(side)
    return [row["contrastive"] for row in side.history[-12:]]


def test_one_width():
    for seed in SEEDS:
        narrow, usual = (after(name, "sphere", seed)[1] for name in ("one width", "the paper's"))
        assert narrow["accuracy_at_2"] < usual["accuracy_at_2"]
        assert narrow["accuracy"] == usual["accuracy"] == 1
        on_circle = [
            side_after(name, "circle", seed, 60).state.points for name in ("one width", "the paper's")
        ]
        assert (on_circle[0] == on_circle[1]).all()


def test_every_preset_says_what_to_expect_and_an_unknown_one_is_named():
    assert all(preset.expect.endswith((".", ")")) for preset in PRESETS.values())
    with pytest.raises(ValueError, match="there is no preset 'hot'; there are the paper's, "):
        find_preset("hot")
    assert make_world("circle").space == "circle"
