"""Packed folders: opened, they compute what fake quantization computes; small, whole or not there."""

import json

import pytest
import torch

import egemma_lab as lab
from egemma_lab.model import load_model
from egemma_lab.model.packed_weights import PACKED, PACKING
from egemma_lab.model.saving import computed_weights
from egemma_lab.quantize import FORMATS, fake_quantize, packing, save_packed

TEXTS = ["Mars orbits the distant sun.", "What passes Venus and sorts rows?", "", "word " * 400]


def same_weights(one, other):
    mine, theirs = computed_weights(one), computed_weights(other)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore:.*longer than")
def test_what_is_opened_computes_what_fake_quantization_does(make_micro, format, dtype, tmp_path):
    model = make_micro(seed=5)
    model.default_prompt_name, model.max_seq_length = "STS", 100
    model = load_model(model.save_pretrained(tmp_path / "plain"), dtype=dtype)
    rounded = fake_quantize(model, format)
    for each in (model, rounded):
        opened = load_model(save_packed(each, tmp_path / "packed", format), dtype=dtype)
        assert same_weights(opened, rounded)
        assert (opened.encode(TEXTS) == rounded.encode(TEXTS)).all()
    assert opened.name == "packed"
    assert not opened.training
    assert (opened.default_prompt_name, opened.max_seq_length, opened.widths) == ("STS", 100, model.widths)


def test_a_packed_folder_is_small_and_says_how_each_tensor_is_packed(make_micro, tmp_path):
    model = make_micro()
    matrices = sum(weight.numel() for weight in model.parameters() if weight.ndim == 2)
    others = sum(weight.numel() for weight in model.parameters() if weight.ndim < 2)
    for format, bits in (("int8_block", 8.5), ("int4_block", 4.5)):  # 16 bits of scale for 32 weights
        folder = save_packed(model, tmp_path / format, format)
        overhead = (folder / PACKED).stat().st_size - matrices * bits / 8 - 4 * others
        assert 0 < overhead < 20_000  # names and shapes of 150 tensors
    said = json.loads((save_packed(model, tmp_path / "mixed", "mixed_channel") / PACKING).read_text())
    assert said["format"] == "mixed_channel"
    assert "tokenizer" not in said
    assert set(said["tensors"].values()) == {"int8_channel", "int4_channel"}
    assert len(said["tensors"]) == sum(weight.ndim == 2 for weight in model.parameters())


def test_a_model_there_is_replaced_whole_and_its_readme_kept(make_micro, tmp_path, monkeypatch):
    plain = make_micro(1)
    folder = plain.save_pretrained(tmp_path / "m")
    (folder / "README.md").write_text("what this model is for")
    with monkeypatch.context() as patch:
        patch.setattr(packing, "write_tokenizer", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save_packed(plain, folder, "int8_block")
    assert same_weights(load_model(folder), plain)
    assert save_packed(plain, folder, "int8_block") == folder
    assert not (folder / "model.safetensors").exists()
    assert (folder / "README.md").read_text() == "what this model is for"
    assert same_weights(load_model(folder), fake_quantize(plain, "int8_block"))
    plain.save_pretrained(folder)  # and back
    assert not (folder / PACKED).exists()
    assert same_weights(load_model(folder), plain)


def test_a_tokenizer_may_be_shared_with_a_bundled_model(tmp_path):
    nano = lab.load_model("nano")
    folder = save_packed(nano, tmp_path / "nano-int4", "int4_block", tokenizer="nano")
    assert not (folder / "tokenizer.json").exists()
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 5_000_000
    opened = load_model(folder)
    assert (opened.encode(TEXTS[:2]) == fake_quantize(nano, "int4_block").encode(TEXTS[:2])).all()


def test_what_cannot_be_packed_is_refused(make_micro, tmp_path):
    model = make_micro()
    with pytest.raises(ValueError, match="computes in int8_block, format='int4_block' was asked for"):
        save_packed(fake_quantize(model, "int8_block"), tmp_path / "m", "int4_block")
    with pytest.raises(ValueError, match="format='int4' is not one of"):
        save_packed(model, tmp_path / "m", "int4")
    with pytest.raises(ValueError, match="tokenizer='micro' is not one of the bundled models nano"):
        save_packed(model, tmp_path / "m", "int4_block", tokenizer="micro")
    with pytest.raises(
        ValueError, match="tokenizer='nano': that model's tokenizer is another one than 'micro'"
    ):
        save_packed(model, tmp_path / "m", "int4_block", tokenizer="nano")
    assert not (tmp_path / "m").exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match=r"thesis\.tex"):
        save_packed(model, tmp_path / "notes", "int4_block")
    model.tokenizer = None
    with pytest.raises(ValueError, match="no tokenizer"):
        save_packed(model, tmp_path / "m", "int4_block")
