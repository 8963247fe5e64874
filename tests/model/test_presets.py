import pytest
import torch

from egemma_lab.model import PRESETS, EmbeddingGemma, new_model, preset_config


def test_300m_has_the_published_values():
    text = preset_config("300m").text
    expected = {
        "model_type": "gemma3_text",
        "vocab_size": 262_144,
        "hidden_size": 768,
        "intermediate_size": 1152,
        "num_hidden_layers": 24,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "query_pre_attn_scalar": 256,
        "use_bidirectional_attention": True,
        "sliding_window": 512,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": False,
        "final_logit_softcapping": None,
        "attn_logit_softcapping": None,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }
    written = text.to_dict()
    assert {key: written[key] for key in expected} == expected
    assert [i for i, kind in enumerate(text.layer_types) if kind == "full_attention"] == [5, 11, 17, 23]
    assert text.rope_parameters["full_attention"]["rope_theta"] == 1_000_000
    assert text.rope_parameters["sliding_attention"]["rope_theta"] == 10_000
    config = preset_config("300m")
    assert (config.dense_width, config.output_width, config.max_seq_length) == (3072, 768, 2048)
    assert config.widths == (768, 512, 256, 128)


def test_300m_has_the_published_number_of_parameters():
    with torch.device("meta"):
        model = EmbeddingGemma(preset_config("300m"))
    assert sum(parameter.numel() for parameter in model.parameters()) == 307_581_696
    assert sum(parameter.numel() for parameter in model.text_model.parameters()) == 302_863_104
    assert sum(parameter.numel() for parameter in model.text_model.layers[0].parameters()) == 4_230_656


@pytest.mark.parametrize(("name", "most"), [("nano", 10_000_000), ("micro", 999_999)])
def test_small_presets_keep_gemmas_pattern_and_stay_small(name, most):
    config = preset_config(name)
    with torch.device("meta"):
        model = EmbeddingGemma(config)
    assert sum(parameter.numel() for parameter in model.parameters()) <= most
    assert config.text.layer_types == ["sliding_attention"] * 5 + ["full_attention"]
    assert config.output_width == config.text.hidden_size == config.widths[0]
    assert config.dense_width == 4 * config.text.hidden_size


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(
        ValueError, match=r"preset='nanno' is not one of the presets '300m', 'nano', 'double', 'micro'"
    ):
        preset_config("nanno")


def test_a_preset_may_be_given_another_shape(tiny_tokenizer):
    narrow = new_model("micro", tiny_tokenizer, seed=3, intermediate_size=96)
    assert narrow.text_model.layers[0].mlp.up_proj.weight.shape == (96, 64)
    assert preset_config("micro", 77, num_hidden_layers=12).text.num_hidden_layers == 12
    assert preset_config("micro", 77, num_hidden_layers=12).text.vocab_size == 77
    assert preset_config("micro").text.num_hidden_layers == 6
    same = new_model("micro", tiny_tokenizer, seed=3, intermediate_size=128).state_dict()
    plain = new_model("micro", tiny_tokenizer, seed=3).state_dict()
    assert all(torch.equal(same[name], plain[name]) for name in plain)
    with pytest.raises(
        ValueError, match="preset 'micro' has no 'layers'; its shape is num_key_value_heads, "
    ):
        preset_config("micro", layers=3)


def test_presets_are_not_changed_by_use():
    preset_config("micro", vocab_size=77).text.vocab_size = 5
    assert PRESETS["micro"]["text"]["vocab_size"] == preset_config("micro").text.vocab_size == 2048


def test_a_seed_gives_the_same_model_on_any_number_of_threads(tiny_tokenizer):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = new_model("micro", tiny_tokenizer, seed=3).state_dict()
        torch.set_num_threads(2)
        two = new_model("micro", tiny_tokenizer, seed=3).state_dict()
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    square = one["dense_down.weight"] @ one["dense_down.weight"].T  # orthogonal rows of length 2
    assert torch.allclose(square, 4 * torch.eye(len(square)), atol=1e-5)


def test_new_model_depends_on_the_seed_alone(tiny_tokenizer):
    def weights(seed):
        return torch.cat(
            [parameter.flatten() for parameter in new_model("micro", tiny_tokenizer, seed).parameters()]
        )

    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = weights(seed=3)
    assert torch.equal(state, torch.get_rng_state())  # the global random state is nobody else's to move
    torch.manual_seed(2)
    assert torch.equal(first, weights(seed=3))
    assert not torch.equal(first, weights(seed=4))


def test_fresh_models_tell_texts_apart(micro_model, tiny_texts):
    vectors = micro_model.encode_document(tiny_texts)
    cosines = micro_model.similarity(vectors, vectors)
    assert cosines.min() < 0.95
    assert vectors.std(axis=0).min() > 1e-3  # every dimension is used


def test_fresh_dense_layers_keep_length_and_directions(micro_model):
    singular_values = torch.linalg.svdvals(micro_model.merged_dense())
    assert 0.8 < singular_values.square().mean().sqrt() < 1.2
    assert torch.allclose(torch.linalg.svdvals(micro_model.dense_up.weight), torch.ones(64), atol=1e-5)


def test_vocabulary_is_the_tokenizers(micro_model, tiny_tokenizer):
    assert micro_model.text_model.embed_tokens.num_embeddings == len(tiny_tokenizer)
    assert not micro_model.training


@pytest.mark.parametrize("preset", ["micro", "nano"])
def test_a_fresh_model_starts_near_its_tokens(preset, tiny_tokenizer):
    """Tokens enter with mean square 1, and the layers neither bury nor blow them up."""
    model = new_model(preset, tiny_tokenizer, seed=0)
    ids = torch.arange(4, 68)[None]
    with torch.inference_mode():
        tokens = model.text_model.embed_tokens(ids)  # (1, 64, h)
        states = model.token_states(ids, torch.ones_like(ids))
    assert 0.95 < tokens.square().mean().sqrt() < 1.05
    assert torch.nn.functional.cosine_similarity(tokens, states, dim=-1).min() > 0.8
    assert (model.text_model.embed_tokens.weight[0] == 0).all()  # padding


def test_a_fresh_models_first_gradient_is_of_a_size_to_step_along(make_micro, tiny_pairs):
    """With transformers' own start (std 0.02 throughout, norms at 1) it is many times as long."""
    from egemma_lab.losses import contrastive_loss
    from egemma_lab.model import pad_batch

    def gradient_norm(model):
        queries, documents = (
            model(*pad_batch(model.tokenize([row[side] for row in tiny_pairs[::4]])))
            for side in ("anchor", "positive")
        )
        loss = contrastive_loss(queries, documents)
        grads = torch.autograd.grad(loss, [p for p in model.parameters()])
        return torch.stack([g.norm() for g in grads]).norm()

    model, plain = make_micro(seed=2), make_micro(seed=2)
    with torch.no_grad():
        plain.text_model.embed_tokens.weight.mul_(0.02 * 8)
        for layer in plain.text_model.layers:
            layer.post_attention_layernorm.weight.zero_()
            layer.post_feedforward_layernorm.weight.zero_()
    assert 3 * gradient_norm(model) < gradient_norm(plain)
