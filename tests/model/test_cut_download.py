"""The Hub goes away in the middle of a download: no half model, a word about what to do, and the rest the next time."""

import errno
import hashlib
import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from egemma_lab.model import load_model

COMMIT = "a" * 40


class Hub(ThreadingHTTPServer):
    """As much of the Hub as a download asks for: one model, of which the file `cut` breaks off after a third."""

    def __init__(self, folder, cut=None):
        super().__init__(("127.0.0.1", 0), Answers)
        self.files = {
            p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
        }
        self.cut, self.sent = cut, []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def end(self):
        self.shutdown()
        self.server_close()


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        _, _, resolved = path.partition(f"/resolve/{COMMIT}/")
        if resolved:
            self.send_file(resolved)
        elif "/tree/" in path:
            files = self.server.files.items()
            self.send_json([{"type": "file", "path": n, "size": len(b), "oid": digest(b)} for n, b in files])
        else:
            self.send_json({"id": "owner/model", "sha": COMMIT})

    do_HEAD = do_GET

    def send_json(self, value):
        self.answer(json.dumps(value).encode(), **{"Content-Type": "application/json"})

    def send_file(self, name):
        content = self.server.files[name]
        if self.command == "GET":
            self.server.sent.append(name)
        self.answer(
            content, cut=name == self.server.cut, ETag=f'"{digest(content)}"', **{"X-Repo-Commit": COMMIT}
        )

    def answer(self, content, cut=False, **headers):
        self.send_response(200)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 3] if cut else content)
        if cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        pass


def digest(content):
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub(saved, tmp_path, monkeypatch):
    """`hub(cut=None)`: a new Hub with the saved model, in place of the one before; None: there is no Hub."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between attempts
    running = []

    def start(cut=None):
        new = Hub(saved, cut)
        running.append(new)
        address = f"http://127.0.0.1:{new.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        return new

    yield start
    for each in running:
        each.end()


@pytest.mark.parametrize(
    "cut", ["model.safetensors", "config_sentence_transformers.json", "3_Dense/model.safetensors"]
)
def test_what_came_in_part_is_not_used_and_the_next_call_fetches_the_rest(hub, saved, cut):
    first = hub(cut)
    for _ in range(2):  # the Hub is still as bad the second time
        with pytest.raises(
            ConnectionError, match=r"'owner/model' did not come whole, .* Load it again when there is"
        ):
            load_model("owner/model")
    first.end()
    with pytest.raises(ConnectionError, match="did not come whole, the Hub cannot be reached"):
        load_model("owner/model")
    second = hub()
    model = load_model("owner/model")
    assert second.sent == [cut]
    assert np.array_equal(model.encode(["a text"]), load_model(saved).encode(["a text"]))
    second.end()
    assert load_model("owner/model").name == "owner/model"  # all in the cache: no Hub is needed


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            OSError,
            "No space left on device, while 'owner/model' was",
        ),
        (
            OSError("Consistency check failed: file should be of size 9"),
            ConnectionError,
            "whole.*Consistency check",
        ),
        (
            RuntimeError("Data processing error: CAS service error"),
            ConnectionError,
            "did not come whole.*CAS service",
        ),
    ],
)
def test_whatever_ends_a_download_is_said_in_words(monkeypatch, raised, expected, words):
    import huggingface_hub

    def fail(*_, **__):
        raise raised

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(expected, match=words) as caught:
        load_model("owner/model")
    assert getattr(caught.value, "errno", None) == raised.errno if isinstance(raised, OSError) else True
