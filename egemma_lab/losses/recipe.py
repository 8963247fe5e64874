"""The paper's three losses together: weighted, at every prefix width, every term reported."""

import math
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import NamedTuple

import torch

from ._contrastive_prefixes import contrastive_at_widths
from ._spread_out_prefixes import spread_out_at_widths
from ._vectors import check_dim_weights, check_dims, in_full_precision, rows
from .contrastive import check_hard_negatives, check_scales, contrastive_loss, duplicates
from .matching import check_distance, embedding_matching_loss
from .matryoshka import unit_prefix
from .own_terms import Vectors, registered_term

TERMS = ("contrastive", "spread_out", "matching")
SIDES = ("query", "positive", "negative")


class RecipeOutput(NamedTuple):
    """`total`: the scalar to call backward on; `terms`: name -> value without gradient, for the log."""

    total: torch.Tensor
    terms: dict


@dataclass
class RecipeLoss:
    """L = c_C L_C + c_S L_S + c_D L_D, with L_C and L_S summed over the prefix widths (Matryoshka).

    Args:
        weights: {"contrastive": c_C, "spread_out": c_S, "matching": c_D}, each >= 0; a term left out keeps 1.
            The paper prints no coefficients; 1 each is its formula as it stands. A term of weight 0 is still
            computed and reported, without gradient.
        temperature, hardness, hard_negatives: as in `contrastive_loss`. "batch" is computed width by width, in
            about twice the time.
        dims: prefix widths in decreasing order (`model.widths`); dim_weights: one a width, default 1 each.
        distance: as in `embedding_matching_loss`. L_D stays at full width, as in the paper.
        match: the sides whose vectors are matched; the paper's three by default.
        own_terms: {name: weight >= 0} of terms registered with `register_term`, which stand after the paper's.

    Call it with (B, d) tensors; without `positive` (single texts) matching is the only term. It returns a
    `RecipeOutput`. Its `terms`, in order: "loss" (the weighted
    total), "contrastive" (the sum over widths, before c_C), "contrastive/768", …, "spread_out",
    "spread_out/768", …, "matching", "matching/query", "matching/positive" and, with hard negatives,
    "matching/negative"; then terms of your own. Without teacher vectors there is no matching term, whatever its weight.

    Raises ValueError for unknown or negative weights, dims that do not decrease or do not fit the embeddings,
    and teacher vectors that are missing for one of the sides.

    Source: EmbeddingGemma, arXiv 2509.20354. All widths are computed in one pass, see `_prefixes.py`.

    >>> q = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])
    >>> total, terms = RecipeLoss(dims=(4, 2), temperature=1.0)(q, q, teacher_query=q, teacher_positive=q)
    >>> {name: round(value.item(), 4) for name, value in terms.items()}
    {'loss': 0.6265, 'contrastive': 0.6265, 'contrastive/4': 0.3133, 'contrastive/2': 0.3133,
     'spread_out': 0.0, 'spread_out/4': 0.0, 'spread_out/2': 0.0,
     'matching': 0.0, 'matching/query': 0.0, 'matching/positive': 0.0}
    """

    weights: dict | None = None
    _: KW_ONLY
    temperature: float = 0.05
    hardness: float = 5.0
    dims: tuple = (768, 512, 256, 128)
    dim_weights: tuple | None = None
    distance: str = "l2"
    hard_negatives: str = "own"
    match: tuple = SIDES
    own_terms: dict | None = None

    def __post_init__(self):
        self.weights = dict.fromkeys(TERMS, 1.0) | dict(self.weights or {})
        if unknown := [name for name in self.weights if name not in TERMS]:
            raise ValueError(
                f"weights names {unknown}; the terms are {', '.join(TERMS)}, and terms of your own stand in own_terms"
            )
        self.own_terms = dict(self.own_terms or {})
        for field in ("weights", "own_terms"):
            for name, weight in getattr(self, field).items():
                if not (weight >= 0 and math.isfinite(weight)):
                    raise ValueError(
                        f"{field}[{name!r}]={weight} must be a finite number >= 0; 0 switches the term off"
                    )
        self._own = [registered_term(name) for name in self.own_terms]
        check_scales(self.temperature, self.hardness)
        check_hard_negatives(self.hard_negatives)
        check_distance(self.distance)
        if not self.match or (unknown := [side for side in self.match if side not in SIDES]):
            raise ValueError(
                f"match={self.match!r} must name at least one of {', '.join(SIDES)}, and no other"
            )
        self.dims = check_dims(self.dims)
        self.dim_weights = check_dim_weights(self.dim_weights, self.dims)

    @in_full_precision
    def __call__(
        self,
        query,
        positive=None,
        negative=None,
        *,
        query_ids=None,
        positive_ids=None,
        teacher_query=None,
        teacher_positive=None,
        teacher_negative=None,
    ):
        if positive is None and negative is not None:
            raise ValueError("there is a negative without a positive; single texts have neither")
        sides = {"query": query, "positive": positive, "negative": negative}
        sides = dict(zip(sides, rows(**sides)))
        check_dims(self.dims, query.shape[1])
        teachers = {"query": teacher_query, "positive": teacher_positive, "negative": teacher_negative}
        teachers = {side: x for side, x in teachers.items() if x is not None}
        check_sides(sides, teachers)
        teachers = {side: x for side, x in teachers.items() if side in self.match}
        computing = {}
        if positive is not None:
            computing["contrastive"] = lambda: self._contrastive(*sides.values(), query_ids, positive_ids)
            computing["spread_out"] = lambda: self._spread_out(sides["query"], sides["positive"])
        if teachers:
            computing["matching"] = lambda: self._matching(sides, teachers)
        if self._own:
            vectors = Vectors(*sides.values(), teacher_query, teacher_positive, teacher_negative)
            for term in self._own:
                computing[term.name] = partial(term, vectors, self.dims, self.dim_weights)
        total, terms, weights = None, {"loss": None}, self.weights | self.own_terms
        for name, compute in computing.items():
            with torch.set_grad_enabled(torch.is_grad_enabled() and weights[name] > 0):
                computed = compute()
            if computed is None:  # a term of your own that has nothing to say of this batch
                continue
            value, parts = computed
            terms |= {name: value.detach()} | {f"{name}/{part}": x.detach() for part, x in parts.items()}
            if weights[name] > 0:
                total = weights[name] * value + (0 if total is None else total)
        if total is None:
            raise ValueError(
                f"nothing to minimise with weights={weights} and teacher vectors for {list(teachers)}; "
                "give one term a weight above 0, and teacher vectors if that term is 'matching'"
            )
        terms["loss"] = total.detach()
        return RecipeOutput(total, terms)

    def _contrastive(self, query, positive, negative, query_ids, positive_ids):
        if negative is not None and self.hard_negatives == "batch":
            return self._contrastive_by_width(query, positive, negative, query_ids, positive_ids)
        total, losses = contrastive_at_widths(
            query,
            positive,
            negative,
            dims=self.dims,
            weights=self.dim_weights,
            temperature=self.temperature,
            hardness=self.hardness,
            masked=duplicates(len(query), query_ids, positive_ids, query.device),
        )
        return total, dict(zip(self.dims, losses))

    def _contrastive_by_width(self, *sides_and_ids):
        *sides, query_ids, positive_ids = sides_and_ids
        losses = {
            width: contrastive_loss(
                *(unit_prefix(x, width) for x in sides),
                temperature=self.temperature,
                hardness=self.hardness,
                hard_negatives=self.hard_negatives,
                query_ids=query_ids,
                positive_ids=positive_ids,
            )
            for width in self.dims
        }
        return sum(weight * loss for weight, loss in zip(self.dim_weights, losses.values())), losses

    def _spread_out(self, *sides):
        computed = [spread_out_at_widths(x, dims=self.dims, weights=self.dim_weights) for x in sides]
        total, moments = (sum(values) for values in zip(*computed))
        return total, dict(zip(self.dims, moments))

    def _matching(self, sides, teachers):
        parts = {side: embedding_matching_loss(sides[side], x, self.distance) for side, x in teachers.items()}
        return sum(parts.values()), parts


def check_sides(sides, teachers):
    """Teacher vectors come for all sides of the batch or for none."""
    present = [side for side, x in sides.items() if x is not None]
    if teachers and list(teachers) != present:
        raise ValueError(
            f"teacher vectors were given for {', '.join(teachers)}, but the batch has {', '.join(present)}; "
            f"pass {', '.join('teacher_' + side for side in present)}, or none of them"
        )
