import copy
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import Gemma3TextConfig, Gemma3TextModel

from egemma_lab.model import EmbeddingGemma, EmbeddingGemmaConfig, pad_batch, preset_config
from egemma_lab.model.attention_masks import attention_masks
from egemma_lab.model.embedding_gemma import mean_pool

# short, and long enough that padded queries have nothing but padding inside their window (257 to each side)
MIXED_LENGTHS = [3, 700, 40, 258]


def random_ids(lengths, vocab_size=500, seed=0):
    generator = np.random.default_rng(seed)
    return [[2, *generator.integers(4, vocab_size, length - 2).tolist(), 1] for length in lengths]


@pytest.fixture(params=["sdpa", "eager"])
def micro(request, make_micro):
    model = make_micro(seed=1)
    model.text_model.set_attn_implementation(request.param)
    return model


@pytest.fixture
def one_sliding_layer():
    """A model whose only layer is a sliding one, so that the window can be seen in the states."""
    config = preset_config("micro", vocab_size=600)
    text = {**config.text.to_dict(), "num_hidden_layers": 1, "layer_types": ["sliding_attention"]}
    torch.manual_seed(0)
    return EmbeddingGemma(EmbeddingGemmaConfig(Gemma3TextConfig(**text), 256, 64, (64,))).eval()


class TestConfig:
    def test_serialised_window_survives_every_way_of_copying(self):
        config = preset_config("micro")
        for _ in range(3):
            config = EmbeddingGemmaConfig.from_dict(json.loads(json.dumps(config.to_dict())))
            config = copy.deepcopy(config)
            config.text = Gemma3TextConfig.from_dict(json.loads(config.text.to_json_string()))
            config = EmbeddingGemma(config).config
            assert config.text.to_dict()["sliding_window"] == 512
            assert config.text.sliding_window == 257  # transformers' exclusive bound to each side

    def test_from_dict_inverts_to_dict(self):
        config = preset_config("nano")
        assert EmbeddingGemmaConfig.from_dict(config.to_dict()).to_dict() == config.to_dict()

    def test_models_do_not_share_a_configuration(self):
        config = preset_config("micro")
        first, second = EmbeddingGemma(config), EmbeddingGemma(config)
        first.text_model.set_attn_implementation("eager")
        assert second.text_model.config._attn_implementation == "sdpa"
        assert second.config.text is second.text_model.config

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"widths": (64, 65)}, r"widths=\(64, 65\) must descend and lie between 1 and output_width=64"),
            ({"widths": ()}, "must descend"),
            ({"widths": (32, 32)}, "must descend"),
            ({"max_seq_length": 4096}, "max_seq_length=4096 must lie between 3"),
        ],
    )
    def test_impossible_values_are_refused(self, change, message):
        with pytest.raises(ValueError, match=message):
            EmbeddingGemmaConfig.from_dict({**preset_config("micro").to_dict(), **change})

    def test_causal_attention_is_refused(self):
        text = Gemma3TextConfig(
            **{**preset_config("micro").text.to_dict(), "use_bidirectional_attention": False}
        )
        with pytest.raises(ValueError, match="causally"):
            EmbeddingGemmaConfig(text, 256, 64, (64,))
        with pytest.raises(ValueError, match="causally"):
            EmbeddingGemmaConfig.from_dict({**preset_config("micro").to_dict(), "text": text.to_dict()})


