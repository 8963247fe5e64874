"""Opening models: what comes back, in which dtype, under which names."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from egemma_lab.model import EmbeddingGemma, load_model
from egemma_lab.model import folder as folder_module
from egemma_lab.model.folder import find_folder, save_model

TEXTS = ["Mars orbits the distant sun.", "What passes Venus and sorts rows?", "", "<bos> é 火", "word " * 400]


def same_library_vectors(model, path):
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(path), device="cpu")
    pairs = [
        (model.encode_query(TEXTS), library.encode_query(TEXTS)),
        (model.encode_document(TEXTS), library.encode_document(TEXTS)),
        (model.encode(TEXTS), library.encode(TEXTS)),
        *(
            (model.encode(TEXTS, prompt_name=p), library.encode(TEXTS, prompt_name=p))
            for p in ("STS", "Clustering")
        ),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert library.prompts == model.prompts
    assert library.max_seq_length == model.max_seq_length


def test_saved_model_is_the_same_in_sentence_transformers(saved, make_micro):
    same_library_vectors(make_micro(seed=3), saved)


def test_what_sentence_transformers_saves_is_the_same_here(library_saved, saved, same_weights):
    kinds = [entry["type"] for entry in json.loads((library_saved / "modules.json").read_text())]
    assert not any(kind.startswith("sentence_transformers.models.") for kind in kinds)  # the newer names
    model, original = load_model(library_saved), load_model(saved)
    assert same_weights(model, original)
    assert (model.max_seq_length, model.prompts) == (original.max_seq_length, original.prompts)
    assert (model.encode_query(TEXTS) == original.encode_query(TEXTS)).all()
    assert model.widths == (64, 32, 16, 8)  # the library drops egemma_lab.json: halvings down to an eighth


def test_a_folder_as_the_released_model_ships_it(copy, saved, edit):
    """Older names in config.json, Gemma's tokenizer class, EOS only in its settings, no 4_Normalize."""
    edit(
        copy / "config.json",
        rope_parameters=None,
        layer_types=None,
        rope_theta=1e6,
        rope_local_base_freq=10000.0,
        sliding_window_pattern=6,
        dtype=None,
        torch_dtype="float32",
    )
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    settings = {**names, "mask_token": "<unk>", "add_bos_token": True, "add_eos_token": True}
    (copy / "tokenizer_config.json").write_text(
        json.dumps({**settings, "tokenizer_class": "GemmaTokenizer", "model_max_length": 2048})
    )
    edit(copy / "tokenizer.json", post_processor=None)
    shutil.rmtree(copy / "4_Normalize")
    (copy / "egemma_lab.json").unlink()
    model, original = load_model(copy), load_model(saved)
    assert type(model.tokenizer).__name__ == "GemmaTokenizer"
    assert model.config.text.rope_parameters == original.config.text.rope_parameters
    assert (model.encode_query(TEXTS[:2]) == original.encode_query(TEXTS[:2])).all()
    again = load_model(model.save_pretrained(copy))
    assert (again.encode_query(TEXTS[:2]) == original.encode_query(TEXTS[:2])).all()
    same_library_vectors(again, copy)


def test_shorter_limit_survives_both_ways(make_micro, tmp_path):
    from sentence_transformers import SentenceTransformer

    model = make_micro()
    model.max_seq_length = 32
    path = model.save_pretrained(tmp_path / "short")
    with pytest.warns(UserWarning, match="longer than 32 tokens"):
        same_library_vectors(model, path)
    SentenceTransformer(str(path), device="cpu").save_pretrained(str(tmp_path / "library"))
    assert load_model(path).max_seq_length == load_model(tmp_path / "library").max_seq_length == 32


def test_saving_and_loading_three_times_changes_nothing(make_micro, tmp_path, same_weights):
    original = model = make_micro(seed=5)
    folder, first = tmp_path / "model", None
    for _ in range(3):
        model.save_pretrained(folder)
        files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        first = first or files
        assert files == first
        assert json.loads(files[Path("config.json")])["sliding_window"] == 512
        model = load_model(folder)
        assert same_weights(model, original)
        assert model.config == original.config
        assert model.config.text.sliding_window == original.config.text.sliding_window == 257
        assert (model.prompts, model.default_prompt_name) == (original.prompts, original.default_prompt_name)
        assert model.tokenize(TEXTS) == original.tokenize(TEXTS)
    assert (model.encode(TEXTS) == original.encode(TEXTS)).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]  # nothing left beside it


def test_widths_and_default_prompt_are_kept(make_micro, tmp_path):
    model = make_micro()
    model.config.widths = (64, 48, 8)
    model.default_prompt_name = "STS"
    loaded = load_model(model.save_pretrained(tmp_path / "m"))
    assert loaded.widths == (64, 48, 8)
    assert loaded.default_prompt_name == "STS"


