"""GGUF files: run by llama.cpp itself, and read back tensor by tensor."""

import copy

import gguf
import numpy as np
import pytest
import torch
from tokenizers import AddedToken

from egemma_lab.model.token_table import begin_near_identity
from egemma_lab.quantize import export, exporting, fake_quantize, gguf_file, pack
from egemma_lab.quantize.gguf_file import check_gguf, write_gguf
from egemma_lab.quantize.llama_cpp import llama_server
from egemma_lab.quantize.probes import disagreement

SLIDING, FULL = "sliding_attention", "full_attention"


@pytest.fixture
def without_llama_cpp(monkeypatch):
    monkeypatch.setattr(exporting, "has_llama_cpp", lambda: False)


def cosines(a, b):
    return (a.astype(np.float64) * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def tensors(path):
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


@pytest.mark.parametrize("precision", ["f32", "bf16", "Q8_0", "Q4_0"])
def test_llama_cpp_gives_the_models_token_ids_and_vectors(exportable, nasty_texts, tmp_path, precision):
    model = exportable(seed=1)
    written = export(model, tmp_path / "m.gguf", "gguf", precision)
    assert written.agreement.by == "llama.cpp"
    with llama_server(written.path) as server:
        assert server.tokenize(nasty_texts) == model.tokenize(nasty_texts)
        vectors = server.embed(nasty_texts)
    rounding = {"Q8_0": "int8_block", "Q4_0": "int4_block"}.get(precision)
    expected = fake_quantize(model, rounding).encode(nasty_texts) if rounding else model.encode(nasty_texts)
    assert cosines(vectors, expected).min() >= (0.99999 if precision == "f32" else 0.999)
    if precision == "Q4_0":  # the rounding is large enough to tell the two apart
        assert cosines(vectors, model.encode(nasty_texts)).min() < 0.99


@pytest.mark.parametrize(
    "shape",
    [
        {"pooling": "first"},
        {"pooling": "last"},
        {"num_hidden_layers": 5, "layer_types": [SLIDING, SLIDING, FULL, SLIDING, SLIDING]},
        {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16},
        {
            "rope_parameters": {
                SLIDING: {"rope_type": "default", "rope_theta": 500.0},
                FULL: {"rope_type": "default", "rope_theta": 3e4},
            },
            "rms_norm_eps": 1e-3,
        },
    ],
    ids=["first", "last", "period 3", "heads", "rope"],
)
def test_other_shapes_agree_too(exportable, tmp_path, shape):
    assert export(exportable(**shape), tmp_path / "m.gguf").agreement.found < 5e-6


def test_special_tokens_in_texts_are_what_the_tokenizer_says(exportable, tiny_tokenizer, tmp_path):
    texts = ["a<bos>b <eos> <pad>", "<<code>> <<code>>x"]
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.add_tokens([AddedToken("<<code>>", normalized=False)])
    tokenizer.split_special_tokens = False
    model = exportable(tokenizer=tokenizer, vocab_size=len(tokenizer) + 7)  # and rows without a token
    assert {0, 1, 2, len(tokenizer) - 1} <= {index for row in model.tokenize(texts) for index in row[1:-1]}
    with llama_server(export(model, tmp_path / "m.gguf").path) as server:
        assert server.tokenize(texts) == model.tokenize(texts)
        assert disagreement(server.embed(texts), model.encode(texts)) < 1e-6


@pytest.mark.parametrize(("precision", "format"), [("Q4_0", "int4_block"), ("Q8_0", "int8_block")])
def test_a_file_holds_exactly_the_codes_of_training(
    exportable, tmp_path, without_llama_cpp, precision, format
):
    model = fake_quantize(exportable(seed=2), format)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # some training: what lies under the codes moves
        for weight in model.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=generator))
    stored = tensors(export(model, tmp_path / "m.gguf", precision=precision).path)
    for name, under in [
        ("token_embd.weight", model.text_model.embed_tokens),
        ("blk.1.ffn_down.weight", model.text_model.layers[1].mlp.down_proj),
        ("dense_3.weight", model.dense_down),
    ]:
        codes, scales = pack(under.parametrizations.weight.original, format)
        blocks = torch.cat(
            [scales.view(torch.uint8).view(-1, 2), codes.view(torch.uint8).view(len(scales.view(-1)), -1)], 1
        )
        assert stored[name].tensor_type.name == precision
        assert stored[name].data.reshape(-1).tobytes() == blocks.numpy().tobytes(), name
    first = stored["dense_2.weight"]
    # what goes in is not to be rounded; the codes are those of training all the same
    assert first.tensor_type.name == "F32"
    assert np.array_equal(first.data, model.dense_up.weight.detach().numpy())


