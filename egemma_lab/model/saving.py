"""Writing a model in sentence-transformers layout: whole, or not at all."""

import contextlib
import json
import operator
import os
import shutil
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

from egemma_lab.model.folder_beside import folder_beside, left_beside
from egemma_lab.model.layout import EXTRAS, IDENTITY, POOLING_NAMES
from egemma_lab.model.packed_weights import PACKED, PACKING
from egemma_lab.model.weights import parse_dtype, parse_storage

# The module names that the released model uses, and that every reader of the layout knows.
_MODULES = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"), ("3_Dense", "Dense")]
_MODULES += [("4_Normalize", "Normalize")]
_MERGED = [*_MODULES[:3], ("3_Normalize", "Normalize")]  # both Dense layers in one
_POOLING = (
    "cls_token",
    "mean_tokens",
    "max_tokens",
    "mean_sqrt_len_tokens",
    "weightedmean_tokens",
    "lasttoken",
)

# What may lie in a folder that is to be replaced: this layout, as anybody writes it.
_OURS = {
    *(
        "config.json",
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        EXTRAS,
    ),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "chat_template.jinja", "generation_config.json", "model.safetensors.index.json"),
    *(PACKED, PACKING, "model*.safetensors"),
    *(path for path, _ in [*_MODULES, *_MERGED] if path),
}
_KEPT = ("README.md", "LICENSE", "NOTICE")  # written by people: carried over


def save_model(model, folder, dtype=None, storage=None, merged_dense=False):
    """Write the model so that `SentenceTransformer(folder)` and `load_model(folder)` give its vectors.

    Returns the folder as a Path. `dtype`, "float32" or "bfloat16" (default: the model's own): what readers are
    told to compute in. `storage`, how the weights lie on disk, "float16" besides these two (default: `dtype`):
    a float32 model stored in two bytes is half as large, and its vectors change by the rounding of its weights
    alone. ValueError where a weight is too large for float16. `merged_dense` writes both Dense layers as the one
    matrix they amount to: smaller, the same vectors, and for sentence-transformers only, since `load_model` wants both.

    All is written beside the folder first and then moved into its place: a kill at any moment leaves the old
    model whole, or the new one (in the instant between, hidden beside the folder, and the next save brings it back).
    An older model is replaced, its README.md carried over. FileExistsError where
    the folder holds anything that is not part of a model: nothing else is ever deleted. ValueError for a
    model without tokenizer, which nobody could use.
    """
    dtype = model.dtype if dtype is None else parse_dtype(dtype)
    storage = dtype if storage is None else parse_storage(storage)
    with replaced_model(model, folder) as new:
        write_layout(model, new, dtype, merged_dense)
        for path, tensors in _weights(model, merged_dense).items():
            _write_weights(new / path, tensors, storage)
        write_tokenizer(model, new)
    return Path(folder).expanduser().absolute()


def _dense_layers(model, merged):
    """The Dense matrices by their modules' folders: {path: (out, in)}."""
    if merged:
        return {"2_Dense": model.merged_dense().detach()}
    return {"2_Dense": model.dense_up.weight.detach(), "3_Dense": model.dense_down.weight.detach()}


def _weights(model, merged_dense):
    """Which tensors lie in which module's folder: {path: {name: tensor}}."""
    tensors = {"": computed_weights(model.text_model)}
    for path, matrix in _dense_layers(model, merged_dense).items():
        tensors[path] = {"linear.weight": matrix}
    if model.config.pooling == "attention":
        tensors["1_Pooling"] = {"query": model.attention_pooling.query.detach()}
    return tensors


def computed_weights(module):
    """A module's state as its forward pass computes with it: {name: tensor}, without gradients.

    It is `state_dict()` but for parametrized weights (`torch.nn.utils.parametrize`), of which that has the original.
    """
    tensors = {}
    for name, tensor in module.state_dict().items():
        if "parametrizations." in name and name.endswith(".original"):
            name = name.replace("parametrizations.", "").removesuffix(".original")
            tensor = operator.attrgetter(name)(module)
        tensors[name] = tensor.detach()
    return tensors


@contextlib.contextmanager
def replaced_model(model, folder):
    """An empty folder to fill with a model, which then takes the place of `folder` in one step.

    The README.md of an older model there is carried over. FileExistsError and ValueError as in `save_model`.
    """
    if model.tokenizer is None:
        raise ValueError("this model has no tokenizer: set model.tokenizer before saving it")
    with replaced_folder(folder, ours=_OURS, marker="modules.json", kept=_KEPT) as new:
        yield new


