"""A saved model to open, copy and damage."""

import json
import shutil
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def saved(make_micro, tmp_path_factory):
    """The folder of a saved micro model: take `copy` to change anything."""
    return make_micro(seed=3).save_pretrained(tmp_path_factory.mktemp("saved") / "micro")


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of that folder, to damage."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


@pytest.fixture(scope="session")
def library_saved(saved, tmp_path_factory):
    """The same model as sentence-transformers writes it today."""
    from sentence_transformers import SentenceTransformer

    target = tmp_path_factory.mktemp("library") / "micro"
    SentenceTransformer(str(saved), device="cpu").save_pretrained(str(target))
    return target


@pytest.fixture
def edit():
    """`edit(path, key=value, ...)` changes keys of a JSON file; None takes a key out."""

    def change(path, **changes):
        values = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))

    return change


@pytest.fixture
def same_weights():
    def compare(a, b):
        a, b = a.state_dict(), b.state_dict()
        return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)

    return compare


@pytest.fixture
def make_causal():
    """What a transformers that ignores use_bidirectional_attention would make of a model."""

    def change(model):
        for layer in model.text_model.layers:
            layer.self_attn.is_causal = True

    return change
