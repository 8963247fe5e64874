"""A model as one GGUF file, architecture `gemma-embedding`: what llama.cpp and the programs built on it run."""

import contextlib
import json

from egemma_lab.model.saving import computed_weights
from egemma_lab.quantize.formats import BLOCK
from egemma_lab.quantize.gguf_vocabulary import vocabulary, vocabulary_model, vocabulary_problems

# precision of a file -> the format of `fake_quantize` that computes with the same weights
GGUF_PRECISIONS = {"f32": None, "bf16": None, "Q8_0": "int8_block", "Q4_0": "int4_block"}
_ARCHITECTURE = "gemma-embedding"
_POOLINGS = {"mean": "MEAN", "first": "CLS", "last": "LAST"}
_FULL, _SLIDING = "full_attention", "sliding_attention"
_FLOAT_INPUT = "dense_2.weight"  # the first Dense layer


def check_gguf(model, precision):
    """ValueError where llama.cpp cannot run a model of this shape; some of these it would answer by aborting."""
    config, text = model.config, model.config.text
    ropes = {rope["rope_type"] for rope in text.rope_parameters.values()}
    widths = {weight.shape[1] for weight in model.parameters() if weight.ndim == 2}
    unfit = [str(width) for width in sorted(widths) if width % BLOCK and GGUF_PRECISIONS[precision]]
    requirements = [
        (
            config.output_width == text.hidden_size,
            f"its vectors are {config.output_width} wide, the model itself {text.hidden_size}: these must be equal",
        ),
        (
            _period(text.layer_types) is not None,
            f"its layers are {', '.join(kind.removesuffix('_attention') for kind in text.layer_types)}: every "
            "k-th must be full and the others sliding, with at least one of each",
        ),
        (
            text.query_pre_attn_scalar == text.head_dim,
            f"query_pre_attn_scalar={text.query_pre_attn_scalar} must be head_dim={text.head_dim}",
        ),
        (config.pooling in _POOLINGS, f"pooling={config.pooling!r} must be one of {', '.join(_POOLINGS)}"),
        (ropes == {"default"}, f"its rotary embedding is of type {', '.join(sorted(ropes))}, not default"),
        (not text.attention_bias, "its attention has a bias"),
        (text.attn_logit_softcapping is None, "it caps the attention's logits"),
        (text.hidden_activation == "gelu_pytorch_tanh", f"its activation is {text.hidden_activation}"),
        (not unfit, f"{precision} needs rows of a multiple of {BLOCK}, not {', '.join(unfit)}"),
    ]
    problems = [words for met, words in requirements if not met] + vocabulary_problems(model.tokenizer)
    if problems:
        raise ValueError(
            f"llama.cpp cannot run {model.name!r} as {precision}: {'; '.join(problems)}. "
            'format="onnx" takes any model'
        )


def write_gguf(model, path, precision):
    """Write a model that `check_gguf` lets pass; matrices in `precision`, norms in float32.

    The first Dense layer's matrix is rounded like the others and stored in float32: llama.cpp rounds what goes into a
    matrix to the blocks of the matrix, and a pooled vector is for nine tenths what all texts have in common, which
    this layer takes away. In 8 bits too little is left of the rest (1 - cosine up to 0.003 for a nano, so 1e-5).
    """
    import gguf

    with contextlib.closing(gguf.GGUFWriter(path, _ARCHITECTURE)) as writer:
        _fill(writer, model, precision)