@contextlib.contextmanager
def replaced_folder(folder, *, ours, marker, kept=()):
    """An empty folder to fill, which takes the place of `folder` in one step when the block ends without an error.

    An older folder is only replaced if it has the file `marker` and nothing but `ours` (names or patterns) and `kept`
    (these are carried over); FileExistsError otherwise.
    """
    folder = Path(folder).expanduser().absolute()
    for left in left_beside(folder):
        if (left / "old").exists() and not folder.exists():  # killed between the two steps of _replace
            os.replace(left / "old", folder)
    _refuse_foreign(folder, {*ours, *kept}, marker)
    with folder_beside(folder) as beside:
        new = beside / "new"
        new.mkdir()
        yield new
        for name in kept:
            if (folder / name).is_file():
                shutil.copy2(folder / name, new / name)
        _replace(folder, new, beside / "old")


def _replace(folder, new, old):
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except BaseException:
        if old.exists():
            os.replace(old, folder)
        raise


def _refuse_foreign(folder, ours, marker):
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: choose another name for the model's folder")
    found = [path.name for path in folder.iterdir()]
    foreign = sorted(name for name in found if not any(fnmatch(name, pattern) for pattern in ours))
    if foreign or (found and marker not in found):
        raise FileExistsError(
            f"{folder} holds more than a model ({', '.join(foreign or sorted(found))}): choose a new folder, "
            "saving would delete these"
        )


def write_layout(model, folder, dtype, merged_dense=False):
    """The JSON files of a model, and the folders of its modules: all but weights and tokenizer."""
    kinds = _MERGED if merged_dense else _MODULES
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(kinds)
    ]
    for path, _ in kinds[1:]:
        (folder / path).mkdir()
    text = model.config.text
    _write_json(folder / "modules.json", modules)
    _write_json(
        folder / "config.json",
        {**text.to_dict(), "architectures": ["Gemma3TextModel"], "dtype": str(dtype).removeprefix("torch.")},
    )
    _write_json(
        folder / "sentence_bert_config.json",
        {"max_seq_length": model.max_seq_length, "do_lower_case": False},
    )
    _write_json(
        folder / "config_sentence_transformers.json",
        {
            "model_type": "SentenceTransformer",
            "__version__": {
                "sentence_transformers": version("sentence-transformers"),
                "transformers": version("transformers"),
                "pytorch": version("torch"),
            },
            "prompts": model.prompts,
            "default_prompt_name": model.default_prompt_name,
            "similarity_fn_name": "cosine",
        },
    )
    _write_json(folder / EXTRAS, {"widths": list(model.widths)})
    _write_json(folder / "1_Pooling" / "config.json", _pooling(model.config))
    for path, matrix in _dense_layers(model, merged_dense).items():
        shape = {"in_features": matrix.shape[1], "out_features": matrix.shape[0]}
        _write_json(folder / path / "config.json", {**shape, "bias": False, "activation_function": IDENTITY})


def _pooling(config):
    """1_Pooling/config.json; a flag a mode, as older readers want it, where sentence-transformers has the mode."""
    mode = next(theirs for theirs, ours in POOLING_NAMES.items() if ours == config.pooling)
    shared = {"word_embedding_dimension": config.text.hidden_size, "include_prompt": True}
    if mode == "attention":
        return {**shared, "pooling_mode": mode}
    flags = {
        f"pooling_mode_{each}": each.removesuffix("_tokens").removesuffix("_token") == mode
        for each in _POOLING
    }
    return {**shared, **flags}


def _write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_weights(folder, tensors, storage):
    from safetensors.torch import save_file

    stored = {name: tensor.to("cpu", storage).contiguous() for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if tensor.isfinite().all() and not stored[name].isfinite().all():
            raise ValueError(
                f"{name} holds {tensor.abs().max():.3g}, more than {storage} can: store it as bfloat16 or float32"
            )
    path = folder / "model.safetensors"
    save_file(stored, path, metadata={"format": "pt"})
    path.chmod((folder / "config.json").stat().st_mode)  # safetensors leaves it readable for its owner only


def write_tokenizer(model, folder):
    """The tokenizer's files."""
    backend = model.tokenizer.backend_tokenizer
    backend.no_truncation()  # left behind by some earlier call, they would be saved as part of the tokenizer
    backend.no_padding()
    model.tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for note in ("is_local", "local_files_only", "name_or_path"):  # where it once came from
        config.pop(note, None)
    _write_json(path, {**config, "model_max_length": model.max_seq_length})
