"""A student over its training beside its teacher: the vectors of the same texts, and where the two can be compared."""

import dataclasses
from pathlib import Path

import numpy as np

from egemma_lab.explore.replay_film import as_film, belonging_pairs, moment_names

AXES = 64  # of a single model, as many as a recording keeps
TEXTS_AN_AXIS = 4  # what learning where the teacher's vectors lie takes, at least


@dataclasses.dataclass(frozen=True)
class Taught:
    """T moments of a student and its teacher.

    `names` of the moments; `texts`, `labels`, `roles`: n strings each; `student` (T, n, d) and `teacher` (n, D), unit
    rows. Where the two can be brought into one space: `shared` (T, n, k) and `targets` (n, k), unit rows, otherwise
    None; `how`, a sentence on that. `answers`: (m, 2) rows of a query and a document that answers it.
    """

    names: list
    texts: list
    labels: list
    roles: list
    student: np.ndarray
    teacher: np.ndarray
    shared: np.ndarray | None
    targets: np.ndarray | None
    how: str
    answers: np.ndarray


def as_taught(student=None, teacher=None, texts=None):
    """A `Taught` of whatever one has in hand; parameters and errors as in `teacher_student`."""
    from egemma_lab.explore.bundled import probe_texts

    if isinstance(student, str | Path) and (Path(student).expanduser() / "run.json").is_file():
        from egemma_lab.train import load_run

        student = load_run(Path(student).expanduser())
    if hasattr(student, "encode_query"):
        rows = _checked(probe_texts().to_dict("records") if texts is None else texts)
        film = _film_of_a_model(student, rows)
    elif texts is not None:
        raise TypeError("a run is compared on its own probe texts: give a model with texts, or a run without")
    else:
        film = as_film(student)
    teacher = _opened(teacher, student)
    vectors = _encoded(teacher, film.texts, film.roles)
    shared, targets, how = _in_one_space(student, teacher, film, vectors)
    return Taught(
        names=moment_names(film),
        texts=film.texts,
        labels=film.labels,
        roles=film.roles,
        student=film.vectors,
        teacher=vectors,
        shared=shared,
        targets=targets,
        how=how,
        answers=_answers(film),
    )


def _checked(texts):
    from egemma_lab.train.probe import check_probe

    rows = check_probe(texts)
    if len(rows) < 3:
        raise ValueError(f"{len(rows)} texts: pairs of texts are compared, give at least 3")
    return rows


def _film_of_a_model(model, rows):
    import pandas as pd

    from egemma_lab.explore.recorded import Replay

    texts, roles = [row["text"] for row in rows], [row["role"] for row in rows]
    vectors = np.zeros((1, len(rows), model.config.output_width), dtype=np.float32)
    for role, encode in (("query", model.encode_query), ("document", model.encode_document)):
        chosen = [i for i, each in enumerate(roles) if each == role]
        if chosen:
            vectors[0, chosen] = encode([texts[i] for i in chosen], show_progress_bar=False)
    moments = pd.DataFrame({"stage": [model.name], "step": [0], "kept": [1.0], "neighbours_kept": [1.0]})
    axes = np.eye(vectors.shape[2], dtype=np.float32)
    return Replay(texts, [row["label"] for row in rows], roles, moments, vectors, axes, {})


def _opened(teacher, student):
    from egemma_lab.model import load_teacher

    if teacher is not None and not isinstance(teacher, str):
        return teacher
    known = getattr(student, "info", {}).get("teacher") if teacher is None else None
    name = teacher or (known and known["name"])
    return load_teacher(name) if name else load_teacher()


def _encoded(teacher, texts, roles):
    vectors = np.zeros((len(texts), teacher.width), dtype=np.float32)
    for role in ("query", "document"):
        rows = [i for i, each in enumerate(roles) if each == role]
        if rows:
            vectors[rows] = teacher.encode([texts[i] for i in rows], role, show_progress_bar=False)
    return vectors


def _in_one_space(student, teacher, film, vectors):
    """`shared`, `targets` and `how` of a `Taught`."""
    from egemma_lab.explore.teacher_student_measures import turn_towards

    matched = getattr(student, "info", {}).get("teacher")
    if matched and matched["name"] == teacher.name:
        cut = vectors if (rotation := _rotation(student)) is None else vectors @ rotation
        cut = cut[:, : film.axes.shape[1]]
        how = "The teacher's vectors are those that the run was given to match."
        return film.vectors, _unit(film.project(_unit(cut))), how
    documents = [i for i, role in enumerate(film.roles) if role == "document"]
    axes = min(AXES, film.vectors.shape[2], vectors.shape[1])
    if len(documents) < TEXTS_AN_AXIS * axes:
        axes = len(documents) // TEXTS_AN_AXIS
    if axes < 2:
        return (
            None,
            None,
            f"{len(documents)} documents are too few to learn where the teacher's vectors lie here.",
        )
    shared = _longest(film.vectors, axes)
    turn = turn_towards(vectors[documents], shared[-1, documents])
    how = (
        f"Compared along {axes} axes of the student's space; the teacher's vectors were turned into it so that the "
        "documents, not the queries, lie as near as they can at the last moment."
    )
    return shared, _unit(vectors @ turn), how


def _rotation(run):
    from safetensors.numpy import load_file

    from egemma_lab.train.folder import RunFolder

    path = RunFolder(run.folder).rotation
    return load_file(path)["rotation"] if path.exists() else None


def _longest(vectors, axes):
    """The vectors along the axes where those of the last moment are longest, unit rows: (T, n, d) -> (T, n, k)."""
    from egemma_lab.train.replay_files import principal_axes

    return _unit(vectors @ principal_axes(vectors[-1], axes).T)


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def _answers(film):
    """Which document answers which query: among the texts that belong together, those of different roles."""
    pairs = belonging_pairs(film)
    if pairs is None:
        return np.zeros((0, 2), dtype=np.int64)
    roles = np.asarray(film.roles)
    return pairs[(roles[pairs[:, 0]] == "query") & (roles[pairs[:, 1]] == "document")]
