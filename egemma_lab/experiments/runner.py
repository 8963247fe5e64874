"""Running an experiment: arm by arm and seed by seed, what is finished is kept, what was killed goes on."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

from tqdm.auto import tqdm

from egemma_lab.experiments.measuring import held_out_sets, measure
from egemma_lab.experiments.plan import Experiment, fingerprint
from egemma_lab.experiments.shipped import find_experiment
from egemma_lab.losses.own_terms import term_fingerprints
from egemma_lab.model import load_model
from egemma_lab.train.stage_data import StageData
from egemma_lab.train.stages import prepare_start, run_stages
from egemma_lab.train.storage import new_folder, write_json

PROBE = ["a text", "another text"]  # runs of an experiment keep no film
HISTORY = ("history.jsonl", "run.json", "recipe.yaml", "trials.jsonl")  # what stays of a run


def run_experiment(
    experiment,
    *,
    scale="small",
    seeds=3,
    arms=None,
    data_dir=None,
    output="runs/experiments",
    keep_runs=False,
    show_progress_bar=None,
):
    """Train and measure every arm with every seed; returns the results, and writes them after each run.

    experiment: an `Experiment`, the path of its config.yaml, or the name of a shipped one.
    scale: "micro", "small" or "full", or what else the experiment names.
    seeds: how many; they are 0, 1, 2 and so on. Or a list of which: several calls side by side, each with a seed
        and a thread of its own, are done sooner than one with all (docs/scaling.md), and a call with all of them
        then puts the results together. Of one seed all arms begin with the same weights and see the same texts in the
        same order.
    arms: names of those to run (None: all).
    data_dir: the folder of the files named under `data`; None: the Hub's sets are taken where they are named.
    output: `output/<scale>/<name>.json` gets the results. Runs that several experiments have in common are made
        once. Called again, what is finished is not done again: a killed call goes on.
    keep_runs: whether whole runs stay on disk once they are measured (a nano's takes 130 MB with its checkpoints);
        else only the measured models (32 MB), for another experiment that looks at the same ones in other ways.

    The results are plain values, see `egemma_lab.experiments.results`.

    Raises ValueError for seeds that are none, and for arms that the experiment does not have.
    """
    seeds = _which(seeds)
    experiment = experiment if isinstance(experiment, Experiment) else find_experiment(experiment)
    folder = Path(output) / scale
    folder.mkdir(parents=True, exist_ok=True)
    arms = list(experiment.arms) if arms is None else list(arms)
    results = _head(experiment, scale, seeds)
    bar = tqdm(
        total=len(arms) * len(seeds), desc=experiment.name, unit="run", disable=show_progress_bar is False
    )
    with bar:
        for seed in seeds:
            measured = {}  # run -> its models that were measured
            for arm in arms:
                bar.set_postfix_str(f"{arm}, seed {seed}")
                found, run, model = _run_arm(
                    experiment, arm, seed, scale, data_dir, folder, show_progress_bar
                )
                measured.setdefault(run, set()).add(model)
                results["made"] = found.pop("made")
                results["sets"] = {
                    name: len(signs) for name, signs in next(iter(found["ranks"].values())).items()
                }
                entry = results["arms"].setdefault(arm, {"changes": experiment.arms[arm] or {}, "runs": {}})
                entry["runs"][str(seed)] = found
                write_json(folder / f"{experiment.name}.json", results)
                bar.update()
            for run, models in measured.items() if not keep_runs else ():
                _forget_run(run, models)
    return results


def _which(seeds):
    """The seeds as a list."""
    found = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if (
        not found
        or any(not isinstance(seed, int) or seed < 0 for seed in found)
        or len(set(found)) < len(found)
    ):
        raise ValueError(
            f"seeds={seeds!r}: give how many, 1 or more, or a list of different whole numbers from 0"
        )
    return found


def _head(experiment, scale, seeds):
    return {
        "experiment": experiment.name,
        "question": experiment.question,
        "factor": experiment.factor,
        "scale": scale,
        "seeds": seeds,
        "baseline": experiment.baseline,
        "published": experiment.published,
        "notes": experiment.notes,
        "arms": {},
    }


def _run_arm(experiment, arm, seed, scale, data_dir, folder, show_progress_bar):
    """(what is kept of one run: minutes, last loss, ranks, machine; the run's folder; the measured model's)."""
    recipe, place = experiment.recipe(arm, seed, scale)
    plain = {**dataclasses.asdict(recipe), "name": "", "what": ""}
    data = StageData(recipe.data, data_dir)
    plain["origins"] = {name: data.origin(name) for name in recipe.data}
    own_terms = {name for stage in recipe.stages for name in stage.get("recipe", {}).get("own_terms", {})}
    if own_terms:
        plain["own_terms"] = term_fingerprints(own_terms)
    run = folder / "runs" / fingerprint(plain)
    model = run / (place or "final")
    kept = run / f"{fingerprint([place, experiment.measure, recipe.development])}.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8")), run, model
    run.mkdir(parents=True, exist_ok=True)
    if not model.exists():
        for folder_of_stage in run.glob("*/") if any(run.glob("*.json")) else ():
            shutil.rmtree(
                folder_of_stage
            )  # measured, and forgotten but for other models: it has to be made again
        _share_start(recipe, plain, run, folder / "starts", data_dir)
        run_stages(recipe, run, data_dir=data_dir, probe=PROBE, show_progress_bar=show_progress_bar)
    sets = held_out_sets(data, recipe.development["sets"], recipe.development["queries"])
    histories = sorted(run.glob("*/**/history.jsonl"))
    last = [json.loads(path.read_text(encoding="utf-8").splitlines()[-1]) for path in histories]
    made = json.loads((histories[-1].parent / "run.json").read_text(encoding="utf-8"))
    found = {
        "minutes": round(sum(row["seconds"] for row in last) / 60, 3),
        "steps": sum(row["step"] for row in last),
        "loss": last[-1]["loss"],
        "ranks": measure(load_model(model), sets, experiment.measure),
        "made": {name: made[name] for name in ("versions", "machine")},
    }
    write_json(kept, found)
    return found, run, model


def _share_start(recipe, plain, run, starts, data_dir):
    """`run/0-start` as links to a start that other runs have as well: the same tokenizer, rotation and weights."""
    if (run / "0-start").exists():
        return
    names = ("data", "texts", "tokenizer", "teacher", "start", "preset", "pooling", "seed", "origins")
    start = starts / fingerprint({name: plain[name] for name in names})
    if not start.exists():
        with new_folder(start) as unfinished:
            prepare_start(recipe, unfinished, data_dir=data_dir)
    with new_folder(run / "0-start") as unfinished:
        shutil.copytree(start, unfinished, copy_function=os.link, dirs_exist_ok=True)


def _forget_run(run, models):
    """Delete what a measured run left but its measures, the histories of its losses, and the measured models."""
    for path in sorted(run.rglob("*"), reverse=True):
        if any(path.is_relative_to(model) for model in models):
            continue
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.parent != run and path.name not in HISTORY:
            path.unlink()
