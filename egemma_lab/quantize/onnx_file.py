"""A model as a folder for onnxruntime: one graph from token ids to unit vectors, its tokenizer, and how to use them."""

import contextlib
import copy
import json
import logging
import warnings
from pathlib import Path

import torch

from egemma_lab.model.batching import pad_batch
from egemma_lab.model.layout import EXTRAS
from egemma_lab.quantize.onnx_readme import README

GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"
ONNX_FILES = (GRAPH, TOKENIZER, EXTRAS, "README.md")
ONNX_PRECISIONS = ("f32", "int8")


def write_onnx(model, folder, precision):
    """Fill an empty folder with `ONNX_FILES`. `model` computes in float32 on the CPU, and is left as it is."""
    folder = Path(folder)
    if precision == "f32":
        _write_graph(model, folder / GRAPH)
    else:
        _write_graph(model, folder / "float.onnx")
        _quantize_graph(folder / "float.onnx", folder / GRAPH, model.config.text)
        (folder / "float.onnx").unlink()
    _write_tokenizer(model, folder / TOKENIZER)
    settings = {
        "prompts": model.prompts,
        "default_prompt_name": model.default_prompt_name,
        "widths": list(model.widths),
        "max_seq_length": model.max_seq_length,
        "special_tokens_are_text": bool(model.tokenizer.split_special_tokens),
    }
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    (folder / EXTRAS).write_text(text, encoding="utf-8")
    readme = README.format(name=model.name, precision=precision, widths=", ".join(map(str, model.widths)))
    (folder / "README.md").write_text(readme, encoding="utf-8")


def onnx_ids(folder, texts):
    """Token ids of each text, by the folder's own tokenizer, padding left out."""
    from tokenizers import Tokenizer

    folder = Path(folder)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    settings = json.loads((folder / EXTRAS).read_text(encoding="utf-8"))
    tokenizer.encode_special_tokens = settings["special_tokens_are_text"]
    tokenizer.no_padding()
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def onnx_vectors(folder, ids):
    """Unit vectors (n, d) of n lists of token ids by onnxruntime, in one padded batch."""
    import onnxruntime

    graph = str(Path(folder) / GRAPH)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    input_ids, attention_mask = pad_batch(ids)
    feed = {"input_ids": input_ids.numpy(), "attention_mask": attention_mask.numpy()}
    return session.run(["vectors"], feed)[0]


def _write_graph(model, path):
    """Everything between token ids and unit vectors, batch and length open; attention spelt out as plain products."""
    module = copy.deepcopy(model)
    module.text_model.config._attn_implementation = "eager"
    ids, mask = pad_batch([[2, 4, 5, 6, 1], [2, 7, 1]])  # any: two rows of different length
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    with _quiet():
        program = torch.onnx.export(
            module,
            (ids, mask),
            dynamo=True,
            verbose=False,
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_shapes=(axes, axes),
        )
    program.save(path)


@contextlib.contextmanager
def _quiet():
    """Without what torch's exporter says about itself: deprecations, torchvision missing, an axis named twice."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", message="# The axis name")
            yield
    finally:
        logger.setLevel(level)


def _quantize_graph(source, target, text):
    """Weights in 7 bits a column, activations in 8 bits by their range at run time. `text`: the text model's shape.

    Seven, because processors without VNNI add pairs of products in 16 bits: with eight some sums overflow there, and
    an earlier nano's worst cosine fell from 0.9988 to 0.977. Two kinds of product stay in float32, because a few large
    numbers that go in take the range from all others: the feed-forward's way down, which gets products of two numbers
    (an earlier nano's worst cosine 0.936 with it, 0.996 without), and the first Dense layer, which takes away what the
    pooled vectors of all texts have in common (another's: 0.983 with it, 0.992 without).
    """
    import onnx
    from onnxruntime.quantization import QuantType, quant_utils, quantize_dynamic

    graph = onnx.load(source)
    del graph.graph.value_info[:]  # shapes of before: quantizing transposes some weights
    quant_utils.add_pre_process_metadata(graph)  # constants are folded already
    shapes = {weight.name: tuple(weight.dims) for weight in graph.graph.initializer}
    down = (text.intermediate_size, text.hidden_size)
    kept = [node.name for node in graph.graph.node if down in map(shapes.get, node.input)]
    # the Dense layers are general products in the graph, which quantize_dynamic first turns into plain ones
    kept += [f"{node.name}_MatMul" for node in graph.graph.node if "dense_up.weight" in node.input]
    quantize_dynamic(
        graph, target, nodes_to_exclude=kept, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
    )


def _write_tokenizer(model, path):
    """tokenizer.json, told to pad a batch and to cut where the model does."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
    tokenizer.enable_truncation(model.max_seq_length)
    pad = model.tokenizer.pad_token
    tokenizer.enable_padding(pad_id=model.tokenizer.pad_token_id or 0, pad_token=pad or "<pad>")
    tokenizer.save(str(path))
