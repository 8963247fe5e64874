"""Judge the nano that `egemma-lab make` left behind, and put it into the package.

    python experiments/nano/ship.py runs/nano --data-dir DATA

Writes `results.csv` and `results.json` (the suite at every width, with intervals, beside the teacher and BM25) into
this folder; weights, tokenizer and model card to `egemma_lab/assets/nano`; the maps of the probe texts to
`egemma_lab/assets/nano_replay`, with `--film` the film of its training too. DATA holds the evaluation sets
(docs/evaluation.md). Figures of the same model and data are not measured again.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

import egemma_lab as lab
from egemma_lab.evaluate import SUITE
from egemma_lab.evaluate.table import record
from egemma_lab.evaluate.tasks import find_task
from egemma_lab.quantize.index import fingerprint
from egemma_lab.train import Recipe, model_card, record_coordinates, record_replay, ship, stage_facts
from egemma_lab.train.stage_data import StageData
from egemma_lab.train.staged_recipe import StagedRecipe
from egemma_lab.train.table_fit import check_fit

HERE = Path(__file__).parent
ASSETS = Path(lab.__file__).parent / "assets"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("made", type=Path, help="what `egemma-lab make --output` wrote")
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.yaml", help="the file it was made with")
    parser.add_argument("--data-dir", type=Path, help="folder of the evaluation sets")
    parser.add_argument(
        "--film", action="store_true", help="also put the film of this training in place of the bundled one"
    )
    arguments = parser.parse_args()
    made = arguments.made
    recipe = StagedRecipe.from_yaml(arguments.recipe)
    model = lab.load_model(made / "final")
    model.name = recipe.name

    results = measured(model, recipe, arguments.data_dir)
    runs = stage_runs(made, recipe)
    facts = [stage_facts(folder, name, what) for name, what, folder in runs]
    stages = [start_facts(recipe, model), *in_order(recipe, facts + soups(made, recipe))]
    tokens = sum(int(lab.load_run(folder).history["tokens"].sum()) for _, _, folder in runs)

    def card(shipment):
        return model_card(
            recipe.name,
            model=model,
            stages=stages,
            sources=sources(recipe),
            results=results,
            recipe=f"experiments/nano/{arguments.recipe.name}",
            command=f"egemma-lab make experiments/nano/{arguments.recipe.name} --output {made} --data-dir DATA",
            limits=limits(tokens, stages, longest(recipe)),
            shipment=shipment,
        )

    print(ship(model, ASSETS / recipe.name, card=card))
    shipped = {"shipped": fingerprint(lab.load_model(ASSETS / recipe.name))}  # of the rounded weights
    notes = json.loads((HERE / "results.json").read_text())
    (HERE / "results.json").write_text(json.dumps(notes | shipped, indent=1) + "\n")
    if arguments.film:
        shown = {name: folder for name, _, folder in film(made, runs)}
        record_replay(shown, ASSETS / f"{recipe.name}_replay")
    record_coordinates(model, ASSETS / f"{recipe.name}_replay")


def measured(model, recipe, data_dir):
    """The suite's table: what stands in results.csv, and anew what is of another model or of other data."""
    path, notes_path = HERE / "results.csv", HERE / "results.json"
    known = pd.read_csv(path).astype({"width": "Int64"}) if path.exists() else pd.DataFrame()
    before = json.loads(notes_path.read_text()) if path.exists() else {"data": {}}
    kept = {name: what for name, what in before.items() if name not in ("rows", "shipped")}
    notes = {"model": fingerprint(model), "data": {}}
    tables = []
    for task in SUITE:
        opened = find_task(task, data_dir)
        data = opened.load(None).fingerprint
        rows = known[known["task"] == task] if before["data"].get(task) == data else known[:0]
        if before.get("model") != notes["model"] and len(rows):
            rows = rows[rows["model"] != recipe.name]
        have = set(rows["model"]) if len(rows) else set()
        baselines = ["bm25"] * opened.lexical + [recipe.teacher["name"]]
        others = [name for name in baselines if name not in have]
        if recipe.name not in have or others:
            found = lab.evaluate(
                model if recipe.name not in have else None,
                [task],
                dims=list(model.widths),
                baselines=[lab.load_teacher(name) if name != "bm25" else name for name in others],
                data_dir=data_dir,
            )
            notes = {**found.attrs, **notes}
            rows = pd.concat([found, rows]) if len(rows) else found
        tables.append(rows)
        notes["data"][task] = data
    frame = pd.concat(tables, ignore_index=True).astype({"width": "Int64"})
    order = {name: number for number, name in enumerate([recipe.name, "bm25", recipe.teacher["name"]])}
    frame = frame.sort_values("model", key=lambda names: names.map(order), kind="stable")
    frame = frame.sort_values("task", key=lambda names: names.map(list(SUITE).index), kind="stable")
    frame = frame.reset_index(drop=True)
    frame.attrs = kept | notes  # versions and all, where nothing was measured
    frame.to_csv(path, index=False)
    notes_path.write_text(json.dumps(record(frame), indent=1) + "\n")
    return frame


