"""Opening a model: from a folder, a run, the package itself or the Hub, and never halfway."""

import warnings
from importlib import resources
from pathlib import Path

import torch

from egemma_lab.model.embedding_gemma import EmbeddingGemma, EmbeddingGemmaConfig
from egemma_lab.model.hub import fetch
from egemma_lab.model.layout import read_json, read_layout
from egemma_lab.model.packed_weights import is_packed, read_packed, shared_tokenizer
from egemma_lab.model.presets import PRESETS
from egemma_lab.model.proofs import is_bidirectional
from egemma_lab.model.saving import save_model
from egemma_lab.model.weights import parse_dtype, read_tensors

__all__ = ["bundled_models", "find_folder", "load_model", "save_model"]


def load_model(name_or_folder, *, dtype="float32", device=None, token=None, revision=None):
    """Open a model in sentence-transformers layout, or packed by `lab.quantize.save_packed`, in evaluation mode.

    Parameters: `name_or_folder`, a folder, a run's folder, the name of a bundled model, or a Hub name such as
    "google/embeddinggemma-300m", looked for in this order; `dtype`, "float32" or "bfloat16" whatever the
    checkpoint was stored in (default float32: exact everywhere; bfloat16 halves the memory); `device`
    (default: CUDA where there is one, else the CPU); `token` and `revision`, for the Hub.

    Only safetensors are read and no remote code is run. Every key, shape and module must be what an
    EmbeddingGemma has, or nothing is opened: ValueError and FileNotFoundError say what was found and what was
    expected. PermissionError: the model is gated; ConnectionError: no way to the Hub. Before it is handed
    over, the model is made to prove that its attention is bidirectional (RuntimeError).

    >>> import tempfile
    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> model = new_model("micro", train_tokenizer(["a text", "another text"], vocab_size=400))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     same = load_model(model.save_pretrained(folder))
    >>> bool((same.encode("a text") == model.encode("a text")).all())
    True
    """
    dtype = parse_dtype(dtype)
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    folder = find_folder(name_or_folder, token=token, revision=revision)
    layout = read_layout(folder)
    model = _empty_model(layout, _name(name_or_folder))
    model.tokenizer = _read_tokenizer(_tokenizer_folder(folder), layout.text["vocab_size"])
    if layout.max_seq_length is None:  # then, as sentence-transformers 6 saves it, the tokenizer has it
        limit = min(model.tokenizer.model_max_length, model.config.max_seq_length)
        model.max_seq_length = model.config.max_seq_length = limit
    if is_packed(folder):
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        model.load_state_dict(read_packed(folder, shapes, dtype), assign=True)
    else:
        _read_parts(model, folder, layout, dtype)
    model = model.to(device).eval()
    if not is_bidirectional(model):
        raise RuntimeError(
            f"{name_or_folder}: the first token does not see the last one. Attention is causal here and the "
            "vectors would be wrong: this transformers ignores use_bidirectional_attention, install >= 5.17"
        )
    return model


def find_folder(name_or_folder, *, token=None, revision=None):
    """The local folder that a name stands for: itself, a run's final model, a bundled one, or the Hub's."""
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        for inside in ("final", "model"):  # a run's folder
            if not (folder / "modules.json").exists() and (folder / inside / "modules.json").is_file():
                return folder / inside
        return folder
    if folder.is_file():
        raise ValueError(f"{folder} is a file, expected the folder of a model (the one with modules.json)")
    name, bundled = str(name_or_folder), bundled_models()
    if name in bundled:
        return bundled[name]
    owner, slash, rest = name.partition("/")
    if (
        isinstance(name_or_folder, str)
        and owner.strip(".~")
        and rest
        and "/" not in rest
        and "\\" not in name
    ):
        return fetch(name, token=token, revision=revision)
    if slash or "\\" in name or isinstance(name_or_folder, Path):
        raise FileNotFoundError(f"there is no folder {name!r}")
    hint = f". As a preset, new_model({name!r}, tokenizer) makes it with fresh weights and train trains it"
    raise FileNotFoundError(
        f"{name!r} is no folder here, no bundled model ({', '.join(bundled) or 'this version has none'}) and "
        f"no Hub name of the form owner/name{hint if name in PRESETS else ''}"
    )


