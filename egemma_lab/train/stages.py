"""One command from raw text to a model: the stages of a recipe file, one after the other, each resumable."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np

from egemma_lab.model import PRESETS, load_model
from egemma_lab.quantize.packing import save_packed
from egemma_lab.train.development import Development, mean_of_parts
from egemma_lab.train.folder import RunFolder
from egemma_lab.train.loop import train
from egemma_lab.train.mixture_search import search_mixtures
from egemma_lab.train.recipe import Recipe
from egemma_lab.train.run import load_run
from egemma_lab.train.soup_scores import soup_gain
from egemma_lab.train.souping import greedy_soup, soup
from egemma_lab.train.stage_data import StageData
from egemma_lab.train.stage_start import make_start, open_stage_teacher
from egemma_lab.train.staged_recipe import StagedRecipe, run_settings
from egemma_lab.train.storage import new_folder, write_json
from egemma_lab.train.teacher_choice import fit_teacher


def run_stages(
    recipe, output, *, data_dir=None, scale=1.0, seed=None, probe=None, until=None, show_progress_bar=None
):
    """Make a model from raw text: tokenizer, start, and every stage of a recipe file. Returns the model.

    recipe: a `StagedRecipe` or the path of its YAML file (`experiments/nano/recipe.yaml` makes the bundled nano).
    output: a folder. `0-start` gets the tokenizer and the model before the first stage, `1-<name>`, `2-<name>`
        and so on the stages: a run's folder each (`load_run` opens it), a search's, or a soup's; `final` the
        model. A "quantize" stage leaves in its run's folder, packed, the model it trained (`packed`) and the one it
        began with, merely rounded (`rounded`).
    data_dir: the folder of the files named under `data`; None: the Hub's sets are taken where they are named.
    scale: what every stage's steps are multiplied with: 0.01 tries the recipe in minutes, 20 trains for longer.
    seed: another than the recipe's, for all stages but those whose own section names one: with several outputs, how
        much of a figure is chance. What is held out of the data stays the same.
    probe: texts for the snapshots of every run, as in `train`; None: the 500 bundled ones.
    until: the name of the last stage to run; None: all.

    Killed at any moment, the same call goes on: finished stages are passed over, the one that was running is
    resumed from its last checkpoint.

    Raises ValueError for a recipe that cannot be, before anything is trained.
    """
    from egemma_lab.train.shipping import bundled_probe

    recipe = recipe if isinstance(recipe, StagedRecipe) else StagedRecipe.from_yaml(recipe)
    names = [stage["name"] for stage in recipe.stages]
    if until is not None and until not in names:
        raise ValueError(f"until={until!r} is not one of the stages {', '.join(names)}")
    if seed is not None:
        recipe = dataclasses.replace(recipe, seed=seed)
    making = _Making(
        recipe.scaled(scale),
        Path(output),
        data_dir,
        bundled_probe() if probe is None else probe,
        show_progress_bar,
    )
    folder = making.start(making.output / "0-start")
    for number, stage in enumerate(making.recipe.stages, 1):
        folder = making.stage(stage, folder, making.output / f"{number}-{stage['name']}")
        if stage["name"] == until:
            break
    return making.finish(folder)


def prepare_start(recipe, folder, *, data_dir=None, show_progress_bar=None):
    """What `run_stages` makes before the first stage, in `folder`: it may lie ready as `0-start` of several outputs."""
    _Making(recipe, folder, data_dir, (), show_progress_bar).start(Path(folder))


class _Making:
    """One execution of `run_stages`: what all stages share."""

    def __init__(self, recipe, output, data_dir, probe, show_progress_bar):
        self.recipe, self.output, self.probe, self.bar = recipe, output, probe, show_progress_bar
        self.output.mkdir(parents=True, exist_ok=True)
        self.data = StageData(recipe.data, data_dir)  # what is held out is the same for every seed
        self.whole_teacher, self.rotation = None, None
        self.searches = {}  # name of a stage -> its folder and what it found
        self.folders = {}  # name of a stage -> its folder

    def start(self, folder):
        """The teacher's rotation, and a model folder to begin with."""
        self.whole_teacher, self.rotation = open_stage_teacher(self.recipe, self.data, folder)
        make_start(self.recipe, self.data, self.whole_teacher, self.rotation, folder, self.bar)
        return folder / "model"

    @property
    def teacher(self):
        """The teacher as every stage's student sees it; None where the recipe names none."""
        if self.whole_teacher is None:
            return None
        width = PRESETS[self.recipe.preset]["output_width"]
        return fit_teacher(self.whole_teacher, width, self.rotation)

    def stage(self, stage, model, folder):
        """Run one stage on the model in a folder; returns the folder of the model it leaves behind."""
        kind = stage.get("kind", "train")
        run = {"train": self.train, "search": self.search, "soup": self.soup, "quantize": self.quantize}[kind]
        self.folders[stage["name"]] = folder
        return run(stage, model, folder)

    def train(self, stage, model, folder, sources=None):
        sources = self.sources(stage) if sources is None else sources
        recipe = Recipe(**{"seed": self.recipe.seed, **run_settings(stage)})
        # whether anything looks at the teacher's vectors
        asked = recipe.weights["matching"] > 0 or recipe.own_terms
        train(
            load_model(model),  # by itself, not by its folder's name: the whole output may be moved
            sources,
            teacher=self.teacher if asked else None,
            recipe=recipe,
            output=folder,
            probe=self.probe,
            show_progress_bar=self.bar,
        )
        return RunFolder(folder).final

    def sources(self, stage):
        return self.data.sources(stage["sources"], self.teacher)

    def search(self, stage, model, folder):
        """Several mixtures of the same sources, from the same model, judged on the development score."""
        folder.mkdir(exist_ok=True)
        sources = self.sources(stage)
        development = self.development()

        def train_one(weights, trial):
            mixed = [dataclasses.replace(source, weight=weights[source.name]) for source in sources]
            self.train(stage, model, trial, mixed)
            parts = development.parts(load_run(trial).model)
            write_json(folder / f"{trial.name}.json", _numbered(parts))
            return {
                "score": mean_of_parts(parts),
                **{f"{name} score": float(np.mean(x)) for name, x in parts.items()},
            }

        settings = {name: stage[name] for name in ("initial", "concentration", "floor") if name in stage}
        found = search_mixtures(
            train_one,
            [source.name for source in sources],
            trials=stage.get("trials", 6),
            output=folder,
            seed=self.recipe.seed,
            show_progress_bar=self.bar,
            **settings,
        )
        self.searches[stage["name"]] = folder, found
        return RunFolder(folder / found.best()[0]["folder"]).final

    def soup(self, stage, model, folder):
        """The average of a search's best trials or of earlier stages, and by how much it is better than they are."""
        final = folder / "model"
        if (folder / "soup.json").exists():
            return final
        folder.mkdir(exist_ok=True)
        ingredients = self.ingredients(stage)
        development = self.development()
        report = None
        if stage.get("method", "greedy") == "greedy":
            mixed, report = greedy_soup(list(ingredients.values()), development.score)
        else:
            mixed = soup(list(ingredients.values()))
        with new_folder(final) as unfinished:
            mixed.save_pretrained(unfinished)
        parts = development.parts(mixed)
        scores = [_parts_of(run, development) for run in ingredients.values()]
        write_json(
            folder / "soup.json",
            {
                "ingredients": list(ingredients),
                "gain": soup_gain(scores, _numbered(parts)),
                "parts": {name: float(np.mean(values)) for name, values in parts.items()},
                "report": None if report is None else report.to_dict("records"),
            },
        )
        return final

    def ingredients(self, stage):
        """Name -> folder: of the best trials of the search that `of` names, or of the stages that it lists."""
        if isinstance(stage["of"], list):
            soups = {earlier["name"] for earlier in self.recipe.stages if earlier.get("kind") == "soup"}
            folders = {name: self.folders[name] for name in stage["of"]}
            return {name: folder / "model" if name in soups else folder for name, folder in folders.items()}
        searched, found = self.searches[stage["of"]]
        return {trial["folder"]: searched / trial["folder"] for trial in found.best(stage.get("best", 3))}

    def quantize(self, stage, model, folder):
        """The model trained on under fake quantization, and for comparison merely rounded: `packed` and `rounded`.

        Both lie in the run's folder. What follows goes on from the model as it was: rounding is the last thing to do.
        """
        final = self.train(stage, model, folder)
        for name, source in (("packed", final), ("rounded", model)):
            if not (folder / name).exists():
                save_packed(load_model(source), folder / name, stage["format"])
        return model

    def development(self):
        return Development.of(self.recipe.development, self.data, self.teacher)

    def finish(self, folder):
        """Copy the last stage's model to `final` and open it."""
        final = self.output / "final"
        with new_folder(final) as unfinished:
            shutil.copytree(folder, unfinished, dirs_exist_ok=True)
        model = load_model(final)
        model.name = self.recipe.name
        return model


def _parts_of(folder, development):
    """A run's or a model's parts of the development score: as the search wrote them beside a run, or computed."""
    written = folder.parent / f"{folder.name}.json"
    if written.exists():
        return json.loads(written.read_text(encoding="utf-8"))
    return _numbered(development.parts(load_model(folder)))


def _numbered(parts):
    return {name: {str(i): float(v) for i, v in enumerate(values)} for name, values in parts.items()}
