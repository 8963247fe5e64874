"""llama.cpp in its own process: what it says when it cannot."""

import pytest

from egemma_lab.quantize import export, llama_cpp
from egemma_lab.quantize.llama_cpp import llama_server


def test_a_file_it_cannot_read_ends_in_its_own_words(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF and nothing more")
    with (
        pytest.raises(
            RuntimeError, match=r"llama.cpp did not run this file \(exit code 1\): .*error loading model"
        ),
        llama_server(tmp_path / "m.gguf"),
    ):
        pass


def test_without_the_wheel_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(llama_cpp, "has_llama_cpp", lambda: False)
    with pytest.raises(ImportError, match="pip install xllamacpp"), llama_server(tmp_path / "m.gguf"):
        pass


def test_one_server_answers_many_times_and_refuses_what_is_too_long(exportable, tmp_path):
    model = exportable()
    path = export(model, tmp_path / "m.gguf").path
    with llama_server(path, context=256) as server:
        first = server.embed(["Mars orbits the distant sun.", "a cold moon"])
        assert first.shape == (2, 64)
        assert first.dtype == "float32"
        assert abs(server.embed(model.tokenize(["a cold moon"])) - first[1]).max() < 1e-6
        with pytest.raises(RuntimeError, match=r"llama.cpp refused /v1/embeddings: .*too large"):
            server.embed(["Mars " * 300])
        assert abs(server.embed(["a cold moon"]) - first[1]).max() < 1e-6
    with pytest.raises(OSError, match="refused"):  # it ended with the block
        server.embed(["a cold moon"])
