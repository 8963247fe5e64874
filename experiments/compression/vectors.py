"""What smaller vectors cost the nano: quality against bytes per vector, over widths and precisions.

    python experiments/compression/vectors.py --data-dir DATA [--tasks scifact xquad] [--figure vectors.png]

Writes `vectors.csv` into this folder (`--output` for another place): a row a task, width and precision, and the mean
of the tasks' shares under the task "mean"; the columns are those of `lab.evaluate.frontier`, before them the model with
a fingerprint of its weights, and the limit. Each task's rows are written as soon as they are measured, so tasks can be
run one by one (python-docs encodes 5,000 functions, minutes on one core); rows of the same task, and those of another
model or limit, give way. DATA holds the evaluation sets (docs/evaluation.md).
"""

import argparse
from pathlib import Path

import pandas as pd

import egemma_lab as lab
from egemma_lab.evaluate import frontier, markdown, mean_frontier
from egemma_lab.evaluate.vector_precision import WAYS, WAYS_WITH_COPY
from egemma_lab.explore import quality_frontier
from egemma_lab.quantize.index import fingerprint

HERE = Path(__file__).parent
TASKS = ("stsb", "xquad", "scifact", "python-docs")
TARGETS = {"int8": 0.995, "binary rescored": 0.97}  # of float32, both at full width, mean of the tasks


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="nano", help="name or folder of the model (default: nano)")
    parser.add_argument("--data-dir", type=Path, help="folder of the evaluation sets")
    parser.add_argument(
        "--tasks", nargs="+", default=TASKS, help=f"tasks to measure (default: {' '.join(TASKS)})"
    )
    parser.add_argument("--limit", type=int, help="at most so many queries or pairs a task, to try it out")
    parser.add_argument("--output", type=Path, default=HERE / "vectors.csv")
    parser.add_argument(
        "--figure", type=Path, help="also draw the mean of the tasks into this file (.png, .svg)"
    )
    options = parser.parse_args()

    model = lab.load_model(options.model)
    place = {"model": f"{model.name} {fingerprint(model)[:8]}", "limit": options.limit or "all"}
    for task in options.tasks:
        found = frontier(
            model, task, ways=WAYS | WAYS_WITH_COPY, data_dir=options.data_dir, limit=options.limit
        )
        table = merged(options.output, found.assign(**place)[[*place, *found.columns]])
        table.to_csv(options.output, index=False)
        print(f"{task}: {options.output}", flush=True)

    mean = table[table["task"] == "mean"]
    print(markdown(mean[["width", "precision", "bytes", "share", "share_low", "share_high", "recall"]]))
    for precision, least in TARGETS.items():
        row = mean[(mean["precision"] == precision) & (mean["width"] == mean["width"].max())].iloc[0]
        reached = "reached" if row["share"] >= least else "missed"
        interval = f"{row['share_low']:.4f} to {row['share_high']:.4f}"
        print(f"{precision}: {row['share']:.4f} ({interval}) of float32, target {least} {reached}")
    if options.figure:
        drawn = mean[~mean["precision"].isin(WAYS_WITH_COPY)]
        subtitle = f"{place['model']}, {mean['metric'].iloc[0]}"
        quality_frontier(drawn, subtitle=subtitle).write_image(options.figure, scale=2)


def merged(path, found):
    """The rows in the file that still hold, the new ones, and the mean of all tasks anew."""
    place = found[["model", "limit"]].iloc[0]
    if path.exists():
        before = pd.read_csv(path, dtype={"limit": str})
        same = (before["model"] == place["model"]) & (before["limit"] == str(place["limit"]))
        before = before[same & ~before["task"].isin(["mean", *found["task"]])]
        found = pd.concat([before, found], ignore_index=True) if len(before) else found
    mean = mean_frontier(found[found["task"] != "mean"]).assign(**place)
    return pd.concat([found, mean[found.columns]], ignore_index=True)


if __name__ == "__main__":
    main()
