"""The playground's step against plain loops, the recipe's own loss, and its promises about settings and randomness."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from egemma_lab.explore.playground import NEGATIVES, Settings, loss_terms, start, step, widths
from egemma_lab.explore.playground_measures import measure
from egemma_lab.explore.playground_world import ROWS, SPACES, make_world
from egemma_lab.losses import RecipeLoss, register_term, spread_out_loss


@pytest.fixture(params=SPACES)
def begin(request):
    return start(make_world(request.param))


def terms_of(state, settings):
    return {
        name: value.item()
        for name, value in loss_terms(state.points, state.world.teacher, state.world.ids, settings).items()
    }


def test_the_terms_are_those_of_the_recipe(begin):
    settings = Settings(temperature=0.2, hardness=3.0)
    (query, positive, negative), teacher, ids = begin.points, begin.world.teacher, begin.world.ids
    recipe = RecipeLoss(temperature=0.2, hardness=3.0, dims=widths(query, settings))
    _, expected = recipe(
        query,
        positive,
        negative,
        query_ids=ids,
        positive_ids=ids,
        teacher_query=teacher[0],
        teacher_positive=teacher[1],
        teacher_negative=teacher[2],
    )
    for name, value in terms_of(begin, settings).items():
        assert value == pytest.approx(expected[name].item(), rel=1e-4), name


def test_without_negatives_only_the_numerator_is_left(begin):
    q, p = begin.points[:2].double().numpy()
    by_hand = np.mean([np.sum((a - b) ** 2) for a, b in zip(q, p)]) / 0.2  # 2 (1 − cos) / τ
    assert terms_of(begin, Settings(negatives="none", temperature=0.2))["contrastive"] == pytest.approx(
        by_hand, rel=1e-3
    )


def test_mask_and_hard_negatives_lower_the_loss_by_what_they_take_out(begin):
    both, no_mask = (terms_of(begin, Settings(mask=mask))["contrastive"] for mask in (True, False))
    in_batch = terms_of(begin, Settings(negatives="in-batch"))["contrastive"]
    assert in_batch < both < no_mask


def test_the_slope_that_is_followed_is_the_one_of_finite_differences():
    state = start(make_world("sphere"))
    settings = Settings(temperature=0.3, hardness=0, learning_rate=1e-3)  # hardness: sg is no part of a slope
    moved = (step(state, settings).points.double() - state.points.double()) / -1e-3
    points, teacher, ids = state.points.double(), state.world.teacher.double(), state.world.ids
    slopes = torch.zeros_like(points)
    for index in np.ndindex(*points.shape):
        values = []
        for tiny in (1e-5, -1e-5):
            shifted = points.clone()
            shifted[index] += tiny
            values.append(sum(loss_terms(shifted, teacher, ids, settings).values()).item())
        slopes[index] = (values[0] - values[1]) / 2e-5
    along = slopes - (slopes * points).sum(-1, keepdim=True) * points  # the length is put back to 1
    assert torch.allclose(moved, along, atol=5e-3)


def test_equal_states_and_settings_take_equal_steps_and_change_nothing_given(begin):
    settings, before = Settings(batch_size=4), begin.points.clone()
    assert torch.equal(step(begin, settings).points, step(begin, settings).points)
    assert torch.equal(begin.points, before)
    assert begin.steps == 0
    assert step(begin, settings).steps == 1


def test_only_the_rows_of_the_batch_move_and_all_get_their_turn(begin):
    state, moved = begin, torch.zeros(ROWS, dtype=torch.bool)
    for _ in range(20):
        after = step(state, Settings(batch_size=3))
        rows = (after.points != state.points).any(dim=-1).any(dim=0)
        assert 1 <= rows.sum() <= 3
        moved |= rows
        state = after
    assert moved.all()


def test_two_settings_see_the_same_batches(begin):
    a, b = (step(begin, Settings(batch_size=3, temperature=temperature)) for temperature in (0.05, 0.5))
    rows = [(state.points != begin.points).any(dim=-1).any(dim=0) for state in (a, b)]
    assert torch.equal(*rows)


def test_without_any_weight_nothing_moves(begin):
    after = step(begin, Settings(contrastive=0, spread_out=0, matching=0))
    assert torch.allclose(after.points, begin.points, atol=1e-6)


def test_on_the_circle_the_second_width_changes_nothing():
    state = start(make_world("circle"))
    a, b = (step(state, Settings(matryoshka=both)).points for both in (True, False))
    assert torch.equal(a, b)


def test_extreme_settings_keep_the_points_on_the_sphere(begin):
    state = begin
    for settings in (
        Settings(temperature=0.001, learning_rate=2.0),
        Settings(hardness=50, temperature=0.001),
    ):
        for _ in range(5):
            state = step(state, settings)
        assert torch.allclose(state.points.norm(dim=-1), torch.ones(3, ROWS), atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"contrastive": -1}, "contrastive=-1 must be a finite number >= 0"),
        ({"hardness": math.nan}, "hardness=nan"),
        ({"temperature": 0}, "temperature=0 must be a finite number above 0"),
        ({"learning_rate": math.inf}, "learning_rate=inf"),
        ({"negatives": "some"}, f"negatives='some' is not one of {NEGATIVES[0]!r}"),
        ({"batch_size": 1}, "batch_size=1 must be a whole number"),
        ({"batch_size": 2.5}, "batch_size=2.5 must be a whole number"),
        ({"batch_size": 11}, "batch_size=11 must be a whole number from 2 to 10"),
    ],
)
def test_impossible_settings_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        Settings(**wrong)


def test_worlds():
    for space, d in (("circle", 2), ("sphere", 3)):
        world, other = make_world(space), make_world(space, seed=1)
        assert world.start.shape == world.teacher.shape == (3, ROWS, d)
        assert not torch.equal(world.start, other.start)
        for points in (world.start, world.teacher):
            assert torch.allclose(points.norm(dim=-1), torch.ones(3, ROWS), atol=1e-6)
        assert measure(start(world))["mean_cosine"] > 0.9  # the cone
        assert measure(start(world))["copies"] > 0.999
        copies = world.ids[world.originals :]
        assert torch.equal(world.teacher[:, world.originals :], world.teacher[:, copies])
    with pytest.raises(ValueError, match="space='plane' is not one of 'circle', 'sphere'"):
        make_world("plane")


def test_measures_of_hand_made_places():
    world = make_world("circle")
    angle = 2 * torch.pi * world.ids / world.originals
    ring = torch.stack([angle.cos(), angle.sin()], dim=-1)
    spread = measure(replace(start(world), points=torch.stack([ring, ring, -ring])))
    assert spread["alignment"] == pytest.approx(0, abs=1e-9)
    assert spread["accuracy"] == pytest.approx(1)
    assert spread["copies"] == pytest.approx(1)
    assert spread["mean_cosine"] == pytest.approx(-1 / (world.originals - 1), abs=1e-6)
    assert spread["margin"] == pytest.approx(1 - math.cos(2 * math.pi / world.originals), abs=1e-6)
    lost = measure(replace(start(world), points=torch.stack([ring, -ring, ring])))
    assert lost["accuracy"] == 0
    assert lost["alignment"] == pytest.approx(4, abs=1e-6)
    taught = measure(replace(start(world), points=world.teacher))
    assert taught["teacher"] == pytest.approx(1, abs=1e-6)


def test_the_papers_term_as_ones_own_takes_the_same_steps(begin, no_own_terms):
    @register_term(every_width=True)
    def spread(vectors):
        return spread_out_loss(vectors.query, vectors.positive)

    alone = {"contrastive": 0.0, "matching": 0.0}
    papers, own = Settings(**alone), Settings(**alone, spread_out=0.0, own_terms={"spread": 1.0})
    one, other = begin, begin
    for _ in range(5):
        one, other = step(one, papers), step(other, own)
    torch.testing.assert_close(one.points, other.points)
    assert not torch.allclose(one.points, begin.points, atol=1e-3)
    assert other.terms["spread"] == pytest.approx(one.terms["spread_out"], rel=1e-5)
    with pytest.raises(ValueError, match="spread=-1"):
        Settings(own_terms={"spread": -1})
