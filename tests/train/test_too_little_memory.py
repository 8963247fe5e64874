"""Too little memory in training: smaller chunks, one word about it, the same run; or what to lower."""

import warnings

import numpy as np
import pytest
import torch
from language_runs import CLOCK, adapt, decode
from runs import At, assert_same, run_it

from egemma_lab.train import load_run
from egemma_lab.train.decoder import CausalDecoder
from egemma_lab.train.encoder_decoder import EncoderDecoder
from egemma_lab.train.gradient_cache import encode_and_backward
from egemma_lab.train.out_of_memory import FittingStep

CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 9 bytes.")


@pytest.fixture
def pairs(tiny_pairs):
    return tiny_pairs[:64]


def limited(model, most, error=CPU, graphs=10**9):
    """A model with room for `most` texts at once, and for the activations of so many until its backward pass."""
    forward, held, sizes = model.forward, [], []

    def small(input_ids, attention_mask):
        if not model.training:  # snapshots
            return forward(input_ids, attention_mask)
        if len(input_ids) > most or (torch.is_grad_enabled() and sum(held) + len(input_ids) > graphs):
            held.clear()  # the attempt is over
            raise error
        sizes.append(len(input_ids))
        vectors = forward(input_ids, attention_mask)
        if vectors.requires_grad:
            held.append(len(input_ids))
            vectors.register_hook(lambda _: held.clear())
        return vectors

    model.forward = small
    return model, sizes


@pytest.mark.parametrize(
    ("error", "most", "graphs", "budget", "words"),
    [  # 24 texts a step, in micro-batches of at most so many tokens
        (CPU, 99, 15, 100, "with the gradient cache. The"),
        (
            torch.OutOfMemoryError("CUDA out of memory"),
            12,
            99,
            1024,
            "gradient cache and micro-batches cut into 2. The",
        ),
        (MemoryError(), 3, 3, 1024, "gradient cache and micro-batches cut into 8. The"),
    ],
)
def test_a_run_in_too_little_memory_is_the_run(
    make_micro, pairs, tmp_path, error, most, graphs, budget, words
):
    settings = {"steps": 2, "save_every": 2, "snapshot_every": 0, "token_budget": budget}
    whole = run_it(make_micro(), pairs, tmp_path / "whole", **settings)
    model, sizes = limited(make_micro(), most, error, graphs)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        run = run_it(model, pairs, tmp_path / "small", **settings)
    said = [str(each.message) for each in record if "memory is too small" in str(each.message)]
    assert len(said) == 1, said  # though both steps are too large
    assert words in said[0]
    assert max(sizes) <= most
    columns = ["loss", "gradient_norm"]
    np.testing.assert_allclose(run.history[columns][:1], whole.history[columns][:1], rtol=1e-5)
    np.testing.assert_allclose(run.history[columns], whole.history[columns], rtol=2e-3)


def test_enough_memory_changes_nothing(make_micro, pairs, tmp_path):
    model, _ = limited(make_micro(), 24)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="memory is too small")
        run = run_it(model, pairs, tmp_path / "large")
    assert_same(run_it(make_micro(), pairs, tmp_path / "whole"), run)


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_loss_and_gradient_are_those_of_the_whole_batch(cache, most):
    """In float64, with random numbers in the loss's way: nothing of a failed attempt is left in the gradient."""
    torch.manual_seed(0)
    weight = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    chunks = [[tuple(row) for row in torch.randn(n, 4).tolist()] for n in (7, 2, 6)]

    class Loss:
        def __init__(self, vectors):
            self.total = torch.logsumexp(vectors @ vectors.T, dim=1).sum()

    def encode(chunk, room=most):
        if len(chunk) > room:
            raise MemoryError
        return torch.tensor(chunk, dtype=torch.float64) @ weight

    expected = encode_and_backward(lambda chunk: encode(chunk, 99), chunks, Loss).total.item()
    gradient, weight.grad = weight.grad, None
    step = FittingStep(cache)
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = step(encode, chunks, Loss, parameters=[weight]).total.item()
        assert found == pytest.approx(expected, rel=1e-12)
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-10, atol=1e-12)
        weight.grad = None


