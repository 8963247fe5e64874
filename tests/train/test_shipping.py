"""What is shipped is the model that was trained, in half the space."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from egemma_lab.model import load_model
from egemma_lab.train import shipping
from egemma_lab.train.shipping import ship

TEXTS = ["Mars orbits the distant sun.", "A cold moon", "", "What passes Venus?"]


def test_shipped_in_two_bytes_and_used_in_four(make_micro, tmp_path):
    model = make_micro(seed=1)
    shipment = ship(model, tmp_path / "m", card="# A card\n", texts=TEXTS)
    loaded = load_model(tmp_path / "m")
    assert loaded.dtype == torch.float32
    for text in TEXTS:
        for encode in ("encode_document", "encode_query"):
            a, b = getattr(model, encode)(text), getattr(loaded, encode)(text)
            assert float(np.dot(a, b)) >= shipment.cosine - 1e-6 > 0.99999
    assert shipment.storage == "float16"
    assert shipment.texts == 4
    assert {t.dtype for t in load_file(tmp_path / "m" / "model.safetensors").values()} == {torch.float16}
    assert (tmp_path / "m" / "README.md").read_text() == "# A card\n"
    files = [path for path in (tmp_path / "m").rglob("*") if path.is_file() and path.name != "README.md"]
    assert shipment.bytes == sum(path.stat().st_size for path in files)
    assert shipment.parameters == sum(tensor.numel() for tensor in model.state_dict().values())
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_least_cosine_is_that_of_the_worst_text(make_micro, tmp_path):
    model = make_micro(seed=2)
    shipment = ship(model, tmp_path / "m", "bfloat16", texts=TEXTS, least=0.9)
    loaded = load_model(tmp_path / "m")
    cosines = []
    for text in TEXTS:
        for prompt in ("query", "document"):
            a = model.encode(text, prompt_name=prompt).astype(np.float64)
            b = loaded.encode(text, prompt_name=prompt).astype(np.float64)
            cosines.append(a @ b / np.sqrt((a @ a) * (b @ b)))
    assert shipment.cosine == pytest.approx(min(cosines), abs=1e-8)
    assert shipment.cosine < 1 - 1e-7  # bfloat16 does cost something, or the test would show nothing


def test_a_vector_that_moves_too_far_stops_the_shipment(make_micro, tmp_path, monkeypatch):
    model = make_micro()
    with pytest.raises(ValueError, match=r"stored as bfloat16.*cosine 0\.9\d+.*dtype='float16'"):
        ship(model, tmp_path / "m", "bfloat16", texts=TEXTS, least=0.99999999)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shipping, "_least_cosine", lambda *args: float("nan"))
    with pytest.raises(ValueError, match="cosine nan"):
        ship(model, tmp_path / "m", texts=TEXTS)


def test_a_folder_too_large_is_refused_and_its_files_named(make_micro, tmp_path):
    model = make_micro()
    small = ship(model, tmp_path / "m", texts=TEXTS, card="old").bytes
    with pytest.raises(
        ValueError, match=rf"m would take {small + 3:,} bytes, at most {small:,}.*safetensors"
    ):
        ship(make_micro(seed=8), tmp_path / "m", texts=TEXTS, card="new", limit=small)
    assert (tmp_path / "m" / "README.md").read_text() == "old"
    assert np.dot(load_model(tmp_path / "m").encode("Mars"), model.encode("Mars")) > 0.9999
    ship(make_micro(seed=8), tmp_path / "m", texts=TEXTS, card="new", limit=small + 3)
    assert (tmp_path / "m" / "README.md").read_text() == "new"


def test_a_card_may_be_written_from_the_shipment(make_micro, tmp_path):
    shipment = ship(
        make_micro(), tmp_path / "m", card=lambda s: f"{s.bytes} bytes, {s.cosine:.3f}", texts=TEXTS
    )
    assert (tmp_path / "m" / "README.md").read_text() == f"{shipment.bytes} bytes, 1.000"


def test_without_texts_the_bundled_probe_is_compared(make_micro, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(shipping, "_least_cosine", lambda model, folder, texts: seen.extend(texts) or 1.0)
    assert ship(make_micro(), tmp_path / "m").texts == len(seen) == 500
    from egemma_lab.explore import probe_texts

    assert seen == probe_texts()["text"].tolist()


def test_other_files_are_never_shipped_over(make_micro, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"chapter\.tex"):
        ship(make_micro(), tmp_path / "thesis", texts=TEXTS)
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
