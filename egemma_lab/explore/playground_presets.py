"""Settings worth seeing, each with a sentence that says what to expect and why.

Each sentence was checked on both spaces for all five starts that the playground offers, up to step 300; the tests hold
it to three of them.
"""

from dataclasses import dataclass

from egemma_lab.explore.playground import Settings


@dataclass(frozen=True)
class Preset:
    """Settings and what to `expect` of them."""

    settings: Settings
    expect: str


PRESETS = {
    "the paper's": Preset(
        Settings(),
        "All three terms: pairs close, different texts apart, and the whole still leans towards the teacher.",
    ),
    "contrastive alone": Preset(
        Settings(spread_out=0, matching=0),
        "Soon queries find their own, but where a topic lies is left to chance: agreement with the teacher stays "
        "lower.",
    ),
    "collapse": Preset(
        Settings(negatives="none", spread_out=0, matching=0),
        "Without negatives pairs meet and nothing pushes: the cone of the untrained start stays shut, the loss is 0.",
    ),
    "too cold": Preset(
        Settings(temperature=0.005, learning_rate=0.005, spread_out=0, matching=0),
        "At 0.005 a hair's breadth is victory: the loss falls towards 0 while the margins are an eighth of those at "
        "0.05 and the cone opens little. (The learning rate is a tenth too, for the pull grows with 1/temperature.)",
    ),
    "too warm": Preset(
        Settings(temperature=1.0, spread_out=0, matching=0),
        "At 1 all candidates look alike: near and far negatives push almost equally, and for fifty "
        "steps the points hardly move.",
    ),
    "no spread-out": Preset(
        Settings(spread_out=0),
        "The other two terms open the cone as well, but later: for the first hundred steps less of the space is in use "
        "than with it.",
    ),
    "distillation alone": Preset(
        Settings(contrastive=0, spread_out=0, matching=3),
        "The points go where the teacher has them, its crowding and most of its mistakes included; nobody asks for "
        "more.",
    ),
    "duplicates without the mask": Preset(
        Settings(mask=False),
        "Two rows are copies of others. Unmasked, each takes its copy for a wrong answer, and they are pushed apart; "
        "on the circle, which leaves less room, slowly.",
    ),
    "hardness too high": Preset(
        Settings(hardness=40),
        "Hard negatives weigh so much that queries flee them, far beyond where the teacher has these related texts.",
    ),
    "batch of two": Preset(
        Settings(batch_size=2),
        "With one other row and a hard negative the exam is easy: the loss of its batches is low, but asked among all "
        "ten rows the same points do worse.",
    ),
    "one width": Preset(
        Settings(matryoshka=False),
        "On the sphere only all three numbers are trained: in the end the first two alone (look from above) find fewer "
        "pairs. On the circle this is the paper's.",
    ),
}


def find_preset(name):
    """The preset of that name; ValueError lists the names there are.

    >>> find_preset("collapse").settings.negatives
    'none'
    """
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]
