"""The plan of batches: a pure function of its arguments that keeps every promise of its docstring."""

import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from egemma_lab.data import BatchPlan, Source, as_mixture, load_pairs
from egemma_lab.data._epoch import plan_epoch
from egemma_lab.data.batch_plan import _distinct_rows


def unique_pairs(n, seed=0):
    lengths = np.random.default_rng(seed).integers(1, 200, n)
    return load_pairs([(f"question {i}", f"answer {i} " + "x" * lengths[i]) for i in range(n)])


def as_tuple(batch):
    ids = batch.query_ids.tolist(), batch.positive_ids.tolist()
    return (
        batch.source.name,
        batch.epoch,
        batch.rows.tolist(),
        batch.anchors,
        batch.positives,
        batch.negatives,
        ids,
    )


def holds_no_text_twice(batch):
    texts = [text for pair in zip(batch.anchors, batch.positives) for text in set(pair)]
    return len(texts) == len(set(texts))


@pytest.fixture(scope="module")
def plan():
    return BatchPlan({"a": (unique_pairs(500), 3.0), "b": (unique_pairs(130, seed=1), 1.0)}, 16, seed=5)


def test_a_batch_holds_what_its_rows_say(tiny_pairs):
    pairs = load_pairs(tiny_pairs)
    batch = BatchPlan(pairs, 8, seed=1).batch(3)
    rows = batch.rows.tolist()
    assert batch.rows.dtype == batch.query_ids.dtype == batch.positive_ids.dtype == np.int64
    assert len(batch) == len(rows) == 8
    assert batch.anchors == [tiny_pairs[row]["anchor"] for row in rows]
    assert batch.positives == [tiny_pairs[row]["positive"] for row in rows]
    assert batch.negatives == [tiny_pairs[row]["negative"] for row in rows]
    assert batch.source.dataset.column_names == pairs.column_names
    document = batch.positive_prompt
    assert batch.sides == [
        (batch.anchors, batch.anchor_prompt),
        (batch.positives, document),
        (batch.negatives, document),
    ]
    of_two = BatchPlan([("a", "b"), ("c", "d")], 2).batch(0)
    assert of_two.negatives is None
    assert of_two.sides == [(of_two.anchors, "query"), (of_two.positives, "document")]


def test_any_step_in_any_order_gives_the_same(plan):
    forward = [as_tuple(plan.batch(step)) for step in range(120)]
    assert [as_tuple(plan.batch(step)) for step in reversed(range(120))] == forward[::-1]
    fresh = BatchPlan(plan.mixture, 16, seed=5)
    assert as_tuple(fresh.batch(77)) == forward[77]
    assert [as_tuple(fresh.batch(step)) for step in range(120)] == forward
    assert [as_tuple(BatchPlan(plan.mixture, 16, seed=6).batch(step)) for step in range(5)] != forward[:5]