class TestAttention:
    def test_last_token_reaches_the_first(self, micro):
        ids, mask = pad_batch(random_ids([20]))
        changed = ids.clone()
        changed[0, -1] = 7
        difference = micro.token_states(ids, mask)[0, 0] - micro.token_states(changed, mask)[0, 0]
        assert difference.abs().max() > 1e-4

    @pytest.mark.parametrize("implementation", ["sdpa", "eager"])
    def test_window_is_256_to_each_side(self, one_sliding_layer, implementation):
        one_sliding_layer.text_model.set_attn_implementation(implementation)
        ids, mask = pad_batch(random_ids([601]))
        changed = ids.clone()
        changed[0, 300] = 3
        with torch.no_grad():
            before, after = (
                one_sliding_layer.token_states(ids, mask),
                one_sliding_layer.token_states(changed, mask),
            )
        moved = (before - after)[0].abs().amax(dim=-1) > 0  # (L,)
        assert moved.nonzero().flatten().tolist() == list(range(300 - 256, 300 + 256 + 1))

    def test_our_masks_give_what_transformers_own_give(self, micro):
        """On unpadded text, where transformers' masks have no fully masked row, nothing differs."""
        ids, mask = pad_batch(random_ids([600, 600]))
        with torch.no_grad():
            ours = micro.token_states(ids, mask)
            theirs = micro.text_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        assert torch.allclose(ours, theirs, atol=1e-5)

    @pytest.mark.parametrize("window", [1, 3, 8])
    def test_masks_against_a_loop(self, window):
        mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0, 0]])
        masks = {name: value.expand(2, 1, 7, 7) for name, value in attention_masks(mask, window).items()}
        for b in range(2):
            for q in range(7):
                for k in range(7):
                    assert masks["full_attention"][b, 0, q, k] == mask[b, k].bool()
                    near_and_real = abs(q - k) < window and bool(mask[b, k])
                    if window < 7:
                        assert masks["sliding_attention"][b, 0, q, k] == (near_and_real or q == k)

    def test_masks_are_left_out_where_everything_is_allowed(self):
        assert attention_masks(torch.ones(2, 5), window=5) == {
            "full_attention": None,
            "sliding_attention": None,
        }
        assert attention_masks(torch.ones(2, 6), window=5)["full_attention"] is None

    def test_masks_can_be_exported_for_any_length(self):
        """What the masks leave out for one text's length they must not leave out for another's."""

        class Masks(torch.nn.Module):
            def forward(self, mask):
                return attention_masks(mask, window=4)

        example = torch.tensor([[1, 1, 1], [1, 1, 1]])
        rows, length = torch.export.Dim("rows"), torch.export.Dim("length")
        exported = torch.export.export(Masks(), (example,), dynamic_shapes=({0: rows, 1: length},)).module()
        mask = (torch.arange(9) < torch.tensor([[9], [2], [5]])).long()
        for name, expected in attention_masks(mask, window=4).items():
            assert torch.equal(exported(mask)[name], expected)

    def test_other_implementations_make_their_own_masks(self):
        mask = torch.ones(2, 5)
        assert attention_masks(mask, window=5, implementation="flex_attention") is mask


class TestPadding:
    def test_vector_alone_and_in_a_mixed_batch_is_the_same(self, micro):
        ids = random_ids(MIXED_LENGTHS)
        with torch.no_grad():
            together = micro(*pad_batch(ids))
            alone = torch.cat([micro(*pad_batch([row])) for row in ids])
        assert torch.isfinite(together).all()
        assert torch.allclose(together, alone, atol=2e-6)

    def test_gradients_of_a_mixed_batch_are_finite_and_those_of_the_texts(self, micro):
        ids = random_ids(MIXED_LENGTHS)
        target = torch.randn(len(ids), 64, generator=torch.Generator().manual_seed(0))
        (micro(*pad_batch(ids)) * target).sum().backward()
        together = {name: parameter.grad.clone() for name, parameter in micro.named_parameters()}
        micro.zero_grad()
        for row, aim in zip(ids, target):
            (micro(*pad_batch([row])) * aim).sum().backward()
        for name, parameter in micro.named_parameters():
            assert torch.isfinite(together[name]).all(), name
            assert torch.allclose(together[name], parameter.grad, atol=1e-4, rtol=1e-3), name

    def test_padding_side_and_amount_do_not_matter_to_the_mean(self):
        states = torch.randn(2, 4, 3)
        states[1, 2:] = torch.nan  # whatever stands in padding
        mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
        expected = torch.stack([sum(states[0]) / 4, (states[1, 0] + states[1, 1]) / 2])
        assert torch.allclose(mean_pool(states, mask), expected)


