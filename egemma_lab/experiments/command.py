"""`egemma-lab experiment`: run one, show what came out, keep it as what ships."""

import json
from pathlib import Path


def add_arguments(parser):
    """The arguments of the command, on an argparse parser."""
    add = parser.add_argument
    add("name", nargs="?", help="an experiment's name, or the path of its config.yaml; none: list them")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    which.add_argument(
        "--seed",
        type=int,
        help="this one alone: calls side by side, each with OMP_NUM_THREADS=1, are done sooner; one without it then "
        "puts them together",
    )
    add("--scale", default="small", help="micro, small (default) or full")
    add("--arms", nargs="+", metavar="ARM", help="only these")
    add("--data-dir", type=Path, help="folder with the data's files (default: the sets on the Hub)")
    add("--output", type=Path, default=Path("runs/experiments"), help="folder of runs and results")
    add("--keep", action="store_true", help="write the results and their page into experiments/NAME as well")
    add(
        "--table", action="store_true", help="only make docs/results.md again from the results that are there"
    )


def run_command(arguments):
    """Run what was asked for; returns the exit code."""
    from egemma_lab.experiments.page import page
    from egemma_lab.experiments.runner import run_experiment
    from egemma_lab.experiments.shipped import experiment_names, experiments_folder, find_experiment

    if arguments.table:
        _write_table(experiments_folder())
        return 0
    if arguments.name is None:
        for name in experiment_names():
            print(f"{name:22} {find_experiment(name).question}")
        return 0
    if arguments.keep and (arguments.arms or arguments.seed is not None):
        raise ValueError(
            "--keep writes what ships, all arms and seeds of an experiment: leave --arms and --seed out"
        )
    results = run_experiment(
        arguments.name,
        scale=arguments.scale,
        seeds=arguments.seeds if arguments.seed is None else [arguments.seed],
        arms=arguments.arms,
        data_dir=arguments.data_dir,
        output=arguments.output,
    )
    print(page(results))
    if arguments.keep:
        folder = experiments_folder() / results["experiment"]
        _write(folder / "results.json", json.dumps(results, ensure_ascii=False, separators=(",", ":")) + "\n")
        _write(folder / "README.md", page(results))
        _write_table(experiments_folder())
    return 0


def _write_table(folder):
    from egemma_lab.experiments.page import verdict_table
    from egemma_lab.experiments.shipped import experiment_names, shipped_results

    with_results = [name for name in experiment_names() if (folder / name / "results.json").is_file()]
    _write(
        folder.parent / "docs" / "results.md", verdict_table([shipped_results(name) for name in with_results])
    )


def _write(path, text):
    from egemma_lab.train.storage import write_text

    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    print(f"wrote {path}")
