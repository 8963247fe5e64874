"""Which model is trained: one given, one loaded, or fresh weights with a tokenizer of their own."""

import copy
import hashlib
import json

from egemma_lab.quantize.weights import fake_quantize, weight_format, without_rounding
from egemma_lab.train.lora import add_adapters
from egemma_lab.train.samples import some_texts
from egemma_lab.train.teacher_choice import fit_teacher

VOCAB_SIZES = {"micro": 2048, "nano": 8192, "300m": 65_536}  # of tokenizers trained here, by preset
TOKENIZER_TEXTS = 60_000  # merges of a vocabulary this small do not change with more


def choose_model(given, files, mixture, accelerator, resumed, teacher, rotation):
    """The model to train, on its device and in float32; a new run's is also written to `start/`.

    Only the main process makes a model; the others read what it wrote. A resumed run reads `start/` as well:
    its weights come from a checkpoint, its tokenizer and shape from there.
    """
    from egemma_lab.model import EmbeddingGemma

    model = given.model
    if not isinstance(model, (str, EmbeddingGemma)) and not hasattr(model, "__fspath__"):
        raise TypeError(
            f"model is a {type(model).__name__}; give an EmbeddingGemma, a folder or Hub name, or a preset's "
            "name"
        )
    if given.vocab_size is not None and not _is_preset(model):
        raise ValueError(
            f"vocab_size={given.vocab_size} is for presets' fresh weights; model={_name(model)!r} has its "
            "own tokenizer"
        )
    if given.recipe.warm_start and not resumed and not (_is_preset(model) and teacher is not None):
        raise ValueError(
            "warm_start=True gives fresh weights a start from a teacher: it needs a preset's name as model "
            f"(given: {_name(model)!r}) and a teacher (given: {getattr(teacher, 'name', None)!r})"
        )
    if given.recipe.lora is not None and _is_preset(model):
        raise ValueError(
            f"lora adapts a model that has learnt something, and {model!r} names fresh weights; give a model, a "
            "folder or a Hub name, or leave lora out"
        )
    if not isinstance(model, EmbeddingGemma):
        if resumed or not accelerator.is_main_process:
            model = None
        else:
            model = _fresh(given, mixture, teacher, rotation) if _is_preset(model) else _load(model)
    if model is not None:
        model.to(accelerator.device).float()  # master weights are float32, whatever the model was loaded in
        _own_memory(model)
        _check_fit(given.recipe, model)
    if not resumed and accelerator.is_main_process:
        plain = model if weight_format(model) is None else without_rounding(model)
        plain.save_pretrained(files.start)
    accelerator.wait_for_everyone()
    if model is None:
        model = read_start(files, given.recipe).to(accelerator.device)
        _own_memory(model)
    elif given.recipe.fake_quantize not in (None, weight_format(model)):
        model = fake_quantize(model, given.recipe.fake_quantize)
    elif given.recipe.lora is not None:
        model = add_adapters(copy.deepcopy(model), given.recipe.lora, given.recipe.seed)
    return model


def read_start(files, recipe):
    """The model in `start/`, loaded anew, with rounded weights or fresh adapters where the recipe says so."""
    model = _load(files.start)
    if recipe.lora is not None:
        return add_adapters(model, recipe.lora, recipe.seed)
    return model if recipe.fake_quantize is None else fake_quantize(model, recipe.fake_quantize)


def _own_memory(model):
    """Move weights from the file's memory map to memory of their own.

    There they lie aligned as those of a fresh model do, so a resumed run's sums are bit for bit the same.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def describe_model(given, model):
    """What must be the same when the run is resumed."""
    config = model.config.to_dict()
    for note in ("transformers_version", "_name_or_path"):  # no part of the shape
        config["text"].pop(note, None)
    return {
        "name": _name(given.model),
        "parameters": sum(p.numel() for p in model.parameters()),
        "shape": _digest(json.dumps(config, sort_keys=True)),
        "tokenizer": _digest(model.tokenizer.backend_tokenizer.to_str()),
    }


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _name(model):
    return model if isinstance(model, str) else getattr(model, "name", None) or str(model)


def _is_preset(model):
    from egemma_lab.model import PRESETS

    return isinstance(model, str) and model in PRESETS


def _load(name):
    from egemma_lab.model import load_model

    return load_model(str(name))


def _fresh(given, mixture, teacher, rotation):
    from egemma_lab.model import new_model, train_tokenizer, warm_start

    vocab_size = VOCAB_SIZES[given.model] if given.vocab_size is None else given.vocab_size
    tokenizer = train_tokenizer(
        some_texts(mixture, given.recipe.seed, TOKENIZER_TEXTS), vocab_size=vocab_size
    )
    model = new_model(given.model, tokenizer, seed=given.recipe.seed)
    if given.recipe.warm_start:
        warm_start(model, fit_teacher(teacher, teacher.width, rotation))
    return model


def _check_fit(recipe, model):
    width = model.config.output_width
    if recipe.dims is not None and recipe.dims[0] > width:
        raise ValueError(
            f"dims={list(recipe.dims)} go beyond the model's width {width}; leave dims out to train its own "
            f"widths {list(model.widths)}"
        )
    if weight_format(model) not in (None, recipe.fake_quantize):
        raise ValueError(
            f"{model.name!r} computes with rounded weights ({weight_format(model)}) and fake_quantize="
            f"{recipe.fake_quantize!r} in the recipe: let both say the same, or give the model it was made from"
        )
    dims = recipe.dims or model.widths
    if recipe.dim_weights is not None and len(recipe.dim_weights) != len(dims):
        raise ValueError(
            f"dim_weights={list(recipe.dim_weights)} has {len(recipe.dim_weights)} entries and the model's "
            f"widths are {list(dims)}; give one for each"
        )
    longest = model.config.max_seq_length
    if recipe.max_tokens > longest:
        raise ValueError(
            f"max_tokens={recipe.max_tokens} is more than this model reads; it must be at most {longest}"
        )
