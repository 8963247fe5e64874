import math

import pytest
from torch import nn

from egemma_lab.train import Recipe
from egemma_lab.train.optimizer import learning_rate, make_optimizer


def test_norms_are_not_decayed():
    model = nn.Sequential(nn.Embedding(7, 4), nn.LayerNorm(4), nn.Linear(4, 2, bias=False))
    decayed, free = make_optimizer(model, Recipe(weight_decay=0.3)).param_groups
    assert [p.shape for p in decayed["params"]] == [(7, 4), (2, 4)]
    assert [p.shape for p in free["params"]] == [(4,), (4,)]
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)


def test_it_is_fused_where_it_can_be():
    assert make_optimizer(nn.Linear(2, 2), Recipe()).param_groups[0]["fused"]


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
