"""Loss terms of your own: registered by name, weighted in the recipe, reported beside the paper's three."""

import hashlib
import inspect
import runpy
import textwrap
from pathlib import Path
from typing import NamedTuple

import torch

from .matryoshka import unit_prefix

# columns of a run's history that are no loss, and all that a term cannot be called
BOOKS = ("step", "epoch", "source", "gradient_norm", "learning_rate")
BOOKS += ("tokens", "tokens_per_second", "seconds")
TAKEN = ("loss", "contrastive", "spread_out", "matching", "words", *BOOKS)
_REGISTERED = {}  # name -> OwnTerm


class Vectors(NamedTuple):
    """What a term sees of a batch of B rows: unit vectors of its texts, (B, d), and what the teacher says of them.

    A batch of single texts has a `query` alone; `negative` is there where rows have hard negatives, the teacher's where
    the run has a teacher. What is not there is None.
    """

    query: torch.Tensor
    positive: torch.Tensor | None = None
    negative: torch.Tensor | None = None
    teacher_query: torch.Tensor | None = None
    teacher_positive: torch.Tensor | None = None
    teacher_negative: torch.Tensor | None = None

    def cut(self, width):
        """The student's vectors cut to their first `width` columns, at unit length again; the teacher's stay whole."""
        student = {side: getattr(self, side) for side in ("query", "positive", "negative")}
        return self._replace(
            **{side: x if x is None else unit_prefix(x, width) for side, x in student.items()}
        )


class OwnTerm(NamedTuple):
    """A registered term: `function(Vectors)` -> a scalar or None, summed over the prefix widths if `every_width`.

    `fingerprint`: 16 hexadecimal digits of its source, by which a run and an experiment know it again.
    """

    name: str
    function: object
    every_width: bool
    fingerprint: str

    def __call__(self, vectors, dims, dim_weights):
        """(value, {width: value}) of one batch; None where the term has nothing to say of it."""
        if not self.every_width:
            value = self._value(vectors)
            return None if value is None else (value, {})
        parts = {width: self._value(vectors.cut(width)) for width in dims}
        if any(value is None for value in parts.values()):
            return None
        return sum(weight * value for weight, value in zip(dim_weights, parts.values())), parts

    def _value(self, vectors):
        value = self.function(vectors)
        if value is not None and not (isinstance(value, torch.Tensor) and value.ndim == 0):
            given = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
            raise TypeError(
                f"the loss term {self.name!r} returned {given}; return a tensor that is one number, such as "
                "loss.mean(), or None for a batch it has nothing to say of"
            )
        return value


def register_term(name=None, *, every_width=False):
    """Decorator: make a function a loss term that `Recipe(own_terms={name: weight})` can name.

    The function gets the `Vectors` of a whole batch (over all processes, and all micro-batches under the gradient
    cache) in float32 or better, outside autocast, and returns a scalar tensor, or None where the batch has nothing for
    it, such as a query alone. It stands in the history under its name, before its weight.

    Args:
        name: a Python name; None: the function's.
        every_width: whether it is summed over the recipe's prefix widths (Matryoshka), each reported.

    Registering a name again replaces the term, so that a notebook cell may be edited and run again. A run goes on, and
    an experiment finds what it did before, only with the same source: the function's own text; what it calls is not
    looked at, nor the variables it reads.

    Raises ValueError for a name that is none or is taken by the recipe's own losses, TypeError for what is no function,
    OSError where Python has not kept its source (type it into a file or a notebook).

    >>> @register_term()
    ... def koleo(vectors):  # minus the logarithm of the distance to the nearest other query
    ...     nearest = (vectors.query @ vectors.query.T).fill_diagonal_(-1).amax(dim=1)  # (B,)
    ...     return -(2 - 2 * nearest).clamp(min=1e-6).sqrt().log().mean()
    >>> round(float(koleo(Vectors(torch.eye(3)))), 4)  # all at distance √2
    -0.3466
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(
            "register_term is called before it decorates: write @register_term(), with parentheses"
        )

    def register(function):
        if not inspect.isfunction(function):
            raise TypeError(f"a loss term is a function of Vectors, not a {type(function).__name__}")
        own = function.__name__ if name is None else name
        if not own.isidentifier() or own in TAKEN:
            raise ValueError(
                f"a loss term cannot be called {own!r}; give a Python name other than {', '.join(TAKEN)}"
            )
        try:
            source = textwrap.dedent(inspect.getsource(function))
        except OSError as error:
            raise OSError(
                f"Python has not kept the source of {own!r}, by which a run knows a term again; write it into a file "
                "or a notebook cell"
            ) from error
        digits = hashlib.sha256(f"{source}\n{every_width}".encode()).hexdigest()[:16]
        _REGISTERED[own] = OwnTerm(own, function, bool(every_width), digits)
        return function

    return register


def registered_names():
    """Names of the terms that are registered by now, in that order."""
    return list(_REGISTERED)


def registered_term(name):
    """The `OwnTerm` of a name; ValueError where nobody has registered it in this process."""
    if name not in _REGISTERED:
        known = f"registered are {', '.join(_REGISTERED)}" if _REGISTERED else "none is registered"
        raise ValueError(
            f"own_terms names {name!r}, which is not registered in this process ({known}): run the code that has "
            "@lab.losses.register_term() above the function, or on the command line pass --terms FILE.py"
        )
    return _REGISTERED[name]


def term_fingerprints(names):
    """name -> fingerprint of the registered terms with these names."""
    return {name: registered_term(name).fingerprint for name in sorted(names)}


def load_terms(path):
    """Run a Python file of yours that registers terms; what `--terms FILE.py` does."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"--terms {path}: there is no such file; give a Python file that registers terms"
        )
    before = dict(_REGISTERED)
    runpy.run_path(str(path))
    if before == _REGISTERED:
        raise ValueError(
            f"--terms {path} registers no loss term; put @lab.losses.register_term() above a function of Vectors"
        )
