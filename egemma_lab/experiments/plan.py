"""What an experiment is: one question, one factor, its arms, and everything that all arms share."""

import copy
import dataclasses
import hashlib
import json
from pathlib import Path

from egemma_lab.train.checks import did_you_mean
from egemma_lab.train.staged_recipe import StagedRecipe
from egemma_lab.train.yaml_file import read_yaml

MEASURE = {"widths": ["full"], "precisions": ["float32"], "prompts": ["right"], "max_tokens": 128}
ALLOWED = {
    "widths": ("full", "half", "quarter", "eighth"),
    "precisions": ("float32", "int8", "binary"),
    "prompts": ("right", "none", "wrong"),
}
_PUBLISHED = ("of", "over", "difference", "what", "source", "at", "from")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """One factor of the recipe, varied, with all else equal.

    name, question, factor: in words. `factor` says what differs between arms.
    shared: sections of a `StagedRecipe` as plain values, but for `stages`, a mapping stage name -> stage.
    scales: scale name -> what it changes in the shared sections (steps, preset, limits). "micro" tries the
        experiment in seconds, "small" is sized for a laptop, "full" for a GPU.
    arms: arm name -> what it changes, and perhaps which `model` of the run is measured. Nothing else differs: not
        the texts, nor their order, nor the seed.
    baseline: the arm that the others are compared with.
    measure: how the models are looked at: `widths` ("full", "half", "quarter", "eighth"), `precisions` of the
        vectors ("float32", "int8", "binary"), `prompts` in use ("right", "none", "wrong"), and `max_tokens` of a text.
    published: what others measured: a list of {of, over: arms, difference, what, source}; `difference` is a number, or
        "+" or "-" where only a sign is known. Perhaps `at`, the view that it is about (default: the plain one), and
        `from`, the view of the arm under `over` where it is another.
    notes: what a reader of the results should know, for their page.

    Raises ValueError for arms, scales and sections that cannot be, when the file is read.
    """

    name: str
    question: str
    factor: str
    shared: dict
    scales: dict
    arms: dict
    baseline: str
    measure: dict = dataclasses.field(default_factory=dict)
    published: list = dataclasses.field(default_factory=list)
    notes: str = ""

    def __post_init__(self):
        object.__setattr__(self, "measure", {**MEASURE, **_known("measure", self.measure, MEASURE)})
        for name, allowed in ALLOWED.items():
            for value in self.measure[name]:
                if value not in allowed:
                    raise ValueError(f"measure: {name}: {value!r} is not one of {', '.join(allowed)}")
        if self.baseline not in self.arms:
            raise ValueError(f"baseline={self.baseline!r} is none of the arms {', '.join(self.arms)}")
        for entry in self.published:
            _known("published", entry, _PUBLISHED)
            for side in ("of", "over"):
                if entry[side] not in self.arms:
                    raise ValueError(
                        f"published: {side}={entry[side]!r} is none of the arms {', '.join(self.arms)}"
                    )
        for scale in self.scales:
            for arm in self.arms:
                self.recipe(arm, 0, scale)

    @classmethod
    def from_yaml(cls, path):
        """The experiment in a YAML file; `base: ../base.yaml` names a file whose sections it begins with."""
        path = Path(path)
        given = read_yaml(path)
        if "base" in given:
            given = merged(read_yaml(path.parent / given.pop("base")), given)
        names = [field.name for field in dataclasses.fields(cls)]
        own = {name: given.pop(name) for name in names if name in given and name != "shared"}
        try:
            return cls(shared=given, **own)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from error

    def recipe(self, arm, seed, scale):
        """(the `StagedRecipe` of one arm and seed at one scale, the folder of the model to be measured or None).

        An arm's `batch_times` makes its batches so many times as large and its steps so many times fewer: the
        same number of rows. Its `model` names one of the models that the stages leave behind
        ("1-mixtures/trial-00/final"): arms that differ in nothing else are measured on one run.
        """
        for name, given, known in (("arm", arm, self.arms), ("scale", scale, self.scales)):
            if given not in known:
                raise ValueError(f"{self.name} has no {name} {given!r}; {did_you_mean(given, list(known))}")
        sections = merged(merged(self.shared, self.scales[scale] or {}), self.arms[arm] or {})
        stages = [
            {"name": name, **stage} for name, stage in sections.pop("stages").items() if stage is not None
        ]
        place = sections.pop("model", None)
        _scale_batches(stages, sections.pop("batch_times", 1))
        try:
            return StagedRecipe(**{**sections, "name": self.name, "seed": seed, "stages": stages}), place
        except (ValueError, TypeError) as error:
            raise ValueError(f"arm {arm!r}, scale {scale!r}: {error}") from error


def merged(base, changes):
    """`base` with `changes`: mappings are merged key by key, everything else is replaced.

    >>> merged({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}, "d": 4})
    {'a': {'b': 1, 'c': [3]}, 'd': 4}
    """
    result = copy.deepcopy(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def _scale_batches(stages, times):
    """Change batch size and steps of every stage that trains, in place; the number of rows stays."""
    for stage in stages if times != 1 else ():
        recipe = stage.get("recipe", {})
        if "batch_size" in recipe and "steps" in recipe:
            rows = recipe["batch_size"] * recipe["steps"]
            recipe["batch_size"] = max(2, round(recipe["batch_size"] * times))
            recipe["steps"] = max(1, round(rows / recipe["batch_size"]))


def fingerprint(value):
    """Sixteen hexadecimal digits that stand for a plain value; equal values have equal ones."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _known(where, given, allowed):
    for name in given:
        if name not in allowed:
            raise ValueError(f"{where}: no field {name!r}; {did_you_mean(name, list(allowed))}")
    return given
