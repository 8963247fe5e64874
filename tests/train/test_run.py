import json

import numpy as np
import pytest
from runs import At, quick, run_it

from egemma_lab.data import load_pairs
from egemma_lab.train import Snapshots, train
from egemma_lab.train.probe import check_probe, draw_probe
from egemma_lab.train.run import read_history


@pytest.fixture
def pairs(tiny_pairs):
    return tiny_pairs[:64]


def test_snapshots_of_the_models_on_the_way(make_micro, pairs, tmp_path):
    model = make_micro()
    start = model.encode_document(["a text", "another"])
    run = run_it(model, pairs, tmp_path, steps=5, snapshot_every=2)
    assert run.snapshots.steps.tolist() == [0, 2, 4, 5]
    embeddings = run.snapshots.embeddings
    assert embeddings.shape == (4, 2, 64)
    assert embeddings.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(embeddings.astype(np.float32), axis=2), 1, atol=2e-3)
    np.testing.assert_allclose(embeddings[0], start, atol=1e-3)
    np.testing.assert_allclose(embeddings[-1], model.encode_document(["a text", "another"]), atol=1e-3)
    assert run.snapshots.texts == ["a text", "another"]
    assert len(run.snapshots) == 4


def test_none_and_twenty(make_micro, pairs, tmp_path):
    none = run_it(make_micro(), pairs, tmp_path / "none", steps=2, snapshot_every=0)
    assert none.snapshots.embeddings.shape == (0, 2, 0)
    many = run_it(make_micro(), pairs, tmp_path / "many", steps=25, snapshot_every=None, batch_size=2)
    assert len(many.snapshots) == 21
    assert many.snapshots.steps[[0, -1]].tolist() == [0, 25]


def test_taking_snapshots_does_not_change_the_run(make_micro, pairs, tmp_path):
    runs = [run_it(make_micro(), pairs, tmp_path / str(n), snapshot_every=n).history["loss"] for n in (0, 1)]
    assert runs[0].tolist() == runs[1].tolist()


def test_the_drawn_probe(tiny_pairs):
    from egemma_lab.data.mixture import as_mixture

    rows = [{**row, "package": f"p{i % 3}"} for i, row in enumerate(tiny_pairs)]
    mixture = as_mixture({"docs": load_pairs(rows), "plain": load_pairs(tiny_pairs[:20])})
    probe = draw_probe(mixture, seed=1)
    assert len(probe) == 256
    anchors, positives = probe[:128], probe[128:]
    by_anchor = {row["anchor"]: row["positive"] for row in tiny_pairs}
    assert all(by_anchor[a["text"]] == p["text"] for a, p in zip(anchors, positives))
    assert {row["label"] for row in probe} == {"p0", "p1", "p2", "plain"}
    assert {row["role"] for row in anchors} == {"query"}
    assert {row["role"] for row in positives} == {"document"}
    assert probe == draw_probe(mixture, seed=1)
    assert probe != draw_probe(mixture, seed=2)


def test_a_probe_of_ones_own():
    rows = check_probe(["plain", {"text": "labelled", "label": 3}, {"text": "asked", "role": "query"}])
    assert rows[0] == {"text": "plain", "label": "", "role": "document"}
    assert rows[1]["label"] == "3"
    assert rows[2]["role"] == "query"


def test_the_default_probe_comes_from_the_pairs(make_micro, pairs, tmp_path):
    run = train(make_micro(), pairs, recipe=quick(steps=1), output=tmp_path, show_progress_bar=False)
    assert run.snapshots.embeddings.shape == (2, 128, 64)
    assert run.snapshots.roles == ["query"] * 64 + ["document"] * 64


def test_no_snapshots_folder(tmp_path):
    assert len(Snapshots(tmp_path)) == 0


def test_a_row_cut_short_is_no_row(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps({"step": 1}) + "\n" + '{"step": 2, "lo')
    assert read_history(path) == [{"step": 1}]
    assert read_history(tmp_path / "none") == []


def test_history_keeps_every_digit(make_micro, pairs, tmp_path):
    seen = []

    class Rows:
        def on_step(self, state, row):
            seen.append(row)

    run = run_it(make_micro(), pairs, tmp_path, steps=2, callbacks=[Rows(), At(9, print)])
    for name in ("loss", "gradient_norm", "learning_rate", "seconds"):
        assert run.history[name].tolist() == [row[name] for row in seen]
