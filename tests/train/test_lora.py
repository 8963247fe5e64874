"""Adapters: what learns, what stays, what is saved, and that the merged model computes what the adapted one did."""

import builtins
import copy

import numpy as np
import pytest
import torch
from fake_teacher import FakeTeacher
from runs import At, assert_same, run_it
from safetensors.torch import load_file

from egemma_lab.model import in_place, load_model
from egemma_lab.train import Recipe, load_run
from egemma_lab.train.lora import MATRICES, add_adapters, lora_settings, merged

RANK = lora_settings("lora", 4)
QUESTIONS = ["What orbits Mars?", "a much longer text about the bright comet and an old satellite", "x"]


def test_settings():
    expected = {"r": 4, "lora_alpha": 8.0, "lora_dropout": 0.0, "target_modules": list(MATRICES)}
    assert lora_settings("lora", 4) == expected
    recipe = Recipe(steps=5, lora={"r": 2, "target_modules": ["v_proj", "q_proj"]})
    assert recipe.lora["target_modules"] == ["q_proj", "v_proj"]
    assert recipe.replace(steps=6).lora == recipe.lora


def test_settings_in_a_file(tmp_path):
    recipe = Recipe(steps=5, lora=4)
    recipe.to_yaml(tmp_path / "recipe.yaml")
    assert Recipe.from_yaml(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"lora": 0}, "lora=0 is not possible"),
        ({"lora": {"r": None}}, r"lora\['r'\]=None is not possible"),
        ({"lora": {"alpha": 4, "r": 2}}, "lora has no setting 'alpha'; did you mean 'lora_alpha'"),
        ({"lora": {"lora_alpha": 4}}, "lacks the rank"),
        ({"lora": {"r": 2, "target_modules": ["embed_tokens"]}}, "target_modules.*must be a list of some of"),
        ({"lora": 2, "fake_quantize": "int4_block"}, "leave one of them out"),
    ],
)
def test_impossible_settings(fields, words):
    with pytest.raises(ValueError, match=words):
        Recipe(steps=5, **fields)


def test_fresh_weights_are_not_adapted(tiny_pairs, tmp_path):
    with pytest.raises(ValueError, match="'micro' names fresh weights"):
        run_it("micro", tiny_pairs, tmp_path / "run", lora=2)


