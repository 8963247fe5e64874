import json

import numpy as np
import pytest

from egemma_lab.explore import Exercise, answer_file, exercise, predict, progress


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """A notebook with a file of its own; gives the entries of the file."""
    path = tmp_path / "mine" / "answers.jsonl"
    monkeypatch.setenv("EGEMMA_ANSWERS", str(path))
    monkeypatch.setattr(answer_file, "in_notebook", lambda: True)
    return lambda: (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    )


def test_answers_are_kept_and_counted(answers):
    asked = exercise("geometry/cosine_by_hand")
    asked.check(8)
    asked.check(8 / 9)
    exercise("geometry/mean_cosine_by_hand").check(0)
    assert [(entry["exercise"], entry["answer"], entry["right"]) for entry in answers()] == [
        ("geometry/cosine_by_hand", "8", False),
        ("geometry/cosine_by_hand", str(8 / 9), True),
        ("geometry/mean_cosine_by_hand", "0", False),
    ]
    table = progress()
    assert table.caption.startswith("1 of ")
    rows = {line.split()[0]: line.split() for line in repr(table).splitlines()[2:]}
    assert rows["geometry/cosine_by_hand"][3:5] == ["2", "right"]
    assert rows["geometry/mean_cosine_by_hand"][3:6] == ["1", "not", "yet"]
    assert rows["geometry/a_map_by_chance"][3:] == ["0"]


def test_a_right_answer_stays_right_after_a_wrong_one(answers):
    for answer in (8 / 9, 8):
        exercise("geometry/cosine_by_hand").check(answer)
    assert progress().caption.startswith("1 of ")


def test_predictions_are_kept_with_their_answer(answers):
    predict("How many?", 90, unit="%").reveal(31.4)
    predict("How many?", ...).reveal(31.4)
    [entry] = answers()
    assert (entry["prediction"], entry["guess"], entry["answer"]) == ("How many?", "90 %", "31.4 %")
    assert progress().caption.startswith("0 of ")  # a prediction is no exercise, and does not disturb


def test_what_is_not_answered_or_has_no_name_leaves_no_line(answers):
    exercise("geometry/cosine_by_hand").check(...)
    Exercise("Half of 3?", 1.5).check(1.5)
    assert answers() == []
    assert "nothing kept so far" in progress().caption


def test_long_answers_are_cut(answers):
    exercise("geometry/cosine_by_hand").check(np.arange(10_000.0).tolist())
    assert len(answers()[0]["answer"]) == 200


def test_outside_a_notebook_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("EGEMMA_ANSWERS", str(tmp_path / "answers.jsonl"))
    exercise("geometry/cosine_by_hand").check(8)
    assert not (tmp_path / "answers.jsonl").exists()


def test_a_file_that_cannot_be_written_is_named_with_what_to_do(tmp_path, monkeypatch, answers):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("EGEMMA_ANSWERS", str(tmp_path / "a file" / "answers.jsonl"))
    with pytest.warns(UserWarning, match=r"could not be kept in .*answers.jsonl.*EGEMMA_ANSWERS"):
        verdict = exercise("geometry/cosine_by_hand").check(8)
    assert verdict.right is False  # the learner is answered all the same


def test_a_line_that_was_changed_is_named(tmp_path, answers):
    exercise("geometry/cosine_by_hand").check(8)
    with (tmp_path / "mine" / "answers.jsonl").open("a") as file:
        file.write("\nnot json\n")
    with pytest.raises(ValueError, match=r"line 3 of .*answers.jsonl is not JSON"):
        progress()


def test_where_the_file_is(monkeypatch):
    monkeypatch.setenv("EGEMMA_ANSWERS", "~/mine.jsonl")
    assert answer_file.answer_path().name == "mine.jsonl"
    assert "~" not in str(answer_file.answer_path())
    monkeypatch.delenv("EGEMMA_ANSWERS")
    assert answer_file.answer_path().name == "egemma-lab-answers.jsonl"
