"""Files that other programs run: GGUF for llama.cpp, ONNX for onnxruntime, each compared with the model first."""

import copy
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egemma_lab.model.embedding_gemma import EmbeddingGemma
from egemma_lab.model.folder_beside import folder_beside
from egemma_lab.model.saving import computed_weights, replaced_folder
from egemma_lab.quantize.gguf_file import GGUF_PRECISIONS, check_gguf, gguf_tensors, read_gguf, write_gguf
from egemma_lab.quantize.llama_cpp import has_llama_cpp, llama_server
from egemma_lab.quantize.onnx_file import ONNX_FILES, ONNX_PRECISIONS, onnx_ids, onnx_vectors, write_onnx
from egemma_lab.quantize.probes import Agreement, disagreement, probes, vectors_of
from egemma_lab.quantize.weights import fake_quantize

_PRECISIONS = {"gguf": tuple(GGUF_PRECISIONS), "onnx": ONNX_PRECISIONS}
_PACKAGES = {"gguf": ("gguf",), "onnx": ("onnx", "onnxscript", "onnxruntime")}

# The largest 1 - cosine between the vectors of a file and those of the model with the same rounding. llama.cpp rounds
# activations too, to the blocks of the weights (bf16: to bf16); so does onnxruntime's int8, whose own rounding of the
# weights no model here has, so that it is compared with the unrounded one. In four bits a text in scripts that a model
# never learnt lies far enough off (the bundled nano: 0.0034, all others below 0.0002) to need a wider limit.
_LIMITS = {
    ("gguf", "f32"): 1e-5,
    ("gguf", "bf16"): 1e-3,
    ("gguf", "Q8_0"): 1e-3,
    ("gguf", "Q4_0"): 1e-2,
    ("onnx", "f32"): 1e-8,  # 1e-5 in a number of a vector of 256
    ("onnx", "int8"): 2e-2,
}


@dataclass(frozen=True)
class Export:
    """What `export` wrote: where, in what, how large (`size`, bytes), and how near it comes to the model."""

    path: Path
    format: str
    precision: str
    size: int
    agreement: Agreement

    def __str__(self):
        return f"{self.path}: {self.format} {self.precision}, {self.size / 1e6:.1f} MB. Compared by {self.agreement}"


def export(model, path, format="gguf", precision="f32"):
    """Write a model as a file that another program runs. It is compared with the model before it is kept.

    Parameters: `model`, an EmbeddingGemma, left as it is; one from `fake_quantize` is written as it computes, so that
    training in "int4_block" and exporting to Q4_0 gives exactly the trained codes. `format` and `precision`:

    - "gguf": one file for llama.cpp, `path` ending in .gguf, with the tokenizer in it. Matrices in "f32", "bf16",
      "Q8_0" or "Q4_0" (blocks of 32, 8.5 and 4.5 bits a weight; `fake_quantize` computes the same as "int8_block" and
      "int4_block"), norms in float32. llama.cpp knows no prompts: put them before the texts. WordPiece it reads with
      a few rare characters and overlong words apart (`egemma_lab.quantize.gguf_vocabulary.vocabulary` lists them).
    - "onnx": a folder for onnxruntime, with the tokenizer, the prompts and a README that shows how to use it without
      torch; from token ids to unit vectors, any batch, any length. In "f32", or "int8" (weights in 7 bits a column,
      activations in 8 by their range).

    Returns an `Export`; printed, it says how near the file comes and who compared. GGUF is run by llama.cpp itself
    where `xllamacpp` is installed, token ids and vectors; otherwise its tensors are read back. ONNX is run by
    onnxruntime. The file appears in one step, replacing an older one, only if it agrees; what a killed call
    left half written beside it is removed.

    ValueError for another combination, for a path that does not fit it, and for a model llama.cpp cannot run (a last
    Dense of another width than the model, an order of layers without Gemma's pattern, rounded matrices with rows of no
    multiple of 32); RuntimeError where file and model disagree, by how much; FileExistsError where a folder holds
    anything but an earlier export; ImportError for a package that is missing.

    >>> import tempfile
    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> model = new_model("micro", train_tokenizer(["a text", "another text"], vocab_size=400))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = export(model, f"{folder}/micro.gguf", precision="Q8_0")
    >>> written.agreement.found < written.agreement.limit
    True
    """
    path = Path(path).expanduser().absolute()
    _check(model, path, format, precision)
    plain = _as_computed(model)
    agreement = (_export_gguf if format == "gguf" else _export_onnx)(plain, path, precision)
    size = sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
    return Export(path, format, precision, size, agreement)


