import re

import numpy as np
import pytest
import torch

from egemma_lab.explore import Exercise, exercise, predict


@pytest.fixture
def cosine():
    return Exercise(
        "What is the cosine of `[3, 4]` and `[4, 3]`?",
        0.96,
        wrong=[
            (24, "That is the dot product; divide by both lengths."),
            (lambda a: np.isscalar(a) and abs(a) > 1, "A cosine lies between -1 and 1."),
        ],
        right="24 / (5 · 5).",
        solution="The dot product is 24, each length 5.",
        minutes=3,
        difficulty="warm-up",
    )


def test_right_answers_are_right_in_every_number_type(cosine):
    for answer in (0.96, np.float32(0.96), np.array(0.9601), torch.tensor(0.96), 24 / 25):
        verdict = cosine.check(answer)
        assert verdict.right is True
        assert str(verdict) == "Right. 24 / (5 · 5)."


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (24, "dot product"),
        (7.5, "between -1 and 1"),
        (0.9, "0.9 is too small"),
        (0.99, "0.99 is too large"),
        ("much", "answered with one number; you gave str 'much'"),
        ([0.9, 0.8], r"answered with one number; yours has the shape \(2,\)"),
        (True, "one number"),
    ],
)
def test_wrong_answers_are_told_why(cosine, answer, says):
    verdict = cosine.check(answer)
    assert verdict.right is False
    assert re.search(says, str(verdict)), str(verdict)


def test_three_dots_are_not_an_error(cosine):
    for answer in (..., None):
        verdict = cosine.check(answer)
        assert verdict.right is None
        assert "three dots" in str(verdict)


def test_the_solution_is_hidden_until_opened(cosine):
    assert "each length 5" not in str(cosine)
    html = cosine._repr_html_()
    assert "<details><summary>Solution</summary>" in html
    assert "<code>[3, 4]</code>" in html
    assert "warm-up · about 3 min" in html


def test_arrays_strings_sets_and_booleans():
    unit = Exercise("Unit row of [3, 4]?", [0.6, 0.8])
    assert unit.check(np.array([0.6, 0.8])).right
    assert "2 of 2 entries are off" in str(unit.check([3, 4]))
    assert "shape (1,)" in str(unit.check([1.0]))
    assert "list" in str(unit.check(["a", "b"]))

    name = Exercise("Which?", "BM25", wrong=[("teacher", "That one was trained.")])
    assert name.check(" bm25 ").right
    assert "was trained" in str(name.check("Teacher"))
    assert "none of the answers foreseen" in str(name.check("nobody"))

    several = Exercise("Which two?", {1, 3})
    assert several.check([3, 1]).right
    assert several.check({1}).right is False

    truth = Exercise("Is it?", False)
    assert truth.check(False).right
    assert "True or False; you gave 0" in str(truth.check(0))


def test_a_function_as_answer():
    longest = Exercise("A text of more than three words?", lambda text: len(str(text).split()) > 3)
    assert longest.check("one two three four").right
    assert longest.check("one").right is False


def test_what_a_learner_types_cannot_become_html():
    assert "<script>" not in Exercise("Which?", "x").check("<script>alert(1)</script>")._repr_html_()
    assert "&lt;script&gt;" in Exercise("Number?", 1.0).check("<script>")._repr_html_()


def test_predictions_are_kept_and_compared():
    guess = predict("How many neighbours survive?", 90, unit="%")
    assert "Noted: 90 %" in str(guess)
    assert (
        str(guess.reveal(31.4, "A plane is small."))
        == "You wrote 90 %; the answer is 31.4 %. A plane is small."
    )
    open_one = predict("How many?", ...)
    assert "three dots" in str(open_one)
    assert str(open_one.reveal(0.5)) == "You wrote nothing down; the answer is 0.5."
    assert str(predict("Which?", "student").reveal("BM25")) == "You wrote student; the answer is BM25."


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no exercise 'geometry/none'; there are .*geometry/cosine_by_hand"):
        exercise("geometry/none")
