import json

import pytest
import torch
from torch import nn

from egemma_lab.train import Recipe
from egemma_lab.train.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from egemma_lab.train.optimizer import make_optimizer


def trained(steps=3, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    optimizer = make_optimizer(model, Recipe())
    for _ in range(steps):
        step(model, optimizer)
    return model, optimizer


def step(model, optimizer):
    model(torch.randn(5, 4)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_going_on_is_bit_for_bit_the_same(tmp_path):
    model, optimizer = trained()
    path = save_checkpoint(tmp_path, 3, model, optimizer, elapsed=1.5, keep=2)
    other, other_optimizer = trained(steps=0, seed=9)
    state = load_checkpoint(path, other, other_optimizer)
    assert (state["step"], state["elapsed"]) == (3, 1.5)
    for m, o in ((model, optimizer), (other, other_optimizer)):
        torch.manual_seed(5)
        step(m, o)
    for a, b in zip(model.parameters(), other.parameters()):
        assert torch.equal(a, b)


def test_only_the_newest_are_kept(tmp_path):
    model, optimizer = trained()
    for number in (5, 10, 100, 20):
        save_checkpoint(tmp_path, number, model, optimizer, elapsed=0.0, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000020", "step-000100"]


def test_no_pickle(tmp_path):
    path = save_checkpoint(tmp_path, 1, *trained(), elapsed=0.0, keep=1)
    assert sorted(p.name for p in path.iterdir()) == [
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.unlink()])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, name, damage):
    model, optimizer = trained()
    save_checkpoint(tmp_path, 1, model, optimizer, elapsed=0.0, keep=2)
    newest = save_checkpoint(tmp_path, 2, model, optimizer, elapsed=0.0, keep=2)
    damage(newest / name)
    with pytest.warns(UserWarning, match="step-000002 is damaged"):
        path, state = newest_checkpoint(tmp_path)
    assert (path.name, state["step"]) == ("step-000001", 1)


def test_a_changed_step_is_damage(tmp_path):
    path = save_checkpoint(tmp_path, 2, *trained(), elapsed=0.0, keep=2)
    state = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**state, "step": 1}))
    with pytest.warns(UserWarning, match="damaged"):
        assert newest_checkpoint(tmp_path) is None


def test_none_yet(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "nowhere") is None


def test_another_models_checkpoint_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, 1, *trained(), elapsed=0.0, keep=1)
    smaller = nn.Linear(4, 8)
    before = smaller.weight.detach().clone()
    with pytest.raises(ValueError, match=r"is of another model: 0\.bias is in one of them alone"):
        load_checkpoint(path, smaller)
    assert torch.equal(smaller.weight, before)


def test_what_does_not_learn_is_not_kept(tmp_path):
    model, optimizer = trained()
    model[0].requires_grad_(False)
    path = save_checkpoint(tmp_path, 1, model, optimizer, elapsed=0.0, keep=1)
    other, _ = trained(seed=9)
    other[0].requires_grad_(False)
    own = other[0].weight.detach().clone()
    load_checkpoint(path, other)
    assert torch.equal(other[0].weight, own)
    assert torch.equal(other[2].weight, model[2].weight)
    with pytest.raises(ValueError, match=r"0\.bias is in one"):
        load_checkpoint(path, trained(seed=9)[0])
