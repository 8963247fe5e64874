"""The exercises of notebook 09: their answers are what PyTorch and the package compute."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from egemma_lab.data import BatchPlan
from egemma_lab.explore.questions import QUESTIONS
from egemma_lab.explore.questions.train_on_a_gpu import WEIGHTS
from egemma_lab.model import EmbeddingGemma, preset_config
from egemma_lab.train import Recipe
from egemma_lab.train.gradient_cache import encode_and_backward
from egemma_lab.train.optimizer import make_optimizer
from egemma_lab.train.processes import of_whole_batch, share_of_batch


def answer(name):
    return QUESTIONS[f"train_on_a_gpu/{name}"].answer


def test_the_weights_are_those_of_the_preset():
    with torch.device("meta"):
        large = EmbeddingGemma(preset_config("300m"))
    assert sum(p.numel() for p in large.parameters()) == WEIGHTS


def test_a_weight_in_training_takes_sixteen_bytes():
    layer = torch.nn.Linear(40, 30, bias=False)
    optimizer = make_optimizer(layer, Recipe(steps=1))
    layer(torch.ones(2, 40)).sum().backward()
    optimizer.step()
    moments = [v for v in optimizer.state[layer.weight].values() if v.shape == layer.weight.shape]
    held = sum(t.nbytes for t in (layer.weight, layer.weight.grad, *moments))
    assert held / layer.weight.numel() * WEIGHTS / 1e9 == answer("bytes_of_a_training")


@pytest.mark.parametrize(("dtype", "end"), [(torch.bfloat16, answer("a_lost_update")), (torch.float32, 2.0)])
def test_updates_are_lost_in_bfloat16_only(dtype, end):
    weight = torch.ones((), dtype=dtype)
    for _ in range(1000):
        weight = weight + torch.tensor(0.001, dtype=dtype)
    assert float(weight) == pytest.approx(end, abs=1e-4)


def test_the_passes_of_cache_and_checkpointing():
    passes = 0
    layer = torch.nn.Linear(3, 3)

    def counted(x):
        nonlocal passes
        passes += 1
        return layer(x)

    def cost(encode, cache):
        nonlocal passes
        passes = 0
        chunks = [torch.ones(2, 3, requires_grad=True)]
        encode_and_backward(encode, chunks, lambda v: SimpleNamespace(total=v.sum()), cache=cache)
        return passes + 2  # a backward pass counts as two

    def checkpointed(x):
        return checkpoint(counted, x, use_reentrant=False)

    plain, cached, both = cost(counted, False), cost(counted, True), cost(checkpointed, True)
    assert (plain, cached) == (3, 4)
    assert both / plain == answer("passes_of_cache_and_checkpointing")


def test_the_positives_of_all_four_processes_are_choices(tiny_pairs):
    batch = BatchPlan(tiny_pairs, 32).batch(0)
    share = share_of_batch(SimpleNamespace(num_processes=4, process_index=1), batch)
    gathered = SimpleNamespace(num_processes=4, process_index=1, gather=lambda rows: rows.repeat(4, 1))
    vectors = of_whole_batch(gathered, torch.ones(len(share.positives), 3))
    assert len(vectors) / len(batch.positives) * 256 == answer("negatives_on_four_gpus")