def test_loaded_model_is_ready_to_train(saved):
    model = load_model(saved)
    assert not model.training
    assert model.name == "micro"
    assert all(p.requires_grad and p.device.type == model.device.type for p in model.parameters())
    assert not any(p.is_meta for p in [*model.parameters(), *model.buffers()])
    model.encode(TEXTS[:1])
    model(*map(torch.tensor, ([[2, 5, 1]], [[1, 1, 1]]))).sum().backward()


def test_model_does_not_hang_on_its_files(copy):
    model = load_model(copy)
    before = model.encode(TEXTS)
    (copy / "model.safetensors").write_bytes(b"\0" * 1000)
    assert (model.encode(TEXTS) == before).all()


def test_dtype_is_what_was_asked_for_not_what_was_stored(saved, tmp_path, same_weights):
    assert load_model(saved).dtype == torch.float32
    low = load_model(saved, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in low.parameters()} == {torch.bfloat16}
    assert (low.encode(TEXTS) * load_model(saved).encode(TEXTS)).sum(axis=1).min() > 0.999
    stored = low.save_pretrained(tmp_path / "low")
    assert json.loads((stored / "config.json").read_text())["dtype"] == "bfloat16"
    assert load_file(stored / "2_Dense" / "model.safetensors")["linear.weight"].dtype == torch.bfloat16
    assert load_model(stored).dtype == torch.float32
    assert same_weights(load_model(stored, dtype="bfloat16"), low)
    assert (
        load_file(save_model(low, tmp_path / "f32", dtype="float32") / "model.safetensors")[
            "norm.weight"
        ].dtype
        == torch.float32
    )


@pytest.mark.parametrize("dtype", ["float16", torch.float16, "half"])
def test_float16_is_refused_with_the_reason(saved, dtype):
    with pytest.raises(ValueError, match="activations"):
        load_model(saved, dtype=dtype)


def test_unknown_dtype_is_refused(saved):
    with pytest.raises(ValueError, match="dtype='int8' is not one of 'float32', 'bfloat16'"):
        load_model(saved, dtype="int8")


@pytest.mark.parametrize("inside", ["final", "model"])
def test_a_runs_folder_opens_its_final_model(saved, tmp_path, inside):
    shutil.copytree(saved, tmp_path / "first" / inside)
    assert find_folder(tmp_path / "first") == tmp_path / "first" / inside
    assert load_model(str(tmp_path / "first")).name == "first"


def test_bundled_name(saved, monkeypatch):
    monkeypatch.setattr(folder_module, "bundled_models", lambda: {"tiny": saved})
    assert load_model("tiny").name == "tiny"
    with pytest.raises(FileNotFoundError, match=r"no bundled model \(tiny\)"):
        load_model("huge")


def test_preset_without_bundled_model_says_how_to_make_one(monkeypatch):
    monkeypatch.setattr(folder_module, "bundled_models", dict)
    with pytest.raises(FileNotFoundError, match=r"new_model\('nano', tokenizer\)"):
        load_model("nano")


def test_bundled_models_all_open():
    for name in folder_module.bundled_models():
        assert load_model(name).name == name


def test_missing_folders_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the README's own command has been run, runs/first/final is there
    for name in ("./nowhere", "/no/where", "~/nowhere", "runs/first/final", Path("owner/name"), Path("x")):
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            load_model(name)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file, expected the folder"):
        load_model(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match=r"config.json is missing"):
        load_model(tmp_path)


def test_tokenizers_that_do_not_fit_are_refused(copy, saved, edit):
    rules = json.loads((saved / "tokenizer.json").read_text())
    (copy / "tokenizer.json").write_text(json.dumps({**rules, "post_processor": None}))
    with pytest.raises(ValueError, match="expected BOS 2 first and EOS 1 last"):
        load_model(copy)
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be read"):
        load_model(copy)
    shutil.copy(saved / "tokenizer.json", copy)
    edit(copy / "config.json", vocab_size=300)
    with pytest.raises(ValueError, match="tokens, the model embeds 300"):
        load_model(copy)


def test_causal_attention_is_caught_at_load(saved, monkeypatch, make_causal):
    honest = EmbeddingGemma.eval

    def careless(self):
        make_causal(self)
        return honest(self)

    monkeypatch.setattr(EmbeddingGemma, "eval", careless)
    with pytest.raises(RuntimeError, match="the first token does not see the last one"):
        load_model(saved)


def test_loading_a_saved_model_warns_of_nothing(saved):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(saved)


def test_missing_prompts_are_told(copy, edit):
    edit(copy / "config_sentence_transformers.json", prompts={"STS": "task: sentence similarity | query: "})
    with pytest.warns(UserWarning, match="no prompt for query and document"):
        model = load_model(copy)
    assert model.prompts == {"STS": "task: sentence similarity | query: ", "query": "", "document": ""}
    same_library_vectors_of_query(model, copy)


def same_library_vectors_of_query(model, path):
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(path), device="cpu")
    np.testing.assert_allclose(model.encode_query(TEXTS), library.encode_query(TEXTS), atol=2e-5)
