"""The command line: egemma-lab train | make | experiment | evaluate | embed | export | doctor.

Exit codes: 0 done; 1 something was wrong with files, data or models, said in one line (`--debug` shows where);
2 bad usage. Nothing heavy is imported before the arguments are understood, so `--help` answers at once.
"""

import argparse
import json
import sys
from pathlib import Path

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
LAPTOP = {
    "warm_start": True,
    "max_tokens": 64,
}  # for fresh weights, so that minutes on two cores show something
TERMS_HELP = "Python file of yours, run first, that registers loss terms (egemma_lab.losses.register_term)"
EXPECTED = (ValueError, TypeError, OSError, RuntimeError, ArithmeticError, ImportError)


def main(argv=None):
    """Run one command; returns the exit code.

    >>> main(["train", "--preset", "nano"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        if getattr(arguments, "terms", None) is not None:
            from egemma_lab.losses.own_terms import load_terms

            load_terms(arguments.terms)
        return arguments.run(arguments)
    except KeyboardInterrupt:
        print("egemma-lab: stopped", file=sys.stderr)
        return 130
    except EXPECTED as error:
        if arguments.debug:
            raise
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"egemma-lab: {message}", file=sys.stderr)
        return 1


def build_parser():
    from egemma_lab import __version__

    parser = argparse.ArgumentParser(
        prog="egemma-lab", description="Small text-embedding models, made and measured."
    )
    parser.add_argument("--version", action="version", version=f"egemma-lab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name, run, about):
        added = commands.add_parser(name, help=about, description=about)
        added.add_argument("--debug", action="store_true", help="show where an error came from")
        added.set_defaults(run=run, parser=added)
        return added

    add = command(
        "train", train, "Train a model on pairs of texts; the same call again continues it."
    ).add_argument
    which = commands.choices["train"].add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--preset",
        metavar="NAME",
        help="fresh weights of this size: micro, nano, double or 300m. Without --recipe, and with a teacher, these "
        "laptop settings hold: "
        + " ".join(f"{name}={value}" for name, value in LAPTOP.items())
        + "; --set overrides them",
    )
    which.add_argument("--model", help="folder or Hub name of a model to go on with")
    add(
        "--data",
        nargs="+",
        required=True,
        metavar="DATA",
        help="python-docs, files, or Hub names of data sets",
    )
    size = commands.choices["train"].add_mutually_exclusive_group()
    size.add_argument("--limit", type=int, help="use the first so many pairs of each")
    size.add_argument(
        "--stream",
        action="store_true",
        help="read the data while training instead of before: for sets larger than the memory, given as files, "
        "folders, patterns in quotes or Hub names",
    )
    budget = commands.choices["train"].add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="train for so many steps (repeatable bit for bit)")
    budget.add_argument("--minutes", type=float, help="train for so many minutes")
    add("--output", required=True, type=Path, help="folder of the run")
    add("--recipe", type=Path, metavar="FILE", help="YAML file with the fields of a Recipe")
    add(
        "--set",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        help="change fields of the recipe, e.g. batch_size=32",
    )
    add("--teacher", help=f"name of the teacher, or none (default: {MINILM} where the recipe matches one)")
    add("--vocab-size", type=int, help="of the tokenizer trained for a preset")
    add("--no-resume", action="store_true", help="begin anew; an earlier run is moved to OUTPUT.previous")
    add("--tensorboard", action="store_true", help="log to OUTPUT/tensorboard as well")

    add = command(
        "make", make, "Make a model from raw text by a recipe of several stages; the same call again goes on."
    ).add_argument
    add("recipe", type=Path, help="YAML file, e.g. experiments/nano/recipe.yaml")
    add("--output", required=True, type=Path, help="folder of the stages and of the model (OUTPUT/final)")
    add("--data-dir", type=Path, help="folder with the recipe's files (default: its sets on the Hub)")
    add("--scale", type=float, default=1.0, help="times every stage's steps, e.g. 0.01 to try the recipe")
    add("--seed", type=int, help="another than the recipe's, to see how much is chance")
    add("--until", metavar="STAGE", help="stop after this stage")

    from egemma_lab.experiments.command import add_arguments, run_command

    add_arguments(
        command(
            "experiment",
            run_command,
            "Repeat one of the paper's comparisons: train every arm with several seeds, measure, compare. The "
            "same call again goes on.",
        )
    )
    for name in ("train", "make", "experiment"):
        commands.choices[name].add_argument("--terms", type=Path, metavar="FILE.py", help=TERMS_HELP)

    add = command("evaluate", evaluate, "Measure a model beside baselines, print a table.").add_argument
    add("model", help="folder of a run or model, or a name")
    add(
        "--tasks",
        nargs="+",
        default=["python-docs"],
        metavar="TASK",
        help="names (stsb, banking77, clustering, scifact, xquad, xquad/en-de, limit, python-docs, ...; suite: "
        "all of them), or folders (default: python-docs)",
    )
    add(
        "--dims",
        nargs="+",
        type=int,
        metavar="WIDTH",
        help="prefix widths to measure (default: the full width)",
    )
    add(
        "--baselines",
        nargs="*",
        default=["untrained", "bm25", "teacher"],
        metavar="NAME",
        help="untrained, bm25, teacher (the run's own), or names of models (default: the first three)",
    )
    add("--limit", type=int, help="so many queries, pairs or test texts of each task at most")
    add("--data-dir", type=Path, help="folder with the tasks' folders (default: EGEMMA_DATA; else the Hub)")
    add(
        "--output",
        type=Path,
        help="write OUTPUT.json and OUTPUT.csv (default: evaluation in the run's folder)",
    )

    add = command("embed", embed, "Turn the lines of a file into vectors.").add_argument
    add("model", help="folder or name of a model")
    add("--input", required=True, type=Path, help=".txt with one text a line, or .jsonl with {'text': ...}")
    add("--output", required=True, type=Path, help=".npy file for the float32 vectors")
    add("--prompt", default="document", help="document (default), query, or another of the model's prompts")
    add("--width", type=int, help="one of the model's prefix widths (default: the full width)")

    add = command(
        "export", export, "Write a model as a file that other programs run, and compare it."
    ).add_argument
    add("model", help="folder of a run or model, or a name")
    add("path", type=Path, help="the file, NAME.gguf, or the folder for ONNX")
    add("--format", choices=("gguf", "onnx"), default="gguf", help="for llama.cpp (default) or onnxruntime")
    add("--precision", default="f32", help="f32 (default), bf16, Q8_0 or Q4_0 in GGUF; f32 or int8 in ONNX")

    add = command("doctor", doctor, "Check a model and this machine.").add_argument
    add("model", nargs="?", help="folder or name of a model (default: only the machine)")
    return parser


def train(arguments):
    from accelerate import PartialState

    from egemma_lab.data import Source, load_pairs, stream_pairs
    from egemma_lab.model import PRESETS, load_model
    from egemma_lab.train import TensorBoard, train

    recipe = _recipe(arguments)
    model = arguments.preset or arguments.model
    if arguments.preset is not None and arguments.preset not in PRESETS:
        arguments.parser.error(f"--preset {arguments.preset} is not one of {', '.join(PRESETS)}")
    if arguments.model in PRESETS:
        model = load_model(arguments.model)  # the bundled model of that name, not fresh weights
    if arguments.stream:
        pairs = [stream_pairs(name, name=Path(name).name) for name in arguments.data]
    else:
        pairs = [Source(Path(name).name, load_pairs(name, limit=arguments.limit)) for name in arguments.data]
    run = train(
        model,
        pairs,
        teacher=_teacher(arguments, recipe),
        recipe=recipe,
        output=arguments.output,
        resume=not arguments.no_resume,
        callbacks=[TensorBoard()] if arguments.tensorboard else [],
        vocab_size=arguments.vocab_size,
    )
    processes = PartialState()
    if processes.is_main_process:
        print(run)
    processes.destroy_process_group()  # one of several that exits while still connected may be aborted
    return 0


def make(arguments):
    from egemma_lab.train.stages import run_stages

    run_stages(
        arguments.recipe,
        arguments.output,
        data_dir=arguments.data_dir,
        scale=arguments.scale,
        seed=arguments.seed,
        until=arguments.until,
    )
    print(f"{arguments.output / 'final'}: try it with egemma-lab evaluate {arguments.output / 'final'}")
    return 0


def _recipe(arguments):
    from egemma_lab.train import Recipe
    from egemma_lab.train.yaml_file import parse_yaml

    recipe = Recipe() if arguments.recipe is None else Recipe.from_yaml(arguments.recipe)
    changes = {name: getattr(arguments, name) for name in ("steps", "minutes")}
    changes = {name: value for name, value in changes.items() if value is not None}
    for given in arguments.set:
        name, equals, value = given.partition("=")
        if not equals:
            arguments.parser.error(f"--set {given}: write FIELD=VALUE, e.g. temperature=0.02")
        changes[name] = parse_yaml(value)
    if arguments.teacher == "none":
        changes.setdefault("weights", {**recipe.weights, "matching": 0})
    try:
        recipe = recipe.replace(**changes)
        if arguments.preset is None or arguments.recipe is not None or _teacher(arguments, recipe) is None:
            return recipe
        return recipe.replace(**{name: value for name, value in LAPTOP.items() if name not in changes})
    except ValueError as error:
        arguments.parser.error(str(error))


def _teacher(arguments, recipe):
    """The name of the teacher, or None: the default one is there where the recipe has something to match."""
    if arguments.teacher is None:
        return MINILM if recipe.weights["matching"] > 0 else None
    return None if arguments.teacher == "none" else arguments.teacher


def evaluate(arguments):
    from egemma_lab.evaluate import comparison_table, evaluate, main_metrics, markdown, record, width_table
    from egemma_lab.model import load_model, load_teacher
    from egemma_lab.train import load_run

    run = load_run(arguments.model) if (Path(arguments.model) / "run.json").is_file() else None
    model = load_model(arguments.model) if run is None else run.model
    teacher = (run.info["teacher"] or {}).get("name", MINILM) if run else MINILM
    baselines = [load_teacher(teacher) if name == "teacher" else name for name in arguments.baselines]
    frame = evaluate(
        model,
        arguments.tasks,
        dims=arguments.dims,
        baselines=baselines,
        data_dir=arguments.data_dir,
        limit=arguments.limit,
    )
    one_task = frame["task"].nunique() == 1
    print(markdown(comparison_table(frame) if one_task else width_table(main_metrics(frame))))
    output = arguments.output or (run and run.folder / "evaluation")
    if output:
        from egemma_lab.train.storage import write_json, write_text

        write_json(output.with_suffix(".json"), record(frame, model=arguments.model))
        write_text(output.with_suffix(".csv"), frame.to_csv(index=False))
        print(f"written to {output.with_suffix('.json')} and {output.with_suffix('.csv')}", file=sys.stderr)
    return 0


def embed(arguments):
    import numpy as np

    if arguments.output.suffix != ".npy":
        arguments.parser.error(f"--output {arguments.output}: the name must end in .npy")
    texts = read_texts(arguments.input)
    from egemma_lab.model import load_model
    from egemma_lab.train.storage import new_file

    vectors = load_model(arguments.model).encode(
        texts, prompt_name=arguments.prompt, truncate_dim=arguments.width
    )  # (n, d)
    with new_file(arguments.output) as file:
        np.save(file, vectors, allow_pickle=False)
    print(f"{vectors.shape[0]} x {vectors.shape[1]} float32 in {arguments.output}")
    return 0


def read_texts(path):
    """The texts of a file: its lines, or the "text" of each JSON line. Errors name file and line."""
    if path.suffix not in (".txt", ".jsonl"):
        raise ValueError(
            f"{path}: texts are read from .txt (one a line) and .jsonl (an object with 'text' a line)"
        )
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from error
    lines = content.removesuffix("\n").split("\n") if content else []
    if not lines:
        raise ValueError(f"{path} is empty; give it one text a line")
    if path.suffix == ".txt":
        return lines
    return [_text_of(path, number, line) for number, line in enumerate(lines, start=1)]


def _text_of(path, number, line):
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path}, line {number} is not JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise ValueError(f"{path}, line {number}: expected an object with a string 'text', found {line[:60]}")
    return row["text"]


def export(arguments):
    from egemma_lab.model import load_model
    from egemma_lab.quantize import export

    print(export(load_model(arguments.model), arguments.path, arguments.format, arguments.precision))
    return 0


def doctor(arguments):
    from egemma_lab.model import doctor

    report = doctor(arguments.model)
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
