"""Fake quantization: the forward pass is the packed file's, the gradient goes straight through."""

import copy

import pytest
import torch
import torch.nn.functional as F

from egemma_lab.model import EmbeddingGemma, EmbeddingGemmaConfig, load_model, preset_config
from egemma_lab.model.packed_weights import unpack
from egemma_lab.model.presets import fresh_model
from egemma_lab.model.saving import computed_weights
from egemma_lab.model.teacher_encoders import state_identity
from egemma_lab.quantize import FORMATS, fake_quantize, pack
from egemma_lab.quantize.formats import scheme_of
from egemma_lab.quantize.weights import weight_format, without_rounding
from egemma_lab.train import soup

TEXTS = ["Mars orbits the distant sun.", "What passes Venus and sorts rows?", "", "word " * 40]


def same_weights(one, other):
    mine, theirs = computed_weights(one), computed_weights(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def by_hand(model, format):
    """A plain model whose matrices were packed and unpacked one by one."""
    plain = copy.deepcopy(model)
    for name, weight in plain.named_parameters():
        if weight.ndim == 2:
            scheme = scheme_of(format, name)
            weight.data = unpack(*pack(weight, scheme), scheme).to(weight.dtype)
    return plain


def batch(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, len(model.tokenizer), (3, 9), generator=generator)
    return ids, torch.ones_like(ids)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("seed", [0, 1])
def test_it_computes_bit_for_bit_what_was_packed(make_micro, format, seed, dtype):
    model = make_micro(seed).to(dtype)
    rounded, expected = fake_quantize(model, format), by_hand(model, format)
    assert same_weights(rounded, expected)
    assert torch.equal(rounded(*batch(model)), expected(*batch(model)))
    assert (rounded.encode(TEXTS) == expected.encode(TEXTS)).all()


def test_the_given_model_stays_as_it_is_and_the_copy_says_what_it_is(make_micro):
    model, untouched = make_micro(), make_micro()
    rounded = fake_quantize(model, "int4_block")
    assert type(rounded) is EmbeddingGemma
    assert rounded.name == "micro int4_block"
    assert (weight_format(rounded), weight_format(model)) == ("int4_block", None)
    assert same_weights(model, untouched)
    assert not same_weights(model, rounded)
    norms = [name for name, weight in computed_weights(model).items() if weight.ndim < 2]
    assert len(norms) > 20
    assert all(torch.equal(computed_weights(rounded)[name], computed_weights(model)[name]) for name in norms)
    plain = without_rounding(rounded)
    assert same_weights(plain, model)
    assert (plain.encode(TEXTS) == model.encode(TEXTS)).all()
    assert same_weights(rounded, by_hand(model, "int4_block"))
    assert plain.name == "micro"
    assert weight_format(plain) is None
    assert plain.state_dict().keys() == model.state_dict().keys()


def test_the_gradient_is_that_of_the_rounded_weights(make_micro):
    model = make_micro()
    rounded, plain = fake_quantize(model, "int4_block"), by_hand(model, "int4_block")
    target = F.normalize(torch.randn(3, 64, generator=torch.Generator().manual_seed(1)), dim=-1)
    for each in (rounded, plain):
        (each(*batch(model)) - target).square().sum().backward()
    gradients = {name: p.grad for name, p in plain.named_parameters()}
    assert len(gradients) == len(list(rounded.parameters()))
    for name, parameter in rounded.named_parameters():
        name = name.replace("parametrizations.", "").removesuffix(".original")
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-5, atol=1e-7)


def test_small_steps_move_the_weights_underneath_until_a_code_changes(make_micro):
    rounded = fake_quantize(make_micro(), "int4_block")
    original = rounded.dense_up.parametrizations.weight.original
    before = rounded.dense_up.weight.clone()
    with torch.no_grad():
        original[0, 1] += 1e-7
    assert torch.equal(rounded.dense_up.weight, before)
    with torch.no_grad():
        original[0, 1] += 3 * before[0, :32].abs().max()
    assert not torch.equal(rounded.dense_up.weight, before)


def test_a_weight_is_rounded_again_only_when_it_changed(make_micro, monkeypatch):
    rounded = fake_quantize(make_micro(), "int8_block")
    count = []
    from egemma_lab.quantize import weights

    plain = weights.round_weight
    monkeypatch.setattr(weights, "round_weight", lambda *given: count.append(1) or plain(*given))
    rounded.encode(TEXTS)
    matrices = sum(parameter.ndim == 2 for parameter in rounded.parameters())
    assert len(count) <= matrices  # some were rounded when the parametrization was registered
    count.clear()
    rounded.encode(TEXTS)
    rounded.train()(*batch(rounded)).sum().backward()
    assert count == []
    rounded.load_state_dict({name: 0.5 * value for name, value in rounded.state_dict().items()})
    rounded(*batch(rounded))
    assert len(count) == matrices
    rounded.bfloat16()
    rounded(*batch(rounded))
    assert len(count) == 2 * matrices


