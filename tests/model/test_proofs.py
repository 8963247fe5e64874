"""The measurements that load_model and doctor rest on."""

import pytest

from egemma_lab.model import EmbeddingGemma, EmbeddingGemmaConfig, load_model, preset_config, proofs
from egemma_lab.model.token_table import begin_silent


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_proof_tells_causal_from_bidirectional(saved, dtype, make_causal):
    model = load_model(saved, dtype=dtype)
    moved, noise = proofs.first_token_moves(model)
    assert moved > 0.01 > noise
    make_causal(model)
    moved, noise = proofs.first_token_moves(model)
    assert moved <= max(1e-5, 10 * noise)
    assert not proofs.is_bidirectional(model)


def test_a_model_whose_attention_adds_nothing_yet_can_be_loaded(make_micro, make_causal, tmp_path):
    model = make_micro()
    begin_silent(model.text_model)
    assert proofs.first_token_moves(model) == (0, 0)
    again = load_model(model.save_pretrained(tmp_path / "silent"))
    assert (again.encode(["a text"]) == model.encode(["a text"])).all()
    make_causal(model)
    model.text_model.layers[3].self_attn.o_proj.weight.data[0, 0] = 1.0  # one layer is enough to be judged by
    assert not proofs.is_bidirectional(model)


def test_reach_is_half_the_stored_window(make_micro):
    model = make_micro()
    assert proofs.reach(model, "sliding_attention") == (256, 256, 297)
    assert proofs.reach(model, "full_attention") == (296, 296, 297)
    assert model.text_model.config.sliding_window == 257  # |q - k| < 257


@pytest.mark.parametrize("stored", [4, 30])
def test_reach_of_other_windows(stored, tiny_tokenizer):
    config = preset_config("micro", vocab_size=len(tiny_tokenizer)).to_dict()
    config["text"]["sliding_window"] = stored
    model = EmbeddingGemma(EmbeddingGemmaConfig.from_dict(config), tiny_tokenizer)
    assert proofs.reach(model, "sliding_attention")[:2] == (stored // 2, stored // 2)


def test_reach_shows_causal_attention(make_micro, make_causal):
    model = make_micro()
    make_causal(model)
    left, right, length = proofs.reach(model, "full_attention")
    assert (left, right) == (length - 1, 0)


def test_reach_where_no_layer_is_of_that_kind(tiny_tokenizer):
    config = preset_config("micro", vocab_size=len(tiny_tokenizer)).to_dict()
    config["text"]["layer_types"] = ["full_attention"] * 6
    model = EmbeddingGemma(EmbeddingGemmaConfig.from_dict(config), tiny_tokenizer)
    assert proofs.reach(model, "sliding_attention") is None


def test_measuring_leaves_the_model_as_it_was(make_micro):
    model = make_micro().train()
    before = model.encode(["a text"])
    proofs.first_token_moves(model)
    proofs.reach(model, "sliding_attention")
    assert model.training
    assert not model.text_model.layers[0]._forward_pre_hooks
    assert (model.encode(["a text"]) == before).all()