def longest(recipe):
    """The most tokens of a text in any stage."""
    return max(Recipe(**stage["recipe"]).max_tokens for stage in recipe.stages if "recipe" in stage)


def limits(tokens, stages, max_tokens):
    minutes = sum(stage.get("minutes") or 0 for stage in stages)
    return [
        f"It has seen {tokens:,} tokens in {minutes:,.0f} minutes of training; EmbeddingGemma saw about 320 billion.",
        "It knows English only, and best the kinds of text in the table above.",
        "It learnt from all-MiniLM-L6-v2 and carries over what that model gets wrong, its biases included.",
        f"It reads up to 2,048 tokens but was trained on at most {max_tokens}: of longer texts it has seen none.",
        "python-docs is the one evaluation set whose kind of text it was trained on, from other packages.",
        "One seed: how far the figures would move with another is not known.",
    ]


def stage_runs(made, recipe):
    """(name, what, run folder) of every training run in the order they ran; of a search each trial."""
    found = []
    for number, stage in enumerate(recipe.stages, 1):
        folder = made / f"{number}-{stage['name']}"
        if stage.get("kind", "train") == "train":
            found.append((stage["name"], stage.get("what", ""), folder))
        elif stage["kind"] == "search":
            lines = (folder / "trials.jsonl").read_text().splitlines()
            for count, line in enumerate(lines):
                trial = json.loads(line)
                shares = ", ".join(f"{name} {share:.2f}" for name, share in trial["weights"].items())
                what = f"mixture ({trial['kind']}): {shares}; development score {trial['score']:.4f}"
                if count == 0:
                    what = f"{stage.get('what', '')}. {what}"
                found.append((f"{stage['name']} {trial['folder']}", what, folder / trial["folder"]))
    return found


def film(made, runs):
    """The runs that lead to the soup's best ingredient."""
    trials = [run for run in runs if run[2].name.startswith("trial-")]
    if not trials:
        return runs
    rows = [json.loads(line) for line in (trials[0][2].parent / "trials.jsonl").read_text().splitlines()]
    best = max(rows, key=lambda row: row["score"])["folder"]
    return [run for run in runs if run not in trials or run[2].name == best]


def in_order(recipe, facts):
    """Facts of runs and soups as the recipe has their stages."""
    names = [stage["name"] for stage in recipe.stages]
    return sorted(facts, key=lambda fact: names.index(fact["name"].partition(" trial-")[0]))


def soups(made, recipe):
    """What each soup is made of and what it gained, for the card."""
    found = []
    for number, stage in enumerate(recipe.stages, 1):
        if stage.get("kind") == "soup":
            soup = json.loads((made / f"{number}-{stage['name']}" / "soup.json").read_text())
            gain = soup["gain"]
            taken = [row["model"] for row in soup["report"] or [] if row["accepted"]] or soup["ingredients"]
            what = (
                f"{stage.get('what', '')}: of {', '.join(soup['ingredients'])}, taken {', '.join(taken)}; "
                f"development score {gain['soup']:.4f}, mean of the ingredients {gain['ingredients']:.4f}, "
                f"gain {gain['gain']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f})"
            )
            found.append({"name": stage["name"], "what": what})
    return found


def start_facts(recipe, model):
    what = [recipe.start["kind"], f"{len(model.tokenizer):,} pieces of the teacher's tokenizer"]
    if recipe.start["table"]:
        fit = check_fit(recipe.start["table"])
        how = f"{fit['texts']:,} texts at most, {fit['steps']} steps of {fit['batch_size']:,}"
        if fit["pairs"]:
            how += f", and to {fit['pair_batch_size']:,} pairs a step"
        what.append(f"the token table fitted to {how}, as if there were no layers")
    return {"name": "start", "what": "; ".join(what)}


def sources(recipe):
    """The data sets of the recipe, and the teacher, with their licences."""
    data = StageData(recipe.data)
    found = [
        {"name": name, "what": entry["what"], "licence": entry["licence"]}
        for name, entry in data.entries.items()
    ]
    return [
        *found,
        {
            "name": "all-MiniLM-L6-v2",
            "what": "the teacher, whose vectors it learnt to match",
            "licence": "Apache 2.0",
        },
    ]


if __name__ == "__main__":
    main()
