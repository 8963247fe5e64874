"""Exercises that answer back: a question, a check that says why an answer is wrong, a hidden solution.

No widgets: the answer is the argument of a function call, so it works in every notebook, in a plain
Python prompt and in an automatic run. Three dots stand for "not answered yet" and are never an error.
What is answered in a notebook goes into the learner's own file, see `answer_file`.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from egemma_lab.explore.answer_file import note
from egemma_lab.explore.prose import Prose

LONGEST = 200  # characters of an answer that are kept


def exercise(name):
    """An exercise that comes with the package, such as "geometry/cosine_by_hand".

    Make it the last line of a cell to see it, and answer with `.check(your_answer)`. The answers stay in
    `egemma_lab.explore.questions`, so that a notebook can ask without giving them away. To write one of your
    own, make an `Exercise`. ValueError lists the names there are.

    >>> exercise("geometry/alignment_at_a_right_angle").check(1.414)
    Not yet. That is the distance ‖x − y‖; alignment takes its square.
    """
    from egemma_lab.explore.questions import QUESTIONS

    if name not in QUESTIONS:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(sorted(QUESTIONS))}")
    return replace(QUESTIONS[name], name=name)


def predict(question, guess=..., *, unit=""):
    """A prediction written down before the result is seen; `.reveal(value)` puts the two side by side.

    >>> cosine = predict("What mean cosine will two random texts have?", 0.5)
    >>> cosine
    Prediction: What mean cosine will two random texts have?
    <BLANKLINE>
    Noted: 0.5. The answer comes below.
    >>> cosine.reveal(0.1, "Unrelated texts are nearly orthogonal.")
    You wrote 0.5; the answer is 0.1. Unrelated texts are nearly orthogonal.
    """
    return Prediction(question, guess, unit)


@dataclass(repr=False)
class Exercise(Prose):
    """A question, its answer, and what to say to typical wrong ones.

    Parameters
    ----------
    question : what is asked; blank lines make paragraphs, `backticks` make code.
    answer : the right answer: a number, an array, a string, a bool, a set, or a function that takes the
        answer and returns True or False. Numbers and arrays match within `tolerance`, relative or absolute.
    wrong : pairs (typical wrong answer, what is wrong about it); the wrong answer in any of the forms above.
        The first that fits is said.
    right : said after a right answer: why it is right.
    solution : shown when the learner opens it.
    name : under which answers are kept in the learner's file; those of an exercise without one are not.

    >>> half = Exercise("Half of 3?", 1.5, wrong=[(1, "That drops the remainder.")], right="3 / 2 is 1.5.")
    >>> half.check(1.5)
    Right. 3 / 2 is 1.5.
    >>> half.check(1)
    Not yet. That drops the remainder.
    >>> half.check(...)
    Your turn: put your answer in place of the three dots and run the cell again.
    """

    question: str
    answer: object
    wrong: tuple = ()
    right: str = ""
    solution: str = ""
    minutes: float = 5
    difficulty: str = "easy"
    tolerance: float = 1e-3
    name: str = ""
    blocks: list = field(init=False)

    def __post_init__(self):
        head = f"Exercise · {self.difficulty} · about {self.minutes:g} min"
        self.blocks = [("head", head), ("text", self.question)]
        if self.solution:
            self.blocks.append(("hidden", self.solution))

    def check(self, answer):
        """A `Verdict` on `answer`: right or not, and why. Three dots (or None) are "not answered yet"."""
        if _missing(answer):
            return Verdict(
                None, "Your turn: put your answer in place of the three dots and run the cell again."
            )
        verdict = self._judge(answer)
        if self.name:
            note(exercise=self.name, answer=str(answer)[:LONGEST], right=verdict.right)
        return verdict

    def _judge(self, answer):
        if self._fits(answer, self.answer):
            return Verdict(True, f"Right. {self.right}".strip())
        misfit = self._misfit(answer)
        for typical, why in self.wrong:
            if misfit and callable(typical):
                continue  # a function that tests numbers is not given words
            if self._fits(answer, typical):
                return Verdict(False, f"Not yet. {why}")
        return Verdict(False, f"Not yet. {misfit or self._hint(answer)}")

    def _fits(self, answer, pattern):
        if callable(pattern):
            return bool(pattern(answer))
        if isinstance(pattern, (str, bool)) or isinstance(answer, (str, bool)):
            same = str(answer).strip().casefold() == str(pattern).strip().casefold()
            return same and isinstance(answer, bool) == isinstance(pattern, bool)
        if isinstance(pattern, (set, frozenset)):
            return isinstance(answer, (set, frozenset, list, tuple)) and set(answer) == pattern
        answer, pattern = _numbers(answer), _numbers(pattern)
        if answer is None or answer.shape != pattern.shape:
            return False
        return np.allclose(answer, pattern, rtol=self.tolerance, atol=self.tolerance)

    def _misfit(self, answer):
        """Why an answer cannot be compared at all (words for a number, another shape), or None."""
        if isinstance(self.answer, bool):
            right = isinstance(answer, (bool, np.bool_))
            return None if right else f"This one is answered with True or False; you gave {answer!r}."
        expected, given = _numbers(self.answer), _numbers(answer)
        if expected is None:
            return None
        kind = "one number" if expected.ndim == 0 else f"an array of shape {expected.shape}"
        if given is None:
            return f"This one is answered with {kind}; you gave {type(answer).__name__} {answer!r}."
        if given.shape != expected.shape:
            return f"This one is answered with {kind}; yours has the shape {given.shape}."
        return None

    def _hint(self, answer):
        """What can be said of a comparable wrong answer that nobody foresaw."""
        expected, given = _numbers(self.answer), _numbers(answer)
        if expected is None:
            return "That is none of the answers foreseen here; read the question again, or open the solution."
        if expected.ndim == 0:
            return f"{given:g} is too {'large' if given > expected else 'small'}."
        off = int((~np.isclose(given, expected, self.tolerance, self.tolerance)).sum())
        return f"{off} of {expected.size} entries are off."


@dataclass(repr=False)
class Verdict(Prose):
    """What `check` says. `.right` is True, False, or None where nothing was answered yet."""

    right: bool | None
    message: str

    @property
    def blocks(self):
        return [({True: "right", False: "wrong", None: "open"}[self.right], self.message)]


@dataclass(repr=False)
class Prediction(Prose):
    """See `predict`."""

    question: str
    guess: object = ...
    unit: str = ""

    @property
    def blocks(self):
        noted = "Write your guess in place of the three dots, then go on."
        if not _missing(self.guess):
            noted = f"Noted: {self._said(self.guess)}. The answer comes below."
        return [("open", f"Prediction: {self.question}\n\n{noted}")]

    def reveal(self, value, why=""):
        """Your guess beside the measured `value`, and what to make of it."""
        if _missing(self.guess):
            guess = "You wrote nothing down"
        else:
            guess = f"You wrote {self._said(self.guess)}"
            note(prediction=self.question, guess=self._said(self.guess), answer=self._said(value))
        return Verdict(None, f"{guess}; the answer is {self._said(value)}. {why}".strip())

    def _said(self, value):
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        return (f"{value:.3g}" if number else str(value)) + (f" {self.unit}" if self.unit else "")


def _missing(answer):
    return answer is None or answer is Ellipsis


def _numbers(value):
    """`value` as a float array, or None where it is not made of numbers (True and False are none)."""
    if hasattr(value, "detach"):  # a torch tensor
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
        return array.astype(np.float64) if array.dtype.kind in "iuf" else None
    except (ValueError, TypeError):
        return None
