"""The playground's one move: points on a circle or a sphere, each step of theirs taken by the real losses.

No model stands between the losses and the points: each point is free, as if every text had its own weights.
What a loss wants can so be seen at once. What a model adds, that moving one text moves others, can not.
"""

import math
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F

from egemma_lab.explore.playground_world import ROWS, World
from egemma_lab.losses import (
    Vectors,
    contrastive_loss,
    embedding_matching_loss,
    matryoshka_loss,
    spread_out_loss,
)
from egemma_lab.losses.own_terms import registered_term

TERMS = ("contrastive", "spread_out", "matching")
NEGATIVES = ("in-batch and hard", "in-batch", "none")


@dataclass(frozen=True)
class Settings:
    """What a learner sets: everything a step depends on, besides the points.

    contrastive, spread_out, matching: weights of the three terms, >= 0; 1 each as in the paper's formula.
    temperature, hardness, mask: of `contrastive_loss`; `mask` says which rows are the same text.
    negatives: "in-batch and hard" (the paper's), "in-batch", or "none": then only the numerator is left, which
        draws pairs together.
    matryoshka: on the sphere, contrastive and spread-out also on the first 2 of 3 numbers. On the circle it changes
        nothing: a prefix of one number keeps only a sign, which no small step can change.
    own_terms: weights of loss terms of your own, registered with `egemma_lab.losses.register_term`.
    batch_size: rows drawn for a step, of the world's 10. learning_rate: of plain gradient descent.

    >>> Settings(temperature=0.1).temperature
    0.1
    """

    contrastive: float = 1.0
    spread_out: float = 1.0
    matching: float = 1.0
    temperature: float = 0.05
    hardness: float = 5.0
    negatives: str = NEGATIVES[0]
    mask: bool = True
    matryoshka: bool = True
    batch_size: int = ROWS
    learning_rate: float = 0.05
    own_terms: dict = field(default_factory=dict)

    def __post_init__(self):
        weights = {name: getattr(self, name) for name in (*TERMS, "hardness")}
        for name, weight in (weights | self.own_terms).items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"{name}={weight} must be a finite number >= 0; 0 switches it off")
        for name in ("temperature", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)} must be a finite number above 0")
        if self.negatives not in NEGATIVES:
            raise ValueError(f"negatives={self.negatives!r} is not one of {', '.join(map(repr, NEGATIVES))}")
        if not (isinstance(self.batch_size, int) and 2 <= self.batch_size <= ROWS):
            raise ValueError(
                f"batch_size={self.batch_size} must be a whole number from 2 to {ROWS}, all rows"
            )


@dataclass(frozen=True)
class State:
    """Where the points are: `points` (3, n, d) unit rows (queries, positives, hard negatives), after `steps` steps.

    terms: the loss terms of the last step's batch, before it was taken; empty at the start.
    """

    world: World
    points: torch.Tensor
    steps: int = 0
    terms: dict = field(default_factory=dict)


def start(world):
    """The state before the first step.

    >>> from egemma_lab.explore.playground_world import make_world
    >>> start(make_world("circle")).points.shape
    torch.Size([3, 10, 2])
    """
    return State(world, world.start)


def step(state, settings):
    """One step of gradient descent on the points of a batch, which go back to length 1; a new `State`.

        x ← (x − η ∂L/∂x) / ‖x − η ∂L/∂x‖,   L = c_C L_C + c_S L_S + c_D L_D

    The batch is drawn from the world's seed and the number of the step, so that equal states and settings give
    equal steps, and two settings see the same batches.

    >>> from egemma_lab.explore.playground_world import make_world
    >>> begin = start(make_world("circle"))
    >>> torch.equal(step(begin, Settings()).points, step(begin, Settings()).points)
    True
    """
    world = state.world
    draw = torch.Generator().manual_seed(1_000_003 * world.seed + state.steps)
    rows = torch.randperm(len(world.ids), generator=draw)[: settings.batch_size]
    batch = state.points[:, rows].requires_grad_()  # (3, B, d)
    losses = loss_terms(batch, world.teacher[:, rows], world.ids[rows], settings)
    weights = {name: getattr(settings, name) for name in TERMS} | settings.own_terms
    total = sum(weights[name] * value for name, value in losses.items())
    (gradient,) = torch.autograd.grad(total, batch)
    points = state.points.clone()
    points[:, rows] = F.normalize(batch.detach() - settings.learning_rate * gradient, dim=-1)
    terms = {name: value.item() for name, value in losses.items()}
    return replace(state, points=points, steps=state.steps + 1, terms=terms)


def loss_terms(points, teacher, ids, settings):
    """All terms, each before its weight: points and teacher (3, B, d), ids (B,) -> {name: scalar}."""
    query, positive, negative = points
    vectors, dims = Vectors(*points, *teacher), widths(query, settings)
    own = {name: registered_term(name)(vectors, dims, (1.0,) * len(dims)) for name in settings.own_terms}
    return {
        "contrastive": _contrastive(query, positive, negative, ids, settings),
        "spread_out": matryoshka_loss(spread_out_loss, query, positive, dims=widths(query, settings)),
        "matching": sum(embedding_matching_loss(*sides) for sides in zip(points, teacher)),
        **{name: computed[0] for name, computed in own.items() if computed is not None},
    }


def _contrastive(query, positive, negative, ids, settings):
    if (
        settings.negatives == "none"
    ):  # −log of the numerator alone, moved so that 0 is its floor; both sides pulled
        both = [embedding_matching_loss(*sides, "cosine") for sides in ((query, positive), (positive, query))]
        return sum(both) / settings.temperature
    ids = ids if settings.mask else None
    return matryoshka_loss(
        contrastive_loss,
        query,
        positive,
        negative if settings.negatives == NEGATIVES[0] else None,
        dims=widths(query, settings),
        temperature=settings.temperature,
        hardness=settings.hardness,
        query_ids=ids,
        positive_ids=ids,
    )


def widths(points, settings):
    """The prefix widths that are trained: (3, 2) on the sphere with `matryoshka`, else the full width alone."""
    d = points.shape[-1]
    return (d, 2) if settings.matryoshka and d > 2 else (d,)
