"""The recipe of a language run: next tokens for a decoder, masked spans for an encoder-decoder."""

import dataclasses

from egemma_lab.train import checks
from egemma_lab.train.denoising import DENOISERS, MIXTURE
from egemma_lab.train.recipe import PRECISIONS, RecipeFile, refuse_unknown


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageRecipe(RecipeFile):
    """Every number that decides what a language run does; unknown names and impossible values are refused.

    steps: the budget; a run repeats bit for bit on the same machine.
    batch_blocks, block_tokens: blocks a step, and tokens in each, BOS and EOS of its texts counted. 256 tokens
        hold several of the sentences and paragraphs that a small model is made for.
    learning_rate: AdamW's highest rate. 1e-3 suits small decoders from fresh weights; adapt with less, 5e-4.
    warmup: how long the rate climbs from 0, as a share of the steps (a float below 1) or in steps (an
        integer). Afterwards it falls along half a cosine to 0.
    weight_decay: AdamW's, on matrices only; max_grad_norm: the gradient's length is cut to this.
    held_out: the share of the texts' tokens that is never trained on, whole texts; at least a block, unless 0.
    evaluate_every: steps between measurements on them, and once at the end; None: 10 over the run.
    denoisers: weights of the denoisers of `egemma_lab.train.denoising` in an adaptation; those left out keep
        T5Gemma 2's own. A decoder's training has no use for them.
    token_budget: tokens of blocks in one forward pass: what a step costs in memory (its logits alone are
        token_budget x vocabulary x 4 bytes), not what it computes.
    seed: order of the blocks, held-out texts, masked spans, fresh weights.
    save_every, keep_checkpoints: steps between checkpoints, and how many stay. These two change nothing in
        the result and may differ when a run is resumed.
    precision: as in `Recipe`.

    Raises ValueError naming the field, what was given, what is allowed.

    >>> LanguageRecipe(steps=200).block_tokens
    256
    >>> LanguageRecipe(steps=200, block_token=64)
    Traceback (most recent call last):
    ValueError: a recipe has no field 'block_token'; did you mean 'block_tokens'?
    """

    steps: int = 1000
    batch_blocks: int = 32
    block_tokens: int = 256
    learning_rate: float = 1e-3
    warmup: float | int = 0.05
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    held_out: float = 0.01
    evaluate_every: int | None = None
    denoisers: dict[str, float] = dataclasses.field(default_factory=dict)
    token_budget: int = 16_384
    seed: int = 0
    save_every: int = 200
    keep_checkpoints: int = 2
    precision: str = "auto"

    lora = None  # no field: language runs train every weight, and the loop they share with pairs asks

    def __post_init__(self):
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        if self.token_budget < self.block_tokens:
            raise ValueError(
                f"token_budget={self.token_budget} is less than block_tokens={self.block_tokens}: a single "
                "block would not fit into a forward pass; raise the one or lower the other"
            )

    def replace(self, **changes):
        """The same recipe with some fields changed.

        >>> LanguageRecipe(steps=100).replace(seed=1).steps
        100
        """
        return type(self)(**{**vars(self), **changes})


def _denoiser_weights(name, value):
    """A weight for each denoiser; those left out keep the mixture's own, not all may be 0."""
    if not isinstance(value, dict):
        raise ValueError(
            f"{name}={value!r} is not possible; it must be a mapping with a number for any of "
            f"{', '.join(DENOISERS)}"
        )
    for given in value:
        if given not in DENOISERS:
            raise ValueError(
                f"{name} names {given!r}, which is no denoiser; {checks.did_you_mean(given, list(DENOISERS))}"
            )
    one = checks.number(at_least=0)
    full = {each: one(f"{name}[{each!r}]", value.get(each, MIXTURE[each])) for each in DENOISERS}
    if not any(full.values()):
        raise ValueError(f"{name}={full!r} is not possible; it must be above 0 for at least one denoiser")
    return full


_CHECKS = {
    "steps": checks.whole(at_least=1),
    "batch_blocks": checks.whole(at_least=1),
    "block_tokens": checks.whole(at_least=16),
    "learning_rate": checks.number(above=0, at_most=1),
    "warmup": checks.share_or_steps,
    "weight_decay": checks.number(at_least=0),
    "max_grad_norm": checks.number(above=0),
    "held_out": checks.number(at_least=0, at_most=0.5),
    "evaluate_every": checks.optional(checks.whole(at_least=1)),
    "denoisers": _denoiser_weights,
    "token_budget": checks.whole(at_least=16),
    "seed": checks.whole(at_least=0, at_most=2**63 - 1),
    "save_every": checks.whole(at_least=1),
    "keep_checkpoints": checks.whole(at_least=1),
    "precision": checks.precision(*PRECISIONS),
}

refuse_unknown(LanguageRecipe)