def test_after_encoding_a_gradient_can_still_be_had(make_micro):
    rounded = fake_quantize(make_micro(), "int8_block")
    rounded.encode(TEXTS)  # under inference_mode
    rounded(*batch(rounded)).sum().backward()
    assert rounded.dense_up.parametrizations.weight.original.grad is not None


def test_identity_and_soups_are_those_of_the_rounded_weights(make_micro):
    model = make_micro()
    formats = {format: fake_quantize(model, format) for format in FORMATS}
    identities = {state_identity(each) for each in (model, *formats.values())}
    assert len(identities) == 5  # else vectors of one would be taken for those of another
    assert state_identity(formats["ternary"]) == state_identity(by_hand(model, "ternary"))
    mixed = soup([formats["ternary"], formats["ternary"]])
    assert same_weights(mixed, formats["ternary"])


def test_a_copy_goes_its_own_way(make_micro):
    rounded = fake_quantize(make_micro(), "mixed_channel")
    other = copy.deepcopy(rounded)
    assert same_weights(other, rounded)
    before = rounded.dense_up.weight.clone()
    with torch.no_grad():
        other.dense_up.parametrizations.weight.original.mul_(2)
    assert torch.equal(rounded.dense_up.weight, before)
    assert not torch.equal(other.dense_up.weight, before)


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {"foreach": False}])
def test_every_optimizer_step_is_seen(make_micro, options):
    rounded = fake_quantize(make_micro(), "int8_block")
    optimizer = torch.optim.AdamW(rounded.parameters(), lr=1e-2, **options)
    for _ in range(2):
        rounded(*batch(rounded))[:, 0].sum().backward()
        rounded.encode(TEXTS)
        optimizer.step()
        assert same_weights(rounded, by_hand(without_rounding(rounded), "int8_block"))


@pytest.mark.parametrize("format", ["int4_block", "ternary"])
def test_what_is_saved_has_the_rounded_weights_everywhere(make_micro, format, tmp_path):
    from sentence_transformers import SentenceTransformer

    rounded = fake_quantize(make_micro(), format)
    folder = rounded.save_pretrained(tmp_path / "m")
    assert same_weights(load_model(folder), rounded)
    assert (load_model(folder).encode(TEXTS) == rounded.encode(TEXTS)).all()
    peer = SentenceTransformer(str(folder), device="cpu")
    torch.testing.assert_close(
        torch.from_numpy(peer.encode(TEXTS)), torch.from_numpy(rounded.encode(TEXTS)), atol=1e-5, rtol=0
    )
    assert same_weights(
        fake_quantize(load_model(folder), format), rounded
    )  # to round it again changes nothing


def test_a_compiled_one_sees_every_step(tiny_tokenizer):
    """One graph for all steps, rounding outside of it; PyTorch's tracer without code generation suffices to see it."""
    values = preset_config("micro", vocab_size=len(tiny_tokenizer)).to_dict()
    values["text"].update(num_hidden_layers=1, layer_types=["full_attention"])
    model = fresh_model(EmbeddingGemmaConfig.from_dict(values), tiny_tokenizer)
    rounded = fake_quantize(model, "int4_block").train()
    graphs = []
    compiled = torch.compile(
        rounded, dynamic=True, backend=lambda graph, _: graphs.append(graph) or graph.forward
    )
    for _ in range(3):
        found = []
        for forward in (compiled, rounded):
            rounded.zero_grad()
            vectors = forward(*batch(model))
            vectors[:, 0].sum().backward()
            found.append((vectors, *(parameter.grad for parameter in rounded.parameters())))
        for mine, theirs in zip(*found, strict=True):
            torch.testing.assert_close(mine, theirs)
        with torch.no_grad():
            for parameter in rounded.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    assert len(graphs) == 1


def test_what_cannot_be_rounded_is_refused(make_micro, tiny_tokenizer):
    with pytest.raises(
        ValueError, match="format='Q4_0' is not one of 'int8_block', 'int4_block', 'mixed_channel'"
    ):
        fake_quantize(make_micro(), "Q4_0")
    with pytest.raises(ValueError, match="'micro int4_block' computes with rounded weights already"):
        fake_quantize(fake_quantize(make_micro(), "int4_block"), "int8_block")
    values = preset_config("micro", vocab_size=len(tiny_tokenizer)).to_dict()
    values["text"].update(hidden_size=48)
    odd = fresh_model(EmbeddingGemmaConfig.from_dict(values), tiny_tokenizer)
    with pytest.raises(ValueError, match=r"embed_tokens.weight has shape \(\d+, 48\): int8_block needs"):
        fake_quantize(odd, "int8_block")
    assert weight_format(fake_quantize(odd, "mixed_channel")) == "mixed_channel"