def test_another_process_makes_the_same_plan():
    code = (
        "from egemma_lab.data import BatchPlan\n"
        "plan = BatchPlan([(f'q{i % 60}', f'p{i}') for i in range(80)], 8, seed=3)\n"
        "print([plan.batch(step).rows.tolist() for step in (0, 1, 9, 50, 1000)])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    plan = BatchPlan([(f"q{i % 60}", f"p{i}") for i in range(80)], 8, seed=3)
    assert output.strip() == str([plan.batch(step).rows.tolist() for step in (0, 1, 9, 50, 1000)])


def test_epochs_are_permutations_and_differ(plan):
    seen = {}
    for step in range(400):
        batch = plan.batch(step)
        seen.setdefault((batch.source.name, batch.epoch), []).append(batch.rows.tolist())
    for name, n in (("a", 500), ("b", 130)):
        whole = [
            rows
            for (source, _), rows in seen.items()
            if source == name and len(rows) == plan.batches_per_epoch[name]
        ]
        assert len(whole) >= 2
        for batches in whole:
            rows = np.concatenate(batches)
            assert (
                len(rows) == len(set(rows)) == n // 16 * 16
            )  # each at most once; fewer than a batch left over
        assert sorted(map(sorted, whole[0])) != sorted(
            map(sorted, whole[1])
        )  # other companies, not just another order
    assert plan.left_over == {"a": 500 % 16, "b": 130 % 16}
    assert plan.steps_per_epoch == 500 // 16 + 130 // 16
    assert plan.epoch(0) == 0.0
    assert plan.epoch(630) == pytest.approx(16.0)


def test_every_row_has_its_turn():
    plan = BatchPlan(unique_pairs(50), 16)
    used = {row for step in range(40) for row in plan.batch(step).rows.tolist()}
    assert used == set(range(50))


def test_sources_get_their_share_at_any_time():
    weights = {"a": 0.6, "b": 0.3, "c": 0.1}
    plan = BatchPlan({name: (unique_pairs(20), weight) for name, weight in weights.items()}, 4, seed=2)
    chosen = np.array([plan.batch(step).source.name for step in range(1500)])
    for name, weight in weights.items():
        taken = np.cumsum(chosen == name)
        assert np.abs(taken - weight * np.arange(1, 1501)).max() < 6
    assert len({tuple(chosen[i : i + 10]) for i in range(0, 1500, 10)}) > 5  # and not in one fixed round
    other = BatchPlan(plan.mixture, 4, seed=3)
    assert [other.batch(step).source.name for step in range(30)] != chosen[:30].tolist()


def test_sources_far_along_and_across_blocks(monkeypatch):
    pairs = {"a": (unique_pairs(40), 2), "b": (unique_pairs(24), 1)}
    expected = [as_tuple(BatchPlan(pairs, 4, seed=9).batch(step)) for step in (0, 9, 10, 11, 99, 1234)]
    monkeypatch.setattr("egemma_lab.data.batch_plan._BLOCK", 10)
    assert [
        as_tuple(BatchPlan(pairs, 4, seed=9).batch(step)) for step in (0, 9, 10, 11, 99, 1234)
    ] == expected


def test_a_far_step_is_at_hand():
    plan = BatchPlan({"a": unique_pairs(2000), "b": unique_pairs(300)}, 32)
    begin = time.perf_counter()
    far = plan.batch(5_000_000)
    assert time.perf_counter() - begin < 5
    assert far.epoch > 10_000


def test_lengths_go_together_but_not_in_waves():
    n, size = 8192, 32
    lengths = np.random.default_rng(0).integers(1, 1000, n)
    ids = np.arange(2 * n)
    plan = plan_epoch(lengths, ids[:n], ids[n:], size, np.random.default_rng(1))
    longest = lengths[plan].max(axis=1)  # (batches,)
    padded = (longest * size).sum()
    assert padded < 1.1 * lengths.sum()
    assert padded < 0.6 * (lengths[: n // size * size].reshape(-1, size).max(axis=1) * size).sum()
    assert abs(np.corrcoef(longest[:-1], longest[1:])[0, 1]) < 0.2


def test_a_text_waits_for_another_batch():
    rows = [(f"q{i // 2}", f"p{i}") for i in range(200)]  # each anchor twice
    plan = BatchPlan(rows, 20, seed=0)
    assert plan.batches_per_epoch["data"] >= 9
    for step in range(60):
        assert holds_no_text_twice(plan.batch(step))


def test_an_anchor_is_no_other_rows_positive_either():
    rows = [pair for i in range(60) for pair in ((f"a{i}", f"b{i}"), (f"b{i}", f"a{i}"))]
    plan = BatchPlan(rows, 25, seed=0)
    for step in range(40):
        batch = plan.batch(step)
        assert holds_no_text_twice(batch)
        assert not set(batch.query_ids) & set(batch.positive_ids)


def test_an_anchor_may_be_its_own_positive():
    plan = BatchPlan([(f"t{i}", f"t{i}") for i in range(10)], 5)
    assert plan.left_over == {"data": 0}
    batch = plan.batch(0)
    assert batch.query_ids.tolist() == batch.positive_ids.tolist()


def test_a_hard_negative_may_be_anothers_positive():
    rows = [{"anchor": f"q{i}", "positive": f"p{i}", "negative": f"p{(i + 1) % 8}"} for i in range(8)]
    assert sorted(BatchPlan(rows, 8).batch(0).rows) == list(range(8))


def test_ids_are_equal_where_texts_are():
    rows = [("a", "b"), ("a", "c"), ("d", "b"), ("e", "a\0"), ("f", "a\0b")]
    plan = BatchPlan(rows, 1)
    batches = [plan.batch(step) for step in range(plan.steps_per_epoch)]
    ids = {}
    for batch in batches:
        ids.setdefault(batch.anchors[0], set()).add(int(batch.query_ids[0]))
        ids.setdefault(batch.positives[0], set()).add(int(batch.positive_ids[0]))
    assert all(len(found) == 1 for found in ids.values())
    assert len(set.union(*ids.values())) == len(ids) == 8


def test_repeated_texts_leave_rows_over_and_say_so():
    rows = [(f"q{i}", f"label {i % 5}") for i in range(100)] + [(f"r{i}", "label 0") for i in range(100)]
    with pytest.warns(
        UserWarning, match=r"'data': 1\d\d of its 200 pairs find no place.*one stands in 120 pairs"
    ):
        plan = BatchPlan(rows, 5)
    assert plan.left_over["data"] == 200 - 5 * plan.batches_per_epoch["data"] >= 100
    assert all(holds_no_text_twice(plan.batch(step)) for step in range(60))


@pytest.mark.parametrize(
    ("rows", "size", "words"),
    [
        (
            [("a", "b")],
            2,
            r"batch_size=2 but source 'data' has only 1 pairs that can share a batch; .*at most 1",
        ),
        ([(f"q{i}", f"p{i}") for i in range(10)], 64, r"batch_size=64 but .* only 10 pairs"),
        (
            [(f"q{i}", f"label {i % 3}") for i in range(99)],
            4,
            r"only 3 pairs that can share a batch \(of 99 rows, since one text stands in up to 33 of them\)",
        ),
    ],
)
def test_a_batch_larger_than_the_data_is_refused(rows, size, words):
    with pytest.raises(ValueError, match=words):
        BatchPlan(rows, size)


def test_one_pair_makes_a_batch_of_one():
    plan = BatchPlan([("a", "b")], 1)
    assert plan.batch(7).rows.tolist() == [0]
    assert plan.batch(7).epoch == 7


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"batch_size": 0}, r"batch_size=0; give a whole number from 1 on"),
        ({"batch_size": 2.0}, r"batch_size=2\.0"),
        ({"batch_size": True}, r"batch_size=True"),
        ({"batch_size": 2, "seed": -1}, r"seed=-1; give a whole number from 0 on"),
        ({"batch_size": 2, "seed": None}, r"seed=None"),
    ],
)
def test_impossible_arguments(kwargs, words):
    with pytest.raises(ValueError, match=words):
        BatchPlan([("a", "b"), ("c", "d")], **kwargs)
    plan = BatchPlan([("a", "b"), ("c", "d")], np.int64(2))
    with pytest.raises(ValueError, match="step=-1"):
        plan.batch(-1)
    assert len(plan.batch(np.int64(3))) == 2


