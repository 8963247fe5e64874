"""What holds for every export: it agrees or it is not there, and the model stays as it was."""

import copy
import re

import numpy as np
import pytest
import torch

from egemma_lab.quantize import export, exporting, fake_quantize, gguf_file, onnx_file
from egemma_lab.quantize.probes import disagreement, probes, vectors_of


@pytest.fixture
def without_llama_cpp(monkeypatch):
    monkeypatch.setattr(exporting, "has_llama_cpp", lambda: False)


def state(model):
    """All of a model that an export could change."""
    return {
        "weights": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "config": copy.deepcopy(model.config.to_dict()),
        "attention": model.text_model.config._attn_implementation,
        "tokenizer": model.tokenizer.backend_tokenizer.to_str(),
        "rest": (
            model.training,
            model.name,
            model.prompts,
            model.dtype,
            getattr(model, "weight_format", None),
        ),
    }


def assert_same(before, after):
    weights, after_weights = before.pop("weights"), after.pop("weights")
    assert before == after
    assert weights.keys() == after_weights.keys()
    assert all(torch.equal(weights[name], after_weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("format", "precision"),
    [
        ("gguf", "int8"),
        ("gguf", "q8_0"),
        ("onnx", "Q8_0"),
        ("onnx", "bf16"),
        ("safetensors", "f32"),
        ("gguf", None),
    ],
)
def test_other_combinations_are_refused_with_the_list(exportable, tmp_path, format, precision):
    given = f"format={format!r} with precision={precision!r} is not one of these: "
    allowed = "format='gguf' with f32, bf16, Q8_0, Q4_0; format='onnx' with f32, int8"
    with pytest.raises(ValueError, match=re.escape(given + allowed)):
        export(exportable(), tmp_path / "m.gguf", format, precision)


def test_paths_and_models_that_do_not_fit_are_refused(exportable, tmp_path, monkeypatch):
    model = exportable()
    (tmp_path / "folder.gguf").mkdir()
    for path in ("m.bin", "folder.gguf"):
        with pytest.raises(ValueError, match=r"GGUF is one file, give it a name that ends in .gguf"):
            export(model, tmp_path / path)
    with pytest.raises(ValueError, match="ONNX goes into a folder"):
        export(model, tmp_path / "m.onnx", "onnx")
    with pytest.raises(TypeError, match="model is str, expected an EmbeddingGemma"):
        export("nano", tmp_path / "m.gguf")
    monkeypatch.setitem(exporting._PACKAGES, "gguf", ("gguf", "no_such_package"))
    with pytest.raises(ImportError, match=r"needs no_such_package: pip install 'egemma-lab\[export\]'"):
        export(model, tmp_path / "m.gguf")
    model.tokenizer = None
    with pytest.raises(ValueError, match="this model has no tokenizer"):
        export(model, tmp_path / "m", "onnx")


@pytest.mark.parametrize("format", [None, "int4_block"])
def test_the_model_stays_as_it_was(exportable, tmp_path, without_llama_cpp, format):
    model = exportable().train()
    model = model if format is None else fake_quantize(model, format)
    model.tokenizer("leave padding on", padding="max_length", max_length=9)
    before = state(model)
    export(model, tmp_path / "m.gguf", precision="Q8_0")
    assert_same(before, state(model))


@pytest.mark.parametrize("precision", ["f32", "bf16", "Q8_0", "Q4_0"])
def test_without_llama_cpp_the_tensors_are_read_back(exportable, tmp_path, without_llama_cpp, precision):
    written = export(exportable(), tmp_path / "m.gguf", precision=precision)
    assert "Compared by reading its tensors back: largest difference" in str(written)
    assert written.size == (tmp_path / "m.gguf").stat().st_size
    found = written.agreement.found
    assert 0 < found < 2**-8 if precision == "bf16" else found == 0


def test_the_rounding_of_one_format_can_be_written_in_another(exportable, tmp_path):
    rounded = fake_quantize(exportable(), "int4_block")
    assert export(rounded, tmp_path / "m.gguf", precision="f32").agreement.found < 1e-6
    assert export(rounded, tmp_path / "m.gguf", precision="Q8_0").agreement.found < 1e-3
    half = exportable().to(torch.bfloat16)
    assert export(half, tmp_path / "m.gguf", precision="f32").agreement.found < 1e-6


@pytest.mark.parametrize("installed", [True, False])
def test_a_file_that_disagrees_is_not_written(exportable, tmp_path, monkeypatch, installed):
    model, path = exportable(), tmp_path / "m.gguf"
    path.write_text("an earlier file")
    right = gguf_file.gguf_tensors

    def wrong(model):
        return {name: x[::-1] if name == "dense_2.weight" else x for name, x in right(model).items()}

    monkeypatch.setattr(gguf_file, "gguf_tensors", wrong)
    monkeypatch.setattr(exporting, "has_llama_cpp", lambda: installed)
    who = r"llama.cpp: largest 1 - cosine over 13 texts" if installed else "reading its tensors back: .*"
    with pytest.raises(
        RuntimeError, match=rf"m.gguf was not written, because it disagrees .* {who} [0-9.]+ \(at most"
    ):
        export(model, path)
    assert path.read_text() == "an earlier file"
    assert [each.name for each in tmp_path.iterdir()] == ["m.gguf"]
    monkeypatch.setattr(gguf_file, "gguf_tensors", right)
    assert export(model, path).path == path
    assert path.read_bytes()[:4] == b"GGUF"


def test_a_tokenizer_that_disagrees_is_found(exportable, tmp_path, monkeypatch):
    right = gguf_file.vocabulary

    def wrong(tokenizer, size):
        names, scores, types = right(tokenizer, size)
        return names, [-score for score in scores], types

    monkeypatch.setattr(gguf_file, "vocabulary", wrong)
    with pytest.raises(RuntimeError, match=r"was not written: its tokenizer makes \[2, .*the model's \[2, "):
        export(exportable(), tmp_path / "m.gguf")
    assert list(tmp_path.iterdir()) == []


def test_probes_fit_the_model_and_reach_beyond_its_window(exportable):
    model = exportable()
    texts, ids = probes(model)
    assert len(ids) == len(texts) + 1 == 13
    assert ids[:-1] == model.tokenize(texts)
    assert len(ids[-1]) == model.config.text.sliding_window + 50
    assert (ids[-1][0], ids[-1][-1]) == (2, 1)
    model.max_seq_length = 20
    texts, ids = probes(model)
    assert max(map(len, ids)) == len(ids[-1]) == 20
    assert abs(vectors_of(model, ids)[:-1] - model.encode(texts)).max() < 1e-6


def test_disagreement_is_the_worst_row_and_never_overlooks_a_broken_one():
    a = np.eye(3, dtype=np.float32)
    b = np.array([[2, 0, 0], [0, 1, 1], [0, 0, 1]], dtype=np.float32)
    assert disagreement(a, b) == pytest.approx(1 - 0.5**0.5)
    for broken in (np.full((3, 3), np.nan), np.zeros((3, 3)), np.eye(2)):
        assert disagreement(broken, a) == float("inf")


def test_onnx_folders_hold_nothing_else(exportable, tmp_path, monkeypatch):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.onnx").touch()
    (tmp_path / "m" / "thesis.tex").touch()
    monkeypatch.setattr(onnx_file, "_write_graph", None)  # not even begun
    with pytest.raises(FileExistsError, match=r"holds more than a model \(thesis.tex\)"):
        export(exportable(), tmp_path / "m", "onnx")
