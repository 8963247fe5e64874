"""Training under fake quantization: what is kept unrounded, what is rounded, and that it gains something."""

import numpy as np
import pytest
import torch
from fake_teacher import FakeTeacher
from runs import At, assert_same, run_it
from safetensors.torch import load_file

from egemma_lab.model import load_model
from egemma_lab.model.saving import computed_weights
from egemma_lab.quantize import FORMATS, fake_quantize
from egemma_lab.quantize.weights import weight_format, without_rounding
from egemma_lab.train import load_run
from egemma_lab.train.recipe import WEIGHT_FORMATS

TEXTS = ["What orbits Mars?", "def f(): '''joins two tables'''"]


def same_weights(one, other):
    mine, theirs = computed_weights(one), computed_weights(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_a_recipe_knows_the_formats_there_are():
    assert tuple(FORMATS) == WEIGHT_FORMATS


def test_start_and_checkpoints_are_unrounded_and_the_final_model_is_rounded(make_micro, tiny_pairs, tmp_path):
    model = make_micro()
    run = run_it(model, tiny_pairs, tmp_path / "run", fake_quantize="int4_block", learning_rate=1e-3)
    assert same_weights(model, make_micro())  # a copy was trained
    assert weight_format(run.model) == "int4_block"
    assert same_weights(load_model(tmp_path / "run" / "start"), model)
    trained = without_rounding(run.model)
    assert not same_weights(trained, model)
    checkpoint = load_file(tmp_path / "run" / "checkpoints" / "step-000006" / "model.safetensors")
    original = checkpoint["dense_up.parametrizations.weight.original"]
    assert torch.equal(original, trained.dense_up.weight)

    final = load_model(tmp_path / "run" / "final")
    assert same_weights(final, fake_quantize(trained, "int4_block"))
    assert (load_run(tmp_path / "run").model.encode(TEXTS) == run.model.encode(TEXTS)).all()
    assert load_run(tmp_path / "run").recipe.fake_quantize == "int4_block"


@pytest.mark.parametrize("at", [1, 5])  # before the first checkpoint, and after the second
def test_stopped_and_resumed_it_is_the_run_that_never_stopped(make_micro, tiny_pairs, tmp_path, at):
    folder = make_micro().save_pretrained(tmp_path / "model")
    options = {"fake_quantize": "mixed_channel", "learning_rate": 1e-3}
    whole = run_it(str(folder), tiny_pairs, tmp_path / "whole", **options)

    def fail(state):
        raise KeyError("the machine stops")

    with pytest.raises(KeyError):
        run_it(str(folder), tiny_pairs, tmp_path / "stopped", callbacks=[At(at, fail)], **options)
    stopped = load_run(tmp_path / "stopped")
    assert stopped.status == "failed"
    assert weight_format(stopped.model) == "mixed_channel"  # a run that did not finish computes as it will
    with pytest.raises(ValueError, match="fake_quantize was 'mixed_channel' and is None"):
        run_it(str(folder), tiny_pairs, tmp_path / "stopped", learning_rate=1e-3)
    resumed = run_it(str(folder), tiny_pairs, tmp_path / "stopped", **options)
    assert_same(whole, resumed)


def test_a_model_that_is_fake_quantized_already_trains_in_place(make_micro, tiny_pairs, tmp_path):
    rounded = fake_quantize(make_micro(), "int8_block")
    run = run_it(rounded, tiny_pairs, tmp_path / "run", fake_quantize="int8_block", learning_rate=1e-3)
    assert run.model is rounded
    assert same_weights(load_model(tmp_path / "run" / "start"), make_micro())
    from_plain = run_it(
        make_micro(), tiny_pairs, tmp_path / "plain", fake_quantize="int8_block", learning_rate=1e-3
    )
    assert same_weights(from_plain.model, rounded)
    for format in (None, "int4_block"):
        with pytest.raises(
            ValueError, match=r"computes with rounded weights \(int8_block\) and fake_quantize="
        ):
            run_it(rounded, tiny_pairs, tmp_path / "other", fake_quantize=format)


def test_large_batches_through_the_gradient_cache_give_the_same(make_micro, tiny_pairs, tmp_path):
    options = {"fake_quantize": "int4_block", "learning_rate": 1e-3, "token_budget": 128, "steps": 2}
    plain = run_it(make_micro(), tiny_pairs, tmp_path / "plain", **options)
    cached = run_it(make_micro(), tiny_pairs, tmp_path / "cached", gradient_cache=True, **options)
    np.testing.assert_allclose(plain.history["loss"], cached.history["loss"], rtol=1e-4)


def test_learning_under_rounding_gains_on_rounding_afterwards(make_micro, tiny_pairs, tmp_path):
    """The same steps from the same start towards a teacher, with three values a weight during them or after them."""
    teacher = FakeTeacher(64)
    matching = {"weights": {"contrastive": 0, "spread_out": 0}, "teacher": teacher, "snapshot_every": 0}
    matching |= {"learning_rate": 3e-3, "steps": 40}
    during = run_it(make_micro(), tiny_pairs, tmp_path / "during", fake_quantize="ternary", **matching).model
    after = run_it(make_micro(), tiny_pairs, tmp_path / "after", **matching).model
    texts = [row["anchor"] for row in tiny_pairs]
    target = teacher.encode(texts, role="query")
    distances = [
        np.linalg.norm(model.encode_query(texts) - target, axis=1).mean()
        for model in (during, fake_quantize(after, "ternary"))
    ]
    assert distances[0] < distances[1] - 0.02
