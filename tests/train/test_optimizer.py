import math

import pytest
import torch
from runs import At, assert_same, run_it
from torch import nn

from egemma_lab.train import Recipe
from egemma_lab.train.optimizer import learning_rate, make_optimizer, set_rate


class Small(nn.Module):
    """A token table, a norm and a matrix, float64."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed_tokens = nn.Embedding(7, 4)
        self.norm, self.dense = nn.LayerNorm(4), nn.Linear(4, 2, bias=False)
        self.double()

    def forward(self, ids):
        return self.dense(self.norm(self.embed_tokens(ids)))


def after_steps(table_rate, steps=1, rate=0.1, weight_decay=0.3):
    """{name: how far it moved} of a small model after AdamW's first steps."""
    model = Small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = make_optimizer(model, Recipe(weight_decay=weight_decay), table_rate)
    for _ in range(steps):
        set_rate(optimizer, rate)
        model(torch.tensor([0, 1, 2, 2, 5])).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name: value - before[name] for name, value in model.state_dict().items()}


def test_norms_are_not_decayed():
    model = nn.Sequential(nn.Embedding(7, 4), nn.LayerNorm(4), nn.Linear(4, 2, bias=False))
    decayed, free = make_optimizer(model, Recipe(weight_decay=0.3)).param_groups
    assert [p.shape for p in decayed["params"]] == [(7, 4), (2, 4)]
    assert [p.shape for p in free["params"]] == [(4,), (4,)]
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)


def test_it_is_fused_where_it_can_be():
    assert make_optimizer(nn.Linear(2, 2), Recipe()).param_groups[0]["fused"]


@pytest.mark.parametrize("share", [0.3, 0.01])
def test_the_table_moves_by_its_share_of_the_first_step_and_the_rest_as_before(share):
    whole, part = after_steps(1.0), after_steps(share)
    torch.testing.assert_close(
        part["embed_tokens.weight"], share * whole["embed_tokens.weight"], rtol=1e-9, atol=1e-12
    )
    assert whole["embed_tokens.weight"].abs().min() > 1e-4  # the decay moves rows that are in no text
    assert all(torch.equal(part[name], whole[name]) for name in whole if "embed_tokens" not in name)


def test_a_share_of_0_leaves_the_table_still():
    moved = after_steps(0.0, steps=3)
    assert (moved["embed_tokens.weight"] == 0).all()
    assert moved["dense.weight"].abs().min() > 0.1


def test_a_share_of_1_gives_the_groups_there_were_before_it(make_micro):
    model, recipe = make_micro(), Recipe(weight_decay=0.3, learning_rate=0.5)
    parameters = list(model.parameters())
    expected = [
        ([p for p in parameters if p.ndim >= 2], 0.3),
        ([p for p in parameters if p.ndim < 2], 0.0),
    ]
    for optimizer in (make_optimizer(model, recipe), make_optimizer(model, recipe, 1.0)):
        groups = optimizer.param_groups
        assert len(groups) == len(expected)
        for group, (members, decay) in zip(groups, expected):
            assert list(map(id, group["params"])) == list(map(id, members))
            assert (group["weight_decay"], group["lr"]) == (decay, 0.5)


def test_another_share_gives_the_table_a_group_of_its_own(make_micro):
    model, recipe = make_micro(), Recipe(weight_decay=0.3, learning_rate=0.5)
    matrices, norms, table = make_optimizer(model, recipe, 0.1).param_groups
    assert [id(p) for p in table["params"]] == [id(model.text_model.embed_tokens.weight)]
    assert [group["weight_decay"] for group in (matrices, norms, table)] == [0.3, 0.0, 0.3]
    assert [group["lr"] for group in (matrices, norms, table)] == pytest.approx([0.5, 0.5, 0.05])
    assert sum(len(group["params"]) for group in (matrices, norms, table)) == len(list(model.parameters()))
    model.text_model.embed_tokens.weight.requires_grad_(False)
    assert len(make_optimizer(model, recipe, 0.1).param_groups) == 2


def test_set_rate_gives_every_group_its_share():
    optimizer = make_optimizer(Small(), Recipe(), 0.25)
    set_rate(optimizer, 0.4)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.4, 0.4, 0.1])
    set_rate(optimizer, 0.2)  # of the step's rate, not of the last one
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.2, 0.2, 0.05])


def test_a_run_keeps_the_recipes_share_and_goes_on_with_it(make_micro, tiny_pairs, tmp_path):
    table, fresh = "text_model.embed_tokens.weight", make_micro().state_dict()
    runs, moved = {}, {}
    for share in (0.0, 0.1, 1.0):
        runs[share] = run_it(make_micro(), tiny_pairs[:64], tmp_path / f"share {share}", table_rate=share)
        weights = runs[share].model.state_dict()
        moved[share] = (weights[table] - fresh[table]).norm()
        assert not torch.equal(weights["dense_up.weight"], fresh["dense_up.weight"])
    assert moved[0.0] == 0
    assert 0.05 < moved[0.1] / moved[1.0] < 0.2
    settings = {"output": tmp_path / "parts", "table_rate": 0.1}
    run_it(make_micro(), tiny_pairs[:64], callbacks=[At(3, lambda state: state.stop())], **settings)
    assert_same(runs[0.1], run_it(make_micro(), tiny_pairs[:64], **settings))
    with pytest.raises(ValueError, match=r"table_rate was 0.1 and is 0.2"):
        run_it(make_micro(), tiny_pairs[:64], tmp_path / "parts", table_rate=0.2)


@pytest.mark.parametrize("warmup", [0.1, 10])
def test_warm_up_and_cosine(warmup):
    recipe = Recipe(steps=100, learning_rate=0.5, warmup=warmup)
    rates = [learning_rate(recipe, step, (step - 0.5) / 100) for step in range(1, 101)]
    assert 0 < rates[0] < 0.06
    assert rates[:9] == sorted(rates[:9])
    assert rates[12:] == sorted(rates[12:], reverse=True)
    assert rates[49] == pytest.approx(0.25 * (1 + math.cos(math.pi * 0.495)))
    assert 0 < rates[-1] < 1e-4


def test_no_warm_up():
    assert learning_rate(Recipe(warmup=0, learning_rate=0.5), 1, 0.0) == 0.5
    assert learning_rate(Recipe(warmup=0.0, learning_rate=0.5), 1, 0.0) == 0.5
