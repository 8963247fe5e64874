"""Texts of every kind in training: control tokens stay text on every path, and nothing odd stops or spoils a run."""

import numpy as np
import pytest
from fake_teacher import FakeTeacher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import quick, run_it

from egemma_lab.data import BatchPlan, Mixture, Source, load_pairs
from egemma_lab.train.micro_batches import encode_texts, tokenize_batch
from egemma_lab.train.text_blocks import pack_texts

CONTROL = [
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<mask>",
    "<unused0>",
    "<start_of_turn>",
    "<bos><eos>",
    "a<pad>b",
]
ODD = [
    "\0a\0",
    "a\ud83dz",
    "\u202eשלום\u202c",
    "👨\u200d👩\u200d👧",
    "e" + "\u0301" * 300,
    "x" * 5_000,
    "\ufeffx",
    "\u3164",
]


def control_ids(tokenizer):
    return {
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
        tokenizer.mask_token_id,
    } - {None}


def batch_of(model, rows, **recipe):
    mixture = Mixture([Source("pairs", load_pairs(rows))])
    plan = BatchPlan(mixture, batch_size=len(rows), seed=0)
    return tokenize_batch(model, plan.batch(0), quick(batch_size=len(rows), **recipe))


def assert_plain(ids, tokenizer):
    """BOS first, EOS last, and no control token between them."""
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert not control_ids(tokenizer) & set(ids[1:-1])


def test_in_batches_of_pairs(micro_model):
    rows = [{"anchor": f"{t} q", "positive": f"{t} p", "negative": f"{t} n"} for t in CONTROL]
    tokens = batch_of(micro_model, rows, max_tokens=64)
    assert len(tokens.ids) == 3 * len(rows)
    for ids in tokens.ids:
        assert_plain(ids, micro_model.tokenizer)
    texts = {micro_model.tokenizer.decode(ids[1:-1]) for ids in tokens.ids}
    for text in CONTROL:  # none has vanished; the prompt stands before it
        assert sum(decoded.endswith(f" {text} q") for decoded in texts) == 1, text


def test_cut_in_the_middle_of_one(micro_model):
    """The limit falls inside "<eos>": the pieces that are left do not make one."""
    for limit in range(8, 20, 2):
        for ids in batch_of(micro_model, [("a<eos><bos>b", "c<pad>d"), ("e", "f")], max_tokens=limit).ids:
            assert len(ids) <= limit
            assert_plain(ids, micro_model.tokenizer)


def test_in_blocks_of_running_text(tiny_tokenizer):
    blocks = pack_texts(
        [f"{t} and {n}" for n in range(9) for t in CONTROL], tiny_tokenizer, block_tokens=8, held_out=0
    )
    stream = blocks.train.reshape(-1).tolist()
    counts = [stream.count(tiny_tokenizer.bos_token_id), stream.count(tiny_tokenizer.eos_token_id)]
    assert max(counts) <= 9 * len(CONTROL)  # one a text
    assert min(counts) >= 9 * len(CONTROL) - 1  # the last block may be cut
    assert tiny_tokenizer.pad_token_id not in stream


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(
        st.sampled_from(CONTROL) | st.text(st.characters(exclude_categories=()), max_size=5),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_stands_around_it(micro_model, pieces):
    text = "".join(pieces)
    (ids,) = micro_model.tokenize([text])
    assert_plain(ids, micro_model.tokenizer)


@pytest.mark.filterwarnings("ignore:.*half of a surrogate pair")
def test_a_run_over_odd_texts_trains_on(make_micro, tmp_path):
    rows = [
        {"anchor": f"{t} {i}", "positive": f"{i} {t}", "negative": t}
        for i in range(2)
        for t in [*ODD, *CONTROL]
    ]
    run = run_it(
        make_micro(),
        rows,
        tmp_path / "run",
        teacher=FakeTeacher(64),
        probe=ODD[:2],
        steps=3,
        max_tokens=16,
        weights={},
    )
    assert np.isfinite(run.history["loss"]).all()
    assert (run.history["gradient_norm"] > 0).all()
    vectors = encode_texts(run.model, [*ODD, *CONTROL], "query", quick(max_tokens=16))
    assert bool(vectors.isfinite().all())
