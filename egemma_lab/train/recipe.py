"""The recipe of a run: every number that decides what training does, a dataclass that is also a YAML file."""

import dataclasses
import functools
from pathlib import Path

from egemma_lab.train import checks
from egemma_lab.train.lora import lora_settings
from egemma_lab.train.yaml_file import read_yaml, write_yaml

TERMS = ("contrastive", "spread_out", "matching")
SIDES = ("query", "positive", "negative")
HARD_NEGATIVES = ("own", "batch")
DISTANCES = ("l2", "squared_l2", "cosine")
PRECISIONS = ("auto", "float32", "bfloat16")
WEIGHT_FORMATS = ("int8_block", "int4_block", "mixed_channel", "ternary")
DEFAULT_STEPS = 1000


class RecipeFile:
    """What recipes have in common: a YAML file, and which fields decide the result."""

    def to_dict(self):
        """The fields as plain lists, dicts, numbers and strings: what YAML and JSON hold."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}

    def to_yaml(self, path):
        """Write the recipe to `path`; `from_yaml` reads back an equal one."""
        write_yaml(Path(path), self.to_dict())

    @classmethod
    def from_yaml(cls, path):
        """The recipe in the YAML file `path`; fields left out keep their defaults.

        Numbers may be written 1e-3. Raises ValueError naming the file for anything a recipe cannot be.
        """
        given = read_yaml(Path(path))
        try:
            return cls(**given)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def differences(self, other):
        """Fields that differ from `other` and change the result, as {name: (mine, theirs)}."""
        free = ("save_every", "keep_checkpoints")
        mine, theirs = self.to_dict(), other.to_dict()
        return {k: (mine[k], theirs[k]) for k in mine if k not in free and mine[k] != theirs[k]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(RecipeFile):
    """Every number that decides what training does; unknown names and impossible values are refused.

    The paper prints neither its temperature, its loss weights, its batch sizes, its learning rate nor its
    schedule. The defaults here are this laboratory's, chosen for small models trained from scratch.

    steps, minutes: the budget, one of the two; without either, 1,000 steps. With `steps`, a run repeats bit
        for bit on the same machine. With `minutes`, the learning rate follows the clock: how many steps fit,
        and so the weights, differ from one execution to the next (resuming continues the clock).
    stop_after: steps after which the run ends, its rate not yet at 0: for the first of two stages of which the
        second goes on from there, and whose fall it is. None: at the end of the budget.
    batch_size: rows a step (pairs or triplets, over all processes); each sees the others' positives as
        negatives. At least 2: one row alone has nothing to be compared with.
    learning_rate: AdamW's highest rate. 3e-4 suits small presets (in short runs of the nano 1e-3 learnt less);
        continue a trained model more gently: 2e-5 for `google/embeddinggemma-300m`.
    table_rate: what the token table's rate is multiplied with, from 0 (it stays as it is) to 1. A rare token is seen in
        one step of hundreds, and AdamW then moves it as far as any other: a table that begins well (a warm start, a
        trained model) wants less, 0.1 to 0.3.
    warmup: how long the rate climbs from 0, as a share of the budget (a float below 1) or in steps (an
        integer). Afterwards it falls along half a cosine to 0.
    weight_decay: AdamW's, on matrices only: norms' scales are not shrunk.
    max_grad_norm: the gradient's length is cut to this before each step.
    temperature, hardness: of the contrastive loss; smaller temperatures look at the nearest negatives only;
        the paper's alpha = 5 is `hardness`.
    hard_negatives: "own": a row's hard negative counts in that row alone, the paper's form; "batch": in all rows.
    dims: prefix widths the contrastive and spread-out losses are summed over; None: the model's own widths.
    dim_weights: one weight a prefix width; None: all 1, as in the paper.
    distance: of embedding matching: "l2" (a row's Euclidean distance), "squared_l2" or "cosine".
    match: the sides whose vectors are matched to the teacher's: the paper matches all three.
    weights: of the three terms in the total; those left out stay 1. Without a teacher `matching` must be 0.
    own_terms: weights of loss terms of your own, by the names under which `egemma_lab.losses.register_term` has them;
        the run knows them again by their source.
    words: weight of matching the teacher word by word beside text by text (`egemma_lab.losses.word_matching_loss`): a
        text of twenty words then teaches twenty things. For single texts alone, and a teacher and a student
        that pool by the mean; 0: off.
    seed: order of the data, fresh weights, dropout, probe texts: all randomness of a run.
    save_every: steps between checkpoints; keep_checkpoints: how many of the newest stay on disk. These two
        change nothing in the result and may differ when a run is resumed.
    snapshot_every: steps between snapshots of the probe texts' vectors; None: 20 over the run; 0: none.
    evaluate_every: steps between evaluations while training; None: none.
    max_tokens: a text's tokens in training, prompt, BOS and EOS included; the rest is cut. Short, since a
        sentence and a function's head carry most of the meaning and cost grows with length.
    token_budget: tokens of one micro-batch, padding included: what a batch costs in memory when
        `gradient_cache` is on, and how tightly texts of similar length are packed.
    gradient_cache: whether the memory stays that of one micro-batch however large the batch is (GradCache,
        arXiv:2101.06983), for a second forward pass.
    gradient_checkpointing: whether activations are computed again in the backward pass instead of kept.
    precision: of the forward pass: "bfloat16" autocast, "float32", or "auto": bfloat16 where the hardware
        multiplies it faster (CUDA from compute capability 8.0, CPUs with AMX, AMD's with AVX512-BF16). Weights,
        losses and the optimiser are float32 always. float16 is refused: EmbeddingGemma's activations overflow it.
    compile: whether PyTorch compiles the model for this machine before the first step (torch.compile): on CPUs
        about 1.4 times the speed for a minute of waiting; it needs a C++ compiler, and moves the result by
        rounding.
    teacher_rotation: "pca" turns a wider teacher's space onto its principal axes before it is cut to the
        student's width; None cuts plainly.
    fake_quantize: a format of `egemma_lab.quantize.fake_quantize`: the model learns while it computes with its
        weights rounded (quantization-aware training). The run's model is then a copy of the one given, and `final`
        holds the rounded weights; the unrounded ones stand in the checkpoints. None: no rounding.
    lora: the rank of adapters (LoRA, arXiv:2106.09685), such as 16: the text model's matrices stay and thin ones are
        learnt beside them, so that a large model's training fits where 16 bytes a weight would not. Or a mapping in
        peft's words: r, lora_alpha (default 2 r), lora_dropout (0), target_modules (all seven kinds of matrices of a
        layer). The run's model is a copy of the one given, adapters added in, and so is `final`; checkpoints hold the
        adapters. Wants a higher learning rate than full training, about 2e-4 for
        `google/embeddinggemma-300m`, and the package peft. None: all weights learn.
    warm_start: whether a preset's fresh weights begin as what the teacher says of each of the tokenizer's
        pieces (`egemma_lab.model.warm_start`) instead of at random.

    Raises ValueError naming the field, what was given, what is allowed.

    >>> Recipe(steps=200, temperature=0.02).temperature
    0.02
    >>> Recipe(steps=200, temprature=0.02)
    Traceback (most recent call last):
    ValueError: a recipe has no field 'temprature'; did you mean 'temperature'?
    """

    steps: int | None = None
    minutes: float | None = None
    stop_after: int | None = None
    batch_size: int = 64
    learning_rate: float = 3e-4
    table_rate: float = 1.0
    warmup: float | int = 0.05
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    temperature: float = 0.05
    hardness: float = 5.0
    hard_negatives: str = "own"
    dims: tuple[int, ...] | None = None
    dim_weights: tuple[float, ...] | None = None
    distance: str = "l2"
    match: tuple[str, ...] = SIDES
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    own_terms: dict[str, float] = dataclasses.field(default_factory=dict)
    words: float = 0.0
    seed: int = 0
    save_every: int = 200
    keep_checkpoints: int = 2
    snapshot_every: int | None = None
    evaluate_every: int | None = None
    max_tokens: int = 128
    token_budget: int = 2048
    gradient_cache: bool = False
    gradient_checkpointing: bool = False
    precision: str = "auto"
    compile: bool = False
    teacher_rotation: str | None = None
    fake_quantize: str | None = None
    lora: int | dict | None = None
    warm_start: bool = False

    def __post_init__(self):
        if self.steps is not None and self.minutes is not None:
            raise ValueError(
                f"steps={self.steps!r} and minutes={self.minutes!r} are both given; a run has one budget, "
                "leave one of them out"
            )
        clean = {name: check(name, getattr(self, name)) for name, check in _CHECKS.items()}
        if clean["steps"] is None and clean["minutes"] is None:
            clean["steps"] = DEFAULT_STEPS
        if clean["stop_after"] is not None and not clean["stop_after"] <= (clean["steps"] or 0):
            raise ValueError(
                f"stop_after={clean['stop_after']} needs a budget in steps, at least as many: steps={clean['steps']}"
            )
        if clean["dim_weights"] is not None and clean["dims"] is not None:
            checks.same_length(clean, "dim_weights", "dims")
        if not any([*clean["weights"].values(), *clean["own_terms"].values()]):
            raise ValueError(
                f"weights={clean['weights']!r} is not above 0 for at least one term: nothing would be learnt"
            )
        if clean["words"] and clean["own_terms"]:
            raise ValueError(
                f"words={self.words:g} and own_terms={self.own_terms!r} are both given; word by word there are no "
                "vectors of a whole batch for a term of your own to look at: leave one of them out"
            )
        if clean["token_budget"] < clean["max_tokens"]:
            raise ValueError(
                f"token_budget={self.token_budget} is less than max_tokens={self.max_tokens}: a single text "
                "would not fit into a micro-batch; raise the one or lower the other"
            )
        if clean["lora"] is not None and clean["fake_quantize"] is not None:
            raise ValueError(
                f"lora and fake_quantize={self.fake_quantize!r} are both given; adapters lie beside weights that do "
                "not change, and those that are rounded learn: leave one of them out"
            )
        for name, value in clean.items():
            object.__setattr__(self, name, value)

    def replace(self, **changes):
        """The same recipe with some fields changed. A new budget replaces the old one.

        >>> Recipe(steps=100).replace(minutes=2).steps is None
        True
        """
        if changes.get("minutes") is not None:
            changes.setdefault("steps", None)
        if changes.get("steps") is not None:
            changes.setdefault("minutes", None)
        return type(self)(**{**vars(self), **changes})


_CHECKS = {
    "steps": checks.optional(checks.whole(at_least=1)),
    "minutes": checks.optional(checks.number(above=0)),
    "stop_after": checks.optional(checks.whole(at_least=1)),
    "batch_size": checks.whole(at_least=2),
    "learning_rate": checks.number(above=0, at_most=1),
    "table_rate": checks.number(at_least=0, at_most=1),
    "warmup": checks.share_or_steps,
    "weight_decay": checks.number(at_least=0),
    "max_grad_norm": checks.number(above=0),
    "temperature": checks.number(above=0),
    "hardness": checks.number(at_least=0),
    "hard_negatives": checks.one_of(*HARD_NEGATIVES),
    "dims": checks.optional(checks.widths),
    "dim_weights": checks.optional(checks.numbers(at_least=0)),
    "distance": checks.one_of(*DISTANCES),
    "match": checks.some_of(*SIDES),
    "weights": checks.term_weights(*TERMS),
    "own_terms": checks.own_weights,
    "words": checks.number(at_least=0),
    "seed": checks.whole(at_least=0, at_most=2**63 - 1),
    "save_every": checks.whole(at_least=1),
    "keep_checkpoints": checks.whole(at_least=1),
    "snapshot_every": checks.optional(checks.whole(at_least=0)),
    "evaluate_every": checks.optional(checks.whole(at_least=1)),
    "max_tokens": checks.whole(at_least=8),
    "token_budget": checks.whole(at_least=8),
    "gradient_cache": checks.true_or_false,
    "gradient_checkpointing": checks.true_or_false,
    "precision": checks.precision(*PRECISIONS),
    "compile": checks.true_or_false,
    "teacher_rotation": checks.optional(checks.one_of("pca")),
    "fake_quantize": checks.optional(checks.one_of(*WEIGHT_FORMATS)),
    "lora": checks.optional(lora_settings),
    "warm_start": checks.true_or_false,
}


def refuse_unknown(cls):
    """Make a dataclass name the nearest field when it is given one it does not have."""
    plain = cls.__init__
    fields = [field.name for field in dataclasses.fields(cls)]

    @functools.wraps(plain)
    def init(self, **given):
        for name in given:
            if name not in fields:
                raise ValueError(f"a recipe has no field {name!r}; {checks.did_you_mean(name, fields)}")
        plain(self, **given)

    cls.__init__ = init


refuse_unknown(Recipe)
