from types import SimpleNamespace

import pytest
import torch
from torch import nn

from egemma_lab.train.gradient_cache import encode_and_backward


def coupled(vectors):
    """A loss that couples all rows, like a contrastive one."""
    rows = nn.functional.normalize(vectors, dim=-1)
    return SimpleNamespace(total=torch.logsumexp(rows @ rows.T * 3, dim=-1).sum())


def network(dropout):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 5)).double()


def gradients(model, chunks, cache):
    torch.manual_seed(7)
    model.zero_grad()
    output = encode_and_backward(model, chunks, coupled, cache=cache)
    return output.total, [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("sizes", [(12,), (5, 7), (1, 4, 2, 5)])
def test_equals_the_full_batch(dropout, sizes):
    model = network(dropout).train()
    chunks = torch.randn(12, 6, dtype=torch.float64).split(list(sizes))
    plain_loss, plain = gradients(model, chunks, cache=False)
    cached_loss, cached = gradients(model, chunks, cache=True)
    torch.testing.assert_close(cached_loss.detach(), plain_loss.detach(), rtol=1e-12, atol=0)
    for a, b in zip(cached, plain):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_dropout_is_replayed():
    """Without the replay, gradient and loss would belong to two different networks."""
    model = network(0.5).train()
    chunks = torch.randn(8, 6, dtype=torch.float64).split(4)
    seen = []
    model[2].register_forward_hook(lambda module, given, out: seen.append(out == 0))
    gradients(model, chunks, cache=True)
    first, second, first_again, second_again = seen
    assert torch.equal(first, first_again)
    assert torch.equal(second, second_again)
    assert not torch.equal(first, second)


def test_random_numbers_go_on_as_after_one_pass():
    after = []
    for cache in (False, True):
        model = network(0.5).train()
        gradients(model, torch.ones(8, 6, dtype=torch.float64).split(2), cache)
        after.append(torch.rand(3))
    assert torch.equal(*after)


def test_memory_is_that_of_one_chunk():
    """No graph of more than one chunk is alive at any time."""
    alive, most = set(), []

    class Spy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, number):
            ctx.number = number
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            alive.discard(ctx.number)
            return gradient, None

    weight = torch.ones(3, 3, requires_grad=True)
    count = iter(range(100))

    def encode(x):
        number = next(count)
        if torch.is_grad_enabled():
            alive.add(number)
            most.append(len(alive))
        return Spy.apply(x @ weight, number)

    encode_and_backward(encode, torch.randn(8, 3).split(2), coupled, cache=True)
    assert most == [1, 1, 1, 1]
    most.clear()
    encode_and_backward(encode, torch.randn(8, 3).split(2), coupled, cache=False)
    assert most == [1, 2, 3, 4]
