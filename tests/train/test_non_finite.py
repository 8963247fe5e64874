import json

import pytest
import torch
from fake_teacher import FakeTeacher
from runs import At, assert_same, run_it

from egemma_lab.train import load_run


@pytest.fixture
def pairs(tiny_pairs):
    return tiny_pairs[:64]


def poison(state):
    with torch.no_grad():
        state.model.text_model.norm.weight[0] = float("nan")


def test_a_nan_stops_the_run_before_the_weights(make_micro, pairs, tmp_path):
    whole = run_it(make_micro(), pairs, tmp_path / "whole")
    folder = tmp_path / "broken"
    with pytest.raises(FloatingPointError) as caught:
        run_it(make_micro(), pairs, folder, callbacks=[At(3, poison)])
    message = str(caught.value)
    for words in (
        "step 4:",
        "contrastive/16 is nan",
        "spread_out is nan",
        "source 'data'",
        "failed_batch.json",
    ):
        assert words in message
    failed = json.loads((folder / "failed_batch.json").read_text())
    assert (failed["step"], failed["source"], len(failed["rows"])) == (4, "data", 8)
    assert failed["anchors"] == [pairs[row]["anchor"] for row in failed["rows"]]
    assert failed["negatives"] == [pairs[row]["negative"] for row in failed["rows"]]
    run = load_run(folder)
    assert run.status == "failed"
    assert run.history["step"].tolist() == [1, 2, 3]
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-000002"]
    # without the poison the run goes on from the last good checkpoint as if nothing had been
    assert_same(whole, run_it(make_micro(), pairs, folder))


def test_an_infinite_gradient_is_named(make_micro, pairs, tmp_path):
    def blow_up(state):
        state.model.dense_up.weight.register_hook(lambda gradient: gradient * float("inf"))

    model = make_micro()
    with pytest.raises(FloatingPointError, match="step 3: gradient_norm is"):
        run_it(model, pairs, tmp_path, callbacks=[At(2, blow_up)])
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_a_term_of_weight_0_counts_too(make_micro, pairs, tmp_path):
    """What is logged must be a number; and where the teacher is broken, the learner wants to know."""
    teacher = FakeTeacher(64)
    encode = teacher.encode
    teacher.fingerprint = "broken"
    teacher.encode = lambda texts, role="document", **options: encode(texts, role, **options) * float("nan")
    with pytest.raises(ValueError, match="not finite"):
        run_it(make_micro(), pairs, tmp_path, teacher=teacher)