def test_without_peft_the_extra_is_named(make_micro, monkeypatch):
    plain = builtins.__import__

    def without(name, *arguments):
        if name == "peft":
            raise ImportError(name)
        return plain(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'egemma-lab\[lora\]'"):
        add_adapters(make_micro(), RANK, 0)


def test_fresh_adapters_change_nothing_and_are_all_that_learns_beside_the_dense_layers(
    make_micro, monkeypatch
):
    monkeypatch.setattr(in_place, "serves", lambda _: False)  # adapters keep transformers' pass: here both
    model = make_micro()
    before = model.encode(QUESTIONS)
    state = torch.get_rng_state()
    adapted = add_adapters(copy.deepcopy(model), RANK, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(adapted.encode(QUESTIONS), before)
    learning = {name for name, p in adapted.named_parameters() if p.requires_grad}
    thin = {name for name in learning if ".lora_" in name}
    assert learning - thin == {"dense_up.weight", "dense_down.weight"}
    assert len(thin) == 2 * len(MATRICES) * model.config.text.num_hidden_layers
    same, other = (dict(add_adapters(make_micro(), RANK, seed=s).named_parameters()) for s in (3, 4))
    name = next(name for name in sorted(thin) if "lora_A" in name)
    assert torch.equal(dict(adapted.named_parameters())[name], same[name])
    assert not torch.equal(other[name], same[name])


def test_the_merged_model_is_the_adapted_one(make_micro):
    adapted = add_adapters(make_micro(), RANK, seed=0).double()
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    plain = merged(adapted)
    ids = torch.randint(5, 200, (3, 12))
    mask = torch.ones_like(ids)
    with torch.no_grad():
        assert torch.allclose(plain(ids, mask), adapted(ids, mask), rtol=0, atol=1e-6)
        assert not torch.allclose(plain(ids, mask), make_micro().double()(ids, mask), atol=1e-2)
    assert plain.state_dict().keys() == make_micro().state_dict().keys()
    assert all(parameter.requires_grad for parameter in plain.parameters())
    query = adapted.text_model.layers[0].self_attn.q_proj  # W + (alpha / r) B A, by hand
    a, b = query.lora_A["default"].weight, query.lora_B["default"].weight
    assert torch.allclose(plain.text_model.layers[0].self_attn.q_proj.weight, query.weight + 2 * b @ a)


def test_a_run_learns_and_leaves_the_given_model_and_the_matrices_alone(make_micro, tiny_pairs, tmp_path):
    model = make_micro()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    run = run_it(
        model,
        tiny_pairs,
        tmp_path / "run",
        teacher=FakeTeacher(96),
        weights={"contrastive": 0, "spread_out": 0},
        steps=16,
        lora=4,
        learning_rate=3e-3,
    )
    assert run.history["loss"][-4:].mean() < run.history["loss"][:4].mean()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    after = run.model.state_dict()
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in moved} == {
        *MATRICES,
        "dense_up",
        "dense_down",
    }
    # and what lies in the folder is that model, plain
    again = load_model(tmp_path / "run" / "final")
    assert np.allclose(again.encode(QUESTIONS), run.model.encode(QUESTIONS), atol=1e-6)
    kept = load_file(tmp_path / "run" / "checkpoints" / "step-000016" / "model.safetensors")
    assert all(".lora_" in name or name.startswith("dense_") for name in kept)
    # the last snapshot was taken with adapters, before they were merged
    assert np.allclose(
        run.snapshots.embeddings[-1],
        run.model.encode(["a text", "another"], prompt_name="document"),
        atol=2e-3,
    )


def test_sentence_transformers_opens_it(make_micro, tiny_pairs, tmp_path):
    from sentence_transformers import SentenceTransformer

    run = run_it(
        make_micro(), tiny_pairs, tmp_path / "run", lora=2, steps=4, learning_rate=1e-2, snapshot_every=0
    )
    theirs = SentenceTransformer(str(tmp_path / "run" / "final"), device="cpu").encode(QUESTIONS)
    assert np.allclose(theirs, run.model.encode(QUESTIONS), atol=1e-5)


def test_it_goes_on_where_it_was_stopped(make_micro, tiny_pairs, tmp_path):
    fields = {"lora": {"r": 4, "lora_dropout": 0.1}, "steps": 6, "gradient_checkpointing": True}
    whole = run_it(make_micro(), tiny_pairs, tmp_path / "whole", **fields)
    run_it(make_micro(), tiny_pairs, tmp_path / "parts", callbacks=[At(3, lambda s: s.stop())], **fields)
    stopped = load_run(tmp_path / "parts")
    assert stopped.status == "interrupted"
    other = make_micro(seed=9)  # resumed from what is in the folder, whatever weights are brought along
    resumed = run_it(other, tiny_pairs, tmp_path / "parts", **fields)
    assert_same(whole, resumed)
    finished = run_it(make_micro(), tiny_pairs, tmp_path / "parts", **fields)
    assert_same(whole, finished)
    (tmp_path / "whole" / "status.json").write_text(
        '{"status": "running", "step": 6}'
    )  # as if it had been killed
    assert_same(load_run(tmp_path / "whole"), resumed)


def test_another_rank_is_another_run(make_micro, tiny_pairs, tmp_path):
    run_it(make_micro(), tiny_pairs, tmp_path / "run", lora=2, steps=2)
    with pytest.raises(ValueError, match="another recipe: lora was"):
        run_it(make_micro(), tiny_pairs, tmp_path / "run", lora=4, steps=2)
