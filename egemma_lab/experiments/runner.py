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
from egemma_lab.model import load_model
from egemma_lab.train.stage_data import StageData
from egemma_lab.train.stages import prepare_start, run_stages
from egemma_lab.train.storage import new_folder, write_json

PROBE = ["a text", "another text"]  # runs of an experiment keep no film


def run_experiment(
    experiment,
    *,
    scale="small",
    seeds=3,
    arms=None,
    data_dir=None,
    output="runs/experiments",
    keep_models=False,
    show_progress_bar=None,
):
    """Train and measure every arm with every seed; returns the results, and writes them after each run.

    experiment: an `Experiment`, the path of its config.yaml, or the name of a shipped one.
    scale: "micro", "small" or "full", or what else the experiment names.
    seeds: how many; they are 0, 1, 2 and so on. Of one seed all arms begin with the same weights and see the same
        texts in the same order.
    arms: names of those to run (None: all).
    data_dir: the folder of the files named under `data`; None: the Hub's sets are taken where they are named.
    output: `output/<scale>/<name>.json` gets the results. Runs that several experiments have in common are made
        once. Called again, what is finished is not done again: a killed call goes on.
    keep_models: whether runs stay on disk once they are measured (a nano takes 130 MB with its checkpoints).

    The results are plain values, see `egemma_lab.experiments.results`.
    """
    experiment = experiment if isinstance(experiment, Experiment) else find_experiment(experiment)
    folder = Path(output) / scale
    folder.mkdir(parents=True, exist_ok=True)
    arms = list(experiment.arms) if arms is None else list(arms)
    results = _head(experiment, scale, seeds)
    bar = tqdm(total=len(arms) * seeds, desc=experiment.name, unit="run", disable=show_progress_bar is False)
    with bar:
        for seed in range(seeds):
            runs = set()
            for arm in arms:
                bar.set_postfix_str(f"{arm}, seed {seed}")
                found, run = _run_arm(experiment, arm, seed, scale, data_dir, folder, show_progress_bar)
                runs.add(run)
                results["made"] = found.pop("made")
                results["sets"] = {
                    name: len(signs) for name, signs in next(iter(found["ranks"].values())).items()
                }
                entry = results["arms"].setdefault(arm, {"changes": experiment.arms[arm] or {}, "runs": {}})
                entry["runs"][str(seed)] = found
                write_json(folder / f"{experiment.name}.json", results)
                bar.update()
            for run in runs if not keep_models else ():
                _forget_models(run)
    return results


def _head(experiment, scale, seeds):
    return {
        "experiment": experiment.name,
        "question": experiment.question,
        "factor": experiment.factor,
        "scale": scale,
        "seeds": list(range(seeds)),
        "baseline": experiment.baseline,
        "published": experiment.published,
        "notes": experiment.notes,
        "arms": {},
    }


def _run_arm(experiment, arm, seed, scale, data_dir, folder, show_progress_bar):
    """(what is kept of one run: minutes, last loss, ranks, machine; the run's folder)."""
    recipe, place = experiment.recipe(arm, seed, scale)
    plain = {**dataclasses.asdict(recipe), "name": "", "what": ""}
    data = StageData(recipe.data, data_dir)
    plain["origins"] = {name: data.origin(name) for name in recipe.data}
    run = folder / "runs" / fingerprint(plain)
    kept = run / f"{fingerprint([place, experiment.measure, recipe.development])}.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8")), run
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "final").exists():
        _share_start(recipe, plain, run, folder / "starts", data_dir)
        run_stages(recipe, run, data_dir=data_dir, probe=PROBE, show_progress_bar=show_progress_bar)
    model = load_model(run / "final" if place is None else run / place)
    sets = held_out_sets(data, recipe.development["sets"], recipe.development["queries"])
    histories = sorted(run.glob("*/**/history.jsonl"))
    last = [json.loads(path.read_text(encoding="utf-8").splitlines()[-1]) for path in histories]
    made = json.loads((histories[-1].parent / "run.json").read_text(encoding="utf-8"))
    found = {
        "minutes": round(sum(row["seconds"] for row in last) / 60, 3),
        "steps": sum(row["step"] for row in last),
        "loss": last[-1]["loss"],
        "ranks": measure(model, sets, experiment.measure),
        "made": {name: made[name] for name in ("versions", "machine")},
    }
    write_json(kept, found)
    return found, run


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


def _forget_models(run):
    """Delete what a measured run left but its measures and the histories of its losses."""
    for path in sorted(run.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.parent != run and path.name not in (
            "history.jsonl",
            "run.json",
            "recipe.yaml",
            "trials.jsonl",
        ):
            path.unlink()
    # a run without its model is one that has to be made again for any other measure
