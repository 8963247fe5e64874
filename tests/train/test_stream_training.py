"""Training on a stream: resumed it gives the same bits; several processes read rows of their own."""

import numpy as np
import pytest
from fake_teacher import FakeTeacher
from runs import At, assert_same, launch, run_it

from egemma_lab.data import stream_pairs
from egemma_lab.train import load_run

STREAM = dict(steps=9, save_every=2, snapshot_every=0, weights={}, evaluate_every=None)


def rows(n=60):
    return lambda: ((f"what is {i} plus one", f"{i} plus one is {i + 1}") for i in range(n))


class Jittery(FakeTeacher):
    """Its vectors depend on how many texts are encoded together, as rounding does with a real one."""

    def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
        vectors = super().encode(texts, role=role)
        vectors[:, 0] += 0.01 * len(texts)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_run_on_a_stream_goes_on_where_it_was_stopped(make_micro, tmp_path, monkeypatch):
    monkeypatch.setenv("EGEMMA_CACHE", str(tmp_path / "cache"))
    whole, parts = (
        run_it(make_micro(), stream_pairs(rows(), buffer_size=16), tmp_path / name, teacher=Jittery(96),
               callbacks=callbacks, **STREAM)
        for name, callbacks in (("whole", []), ("parts", [At(5, lambda state: state.stop())]))
    )  # fmt: skip
    assert parts.status == "interrupted"
    resumed = run_it(
        make_micro(), stream_pairs(rows(), buffer_size=16), tmp_path / "parts", teacher=Jittery(96), **STREAM
    )
    assert_same(whole, resumed)
    assert whole.history["epoch"].tolist() == [0.0] * 7 + [1.0] * 2  # 60 rows are 7 batches of 8
    assert not (tmp_path / "cache" / "teacher").exists()
    assert whole.info["data"]["sources"] == {"data": None}
    with pytest.raises(ValueError, match="different in: data"):
        run_it(
            make_micro(),
            stream_pairs(rows(61), buffer_size=16),
            tmp_path / "parts",
            teacher=Jittery(96),
            **STREAM,
        )


def test_two_processes_on_a_stream(tmp_path):
    done = launch(2, "streamed.py", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    seen = [set((tmp_path / f"run-{rank}.txt").read_text().split()) for rank in range(2)]
    assert len(seen[0]) == len(seen[1]) == 20  # five steps of four rows each
    assert not seen[0] & seen[1]
    run = load_run(tmp_path / "run")
    assert run.status == "finished"
    assert run.info["data"]["processes"] == 2
    with pytest.raises(ValueError, match=r"a stream's rows were dealt to 2, now to 1"):
        run_it("micro", stream_pairs(rows()), tmp_path / "run", steps=5, save_every=2, snapshot_every=0)
