"""Writing a model with its weights packed: a quarter to an eighth of the bytes, opened like any other."""

import json
from pathlib import Path

from egemma_lab.model import load_model
from egemma_lab.model.folder import bundled_models
from egemma_lab.model.packed_weights import PACKED, PACKING
from egemma_lab.model.saving import replaced_model, write_layout, write_tokenizer
from egemma_lab.quantize.formats import pack
from egemma_lab.quantize.weights import matrix_schemes, weight_format, without_rounding


def save_packed(model, folder, format, *, tokenizer=None):
    """Write a model with its matrices rounded and packed; `load_model(folder)` opens it.

    What is opened computes, bit for bit, what `fake_quantize(model, format)` does; sentence-transformers opens what
    that one saves instead. Returns the folder as a Path.

    Parameters: `model`, an EmbeddingGemma, also one that `fake_quantize` gave in the same format; `folder`, new or of
    an older model, which is replaced in one step and its README.md carried over; `format` as in `fake_quantize`;
    `tokenizer`, the name of a bundled model that has the same one (then none is written: 1.8 MB less in a nano's
    folder; default: the folder stands alone).

    ValueError for an unknown format, a model fake-quantized in another, matrices that do not divide into the
    format's blocks, and a tokenizer that is not the model's; FileExistsError where the folder holds anything but a
    model.

    >>> import tempfile
    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> from egemma_lab.quantize import fake_quantize
    >>> model = new_model("micro", train_tokenizer(["a text", "another text"], vocab_size=400))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     packed = load_model(save_packed(model, folder, "int8_block"))
    >>> bool((packed.encode("a text") == fake_quantize(model, "int8_block").encode("a text")).all())
    True
    """
    from safetensors.torch import save_file

    if weight_format(model) not in (None, format):
        raise ValueError(
            f"{model.name!r} computes in {weight_format(model)}, format={format!r} was asked for: give the model it "
            "was made from"
        )
    plain = model if weight_format(model) is None else without_rounding(model)
    schemes = matrix_schemes(plain, format)
    if tokenizer is not None:
        _check_tokenizer(model, tokenizer)
    tensors = {}
    for name, weight in plain.state_dict().items():
        weight = weight.detach().cpu()
        if name in schemes:
            tensors[name], tensors[f"{name}.scales"] = pack(weight, schemes[name])
        else:
            tensors[name] = weight.float()
    with replaced_model(model, folder) as new:
        write_layout(model, new, model.dtype)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, new / PACKED)
        (new / PACKED).chmod((new / "config.json").stat().st_mode)  # safetensors leaves it to its owner alone
        packing = {"format": format, "tensors": schemes}
        if tokenizer is None:
            write_tokenizer(model, new)
        else:
            packing["tokenizer"] = tokenizer
        (new / PACKING).write_text(json.dumps(packing, indent=1) + "\n", encoding="utf-8")
    return Path(folder).expanduser().absolute()


def _check_tokenizer(model, name):
    if name not in bundled_models():
        raise ValueError(f"tokenizer={name!r} is not one of the bundled models {', '.join(bundled_models())}")
    theirs = load_model(name, device="cpu").tokenizer
    if theirs.backend_tokenizer.to_str() != model.tokenizer.backend_tokenizer.to_str():
        raise ValueError(f"tokenizer={name!r}: that model's tokenizer is another one than {model.name!r} has")