def _fill(writer, model, precision):
    import gguf

    _write_shape(writer, model)
    _write_tokenizer(writer, model)
    kinds = gguf.LlamaFileType
    files = {
        "f32": kinds.ALL_F32,
        "bf16": kinds.MOSTLY_BF16,
        "Q8_0": kinds.MOSTLY_Q8_0,
        "Q4_0": kinds.MOSTLY_Q4_0,
    }
    writer.add_file_type(files[precision])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    kind = gguf.GGMLQuantizationType[precision.upper()]
    for name, array in gguf_tensors(model).items():
        if array.ndim == 1 or precision == "f32":
            writer.add_tensor(name, array)
            continue
        rounded = gguf.quants.quantize(array, kind)
        if name == _FLOAT_INPUT and GGUF_PRECISIONS[precision]:
            writer.add_tensor(name, gguf.quants.dequantize(rounded, kind))
        else:
            writer.add_tensor(name, rounded, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()


def gguf_tensors(model):
    """A model's weights as they compute, under llama.cpp's names: {name: float32 array}.

    Norms are stored as 1 + w, which is what they multiply by.
    """
    import gguf

    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA_EMBEDDING, model.config.text.num_hidden_layers)
    weights = {f"model.{name}": weight for name, weight in computed_weights(model.text_model).items()}
    weights["dense_2_out.weight"] = model.dense_up.weight.detach()
    weights["dense_3_out.weight"] = model.dense_down.weight.detach()
    tensors = {}
    for name, weight in weights.items():
        array = weight.float().cpu()
        tensors[known.get_name(name, try_suffixes=(".weight",))] = (
            1 + array if array.ndim == 1 else array
        ).numpy()
    return tensors


def read_gguf(path):
    """The tensors of a GGUF file, rounded ones as what they stand for: {name: float32 array}."""
    import gguf

    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        for tensor in gguf.GGUFReader(path).tensors
    }


def _period(layer_types):
    """k where every k-th layer is full and all others slide; None for any other order."""
    period = layer_types.index(_FULL) + 1 if _FULL in layer_types else 0
    if period < 2:
        return None
    expected = [_SLIDING if index % period else _FULL for index in range(1, len(layer_types) + 1)]
    return period if list(layer_types) == expected else None


def _write_shape(writer, model):
    from gguf import PoolingType

    config, text = model.config, model.config.text
    writer.add_type("model")
    writer.add_name(model.name)
    writer.add_context_length(text.max_position_embeddings)
    writer.add_embedding_length(text.hidden_size)
    writer.add_block_count(text.num_hidden_layers)
    writer.add_feed_forward_length(text.intermediate_size)
    writer.add_head_count(text.num_attention_heads)
    writer.add_head_count_kv(text.num_key_value_heads)
    writer.add_key_length(text.head_dim)
    writer.add_value_length(text.head_dim)
    writer.add_layer_norm_rms_eps(text.rms_norm_eps)
    writer.add_rope_freq_base(text.rope_parameters[_FULL]["rope_theta"])
    writer.add_rope_freq_base_swa(text.rope_parameters[_SLIDING]["rope_theta"])
    writer.add_sliding_window(text.to_dict()["sliding_window"])  # both sides together, as serialised
    writer.add_sliding_window_pattern(_period(text.layer_types))
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType[_POOLINGS[config.pooling]])
    writer.add_dense_features_dims("dense_2", text.hidden_size, config.dense_width)
    writer.add_dense_features_dims("dense_3", config.dense_width, config.output_width)
    # what GGUF has no place for: whoever serves the file must put the prompts before the texts
    writer.add_string("egemma_lab.prompts", json.dumps(model.prompts, ensure_ascii=False))
    writer.add_array("egemma_lab.widths", list(model.widths))
    writer.add_uint32("egemma_lab.max_seq_length", model.max_seq_length)


def _write_tokenizer(writer, model):
    tokenizer = model.tokenizer
    names, scores, types = vocabulary(tokenizer, model.config.text.vocab_size)
    kind = vocabulary_model(tokenizer)
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre("default")
    writer.add_token_list(names)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    if kind == "bert":
        writer.add_sep_token_id(tokenizer.eos_token_id)  # what it ends a text with, whatever is said of EOS
    if tokenizer.unk_token_id is not None:
        writer.add_unk_token_id(tokenizer.unk_token_id)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_space_prefix(False)