def bundled_models():
    """The models inside this package: {name: folder}."""
    assets = resources.files("egemma_lab") / "assets"
    if not assets.is_dir():
        return {}
    folders = sorted(Path(str(entry)) for entry in assets.iterdir() if (entry / "modules.json").is_file())
    return {folder.name: folder for folder in folders}


def _empty_model(layout, name):
    """The model a layout describes, without memory for its weights: they are about to be read, not drawn."""
    from accelerate import init_empty_weights

    prompts = _prompts(layout)
    values = {
        "text": layout.text,
        "dense_width": layout.dense_width,
        "output_width": layout.output_width,
        "widths": layout.widths,
        "max_seq_length": layout.max_seq_length or layout.text.get("max_position_embeddings"),
        "pooling": layout.pooling,
    }
    try:
        config = EmbeddingGemmaConfig.from_dict(values)
        with init_empty_weights(include_buffers=False):
            return EmbeddingGemma(
                config, prompts=prompts, default_prompt_name=layout.default_prompt_name, name=name
            )
    except Exception as error:  # impossible values end in anything, up to huggingface_hub's own errors
        raise ValueError(f"{layout.folder} describes a model that cannot be: {error}") from error


def _read_parts(model, folder, layout, dtype):
    """The weights of each module from its own folder."""
    _, pooling, up, down, _ = layout.module_folders
    parts = [
        (model.text_model, folder, ""),
        (model.dense_up, up, "linear."),
        (model.dense_down, down, "linear."),
    ]
    if layout.pooling == "attention":
        parts.append((model.attention_pooling, pooling, ""))
    for part, where, prefix in parts:
        shapes = {prefix + key: tensor.shape for key, tensor in part.state_dict().items()}
        tensors = read_tensors(where, shapes, dtype)
        part.load_state_dict({key.removeprefix(prefix): t for key, t in tensors.items()}, assign=True)


def _name(name_or_folder):
    folder = Path(name_or_folder).expanduser()
    return folder.resolve().name if folder.is_dir() else str(name_or_folder)


def _tokenizer_folder(folder):
    """Where a model's tokenizer lies: with it, or, of a packed model that shares one, with the bundled model."""
    name = shared_tokenizer(folder) if is_packed(folder) else None
    if name is None:
        return folder
    if name not in bundled_models():
        raise ValueError(
            f"{folder} shares the tokenizer of {name!r}, which is no bundled model ({', '.join(bundled_models())})"
        )
    return bundled_models()[name]


def _read_tokenizer(folder, vocab_size):
    from transformers import AutoTokenizer

    if not (folder / "tokenizer.json").is_file():
        raise FileNotFoundError(f"{folder / 'tokenizer.json'} is missing: the folder is incomplete")
    settings = read_json(folder / "tokenizer_config.json")
    if "auto_map" in settings:
        raise ValueError(f"the tokenizer in {folder} asks for code of its own (auto_map); none is run here")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # the Rust side raises bare Exceptions; what they all mean is said here
        raise ValueError(f"the tokenizer in {folder} cannot be read: {error}") from error
    if len(tokenizer) > vocab_size:
        raise ValueError(
            f"the tokenizer in {folder} has {len(tokenizer)} tokens, the model embeds {vocab_size}: no pair"
        )
    if settings.get("add_bos_token") and settings.get("add_eos_token"):
        # transformers 5 leaves these two to tokenizer.json, which in older folders knows only of BOS
        tokenizer.add_bos_token = tokenizer.add_eos_token = True
    ids = tokenizer.backend_tokenizer.encode("a").ids
    if not ids or ids[0] != tokenizer.bos_token_id or ids[-1] != tokenizer.eos_token_id:
        raise ValueError(
            f"the tokenizer in {folder} turns 'a' into {ids}, expected BOS {tokenizer.bos_token_id} first "
            f"and EOS {tokenizer.eos_token_id} last"
        )
    return tokenizer


def _prompts(layout):
    missing = [name for name in ("query", "document") if name not in layout.prompts]
    if missing:
        warnings.warn(
            f"{layout.folder} has no prompt for {' and '.join(missing)}: such texts get none, as in "
            "sentence-transformers. EmbeddingGemma's own stand in egemma_lab.model.PROMPTS",
            stacklevel=3,
        )
    return {**layout.prompts, **dict.fromkeys(missing, "")}
