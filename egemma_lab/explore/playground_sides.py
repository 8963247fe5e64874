"""Two settings from the same start: how each side goes on, what it remembers, and what is seen of it in words."""

from dataclasses import dataclass, replace

from egemma_lab.explore.live import thin
from egemma_lab.explore.playground import Settings, State, start, step
from egemma_lab.explore.playground_measures import measure
from egemma_lab.explore.playground_presets import find_preset
from egemma_lab.explore.playground_world import ROWS, make_world

MOST = 400  # rows of history; of more, every second is forgotten
OWN = "own settings"
RANDOM = {
    "circle": -1.58,
    "sphere": -2.08,
}  # uniformity of random directions: log(e⁻⁴ I₀(4)), log(e⁻⁴ sinh(4)/4)
HAIR = 0.02  # a margin below it is called so


@dataclass(frozen=True)
class Side:
    """A or B: the name of its settings, the settings, where the points are, and `history`, dicts with "steps", the
    loss terms of the last batch, and all of `measure`."""

    name: str
    settings: Settings
    state: State
    history: tuple


def begin(settings, space="circle", seed=0):
    """A side before its first step. `settings`: a preset's name or `Settings`.

    >>> begin("collapse").name, begin(Settings()).name
    ('collapse', 'own settings')
    """
    name = OWN
    if not isinstance(settings, Settings):
        name, settings = settings, find_preset(settings).settings
    state = start(make_world(space, seed))
    return Side(name, settings, state, ({"steps": 0, **measure(state)},))


def advance(side, steps=1):
    """The side after some steps, with one more row of history.

    >>> [row["steps"] for row in advance(advance(begin("collapse"), 2), 3).history]
    [0, 2, 5]
    """
    state = side.state
    for _ in range(steps):
        state = step(state, side.settings)
    history = [*side.history, {"steps": state.steps, **state.terms, **measure(state)}]
    return replace(
        side, state=state, history=tuple(thin(history, MOST // 2) if len(history) > MOST else history)
    )


def describe(side):
    """What is seen of a side now, in words.

    >>> print(describe(advance(begin("collapse"), 60)))
    After 60 steps 10 of 10 queries find their own positive, but by a hair (margin 0.0...); all texts lie nearly
    together (uniformity -0...; random directions on a circle have -1.58); cosine to the teacher 0...
    """
    now, space = side.history[-1], side.state.world.space
    words = f"After {now['steps']} step{'s' * (now['steps'] != 1)} {_found(now, space)}; {_use(now, space)}; "
    words += f"cosine to the teacher {now['teacher']:.2f}"
    if now["copies"] < 0.97:
        words += f"; copies of one text lie apart (cosine {now['copies']:.2f})"
    return words + "."


def _found(now, space):
    said = f"{round(now['accuracy'] * ROWS)} of {ROWS} queries find their own positive"
    if now["accuracy"] == 1 and now["margin"] < HAIR:
        said += f", but by a hair (margin {now['margin']:.3f})"
    elif now["accuracy"] == 1:
        said += f" (margin {now['margin']:.2f})"
    if space == "sphere":
        said += f", from the first two numbers alone {round(now['accuracy_at_2'] * ROWS)}"
    return said


def _use(now, space):
    share = now["uniformity"] / RANDOM[space]
    if share < 0.15:
        said = "all texts lie nearly together"
    elif share < 0.8:
        said = f"the texts crowd in a part of the {space}"
    else:
        said = f"the texts use the {space} about as evenly as random ones would"
    return f"{said} (uniformity {now['uniformity']:.2f}; random directions on a {space} have {RANDOM[space]})"


def describe_both(sides):
    """The picture of both sides in words, for who cannot see it."""
    space = sides[0].state.world.space
    return f"Points moved by the losses on two {space}s. " + " ".join(
        f"{letter}, {side.name}: {describe(side)}" for letter, side in zip("AB", sides)
    )
