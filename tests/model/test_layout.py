"""Folders that describe something else are refused with what was found and what was expected."""

import json

import pytest

from egemma_lab.model import load_model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "embedding_gemma2"}, "EmbeddingGemma 2 .* projects each token"),
        ({"model_type": "bert"}, "model_type 'bert', expected 'gemma3_text'"),
        ({"model_type": None}, "model_type None, expected 'gemma3_text'"),
        ({"use_bidirectional_attention": False}, "use_bidirectional_attention=False, expected true"),
        ({"use_bidirectional_attention": None}, "use_bidirectional_attention=None, expected true"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "no remote code"),
        ({"quantization_config": {"bits": 4}}, "quantized"),
        ({"hidden_size": "64"}, "hidden_size='64', expected a whole number"),
        ({"sliding_window": 257}, "transformers before 5.16 halves it at each save"),
        ({"sliding_window": [512]}, "describes a model that cannot be"),
        ({"num_attention_heads": 0}, "describes a model that cannot be"),
        ({"num_key_value_heads": "one"}, "describes a model that cannot be: .*num_key_value_heads"),
        ({"num_hidden_layers": 7}, "layers.6.* is missing|layer_types"),
        ({"intermediate_size": 96}, r"shape \(128, 64\), expected \(96, 64\)"),
    ],
)
def test_other_architectures_are_refused(copy, changes, message, edit):
    edit(copy / "config.json", **changes)
    with pytest.raises(ValueError, match=message):
        load_model(copy)


def modules_of(path):
    return json.loads((path / "modules.json").read_text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m[:2] + m[4:],
            "Transformer -> Pooling -> Normalize, expected Transformer -> Pooling -> Dense",
        ),
        (lambda m: m[:4], "Dense -> Dense, expected"),
        (lambda m: [], "lists nothing"),
        (lambda m: [*m[:2], {**m[2], "type": "my.Dense"}, *m[3:]], "code from outside sentence-transformers"),
        (lambda m: [*m[:2], {**m[2], "path": "../../2_Dense"}, *m[3:]], "points outside"),
        (lambda m: [{**m[0], "path": "0_Transformer"}, *m[1:]], "puts the Transformer into"),
        (lambda m: {"a": 1}, "holds a dict, expected a list"),
    ],
)
def test_other_module_lists_are_refused(copy, change, message):
    (copy / "modules.json").write_text(json.dumps(change(modules_of(copy))))
    with pytest.raises(ValueError, match=message):
        load_model(copy)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        (
            "1_Pooling",
            {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True},
            "pools by max, expected one of mean, cls,",
        ),
        ("1_Pooling", {"pooling_mode_lasttoken": True}, r"pools by mean \+ lasttoken"),
        ("1_Pooling", {"pooling_mode": "max"}, "pools by max, expected one of mean"),
        ("1_Pooling", {"include_prompt": False}, "leaves the prompt out"),
        ("2_Dense", {"bias": True}, "bias=True, expected False"),
        ("2_Dense", {"activation_function": "torch.nn.modules.activation.Tanh"}, "Tanh', expected 'torch"),
        ("2_Dense", {"in_features": 32}, "in_features=32, expected 64"),
        ("2_Dense", {"out_features": 128}, "in_features=256, expected 128"),
        ("3_Dense", {"out_features": 96}, r"shape \(64, 256\), expected \(96, 256\)"),
        ("3_Dense", {"out_features": None}, "out_features=None"),
        ("3_Dense", {"use_residual": True}, "use_residual"),
        ("3_Dense", {"module_input_name": "token_embeddings"}, "expected 'sentence_embedding'"),
    ],
)
def test_other_modules_are_refused(copy, file, changes, message, edit):
    edit(copy / file / "config.json", **changes)
    with pytest.raises(ValueError, match=message):
        load_model(copy)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("sentence_bert_config.json", {"do_lower_case": True}, "do_lower_case"),
        ("sentence_bert_config.json", {"max_seq_length": "2048"}, "expected a whole number"),
        ("sentence_bert_config.json", {"max_seq_length": 4096}, "max_position_embeddings=2048"),
        ("config_sentence_transformers.json", {"prompts": None}, "prompts=None"),
        (
            "config_sentence_transformers.json",
            {"prompts": {"query": 1}},
            "expected an object of name -> prompt",
        ),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "poem"},
            "'poem', which is none of its",
        ),
        ("egemma_lab.json", {"widths": [64, "32"]}, "expected a list of whole numbers"),
        ("egemma_lab.json", {"widths": [128, 64]}, "output_width=64"),
        (
            "tokenizer_config.json",
            {"auto_map": {"AutoTokenizer": ["code.T", None]}},
            "asks for code of its own",
        ),
    ],
)
def test_other_settings_are_refused(copy, file, changes, message, edit):
    edit(copy / file, **changes)
    with pytest.raises(ValueError, match=message):
        load_model(copy)


@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "3_Dense/model.safetensors",
        "model.safetensors",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ],
)
def test_missing_files_are_named(copy, file):
    (copy / file).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{file} is missing"):
        load_model(copy)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[]", b""])
@pytest.mark.parametrize("file", ["config.json", "2_Dense/config.json", "sentence_bert_config.json"])
def test_damaged_json_is_named(copy, file, content):
    (copy / file).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{file} (is not JSON|holds a list)"):
        load_model(copy)