def _check(model, path, format, precision):
    if precision not in _PRECISIONS.get(format, ()):
        allowed = "; ".join(f"format={name!r} with {', '.join(kinds)}" for name, kinds in _PRECISIONS.items())
        raise ValueError(f"format={format!r} with precision={precision!r} is not one of these: {allowed}")
    if not isinstance(model, EmbeddingGemma):
        raise TypeError(
            f"model is {type(model).__name__}, expected an EmbeddingGemma: open it with load_model"
        )
    if model.tokenizer is None:
        raise ValueError("this model has no tokenizer: set model.tokenizer before exporting it")
    if format == "gguf" and (path.suffix != ".gguf" or path.is_dir()):
        raise ValueError(f"{path}: GGUF is one file, give it a name that ends in .gguf")
    if format == "onnx" and path.suffix in (".onnx", ".gguf"):
        raise ValueError(
            f"{path}: ONNX goes into a folder (graph, tokenizer, prompts), give it a folder's name"
        )
    missing = [name for name in _PACKAGES[format] if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"export to {format} needs {', '.join(missing)}: pip install 'egemma-lab[export]'")


def _as_computed(model):
    """The model anew, in float32, on the CPU, its plain weights being those that it computes with."""
    from accelerate import init_empty_weights

    unrounded = (
        copy.deepcopy(model).float().cpu()
    )  # before rounding: a scale needs more bits than bfloat16 has
    with init_empty_weights(include_buffers=False):
        plain = EmbeddingGemma(
            model.config, copy.deepcopy(model.tokenizer), prompts=model.prompts, name=model.name
        )
    plain.load_state_dict(computed_weights(unrounded), assign=True)
    plain.default_prompt_name, plain.max_seq_length = model.default_prompt_name, model.max_seq_length
    return plain.eval()


def _export_gguf(model, path, precision):
    check_gguf(model, precision)
    with folder_beside(path) as beside:
        file = beside / path.name
        write_gguf(model, file, precision)
        rounding = GGUF_PRECISIONS[precision]
        reference = fake_quantize(model, rounding) if rounding else model
        compare = _run_gguf if has_llama_cpp() else _read_back
        agreement = _agreeing(path, compare(reference, file, precision))
        os.replace(file, path)
    return agreement


def _export_onnx(model, path, precision):
    with replaced_folder(path, ours=ONNX_FILES, marker=ONNX_FILES[0]) as folder:
        write_onnx(model, folder, precision)
        texts, ids = probes(model)
        _same_ids(path, texts, onnx_ids(folder, texts), ids)
        found = disagreement(onnx_vectors(folder, ids), vectors_of(model, ids))
        return _agreeing(path, _ran("onnxruntime", ids, found, _LIMITS["onnx", precision]))


def _run_gguf(reference, file, precision):
    texts, ids = probes(reference)
    with llama_server(file, context=max(map(len, ids))) as server:
        _same_ids(file, texts, server.tokenize(texts), ids)
        vectors = np.concatenate([server.embed(texts), server.embed(ids[-1:])])
    found = disagreement(vectors, vectors_of(reference, ids))
    return _ran("llama.cpp", ids, found, _LIMITS["gguf", precision])


def _read_back(reference, file, precision):
    """Without llama.cpp: the tensors of the file, as what they stand for, beside those of the model."""
    stored, expected = read_gguf(file), gguf_tensors(reference)
    found = float("inf")
    if stored.keys() == expected.keys():
        found = max(
            float(abs(stored[name] - x).max() / abs(x).max().clip(1e-30)) for name, x in expected.items()
        )
    limit = 2.0**-8 if precision == "bf16" else 0.0
    return Agreement(
        "reading its tensors back", "largest difference relative to the largest weight", found, limit
    )


def _ran(program, ids, found, limit):
    return Agreement(program, f"largest 1 - cosine over {len(ids)} texts", found, limit)


def _same_ids(path, texts, found, expected):
    for text, theirs, ours in zip(texts, found, expected):
        if theirs != ours:
            raise RuntimeError(
                f"{path} was not written: its tokenizer makes {theirs} of {text!r}, the model's {ours}"
            )


def _agreeing(path, agreement):
    if not agreement.found <= agreement.limit:
        raise RuntimeError(f"{path} was not written, because it disagrees with the model. {agreement}")
    return agreement