class TestHead:
    def test_forward_is_pool_dense_dense_normalise(self, micro_model):
        ids, mask = pad_batch(random_ids([5, 9]))
        with torch.no_grad():
            states = micro_model.token_states(ids, mask)
            pooled = torch.stack([states[0, :5].mean(0), states[1].mean(0)])
            expected = F.normalize(pooled @ micro_model.merged_dense().T, dim=-1)
            vectors = micro_model(ids, mask)
        assert torch.allclose(vectors, expected, atol=1e-6)
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(2))

    def test_two_dense_layers_are_one_matrix(self, micro_model):
        x = torch.randn(10, 64, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            apart, merged = micro_model.dense_down(micro_model.dense_up(x)), x @ micro_model.merged_dense().T
        assert micro_model.merged_dense().shape == (64, 64)
        assert torch.allclose(apart, merged, atol=1e-5)

    def test_wider_or_narrower_output_than_the_model(self):
        values = {**preset_config("micro", vocab_size=50).to_dict(), "output_width": 24, "widths": (24, 8)}
        model = EmbeddingGemma(EmbeddingGemmaConfig.from_dict(values))
        assert model(*pad_batch([[2, 5, 1]])).shape == (1, 24)
        assert model.merged_dense().shape == (24, 64)

    def test_text_model_is_transformers_own(self, micro_model):
        assert type(micro_model.text_model) is Gemma3TextModel
        assert micro_model.text_model.config._attn_implementation == "sdpa"


class TestPrecision:
    def test_pooling_and_normalisation_stay_in_float32_under_autocast(self, micro_model):
        ids, mask = pad_batch(random_ids([30, 12]))
        seen = {}
        hooks = [
            layer.register_forward_hook(
                lambda layer, args, out: seen.update({layer: (args[0].dtype, out.dtype)})
            )
            for layer in (micro_model.dense_up, micro_model.dense_down)
        ]
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            states = micro_model.token_states(ids, mask)
            vectors = micro_model(ids, mask)
        for hook in hooks:
            hook.remove()
        assert (
            states.dtype == torch.float32
        )  # the embedding is not autocast: the residual stream stays float32
        assert set(seen.values()) == {(torch.float32, torch.float32)}
        assert vectors.dtype == torch.float32
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(2), atol=1e-6)
        with torch.no_grad():
            assert F.cosine_similarity(vectors, micro_model(ids, mask)).min() > 0.999

    def test_bfloat16_weights_give_float32_unit_vectors(self, make_micro):
        model = make_micro().to(torch.bfloat16)
        with torch.no_grad():
            vectors = model(*pad_batch(random_ids(MIXED_LENGTHS)))
        assert model.dtype == torch.bfloat16
        assert vectors.dtype == torch.float32
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(4), atol=1e-6)

    def test_float16_is_refused_with_the_reason(self, make_micro):
        model = make_micro()
        batch = pad_batch(random_ids([4]))
        with pytest.raises(TypeError, match=r"8e5.*Use bfloat16, or float32"):
            model.half()
        with pytest.raises(TypeError, match="8e5"), torch.autocast("cpu", torch.float16):
            model(*batch)
        model.to(torch.float16)
        with pytest.raises(TypeError, match="8e5"):
            model(*batch)


class TestTraining:
    def test_gradient_checkpointing_changes_no_gradient(self, make_micro):
        batch = pad_batch(random_ids([12, 300]))
        gradients = []
        for checkpointing in (False, True):
            model = make_micro(seed=2).train()
            if checkpointing:
                model.gradient_checkpointing_enable()
                assert all(layer.gradient_checkpointing for layer in model.text_model.layers)
            model(*batch)[:, :32].sum().backward()
            gradients.append([parameter.grad for parameter in model.parameters()])
        for plain, checkpointed in zip(*gradients):
            assert torch.equal(plain, checkpointed)
        assert np.isfinite(model.encode(["text while training"])).all()
        model.gradient_checkpointing_disable()
        assert not any(layer.gradient_checkpointing for layer in model.text_model.layers)

    def test_every_weight_receives_a_gradient(self, make_micro):
        model = make_micro().train()
        (model(*pad_batch(random_ids([300, 20]))) * torch.arange(64.0)).sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
