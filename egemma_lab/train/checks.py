"""Checks of a recipe's fields: each takes (name, value) and returns the clean value or says what is wrong."""

import difflib
import math
import numbers as kinds


def did_you_mean(name, known):
    """The end of a message about an unknown name: the nearest known one, or all of them.

    >>> did_you_mean("stepz", ["steps", "seed"])
    "did you mean 'steps'?"
    """
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


def _wrong(name, value, allowed):
    return ValueError(f"{name}={value!r} is not possible; it must be {allowed}")


def _between(above=None, at_least=None, at_most=None):
    parts = []
    if above is not None:
        parts.append(f"above {above}")
    if at_least is not None:
        parts.append(f"at least {at_least}")
    if at_most is not None:
        parts.append(f"at most {at_most}")
    return " and ".join(parts)


def _is_number(value):
    # True and False are integers to Python, never to a recipe
    return isinstance(value, kinds.Real) and not isinstance(value, bool)


def optional(check):
    """None, or what `check` allows."""
    return lambda name, value: None if value is None else check(name, value)


def whole(at_least, at_most=None):
    """A whole number in range; neither True nor 3.0 is one."""
    allowed = f"a whole number, {_between(at_least=at_least, at_most=at_most)}"

    def check(name, value):
        if not isinstance(value, kinds.Integral) or isinstance(value, bool):
            raise _wrong(name, value, allowed)
        if value < at_least or (at_most is not None and value > at_most):
            raise _wrong(name, value, allowed)
        return int(value)

    return check


def number(above=None, at_least=None, at_most=None):
    """A finite number in range."""
    limits = _between(above, at_least, at_most)
    allowed = f"a finite number, {limits}" if limits else "a finite number"

    def check(name, value):
        if not _is_number(value) or not math.isfinite(value):
            raise _wrong(name, value, allowed)
        low = (above is not None and value <= above) or (at_least is not None and value < at_least)
        if low or (at_most is not None and value > at_most):
            raise _wrong(name, value, allowed)
        return float(value)

    return check


def filled_list(name, value):
    """A list with anything in it; what opens its entries says what they cannot be."""
    if not isinstance(value, list) or not value:
        raise _wrong(name, value, "a list with at least one entry")
    return value


def numbers(at_least):
    """A non-empty list of finite numbers."""
    one = number(at_least=at_least)

    def check(name, value):
        if not isinstance(value, (list, tuple)) or not value:
            raise _wrong(name, value, "a list of numbers")
        return tuple(one(f"{name}[{i}]", v) for i, v in enumerate(value))

    return check


def widths(name, value):
    """Prefix widths: different positive whole numbers, widest first whatever order they came in."""
    if not isinstance(value, (list, tuple)) or not value:
        raise _wrong(name, value, "a list of prefix widths such as [256, 128, 64, 32]")
    one = whole(at_least=1)
    dims = tuple(one(f"{name}[{i}]", v) for i, v in enumerate(value))
    if list(dims) != sorted(set(dims), reverse=True):
        raise _wrong(name, list(dims), "different widths, the widest first")
    return dims


def same_length(values, name, other):
    """Refuse two lists that should go together and do not."""
    if len(values[name]) != len(values[other]):
        raise ValueError(
            f"{name} has {len(values[name])} entries and {other} has {len(values[other])}; give one {name} "
            f"entry for each of {other}={list(values[other])}"
        )


def share_or_steps(name, value):
    """A share of the budget (float in [0, 1)) or a number of steps (whole number)."""
    allowed = (
        "a share of the budget from 0 up to, not including, 1 (such as 0.05), or a whole number of steps"
    )
    if not _is_number(value) or value < 0:
        raise _wrong(name, value, allowed)
    if isinstance(value, kinds.Integral):
        return int(value)
    if not value < 1:
        raise _wrong(name, value, allowed)
    return float(value)


def true_or_false(name, value):
    """True or False, and not 1, 0 or a word."""
    if not isinstance(value, bool):
        raise _wrong(name, value, "true or false")
    return value


def one_of(*allowed):
    """One of a few words."""

    def check(name, value):
        if not isinstance(value, str) or value not in allowed:
            raise _wrong(name, value, "one of " + ", ".join(map(repr, allowed)))
        return value

    return check


def some_of(*allowed):
    """One or more of a few words, each once, in their usual order."""

    def check(name, value):
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, (list, tuple)) or not given or any(each not in allowed for each in given):
            raise _wrong(name, value, "a list of some of " + ", ".join(map(repr, allowed)))
        return tuple(each for each in allowed if each in given)

    return check


def precision(*allowed):
    """One of the precisions; float16 is refused with the reason."""
    plain = one_of(*allowed)

    def check(name, value):
        if value in ("float16", "fp16", "half", "16"):
            raise ValueError(
                f"{name}={value!r} is refused: EmbeddingGemma's activations reach about 8e5 and float16 ends "
                "at 65,504, so vectors silently become NaN; use 'bfloat16', or 'float32' where there is no "
                "bfloat16"
            )
        return plain(name, value)

    return check


def term_weights(*terms):
    """A weight for each loss term; those left out are 1."""
    one = number(at_least=0)

    def check(name, value):
        if not isinstance(value, dict):
            raise _wrong(name, value, f"a mapping with a number for any of {', '.join(terms)}")
        for term in value:
            if term not in terms:
                raise ValueError(
                    f"{name} names {term!r}, which is no loss term; {did_you_mean(term, terms)} "
                    "(a term of your own stands in own_terms)"
                )
        return {term: one(f"{name}[{term!r}]", value.get(term, 1.0)) for term in terms}

    return check


def own_weights(name, value):
    """A weight for each loss term of one's own, by the name it is registered with."""
    if not isinstance(value, dict) or not all(isinstance(term, str) for term in value):
        raise _wrong(name, value, "a mapping from names of registered loss terms to numbers")
    return {term: number(at_least=0)(f"{name}[{term!r}]", weight) for term, weight in value.items()}
