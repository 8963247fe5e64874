"""A disk that is full at any byte of what is written: the old stays whole, no half is ever read, the error says so.

The operating system itself refuses to let a file grow beyond a number of bytes, so that each library meets its own
error in the middle of its own writing.
"""

import contextlib
import resource

import numpy as np
import pytest
import torch
from fake_teacher import FakeTeacher

from egemma_lab.data import TeacherCache
from egemma_lab.data._negative_file import COLUMNS, read_mined, write_mined
from egemma_lab.model import load_model
from egemma_lab.quantize import export, exporting, save_packed
from egemma_lab.quantize.gguf_file import read_gguf
from egemma_lab.quantize.index import Index
from egemma_lab.train import Recipe, load_run, train
from egemma_lab.train.checkpoint import newest_checkpoint, save_checkpoint
from egemma_lab.train.optimizer import make_optimizer
from egemma_lab.train.storage import write_json

WORDS = r"(File too large|No space left on device): \d+\.\d+ GB are free; not written, what was there stays: '.*{}"


@contextlib.contextmanager
def room(size):
    """No file of this process may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_cache(folder, model, number):
    with TeacherCache(FakeTeacher(), folder / "cache") as cache:
        cache.vectors([f"{number} {i}" for i in range(30)], "query")


def read_cache(folder):
    """How many of the two kinds of texts are known, after their vectors have been compared with the teacher's."""
    known = []
    for number in range(2):
        cache = TeacherCache(FakeTeacher(), folder / "cache")
        texts = [f"{number} {i}" for i in range(30)]
        assert np.allclose(
            cache.vectors(texts, "query"), FakeTeacher().encode(texts, role="query"), atol=1e-3
        )
        known.append(cache.stats.hits)
    return known


def write_index(folder, model, number):
    vectors = np.random.default_rng(number).standard_normal((50, 64)).astype(np.float32)
    Index.build(None, vectors, precision="int8", rescore_precision="float32").save(folder / "index")


def write_negatives(folder, model, number):
    write_mined(
        folder / "mined.parquet", {name: np.full(999, number).astype(kind) for name, kind in COLUMNS.items()}
    )


def write_checkpoint(folder, model, number):
    torch.manual_seed(number)
    layer = torch.nn.Linear(9, 9)
    optimizer = make_optimizer(layer, Recipe())
    layer(torch.randn(2, 9)).sum().backward()
    optimizer.step()
    save_checkpoint(folder / "checkpoints", 1 + number, layer, optimizer, elapsed=0.0, keep=2)


def weights(path):
    return load_model(path).dense_up.weight.detach().numpy().tobytes()


# what is written: how, under which name, and what a reader then sees
KINDS = {
    "model": (lambda f, m, n: m.save_pretrained(f / "model"), lambda f: weights(f / "model"), "model"),
    "packed model": (
        lambda f, m, n: save_packed(m, f / "packed", "int8_block"),
        lambda f: weights(f / "packed"),
        "packed",
    ),
    "GGUF": (
        lambda f, m, n: export(m, f / "model.gguf"),
        lambda f: read_gguf(f / "model.gguf")["token_embd.weight"].tobytes(),
        "model.gguf",
    ),
    "teacher cache": (write_cache, read_cache, "safetensors"),
    "index": (write_index, lambda f: Index.load(f / "index").stored.codes.tobytes(), "index.json"),
    "negatives": (
        write_negatives,
        lambda f: read_mined(f / "mined.parquet", 9, 9)["candidate"].tolist(),
        "mined",
    ),
    "checkpoint": (write_checkpoint, lambda f: newest_checkpoint(f / "checkpoints")[1]["step"], "step-00000"),
    "JSON": (
        lambda f, m, n: write_json(f / "a.json", [n] * 99),
        lambda f: (f / "a.json").read_text(),
        "a.json",
    ),
}


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_the_old_stays_whole_and_no_half_is_read(make_micro, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(exporting, "has_llama_cpp", lambda: False)
    write, read, name = KINDS[kind]
    write(tmp_path, make_micro(seed=0), 0)
    old = read(tmp_path)
    largest = max(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    for size in (0, 1, largest // 9, largest // 2, largest - 1):
        with room(size), pytest.raises(OSError, match=WORDS.format(name)):
            write(tmp_path, make_micro(seed=1), 1)
        assert read(tmp_path) == old, size
    left = [path.name for path in tmp_path.rglob(".*")]
    assert [
        name for name in left if not name.startswith(".unfinished-")
    ] == []  # those the next call takes up
    write(tmp_path, make_micro(seed=1), 1)
    assert read(tmp_path) != old


@pytest.mark.parametrize("more", [0, 40])
def test_a_history_that_ends_in_the_middle_of_a_line(make_micro, tiny_pairs, tmp_path, more):
    """The run says that it failed, and goes on from its checkpoint once there is room."""
    recipe = Recipe(
        steps=4, batch_size=4, save_every=2, snapshot_every=0, max_tokens=24, weights={"matching": 0}
    )
    whole = train(make_micro(), tiny_pairs, recipe=recipe, output=tmp_path / "whole", show_progress_bar=False)

    class Fills:
        def on_step(self, state, row):
            if state.step == 3:
                size = (tmp_path / "part" / "history.jsonl").stat().st_size + more
                stack.enter_context(room(size))

    with contextlib.ExitStack() as stack, pytest.raises(OSError, match="File too large"):
        train(
            make_micro(),
            tiny_pairs,
            recipe=recipe,
            output=tmp_path / "part",
            show_progress_bar=False,
            callbacks=[Fills()],
        )
    assert len(load_run(tmp_path / "part").history) in (2, 3)
    run = train(make_micro(), tiny_pairs, recipe=recipe, output=tmp_path / "part", show_progress_bar=False)
    assert run.history["loss"].tolist() == whole.history["loss"].tolist()
    assert [path.name for path in (tmp_path / "part").glob(".[!lw]*")] == []  # but .lock and .writer
