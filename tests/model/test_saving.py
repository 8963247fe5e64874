"""Saving replaces a model whole, and deletes nothing else."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from egemma_lab.model import load_model, saving
from egemma_lab.model.saving import save_model

TEXTS = [
    "Mars orbits the distant sun.",
    "What passes Venus and sorts rows?",
    "",
    "é 火 <bos> <eos>",
    "word " * 400,
]


def test_saving_replaces_a_model_and_keeps_its_readme(make_micro, tmp_path, same_weights):
    folder = make_micro(seed=1).save_pretrained(tmp_path / "m")
    (folder / "README.md").write_text("what this model is for")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"an old shard")
    other = make_micro(seed=2)
    assert other.save_pretrained(str(folder)) == folder
    assert same_weights(load_model(folder), other)
    assert (folder / "README.md").read_text() == "what this model is for"
    assert not (folder / "model-00001-of-00002.safetensors").exists()


def test_saving_over_sentence_transformers_own_folder(library_saved, make_micro, tmp_path, same_weights):
    folder = Path(shutil.copytree(library_saved, tmp_path / "m"))
    assert same_weights(load_model(make_micro(seed=4).save_pretrained(folder)), make_micro(seed=4))


def test_saving_refuses_to_delete_anything_else(make_micro, tmp_path, copy):
    model = make_micro()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match=r"holds more than a model \(thesis.tex\)"):
        model.save_pretrained(tmp_path / "notes")
    (copy / ".git").mkdir()
    with pytest.raises(FileExistsError, match=r"\.git"):
        model.save_pretrained(copy)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file"):
        model.save_pretrained(tmp_path / "file")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").touch()
    with pytest.raises(FileExistsError, match=r"config.json"):
        model.save_pretrained(tmp_path / "half")
    (tmp_path / "empty").mkdir()
    model.save_pretrained(tmp_path / "empty")


def test_failed_saving_leaves_the_old_model(make_micro, saved, copy, monkeypatch, same_weights):
    def fail(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(saving, "write_tokenizer", fail)
        with pytest.raises(OSError, match="disk full"):
            make_micro(seed=9).save_pretrained(copy)
    replace, calls = saving.os.replace, []

    def fail_second(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError("in use")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(saving.os, "replace", fail_second)
        with pytest.raises(OSError, match="in use"):
            make_micro(seed=9).save_pretrained(copy)
    assert same_weights(load_model(copy), load_model(saved))
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_model_without_tokenizer_is_not_saved(make_micro, tmp_path):
    model = make_micro()
    model.tokenizer = None
    with pytest.raises(ValueError, match="no tokenizer"):
        model.save_pretrained(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_truncation_left_in_the_tokenizer_is_not_saved(make_micro, tmp_path):
    model = make_micro()
    model.tokenizer(TEXTS, truncation=True, max_length=8, padding=True)
    folder = model.save_pretrained(tmp_path / "m")
    rules = json.loads((folder / "tokenizer.json").read_text())
    assert (rules["truncation"], rules["padding"]) == (None, None)


@pytest.mark.parametrize("storage", ["bfloat16", "float16"])
def test_stored_in_two_bytes_a_float32_model_stays_one(make_micro, tmp_path, storage):
    # float32 in use, in this package and in sentence-transformers, which follows config.json
    from sentence_transformers import SentenceTransformer

    model = make_micro(seed=5)
    folder = saving.save_model(model, tmp_path / "m", storage=storage)
    expected = {
        name: tensor.to(getattr(torch, storage)).float() for name, tensor in model.state_dict().items()
    }
    loaded = load_model(folder)
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in expected.items())
    for path in (folder, folder / "2_Dense"):
        stored = load_file(path / "model.safetensors")
        assert {tensor.dtype for tensor in stored.values()} == {getattr(torch, storage)}
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"
    library = SentenceTransformer(str(folder), device="cpu")
    assert {parameter.dtype for parameter in library.parameters()} == {torch.float32}
    assert abs(library.encode(TEXTS[:3]) - loaded.encode(TEXTS[:3])).max() < 1e-5


def test_a_weight_that_float16_cannot_hold_is_named(make_micro, tmp_path):
    model = make_micro()
    with torch.no_grad():
        model.dense_up.weight[0, 0] = 1e5
    with pytest.raises(ValueError, match=r"linear.weight holds 1e\+05, more than torch.float16 can"):
        saving.save_model(model, tmp_path / "m", storage="float16")
    assert not list(tmp_path.iterdir())
    saving.save_model(model, tmp_path / "m", storage="bfloat16")
    with pytest.raises(ValueError, match="storage='int8' is not one of 'float32', 'bfloat16', 'float16'"):
        saving.save_model(model, tmp_path / "n", storage="int8")


def test_merged_dense_gives_the_same_vectors_with_one_matrix(make_micro, tmp_path):
    from sentence_transformers import SentenceTransformer

    model = make_micro(seed=5)
    folder = save_model(model, tmp_path / "merged", merged_dense=True)
    tensors = load_file(folder / "2_Dense" / "model.safetensors")
    assert [tuple(matrix.shape) for matrix in tensors.values()] == [(64, 64)]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        "1_Pooling",
        "2_Dense",
        "3_Normalize",
    ]
    theirs = SentenceTransformer(str(folder), device="cpu")
    assert abs(theirs.encode(TEXTS, prompt_name="query") - model.encode_query(TEXTS)).max() < 1e-6
    with pytest.raises(ValueError, match=r"Dense -> Normalize, expected .* Dense -> Dense -> Normalize"):
        load_model(folder)
    assert (load_model(model.save_pretrained(folder)).encode(TEXTS) == model.encode(TEXTS)).all()
    assert not (folder / "3_Normalize").exists()
