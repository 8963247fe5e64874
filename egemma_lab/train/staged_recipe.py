"""The file that makes a model from raw text: data, tokenizer, teacher, start, and the stages in their order."""

import dataclasses
import re
from pathlib import Path

from egemma_lab.model import PRESETS, preset_config
from egemma_lab.model.pooling import POOLINGS
from egemma_lab.train.checks import did_you_mean, whole
from egemma_lab.train.language_recipe import LanguageRecipe
from egemma_lab.train.recipe import WEIGHT_FORMATS, Recipe
from egemma_lab.train.stage_data import refuse_unknown
from egemma_lab.train.table_fit import check_fit, shorter_fit
from egemma_lab.train.yaml_file import read_yaml

STARTS = ("warm_start", "encoder_decoder", "decoder", "random", "model", "new_tokenizer")
GO_ON = ("model", "new_tokenizer")  # the starts that go on from the model named beside them
# kind of a stage -> what its section may hold besides "name" and "kind"; stages.py has a function for each
KINDS = {
    "train": ("what", "sources", "recipe"),
    "search": ("what", "sources", "recipe", "trials", "initial", "concentration", "floor"),
    "soup": ("what", "of", "best", "method"),
    "quantize": ("what", "format", "sources", "recipe"),
}
METHODS = ("uniform", "greedy")
_TEACHER = {"name": None, "dtype": "float32", "max_seq_length": None, "rotation": None}
_TOKENIZER = {"of": None, "vocab_size": 8192, "texts": 60_000, "words": 0}
_START = {"kind": "warm_start", "model": None, "table": {}, "decoder": {}, "denoising": {}}
_DEVELOPMENT = {"sets": [], "texts": [], "tasks": [], "queries": 300}
_NAME = re.compile(r"[\w.-]+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StagedRecipe:
    """Everything that decides how a model is made from raw text, as a YAML file says it.

    name, what, seed, preset, pooling: of the model; the seed is every stage's, unless its own recipe names one.
    shape: what of the text model differs from the preset's, such as `intermediate_size`.
    data: name -> where a set comes from (`egemma_lab.train.stage_data.StageData`).
    texts: views of the sets (`StageData.source`); the tokenizer, the teacher's rotation and stage 0 see them.
    tokenizer: `vocab_size`, and how many `texts` of the views it is trained on; `words`: the teacher's words are
        counted in, this many times as many as there are in the texts (default 0), so that words of general English
        get a token where the texts are of a few subjects; or `of`, a model whose tokenizer is taken as it is, or
        "teacher": the teacher's pieces, at most `vocab_size` of those that the texts can need
        (`egemma_lab.model.teacher_tokenizer`).
    teacher: `name`, `dtype` and `max_seq_length` as in `load_teacher`; `rotation`: "pca" or None.
    start: `kind`, one of "warm_start" (the token table is what the teacher says of each piece; with anything in the
        section `table` it is then fitted to so many `texts` of the views, and to the `pairs` named there, views as in
        a stage's `sources`: `egemma_lab.train.fit_token_table`),
        "encoder_decoder" and "decoder" (stage 0: a decoder trained on next tokens, its section `decoder` a
        `LanguageRecipe`, and its adaptation by masked spans, `denoising` another), "random", or "model": the one that
        `model` names (a folder, a bundled or a Hub's name) goes on with its own tokenizer; turned towards the teacher
        where that is rotated, else as it is; or "new_tokenizer": the same with a tokenizer trained here
        (`egemma_lab.model.change_tokenizer`).
    development: what the development score is made of: `sets` whose held-out pairs are searched, `texts` whose
        held-out texts are compared with the teacher, `tasks` of the suite; `queries` of each.
    stages: a list. Each has a `name`, a `kind` and perhaps `what` (a sentence for the model card):
        "train": `sources` (views) and a `recipe`;
        "search": the same for several mixtures of the sources: `trials` in all, of which `initial` are drawn
            from a Dirichlet after the uniform one (`MixtureSearch`); it goes on with the best;
        "soup": the average of the `best` trials of the search named in `of`, or of the stages of kind "train" or "soup"
            that `of` lists; `method` "greedy" or "uniform";
        "quantize": `sources` and a `recipe` for training on under fake quantization in a `format`
            (`Recipe(fake_quantize=...)`); the stages after it go on from the model before it.

    Unknown names, impossible values and stages that refer to none are refused when the file is read.
    """

    name: str
    stages: list
    data: dict
    texts: list
    what: str = ""
    preset: str = "nano"
    shape: dict = dataclasses.field(default_factory=dict)
    pooling: str = "mean"
    seed: int = 0
    teacher: dict = dataclasses.field(default_factory=dict)
    tokenizer: dict = dataclasses.field(default_factory=dict)
    start: dict = dataclasses.field(default_factory=dict)
    development: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for section, defaults in (
            ("teacher", _TEACHER),
            ("tokenizer", _TOKENIZER),
            ("start", _START),
            ("development", _DEVELOPMENT),
        ):
            refuse_unknown(section, getattr(self, section), defaults)
            object.__setattr__(self, section, {**defaults, **getattr(self, section)})
        for name, allowed in (("preset", PRESETS), ("pooling", POOLINGS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} is not one of {', '.join(allowed)}")
        sizes = [
            name for name in PRESETS[self.preset]["text"] if name != "vocab_size"
        ]  # that is the tokenizer's
        refuse_unknown("shape", self.shape, sizes)
        for name, size in self.shape.items():
            whole(at_least=1)(f"shape: {name}", size)
        preset_config(self.preset, **self.shape)
        if self.start["kind"] not in STARTS:
            raise ValueError(f"start: kind={self.start['kind']!r} is not one of {', '.join(STARTS)}")
        if (self.start["kind"] in GO_ON) != (self.start["model"] is not None):
            raise ValueError(
                f"start: kind={self.start['kind']!r} with model={self.start['model']!r}: the kinds "
                f"{' and '.join(map(repr, GO_ON))}, and no other, go on from the model named there"
            )
        words = self.tokenizer["words"]
        if not isinstance(words, int | float) or words < 0:
            raise ValueError(f"tokenizer: words={words!r} must be a number from 0 upwards")
        if self.start["table"]:
            if self.start["kind"] != "warm_start":
                raise ValueError(
                    f"start: table is for kind: warm_start; with kind={self.start['kind']!r} leave it out, the token "
                    "table stays as it is"
                )
            check_fit(self.start["table"])
        asked = words or self.tokenizer["of"] == "teacher" or self.start["kind"] == "new_tokenizer"
        if asked and self.teacher["name"] is None:
            raise ValueError(
                "tokenizer: words, tokenizer: of: teacher and start: kind: new_tokenizer ask a teacher for its words, "
                "its pieces and its vectors: name one in the section teacher"
            )
        for part in ("decoder", "denoising"):
            LanguageRecipe(**self.start[part])
        Recipe(seed=self.seed)
        if not self.stages:
            raise ValueError("stages: there is none")
        seen = []
        for stage in self.stages:
            _check_stage(stage, seen)
            seen.append(stage)

    @classmethod
    def from_yaml(cls, path):
        """The recipe in a YAML file. Raises ValueError naming the file and what is wrong in it."""
        given = read_yaml(Path(path))
        fields = {field.name: field for field in dataclasses.fields(cls)}
        try:
            refuse_unknown("the recipe", given, fields)
            missing = [
                name for name in ("name", "data", "texts", "stages") if given.get(name) in (None, [], {}, "")
            ]
            if missing:
                raise ValueError(f"there is no section {', '.join(missing)}")
            return cls(**given)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def scaled(self, share):
        """The same recipe with every stage's steps times `share` (at least 2 steps): below 1 to try it, above 1 to
        train for longer."""
        if not (isinstance(share, int | float) and 0 < share < float("inf")):
            raise ValueError(f"scale={share!r} must be a number above 0")
        if share == 1:
            return self
        stages = [dict(stage) for stage in self.stages]
        for stage in stages:
            if "recipe" in stage:
                stage["recipe"] = _shorter(stage["recipe"], share)
        start = {**self.start}
        for part in ("decoder", "denoising"):
            if start[part]:
                start[part] = _shorter(start[part], share)
        if start["table"]:
            start["table"] = shorter_fit(start["table"], share)
        return dataclasses.replace(self, stages=stages, start=start)


def _shorter(recipe, share):
    changed = {**recipe, "steps": max(2, round(recipe.get("steps", 1000) * share))}
    if recipe.get("stop_after") is not None:
        changed["stop_after"] = min(changed["steps"], max(1, round(recipe["stop_after"] * share)))
    return {name: value for name, value in changed.items() if name not in ("snapshot_every", "save_every")}


def run_settings(stage):
    """What a stage says of its training run: its section `recipe`, and the format where it quantizes."""
    settings = {**stage.get("recipe", {})}
    if "format" in stage:
        settings["fake_quantize"] = stage["format"]
    return settings


def _check_stage(stage, before):
    names = [earlier["name"] for earlier in before]
    where = f"stages: {stage.get('name', len(before) + 1)!r}" if isinstance(stage, dict) else "stages"
    kind = stage.get("kind", "train") if isinstance(stage, dict) else "train"
    if kind not in KINDS:
        raise ValueError(f"{where}: kind={kind!r}; {did_you_mean(kind, list(KINDS))}")
    refuse_unknown(where, stage, ("name", "kind", *KINDS[kind]))
    if not isinstance(stage.get("name"), str) or not _NAME.fullmatch(stage["name"]) or stage["name"] in names:
        raise ValueError(f"{where}: a stage needs a name of its own, of letters, digits, '-' and '_'")
    if kind == "soup":
        searches = [earlier["name"] for earlier in before if earlier.get("kind") == "search"]
        if isinstance(stage.get("of"), list):
            _check_ingredients(where, stage, before)
        elif stage.get("of") not in searches:
            raise ValueError(
                f"{where}: of={stage.get('of')!r} is no search before it ({', '.join(searches) or 'none'})"
            )
        if stage.get("method", "greedy") not in METHODS:
            raise ValueError(f"{where}: method={stage['method']!r} is not one of {', '.join(METHODS)}")
        return
    if not stage.get("sources"):
        raise ValueError(f"{where}: there are no sources")
    if kind == "quantize" and ("format" not in stage or "fake_quantize" in stage.get("recipe", {})):
        raise ValueError(
            f"{where}: a stage of kind 'quantize' needs a format ({', '.join(WEIGHT_FORMATS)}), beside its recipe and "
            "not in it"
        )
    try:
        Recipe(**run_settings(stage))
    except ValueError as error:
        raise ValueError(f"{where}: recipe: {error}") from error


def _check_ingredients(where, stage, before):
    runs = [earlier["name"] for earlier in before if earlier.get("kind", "train") in ("train", "soup")]
    strange = [name for name in stage["of"] if name not in runs]
    if strange or len(set(stage["of"])) < 2 or "best" in stage:
        raise ValueError(
            f"{where}: of={stage['of']!r} must list two or more stages of kind 'train' or 'soup' before it "
            f"({', '.join(runs) or 'there is none'}), and takes no best"
        )
