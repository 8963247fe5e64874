import dataclasses

import numpy as np
import pytest
from fake_teacher import FakeTeacher
from films import make_film
from safetensors.numpy import load_file

from egemma_lab.explore.teacher_student_data import as_taught
from egemma_lab.explore.teacher_student_measures import deviations
from egemma_lab.train import Recipe, train


@pytest.fixture(scope="module")
def teacher():
    return FakeTeacher(width=96)


def trained(model, pairs, teacher, folder, **changes):
    fields = {
        "steps": 45,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "max_tokens": 32,
        "snapshot_every": 15,
    } | changes
    return train(
        model, pairs, teacher=teacher, recipe=Recipe(**fields), output=folder, show_progress_bar=False
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_pairs, make_micro, teacher):
    folder = tmp_path_factory.mktemp("taught") / "run"
    weights = {"contrastive": 0, "spread_out": 0}
    return trained(
        make_micro(), tiny_pairs, teacher, folder, weights=weights, teacher_rotation="pca", match=["query"]
    )


def test_a_runs_targets_are_those_it_was_given(run, teacher):
    taught = as_taught(run, teacher)
    assert (taught.names, taught.shared.shape) == (["step 0", "step 15", "step 30", "step 45"], (4, 240, 64))
    rotation = load_file(run.folder / "teacher_rotation.safetensors")["rotation"]
    given = np.concatenate(
        [
            teacher.cut(64, rotation).encode(taught.texts[:120], "query"),
            teacher.cut(64, rotation).encode(taught.texts[120:], "document"),
        ]
    )
    last = run.snapshots.embeddings[-1].astype(np.float32)
    expected = np.linalg.norm(last - given, axis=1)
    assert deviations(taught.shared[-1], taught.targets) == pytest.approx(
        expected, abs=5e-3
    )  # float16 in between
    assert "was given to match" in taught.how
    assert taught.answers.tolist() == [[i, i + 120] for i in range(120)]


def test_matching_only_queries_leaves_documents_behind(run, teacher):
    taught = as_taught(str(run.folder), teacher)
    distances = np.stack([deviations(vectors, taught.targets) for vectors in taught.shared])
    queries, documents = distances[:, :120].mean(axis=1), distances[:, 120:].mean(axis=1)
    assert queries[-1] < 0.6 * queries[0]
    assert documents[-1] > queries[-1] + 0.2


def test_another_teacher_is_turned_towards_the_documents(run):
    other = FakeTeacher(width=70)
    other.name = "another"
    taught = as_taught(run, other)
    assert taught.targets.shape == (240, 30)  # 120 documents, four an axis
    assert np.linalg.norm(taught.targets, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(taught.shared, axis=2) == pytest.approx(1, abs=1e-5)
    assert "along 30 axes" in taught.how


def test_a_model_has_one_moment_and_texts(micro_model, teacher, tiny_texts):
    rows = [
        {"text": text, "role": "query" if i % 4 == 0 else "document"}
        for i, text in enumerate(tiny_texts[:80])
    ]
    taught = as_taught(micro_model, teacher, rows)
    assert len(taught.names) == 1
    queries = [i for i in range(80) if i % 4 == 0]
    assert np.allclose(
        taught.student[0, queries], micro_model.encode_query([tiny_texts[i] for i in queries]), atol=1e-5
    )
    assert np.allclose(taught.teacher[queries], teacher.encode([tiny_texts[i] for i in queries], "query"))
    assert len(taught.answers) == 0
    assert as_taught(micro_model, teacher, tiny_texts[:5]).roles == ["document"] * 5


def test_too_few_documents_share_no_space(micro_model, teacher, tiny_texts):
    taught = as_taught(micro_model, teacher, tiny_texts[:5])
    assert taught.shared is taught.targets is None
    assert taught.how.startswith("5 documents are too few")


def test_a_film_is_taken_as_it_is(teacher):
    film = make_film(texts=60)
    taught = as_taught(film, teacher)
    assert np.array_equal(taught.student, film.vectors)
    assert taught.names[0] == "first, step 0"
    assert taught.answers.tolist() == [[i, i + 30] for i in range(30)]
    assert taught.shared.shape == (5, 60, 6)


def test_the_teachers_name_is_enough(monkeypatch, teacher, run):
    asked = []
    monkeypatch.setattr("egemma_lab.model.load_teacher", lambda *name: asked.append(name) or teacher)
    film = make_film(texts=60)
    as_taught(film)
    as_taught(film, "some/teacher")
    as_taught(run)
    assert asked == [(), ("some/teacher",), (teacher.name,)]


def test_what_cannot_be_compared_is_refused(micro_model, teacher):
    with pytest.raises(TypeError, match="a run is compared on its own probe texts"):
        as_taught(make_film(), teacher, ["a text"])
    with pytest.raises(ValueError, match="2 texts: pairs of texts are compared, give at least 3"):
        as_taught(micro_model, teacher, ["one", "two"])
    with pytest.raises(TypeError, match="cannot make a film of 5"):
        as_taught(5, teacher)
    assert dataclasses.is_dataclass(as_taught(make_film(texts=60), teacher))