def test_changing_a_batch_does_not_change_the_plan():
    plan = BatchPlan(unique_pairs(8), 4)
    batch = plan.batch(0)
    rows = batch.rows.tolist()
    batch.rows[:] = 0
    batch.query_ids[:] = 0
    assert plan.batch(0).rows.tolist() == rows


def test_a_short_epoch_falls_back_on_one_known_to_be_long_enough(monkeypatch):
    plan = BatchPlan([(f"q{i // 2}", f"p{i}") for i in range(45)], 10, seed=0)
    passes = plan._passes[0]
    monkeypatch.setattr(passes, "_plan", lambda epoch, number: np.zeros((0, 10), dtype=np.int64))
    orders = set()
    for epoch in range(1, 4):
        batches = [plan.batch(epoch * passes.batches + number) for number in range(passes.batches)]
        rows = np.concatenate([batch.rows for batch in batches])
        assert len(rows) == len(set(rows)) == 10 * passes.batches
        assert all(map(holds_no_text_twice, batches))
        orders.add(tuple(rows))
    assert len(orders) > 1 or passes.batches < 3


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_promises_hold_for_any_repetition(data):
    n = data.draw(st.integers(1, 60))
    few = st.integers(0, data.draw(st.integers(0, 40)))
    rows = data.draw(st.lists(st.tuples(few, few), min_size=n, max_size=n))
    size = data.draw(st.integers(1, 8))
    mixture = as_mixture(Source("x", load_pairs([(f"{a}", f"{p}") for a, p in rows])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            plan = BatchPlan(mixture, size, seed=data.draw(st.integers(0, 3)))
        except ValueError:  # only where texts are too few for a batch
            event("refused")
            greedy = _distinct_rows(*map(np.array, zip(*[(a, p) for a, p in rows])))
            assert greedy < 2 * size
            return
    per_epoch = plan.batches_per_epoch["x"]
    assert plan.left_over["x"] + per_epoch * size == n
    for epoch in range(2):
        batches = [plan.batch(epoch * per_epoch + number) for number in range(per_epoch)]
        used = np.concatenate([batch.rows for batch in batches])
        assert len(used) == len(set(used)) == per_epoch * size
        assert all(batch.epoch == epoch and holds_no_text_twice(batch) for batch in batches)


def test_nothing_that_fits_is_left_out():
    """What one epoch leaves out would not make one more batch, row by row."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        n, size = int(rng.integers(20, 200)), int(rng.integers(2, 10))
        anchors, positives = rng.integers(0, 60, n), 60 + rng.integers(0, 60, n)
        plan = plan_epoch(rng.integers(1, 99, n), anchors, positives, size, rng)
        rest = sorted(set(range(n)) - set(plan.reshape(-1).tolist()))
        used, fitting = set(), 0
        for row in rest:
            if not {anchors[row], positives[row]} & used:
                used |= {anchors[row], positives[row]}
                fitting += 1
        assert fitting < 2 * size  # greedy in another order, so up to twice as many as the plan's own


def test_a_hundred_thousand_rows_are_planned_quickly():
    n, rng = 100_000, np.random.default_rng(0)
    for anchors in (np.arange(n), np.arange(n) // 3):
        begin = time.perf_counter()
        plan = plan_epoch(rng.integers(1, 500, n), anchors, n + np.arange(n), 64, rng)
        assert time.perf_counter() - begin < 5
        assert len(plan) >= n // 64 - 1
