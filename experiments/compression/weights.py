"""What rounded weights cost the nano: its tasks with weights rounded, or trained on under rounding, against float32.

    python experiments/compression/weights.py runs/compression-* --data-dir DATA [--tasks stsb] [--limit 100] [--ship]

Each folder is what `egemma-lab make experiments/compression/recipe.yaml --seed N --output runs/compression-N` wrote,
DATA holds the evaluation sets (docs/evaluation.md). Measured is the suite without its two large tasks, scifact and
python-docs, which take five times as long as the others together (`--tasks` adds them). Writes into this folder
(`--output` for another):

- `weights_by_seed.csv`: a row a variant, seed and task, their mean under the task "mean"; what is merely rounded
  knows no seed and is measured once;
- `weights.csv`: the same averaged over the seeds, `lowest` and `highest` being the extreme seeds' shares. The interval
  is over the queries, which are the same for all seeds, so it does not shrink with their number;
- `weights.json`: the second table with versions and data.

Each model's scores are kept in its folder's `scores` as soon as they are measured, so a run that was stopped goes on;
delete that folder to measure anew. With `--ship` the trained variants of the first folder also go into the package, as
`nano-int8`, `nano-mixed` and `nano-int4`, in packed form and with the nano's tokenizer.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

import egemma_lab as lab
from egemma_lab.evaluate import compare, main_metrics, markdown, record
from egemma_lab.model.packed_weights import PACKED
from egemma_lab.quantize import save_packed
from egemma_lab.train import load_run
from egemma_lab.train.staged_recipe import StagedRecipe

HERE = Path(__file__).parent
ASSETS = Path(lab.__file__).parent / "assets"
TASKS = ("stsb", "banking77", "clustering", "xquad", "limit")
SHIPPED = {"int8_block": "nano-int8", "mixed_channel": "nano-mixed", "int4_block": "nano-int4"}
# Least share of the float32 model's mean, trained under rounding
TARGETS = {"int8_block": 0.997, "mixed_channel": 0.99, "int4_block": 0.99}
KEYS = ["format", "way", "task", "metric"]
SHARES = ["share", "share_low", "share_high"]
WAYS = {"rounded": "rounded", "trained": "packed"}  # how a variant was made -> its folder in the stage's


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "made", type=Path, nargs="+", help="what `egemma-lab make --output` wrote, a folder a seed"
    )
    parser.add_argument("--data-dir", type=Path, help="folder of the evaluation sets")
    parser.add_argument("--tasks", nargs="+", default=TASKS, help=f"default: {' '.join(TASKS)}")
    parser.add_argument("--limit", type=int, help="at most so many queries a task, to try it out")
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--ship", action="store_true", help="also put the trained variants into the package")
    options = parser.parse_args()

    by_seed = measured(options)
    by_seed.to_csv(options.output / "weights_by_seed.csv", index=False)
    table = over_seeds(by_seed)
    table.to_csv(options.output / "weights.csv", index=False)
    table.attrs = {**by_seed.attrs, "limit": options.limit}
    (options.output / "weights.json").write_text(json.dumps(record(table), indent=1) + "\n")

    mean = table[table["task"] == "mean"]
    print(markdown(mean[["format", "way", "bytes", "value", *SHARES, "lowest", "highest"]], digits=4))
    for format, least in TARGETS.items():
        share = mean[(mean["format"] == format) & (mean["way"] == "trained")]["share"].item()
        print(f"{format}: {share:.4f} of float32, target {least} {'reached' if share >= least else 'missed'}")
    if options.ship:
        ship(quantized_stages(options.made[0]), mean)


def measured(options):
    """Every variant of every folder, task by task, beside float32."""
    first = options.made[0]
    reference = scores(first / "0-start" / "model", "float32", first, options)
    tables = []
    for made in options.made:
        for format, folder in quantized_stages(made).items():
            for way, inside in WAYS.items():
                if way == "rounded" and made != first:
                    continue
                seed = load_run(folder).recipe.seed if way == "trained" else None
                table = shares(scores(folder / inside, f"{format} {way}", made, options), reference)
                size = (folder / inside / PACKED).stat().st_size
                tables.append(table.assign(format=format, way=way, seed=seed, bytes=size))
    table = pd.concat(tables, ignore_index=True)
    table = table[[*KEYS[:2], "seed", "bytes", *table.columns[:-4]]].astype({"seed": "Int64"})
    table.attrs = reference.attrs
    return table


def over_seeds(table):
    """The means over the seeds, and the lowest and highest share among them."""
    grouped = table.groupby(KEYS, sort=False)
    mean = grouped[["bytes", "n", "value", "float32", *SHARES]].mean()
    mean = mean.assign(seeds=grouped.size(), lowest=grouped["share"].min(), highest=grouped["share"].max())
    mean = mean.astype({"bytes": int, "n": int}).reset_index()
    return mean[["format", "way", "seeds", "bytes", *mean.columns.drop(["format", "way", "seeds", "bytes"])]]


def quantized_stages(made):
    """Format -> folder of the stage that made it."""
    recipe = StagedRecipe.from_yaml(HERE / "recipe.yaml")
    named = [(stage, made / f"{number}-{stage['name']}") for number, stage in enumerate(recipe.stages, 1)]
    return {stage["format"]: folder for stage, folder in named if stage["kind"] == "quantize"}


def scores(folder, name, made, options):
    """A model's main metric of each task, one row a query; a task's from its file where it was measured before."""
    frames = [task_scores(folder, name, task, made, options) for task in options.tasks]
    frame = pd.concat(frames, ignore_index=True)
    data = {name: value for part in frames for name, value in part.attrs["data"].items()}
    frame.attrs = {**frames[0].attrs, "data": data, "tasks": list(options.tasks)}
    return frame


def task_scores(folder, name, task, made, options):
    path = made / "scores" / f"{name.replace(' ', '-')}-{task}.json"
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["limit"] == options.limit:
            frame = pd.DataFrame(kept.pop("rows")).astype({"width": "Int64"})
            frame.attrs = kept
            return frame
    model = lab.load_model(folder)
    model.name = name
    frame = lab.evaluate(model, [task], data_dir=options.data_dir, limit=options.limit, per_query=True)
    notes, frame = frame.attrs, main_metrics(frame)
    frame.attrs = {**notes, "limit": options.limit}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record(frame)) + "\n")
    print(path, flush=True)
    return frame


def shares(found, reference):
    """Each task's share of the reference's score with a paired 95% interval, and that of the means of all tasks.

    Intervals of tasks that share no queries add in squares.
    """
    table = compare(found, reference).rename(columns={"value_a": "value", "value_b": "float32"})
    count, below, above = len(table), table["difference"] - table["low"], table["high"] - table["difference"]
    mean = {"task": "mean", "metric": f"mean of {count} tasks", "n": table["n"].sum()}
    mean |= table[["value", "float32", "difference"]].mean().to_dict()
    mean["low"] = mean["difference"] - (below**2).sum() ** 0.5 / count
    mean["high"] = mean["difference"] + (above**2).sum() ** 0.5 / count
    table = pd.concat([table, pd.DataFrame([mean])], ignore_index=True)
    for name, change in zip(SHARES, ("difference", "low", "high")):
        table[name] = 1 + table[change] / table["float32"]
    return table[["task", "metric", "n", "value", "float32", *SHARES]]


def ship(stages, mean):
    """The trained variants into the package, each with a short card."""
    for format, name in SHIPPED.items():
        folder = ASSETS / name
        # packed again, for the tokenizer's sake: to round what is rounded gives the same codes
        save_packed(lab.load_model(stages[format] / "packed"), folder, format, tokenizer="nano")
        (folder / "README.md").write_text(card(name, format, mean[mean["format"] == format]))
        print(folder, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def interval(row):
    return f"{row['share']:.4f} ({row['share_low']:.4f} to {row['share_high']:.4f})"


def card(name, format, mean):
    from huggingface_hub import ModelCard

    licence = ModelCard.load(ASSETS / "nano" / "README.md").data.license
    rows = mean.set_index("way").to_dict("index")
    trained, rounded = rows["trained"], rows["rounded"]
    return f"""---
language: en
license: {licence}
base_model: nano
---

# {name}

The bundled nano with its weights in `{format}`, trained on under rounding so that it gives the nano's own vectors:
an index made with one answers questions embedded with the other.

```python
import egemma_lab as lab

model = lab.load_model("{name}")
model.save_pretrained("{name}")  # for sentence-transformers, with the rounded weights in float32
```

Share of what the nano reaches in float32, at full width ({mean["metric"].iloc[0]}; 95% intervals over the queries):

- trained on like this model, mean of {trained["seeds"]} seeds: {interval(trained)}; the seeds lie between
  {trained["lowest"]:.4f} and {trained["highest"]:.4f}
- the nano rounded without training: {interval(rounded)}

Made by `experiments/compression/recipe.yaml`; all figures in `experiments/compression/weights.csv`. What it learnt
from, its limits and its licence are the nano's: see the card there.
"""


if __name__ == "__main__":
    main()