def test_memory_that_ends_in_the_backward_pass_leaves_no_half_gradient():
    weight = torch.ones(1, requires_grad=True)
    full = [True]

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, last):
            ctx.last = last
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            if ctx.last and full:
                full.clear()
                raise torch.OutOfMemoryError
            return gradient, None

    class Loss:
        def __init__(self, vectors):
            self.total = vectors.sum()

    def encode(chunk):
        return Fails.apply(torch.tensor(chunk)[:, None] * weight, chunk[-1] == 1.0)

    with pytest.warns(UserWarning, match="memory is too small"):
        FittingStep(cache=True)(encode, [[3.0, 2.0], [1.0]], Loss, parameters=[weight])
    assert weight.grad.item() == 6


def test_where_one_text_is_too_much_the_error_says_what_to_lower(make_micro, pairs, tmp_path):
    model, _ = limited(make_micro(), 0)
    words = r"step 1: memory is too small.* batch_size=8, token_budget=1024, max_tokens=24, set gradient_checkpoint"
    with pytest.raises(MemoryError, match=words) as caught:
        run_it(model, pairs, tmp_path / "run")
    assert caught.value.__cause__ is CPU
    assert load_run(tmp_path / "run").status == "failed"


def test_later_in_a_run_it_goes_on_from_its_checkpoint_once_there_is_room(make_micro, pairs, tmp_path):
    whole = run_it(make_micro(), pairs, tmp_path / "whole")
    model = make_micro()
    plenty, shrink = model.forward, At(3, lambda state: limited(model, 0))
    with pytest.raises(MemoryError, match=r"step 4: .* The last checkpoint is kept"):
        run_it(model, pairs, tmp_path / "part", callbacks=[shrink])
    model.forward = plenty
    assert_same(whole, run_it(model, pairs, tmp_path / "part"))


def test_one_of_several_processes_does_not_try_again():
    calls = []

    def encode(chunk):
        calls.append(len(chunk))
        raise CPU

    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        FittingStep(cache=False, retry=False)(encode, [[1.0, 2.0]], None, parameters=[])
    assert calls == [2]


def test_other_errors_are_not_tried_again():
    calls = []

    def encode(chunk):
        calls.append(len(chunk))
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        FittingStep(cache=False)(encode, [[1.0, 2.0]], None, parameters=[])
    assert calls == [2]


def limited_language(monkeypatch, kind, most, sizes):
    """Language models with room for `most` blocks at once."""
    loss_sum = kind.loss_sum

    def small(model, part):
        rows = len(part.inputs[0])
        if torch.is_grad_enabled() and rows > most:
            raise CPU
        sizes.append(rows)
        return loss_sum(model, part)

    monkeypatch.setattr(kind, "loss_sum", small)


@pytest.mark.parametrize("kind", [CausalDecoder, EncoderDecoder])
def test_a_language_run_in_too_little_memory_is_the_run(make_micro, tmp_path, monkeypatch, kind):
    def run(folder):
        if kind is CausalDecoder:
            return decode(folder, model=make_micro(), steps=2)
        return adapt(tmp_path / "decoder", folder, steps=2)

    make_micro().save_pretrained(tmp_path / "decoder")
    whole, sizes = run(tmp_path / "whole"), []
    limited_language(monkeypatch, kind, 1, sizes)
    with pytest.warns(UserWarning, match="memory is too small for this batch") as record:
        small = run(tmp_path / "small")
    said = [str(each.message) for each in record if "memory is too small" in str(each.message)]
    assert len(said) == len(set(said))  # a word for each new size, none for going on with it
    assert 1 in sizes
    columns = [name for name in whole.history.columns if name not in CLOCK]
    np.testing.assert_allclose(small.history[columns], whole.history[columns], rtol=2e-3)
    np.testing.assert_allclose(small.history["loss"][0], whole.history["loss"][0], rtol=1e-6)


def test_a_block_too_large_for_memory(make_micro, tmp_path, monkeypatch):
    limited_language(monkeypatch, CausalDecoder, 0, [])
    with pytest.raises(
        MemoryError, match=r"step 1.*Lower one of batch_blocks=4, block_tokens=24, token_budget=16384"
    ):
        decode(tmp_path / "run", model=make_micro(), steps=2)
