"""The sentence-transformers layout of an EmbeddingGemma, read from JSON and checked line by line.

Nothing here touches weights: `read_layout` says what a folder describes, or what is wrong with it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

MODULES = ("Transformer", "Pooling", "Dense", "Dense", "Normalize")
IDENTITY = "torch.nn.modules.linear.Identity"
# sentence-transformers' name of a pooling -> ours; "attention" it does not have, and refuses
POOLING_NAMES = {"mean": "mean", "cls": "first", "lasttoken": "last", "attention": "attention"}
EXTRAS = "egemma_lab.json"  # what the layout has no place for: the Matryoshka widths

# In config.json: notes about the file or its use, not about the model it describes.
NOTES = ("architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path", "use_cache")


# Far above any such model: a file that asks for more would keep this process building modules for hours.
MOST = {"hidden_size": 65_536, "num_hidden_layers": 1_000, "vocab_size": 10_000_000, "head_dim": 65_536}


@dataclass
class Layout:
    """What a folder's JSON files say: everything of a model but its weights and its tokenizer.

    `module_folders` holds the five modules' folders in their order; `text` the text model's configuration
    with the sliding window as serialised; `max_seq_length` is None where only the tokenizer states it.
    """

    folder: Path
    module_folders: list
    text: dict
    dense_width: int
    output_width: int
    widths: tuple
    max_seq_length: int | None
    pooling: str
    prompts: dict
    default_prompt_name: str | None


def read_layout(folder):
    """Read and check the JSON files of a model folder.

    ValueError says what was found and what was expected; FileNotFoundError which file is missing.
    """
    folder = Path(folder)
    text = read_text_config(folder)
    module_folders = _read_modules(folder)
    pooling = _read_pooling(module_folders[1])
    hidden = text["hidden_size"]
    dense_width = _read_dense(module_folders[2], in_features=hidden)
    output_width = _read_dense(module_folders[3], in_features=dense_width)
    _check_normalize(module_folders[4])
    prompts, default_prompt_name = _read_prompts(folder)
    return Layout(
        folder=folder,
        module_folders=module_folders,
        text=text,
        dense_width=dense_width,
        output_width=output_width,
        widths=_read_widths(folder, output_width),
        max_seq_length=_read_max_seq_length(folder),
        pooling=pooling,
        prompts=prompts,
        default_prompt_name=default_prompt_name,
    )


def module_names(folder):
    """The class names in a folder's modules.json, e.g. ("Transformer", "Pooling"); () where there is none."""
    if not (Path(folder) / "modules.json").is_file():
        return ()
    return tuple(_class_name(entry) for entry in read_json(Path(folder) / "modules.json", list))