@pytest.mark.parametrize("precision", ["Q8_0", "Q4_0"])
def test_what_all_texts_have_in_common_does_not_drown_the_rest(exportable, tmp_path, precision):
    """A trained model's pooled vectors are mostly one direction, which the first Dense layer takes away."""
    model = exportable(seed=3)
    begin_near_identity(model.text_model, -0.999)
    table, dense = model.text_model.embed_tokens.weight, model.dense_up.weight
    with torch.no_grad():
        common = torch.ones(table.shape[1]) / table.shape[1] ** 0.5
        table += 30 * table.norm(dim=1).mean() * common
        dense -= torch.outer(dense @ common, common)
    assert export(model, tmp_path / "m.gguf", precision=precision).agreement.found < 2e-5


def test_what_the_file_says(exportable, tmp_path, without_llama_cpp):
    model = exportable()
    path = export(model, tmp_path / "m.gguf", precision="Q8_0").path
    fields = {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}
    assert fields["general.architecture"] == "gemma-embedding"
    assert fields["gemma-embedding.attention.sliding_window"] == 16  # not the 9 that transformers makes of it
    assert fields["gemma-embedding.dense_2_feat_out"] == fields["gemma-embedding.dense_3_feat_in"] == 256
    assert fields["tokenizer.ggml.add_eos_token"] is True
    assert fields["tokenizer.ggml.add_space_prefix"] is False
    assert "task: search result | query: " in fields["egemma_lab.prompts"]
    assert fields["egemma_lab.widths"] == [64, 16]
    stored = tensors(path)
    norm = stored["blk.0.attn_norm.weight"]
    assert norm.tensor_type.name == "F32"
    expected = 1 + model.text_model.layers[0].input_layernorm.weight.detach().numpy()
    assert (norm.data == expected).all()
    kinds = {name: each.tensor_type.name for name, each in stored.items() if len(each.shape) == 2}
    assert kinds.pop("dense_2.weight") == "F32"
    assert set(kinds.values()) == {"Q8_0"}


REFUSED = {
    "narrow vectors": ({"output_width": 32}, "vectors are 32 wide, the model itself 64"),
    "no full layer": ({"layer_types": [SLIDING, SLIDING]}, "its layers are sliding, sliding"),
    "no sliding layer": ({"layer_types": [FULL, FULL]}, "its layers are full, full"),
    "irregular": (
        {"num_hidden_layers": 4, "layer_types": [SLIDING, FULL, FULL, SLIDING]},
        "every k-th must be full",
    ),
    "scale": ({"query_pre_attn_scalar": 8}, "query_pre_attn_scalar=8 must be head_dim=32"),
    "pooling": ({"pooling": "attention"}, "pooling='attention' must be one of mean, first, last"),
    "bias": ({"attention_bias": True}, "its attention has a bias"),
    "cap": ({"attn_logit_softcapping": 50.0}, "caps the attention's logits"),
    "activation": ({"hidden_activation": "relu"}, "its activation is relu"),
    "blocks": (
        {"hidden_size": 48, "output_width": 48},
        "Q8_0 needs rows of a multiple of 32, not 48",
    ),
    "rope": (
        {
            "rope_parameters": {
                SLIDING: {"rope_type": "default", "rope_theta": 1e4},
                FULL: {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
            }
        },
        "rotary embedding is of type default, linear",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_llama_cpp_cannot_run_is_refused(exportable, tmp_path, case):
    shape, words = REFUSED[case]
    model = exportable(**shape)
    with pytest.raises(ValueError, match=f"llama.cpp cannot run 'small' as Q8_0: .*{words}"):
        export(model, tmp_path / "m.gguf", precision="Q8_0")
    assert list(tmp_path.iterdir()) == []
    if case == "blocks":
        check_gguf(model, "f32")


@pytest.mark.parametrize("case", ["narrow vectors", "no full layer", "no sliding layer"])
def test_llama_cpp_aborts_on_these(exportable, tmp_path, case, monkeypatch):
    """The reason for refusing: no exception comes from there, the process is gone."""
    monkeypatch.setattr(
        gguf_file, "_period", lambda layers: 2 if layers[0] == SLIDING and FULL in layers else 1
    )
    write_gguf(exportable(**REFUSED[case][0]), tmp_path / "m.gguf", "f32")
    with (
        pytest.raises(RuntimeError, match=r"did not run this file \(exit code -6\).*ASSERT"),
        llama_server(tmp_path / "m.gguf") as server,
    ):
        server.embed(["a"])


def test_tokenizers_that_llama_cpp_has_no_place_for_are_refused(exportable):
    from tokenizers import normalizers, pre_tokenizers

    model = exportable()
    backend = model.tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")  # Gemma's: idle
    check_gguf(model, "f32")
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.normalizer = normalizers.Lowercase()
    with pytest.raises(ValueError, match=r"normalizer is not the one.*splits texts before it merges"):
        check_gguf(model, "f32")
