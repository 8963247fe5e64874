"""The forward pass that writes over its own buffers against transformers' modules."""

import copy

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from transformers import Gemma3TextConfig

from egemma_lab.model import EmbeddingGemma, in_place, pad_batch, preset_config
from egemma_lab.model.attention_masks import attention_masks


def random_model(**changes):
    """A micro model whose norms, unlike fresh ones, differ from dimension to dimension and from each other."""
    config = preset_config("micro", vocab_size=500)
    config.text = Gemma3TextConfig(**{**config.text.to_dict(), **changes})
    torch.manual_seed(0)
    model = EmbeddingGemma(config).eval()
    for name, parameter in model.text_model.named_parameters():
        if "norm" in name or "bias" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def random_batch(*lengths):
    generator = torch.Generator().manual_seed(1)
    return pad_batch([torch.randint(4, 500, (length,), generator=generator).tolist() for length in lengths])


def by_transformers(model, input_ids, attention_mask):
    masks = attention_masks(attention_mask, model.text_model.config.sliding_window)
    return model.text_model(input_ids=input_ids, attention_mask=masks, use_cache=False).last_hidden_state


@pytest.mark.parametrize("lengths", [[1], [7, 7], [3, 19, 8], [256, 11], [257], [300, 300], [600, 2, 258]])
@pytest.mark.parametrize("heads", [(4, 1), (4, 2), (2, 2)])
def test_the_states_are_those_of_transformers(lengths, heads):
    model = random_model(num_attention_heads=heads[0], num_key_value_heads=heads[1], attention_bias=True)
    batch = random_batch(*lengths)
    with torch.inference_mode():
        assert in_place.serves(model.text_model)
        expected = by_transformers(model, *batch)
        found = model.token_states(*batch)
    real = batch[1].bool()
    torch.testing.assert_close(found[real], expected[real], atol=2e-5, rtol=2e-5)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("lengths", [[40, 40], [40, 9], [5, 3], [300, 20]])
def test_a_window_narrower_than_the_texts(lengths):
    model = random_model(sliding_window=16)
    batch = random_batch(*lengths)
    with torch.inference_mode():
        assert in_place.serves(model.text_model)
        expected, found = by_transformers(model, *batch), model.token_states(*batch)
    real = batch[1].bool()
    torch.testing.assert_close(found[real], expected[real], atol=2e-5, rtol=2e-5)


def test_weights_and_inputs_are_as_before():
    model = random_model()
    before = copy.deepcopy(model.state_dict())
    batch = random_batch(9, 4)
    given = [part.clone() for part in batch]
    with torch.inference_mode():
        first = model(*batch)
        second = model(*batch)
    assert torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(batch, given))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_hooks_that_transformers_leaves_behind_do_not_count():
    model, batch = random_model(), random_batch(9, 4)
    with torch.inference_mode():
        before = model(*batch)
        asked = model.text_model(batch[0], output_hidden_states=True)
        assert len(asked.hidden_states) == model.text_model.config.num_hidden_layers + 1
        assert in_place.serves(model.text_model)
        assert torch.equal(model(*batch), before)


class Halved(torch.nn.Module):
    def forward(self, weight):
        return weight / 2


def test_a_parametrized_weight_is_read_as_it_computes():
    model, batch = random_model(), random_batch(9, 4)
    for module in (model.text_model.layers[0].mlp.up_proj, model.text_model.embed_tokens):
        torch.nn.utils.parametrize.register_parametrization(module, "weight", Halved())
    with torch.inference_mode():
        assert in_place.serves(model.text_model)
        expected, found = by_transformers(model, *batch), model.token_states(*batch)
    torch.testing.assert_close(found[batch[1].bool()], expected[batch[1].bool()], atol=2e-5, rtol=2e-5)


def test_encode_takes_it(make_micro, tiny_texts, monkeypatch):
    model, calls = make_micro(), []
    original = in_place.token_states
    monkeypatch.setattr(in_place, "token_states", lambda *given: calls.append(1) or original(*given))
    model.encode(tiny_texts[:3], prompt_name="STS")
    assert calls


def hook(model):
    model.text_model.layers[1].mlp.gate_proj.register_forward_hook(lambda *_: None)


def early_hook(model):
    model.text_model.norm.register_forward_pre_hook(lambda *_: None)


def replaced_forward(model):
    model.text_model.layers[0].forward = lambda *_: 1 / 0


def adapters(model):
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["q_proj"]), model.text_model)


def causal(model):
    model.text_model.layers[0].self_attn.is_causal = True


def eager(model):
    model.text_model.set_attn_implementation("eager")


def smaller(model):
    model.to(torch.bfloat16)


def in_training(model):
    model.train()


@pytest.mark.parametrize(
    "change",
    [hook, early_hook, replaced_forward, adapters, causal, eager, smaller, in_training],
    ids=lambda change: change.__name__,
)
def test_what_is_not_plain_keeps_transformers_pass(change):
    model = random_model()
    change(model)
    with torch.inference_mode():
        assert not in_place.serves(model.text_model)


def test_gradients_and_autocast_keep_transformers_pass():
    model = random_model()
    assert not in_place.serves(model.text_model)
    with torch.no_grad():
        assert in_place.serves(model.text_model)
        with torch.autocast("cpu", torch.bfloat16):
            assert not in_place.serves(model.text_model)


def test_another_activation_keeps_transformers_pass():
    model = random_model(hidden_activation="gelu")
    with torch.no_grad():
        assert not in_place.serves(model.text_model)