def read_json(path, kind=dict):
    """The object (or list) in a JSON file; ValueError names the file where it holds something else."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: the folder is incomplete")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (
        ValueError,
        RecursionError,
    ) as error:  # not UTF-8, no JSON, a number or a nesting beyond all bounds
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise ValueError(f"{path} holds a {type(value).__name__}, expected a {kind.__name__}")
    return value


def read_text_config(folder):
    """config.json of a bidirectional Gemma 3 text model; ValueError for any other architecture."""
    path = Path(folder) / "config.json"
    config = read_json(path)
    kind = config.get("model_type")
    if kind == "embedding_gemma2":
        raise ValueError(
            f"{path} describes EmbeddingGemma 2 (model_type 'embedding_gemma2'), which projects each token "
            "before it pools; expected EmbeddingGemma 1 (model_type 'gemma3_text'). Load it with "
            "sentence-transformers instead"
        )
    if kind != "gemma3_text":
        raise ValueError(
            f"{path} describes model_type {kind!r}, expected 'gemma3_text' (EmbeddingGemma). Any "
            "sentence-transformers model can be a teacher: load_teacher"
        )
    if "auto_map" in config:
        raise ValueError(f"{path} asks for code of its own (auto_map); no remote code is ever run here")
    if "quantization_config" in config:
        raise ValueError(f"{path} describes quantized weights; expected float32 or bfloat16 ones")
    if config.get("use_bidirectional_attention") is not True:
        raise ValueError(
            f"{path} has use_bidirectional_attention={config.get('use_bidirectional_attention')!r}, expected "
            "true: this is a causal Gemma 3, not an embedding model"
        )
    window = config.get("sliding_window")
    if isinstance(window, int) and window % 2:
        raise ValueError(
            f"{path} has sliding_window={window}, expected an even one: transformers before 5.16 halves it "
            "at each save (512, 257, 129 ...). Write the value it was trained with back into it, 512 for "
            "EmbeddingGemma"
        )
    for key, most in MOST.items():
        value = config.get(key, 1 if key == "head_dim" else None)  # older files leave this one to its default
        if not _is_count(value) or value > most:
            raise ValueError(f"{path} has {key}={value!r:.60}, expected a whole number from 1 to {most:,}")
    return {key: value for key, value in config.items() if key not in NOTES}


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _class_name(entry):
    return str(entry.get("type", "?")).rsplit(".", 1)[-1] if isinstance(entry, dict) else "?"


def _read_modules(folder):
    """The folders of the five modules, in their order."""
    path = folder / "modules.json"
    entries = read_json(path, list)
    found = tuple(_class_name(entry) for entry in entries)
    if found != MODULES:
        raise ValueError(f"{path} lists {' -> '.join(found) or 'nothing'}, expected {' -> '.join(MODULES)}")
    folders = []
    for entry in entries:
        if not entry["type"].startswith("sentence_transformers."):
            raise ValueError(
                f"{path} names {entry['type']!r}: code from outside sentence-transformers is never run"
            )
        place = entry.get("path", "")
        if not isinstance(place, str) or "\0" in place:
            raise ValueError(f"{path} has path={place!r:.60}, expected the name of a folder")
        inside = (folder / place).resolve()
        if not inside.is_relative_to(folder.resolve()):
            raise ValueError(f"{path} points outside its folder: {place!r}")
        folders.append(folder / place)
    if folders[0].resolve() != folder.resolve():
        raise ValueError(
            f"{path} puts the Transformer into {entries[0]['path']!r}, expected the folder itself"
        )
    return folders


def _read_pooling(folder):
    path = folder / "config.json"
    config = read_json(path)
    modes = config.get("pooling_mode")
    if modes is None:  # the older way: a flag for each mode
        flags = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
        modes = [
            key.removeprefix("pooling_mode_").replace("_tokens", "").replace("_token", "") for key in flags
        ]
    modes = modes if isinstance(modes, list) else [modes]
    if len(modes) != 1 or not isinstance(modes[0], str) or modes[0] not in POOLING_NAMES:
        raise ValueError(
            f"{path} pools by {' + '.join(map(str, modes)) or 'nothing'}, expected one of "
            f"{', '.join(POOLING_NAMES)} (EmbeddingGemma: mean)"
        )
    if config.get("include_prompt", True) is not True:
        raise ValueError(f"{path} leaves the prompt out of the mean, expected include_prompt true")
    return POOLING_NAMES[modes[0]]


def _read_dense(folder, in_features):
    """The width a Dense module puts out, once it is known to be a plain matrix."""
    path = folder / "config.json"
    config = read_json(path)
    expected = {"in_features": in_features, "bias": False, "activation_function": IDENTITY}
    for key, value in expected.items():
        if config.get(key) != value:
            raise ValueError(f"{path} has {key}={config.get(key)!r}, expected {value!r}")
    if config.get("use_residual"):
        raise ValueError(f"{path} has use_residual=true, expected a plain linear layer")
    _check_features(path, config)
    if not _is_count(config.get("out_features")):
        raise ValueError(f"{path} has out_features={config.get('out_features')!r}, expected a whole number")
    return config["out_features"]


def _check_normalize(folder):
    path = folder / "config.json"
    if path.is_file():  # before sentence-transformers 6 there was none, nor a folder
        _check_features(path, read_json(path))


def _check_features(path, config):
    for key in ("module_input_name", "module_output_name"):
        if config.get(key, "sentence_embedding") not in ("sentence_embedding", None):
            raise ValueError(f"{path} has {key}={config[key]!r}, expected 'sentence_embedding'")


def _read_max_seq_length(folder):
    path = folder / "sentence_bert_config.json"
    config = read_json(path)
    if config.get("do_lower_case"):
        raise ValueError(f"{path} has do_lower_case=true, expected false: Gemma's tokenizer keeps case")
    limit = config.get("max_seq_length")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
        raise ValueError(f"{path} has max_seq_length={limit!r}, expected a whole number")
    return limit


def _read_prompts(folder):
    path = folder / "config_sentence_transformers.json"
    config = read_json(path)
    prompts = config.get("prompts")
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ValueError(f"{path} has prompts={prompts!r}, expected an object of name -> prompt")
    default = config.get("default_prompt_name")
    if default is not None and (not isinstance(default, str) or default not in prompts):
        raise ValueError(
            f"{path} has default_prompt_name={default!r}, which is none of its prompts ({', '.join(prompts)})"
        )
    return prompts, default


def _read_widths(folder, output_width):
    """The Matryoshka widths: as saved here, else the released model's, else halvings down to an eighth."""
    path = folder / EXTRAS
    if path.is_file():
        widths = read_json(path).get("widths")
        if not isinstance(widths, list) or not all(map(_is_count, widths)):
            raise ValueError(f"{path} has widths={widths!r}, expected a list of whole numbers")
        return tuple(widths)
    if output_width == 768:
        return (768, 512, 256, 128)
    return tuple(output_width // 2**k for k in range(4) if output_width // 2**k >= 1)
