"""Too little memory for a batch: smaller batches, the same vectors, one word about it."""

import numpy as np
import pytest
import torch

from egemma_lab.model.batching import is_out_of_memory

CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 9 bytes. Error code 12"
)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), CPU])
@pytest.mark.parametrize("most", [1, 3, 8])
def test_smaller_batches_give_the_same_vectors(make_micro, tiny_texts, monkeypatch, error, most):
    model = make_micro()
    expected = model.encode(tiny_texts[:40])
    forward, sizes = model.forward, []

    def small(input_ids, attention_mask):
        if len(input_ids) > most:
            raise error
        sizes.append(len(input_ids))
        return forward(input_ids, attention_mask)

    monkeypatch.setattr(model, "forward", small)
    with pytest.warns(UserWarning, match="memory is too small for a whole batch"):
        found = model.encode(tiny_texts[:40], batch_size=16)
    assert np.allclose(found, expected, atol=1e-6)
    assert sum(sizes) == 40
    assert max(sizes) <= most


def test_where_one_text_is_too_much_the_error_is_the_allocators(make_micro, monkeypatch):
    model = make_micro()

    def never(*_):
        raise CPU

    monkeypatch.setattr(model, "forward", never)
    with (
        pytest.warns(UserWarning, match="too small"),
        pytest.raises(RuntimeError, match="DefaultCPUAllocator"),
    ):
        model.encode(["a", "b"])


def test_other_errors_are_not_tried_again(make_micro, monkeypatch):
    model, calls = make_micro(), []

    def wrong(*_):
        calls.append(1)
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(model, "forward", wrong)
    with pytest.raises(RuntimeError, match="shapes"):
        model.encode(["a", "b"])
    assert calls == [1]
    assert not is_out_of_memory(RuntimeError("something else"))
