"""Weights that are damaged, incomplete, pickled or somebody else's are never opened."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from egemma_lab.model import load_model


@pytest.mark.parametrize("file", ["model.safetensors", "3_Dense/model.safetensors"])
@pytest.mark.parametrize("keep", [0, 5, 200, -100])
def test_truncated_weights_are_refused(copy, file, keep):
    path = copy / file
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    with pytest.raises(ValueError, match=rf"{file} is damaged"):
        load_model(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("norm.weight"), "norm.weight is missing"),
        (lambda t: t.update(extra=torch.zeros(2)), "extra is not part of this model"),
        (
            lambda t: t.update({"norm.weight": torch.zeros(63)}),
            r"norm.weight has shape \(63,\), expected \(64,\)",
        ),
        (lambda t: t.update({"norm.weight": torch.full((64,), torch.nan)}), "norm.weight holds NaN"),
        (lambda t: t.update({"norm.weight": torch.zeros(64, dtype=torch.int8)}), "type I8, expected a float"),
        (lambda t: [t.pop(name) for name in sorted(t)[:5]], r"\(and 2 more\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(copy, change, message):
    path = copy / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(ValueError, match=message):
        load_model(copy)


def test_sharded_weights(copy, saved, same_weights):
    tensors = load_file(copy / "model.safetensors")
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[:20], "model-2.safetensors": names[20:]}
    for file, part in shards.items():
        save_file({name: tensors[name] for name in part}, copy / file)
    weight_map = {name: file for file, part in shards.items() for name in part}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (copy / "model.safetensors").unlink()
    assert same_weights(load_model(copy), load_model(saved))
    (copy / "model-2.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks model-2.safetensors"):
        load_model(copy)
    (copy / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ValueError, match=r"index.json is damaged"):
        load_model(copy)


@pytest.mark.parametrize("module", ["", "2_Dense"])
def test_pickles_are_refused_with_the_reason(copy, module):
    (copy / module / "model.safetensors").rename(copy / module / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"only in pytorch_model.bin: loading a pickle may run code"):
        load_model(copy)
