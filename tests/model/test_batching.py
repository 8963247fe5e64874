from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egemma_lab.model import pad_batch, token_budget_batches

lengths_lists = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@given(
    st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=9), min_size=1, max_size=9), st.integers(0, 5)
)
def test_pad_batch_against_a_loop(ids, pad_id):
    longest = max(map(len, ids))
    input_ids, attention_mask = pad_batch(ids, pad_id)
    assert input_ids.tolist() == [row + [pad_id] * (longest - len(row)) for row in ids]
    assert attention_mask.tolist() == [[1] * len(row) + [0] * (longest - len(row)) for row in ids]
    assert input_ids.dtype == attention_mask.dtype == torch.int64


def test_pad_batch_goes_to_the_device():
    assert {tensor.device.type for tensor in pad_batch([[2, 1]], device="meta")} == {"meta"}


@pytest.mark.parametrize("ids", [[], [[2, 1], []]])
def test_pad_batch_refuses_nothing(ids):
    with pytest.raises(ValueError, match="non-empty lists of token ids"):
        pad_batch(ids)


@given(lengths_lists, st.integers(1, 200))
def test_batches_hold_each_index_once_within_the_budget(lengths, budget):
    batches = token_budget_batches(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)


@given(lengths_lists, st.integers(1, 200))
def test_batches_are_as_full_as_the_budget_lets_them(lengths, budget):
    batches = token_budget_batches(lengths, budget)
    for batch, following in pairwise(batches):
        assert (len(batch) + 1) * lengths[batch[0]] > budget
        assert lengths[following[0]] <= lengths[batch[-1]]


def test_no_texts_no_batches():
    assert token_budget_batches([], 10) == []


def test_impossible_budget():
    with pytest.raises(ValueError, match="token_budget=0 must be at least 1"):
        token_budget_batches([1], 0)
