import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from fake_teacher import FakeTeacher

from egemma_lab.cli import MINILM, _recipe, _teacher, build_parser, main, read_texts
from egemma_lab.train import Recipe, load_run


@pytest.fixture
def data(tiny_pairs, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in tiny_pairs[:48]))
    return path


@pytest.fixture
def task(tmp_path):
    folder = tmp_path / "planets"
    folder.mkdir()
    for name, texts in (
        ("corpus", ["red Mars", "blue Neptune"]),
        ("queries", ["the red one", "the blue one"]),
    ):
        rows = [{"_id": str(i), "text": text} for i, text in enumerate(texts)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n0\t0\t1\n1\t1\t1\n")
    return folder


@pytest.fixture(scope="module")
def run_folder(make_micro, tiny_pairs, tmp_path_factory):
    """A finished run with a teacher; tests leave it as it is."""
    from egemma_lab.train import train

    folder = tmp_path_factory.mktemp("runs") / "first"
    recipe = Recipe(steps=2, batch_size=8, max_tokens=24)
    train(
        make_micro(),
        tiny_pairs[:48],
        teacher=FakeTeacher(96),
        recipe=recipe,
        output=folder,
        show_progress_bar=False,
    )
    return folder


QUICK = ["--set", "batch_size=8", "max_tokens=24", "snapshot_every=0", "precision=float32"]


def train_call(data, output, steps):
    """The words of a short training of a micro model."""
    return ["train", "--preset", "micro", "--data", str(data), "--output", str(output), "--steps", str(steps)]


def failing(capsys, *arguments):
    """Exit code and the one line on stderr."""
    code = main(list(map(str, arguments)))
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("egemma-lab: ")
    return code, lines[0]


def test_help_is_quick():
    code = (
        "import sys, egemma_lab.cli\n"
        "try: egemma_lab.cli.main(['train', '--help'])\n"
        "except SystemExit as end: print(end.code)\n"
        "print([name for name in ('torch', 'numpy', 'transformers', 'datasets', 'pandas') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "--preset" in shown
    assert shown.splitlines()[-2:] == ["0", "[]"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["train"],
        ["train", "--preset", "nano", "--data", "x.jsonl"],
        ["train", "--data", "x.jsonl", "--output", "y"],
        ["train", "--preset", "nano", "--model", "m", "--data", "x.jsonl", "--output", "y"],
        ["train", "--preset", "nano", "--data", "x.jsonl", "--output", "y", "--steps", "3", "--minutes", "1"],
        ["train", "--preset", "nano", "--data", "x.jsonl", "--output", "y", "--steps", "many"],
        ["train", "--preset", "nano", "--data", "x.jsonl", "--output", "y", "--steps", "0"],
        ["train", "--preset", "giga", "--data", "x.jsonl", "--output", "y"],
        ["train", "--preset", "nano", "--data", "x.jsonl", "--output", "y", "--set", "temperature"],
        ["train", "--preset", "nano", "--data", "x.jsonl", "--output", "y", "--set", "temprature=1"],
        ["train", "--preset", "nano", "--data", "x.jsonl", "--output", "y", "--set", "precision=float16"],
        ["train", "--preset", "nano", "--data", "x.jsonl", "--output", "y", "--stream", "--limit", "3"],
        ["evaluate"],
        ["embed", "m", "--input", "x.txt"],
        ["embed", "m", "--input", "x.txt", "--output", "y.csv"],
    ],
)
def test_bad_usage(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: egemma-lab" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_train_then_the_same_call_again(data, tmp_path, capsys):
    call = train_call(data, tmp_path / "run", steps=2)
    call += ["--teacher", "none", "--limit", "32", "--vocab-size", "500", *QUICK, "learning_rate=1e-4"]
    assert main(call) == 0
    assert "finished, 2 steps" in capsys.readouterr().out
    run = load_run(tmp_path / "run")
    assert run.recipe.learning_rate == 1e-4
    assert run.recipe.weights["matching"] == 0
    assert run.info["data"]["sources"] == {"pairs.jsonl": 32}
    assert run.info["teacher"] is None
    assert main(call) == 0
    assert "step" not in capsys.readouterr().err  # finished: nothing is trained again


def test_train_on_a_stream(data, tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr("egemma_lab.train.train", lambda model, pairs, **_: given.update(pairs=pairs))
    start = ["train", "--preset", "micro", "--output", str(tmp_path / "run"), "--teacher", "none"]
    assert main([*start, "--data", str(data), str(tmp_path / "*.jsonl"), "--stream"]) == 0
    assert [source.streamed for source in given["pairs"]] == [True, True]
    assert [source.name for source in given["pairs"]] == ["pairs.jsonl", "*.jsonl"]


def test_train_with_a_loss_term_of_ones_own(data, tmp_path, no_own_terms, capsys):
    terms = tmp_path / "terms.py"
    terms.write_text(
        "from egemma_lab.losses import register_term\n\n\n@register_term()\ndef apart(vectors):\n"
        "    return (vectors.query @ vectors.positive.T).mean()\n"
    )
    call = train_call(data, tmp_path / "run", steps=1)
    call += ["--teacher", "none", "--vocab-size", "500", *QUICK, "own_terms={apart: 0.5}"]
    code, line = failing(capsys, *call)
    assert code == 1
    assert "'apart', which is not registered" in line
    assert "--terms FILE.py" in line
    assert main([*call, "--terms", str(terms)]) == 0
    assert -1 <= load_run(tmp_path / "run").history["apart"].item() <= 1


def test_train_leaves_the_group_of_its_processes(data, tmp_path, monkeypatch):
    left = []
    monkeypatch.setattr("accelerate.PartialState.destroy_process_group", lambda self: left.append(1))
    call = train_call(data, tmp_path / "run", steps=1)
    assert main([*call, "--teacher", "none", "--vocab-size", "500", *QUICK]) == 0
    assert left == [1]


def test_train_from_a_recipe_file(data, tmp_path, monkeypatch):
    Recipe(steps=9, batch_size=8, max_tokens=24, seed=4).to_yaml(tmp_path / "mine.yaml")
    monkeypatch.setattr("egemma_lab.model.load_teacher", lambda name, **options: FakeTeacher(96))
    call = ["train", "--preset", "micro", "--data", str(data), "--output", str(tmp_path / "run")]
    assert main([*call, "--recipe", str(tmp_path / "mine.yaml"), "--steps", "1", "--vocab-size", "500"]) == 0
    run = load_run(tmp_path / "run")
    assert (run.recipe.seed, run.recipe.steps) == (4, 1)
    assert run.info["teacher"]["name"] == "fake-96"
    assert (
        main([*call, "--teacher", "none", *QUICK, "--steps", "1", "--vocab-size", "500", "--no-resume"]) == 0
    )
    assert load_run(tmp_path / "run.previous").recipe.seed == 4


@pytest.mark.parametrize(
    ("options", "teacher", "warm_start", "max_tokens"),
    [
        (["--preset", "nano"], MINILM, True, 64),
        (["--preset", "nano", "--set", "warm_start=false"], MINILM, False, 64),
        (["--preset", "nano", "--teacher", "none"], None, False, 128),
        (["--preset", "nano", "--set", "weights={matching: 0}"], None, False, 128),
        (["--preset", "nano", "--set", "weights={matching: 0}", "--teacher", "other"], "other", True, 64),
        (["--model", "nano"], MINILM, False, 128),
    ],
)
def test_teacher_and_laptop_settings(options, teacher, warm_start, max_tokens):
    arguments = build_parser().parse_args(["train", *options, "--data", "x", "--output", "y"])
    recipe = _recipe(arguments)
    assert _teacher(arguments, recipe) == teacher
    assert (recipe.warm_start, recipe.max_tokens) == (warm_start, max_tokens)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--data": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"--recipe": "nowhere.yaml"}, "nowhere.yaml"),
        ({"--preset": None, "--model": "no/such/folder"}, "no/such/folder"),
        ({"--output": "{data}"}, "is a file"),
    ],
)
def test_train_says_what_is_wrong_in_one_line(data, tmp_path, capsys, changes, words):
    options = {
        "--preset": "micro",
        "--data": str(data),
        "--output": str(tmp_path / "run"),
        "--teacher": "none",
    }
    options |= changes
    call = [part for name, value in options.items() if value for part in (name, value.format(data=data))]
    code, line = failing(capsys, "train", *call, *QUICK)
    assert code == 1
    assert words in line


def test_debug_shows_where(tmp_path):
    with pytest.raises(FileNotFoundError):
        main(
            [
                "train",
                "--preset",
                "micro",
                "--data",
                "nowhere.jsonl",
                "--output",
                str(tmp_path / "r"),
                "--debug",
            ]
        )


def test_evaluate_prints_all_side_by_side(run_folder, task, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "egemma_lab.model.load_teacher", lambda name, **options: asked.append(name) or FakeTeacher(96)
    )
    assert main(["evaluate", str(run_folder), "--tasks", str(task)]) == 0
    assert asked == ["fake-96"]  # the run's own, uncut
    lines = capsys.readouterr().out.splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
    assert names[0] == "model"
    assert names[2:] == ["first", "first untrained", "bm25", "fake-96"]
    assert len({len(line) for line in lines}) == 1  # aligned
    saved = json.loads((run_folder / "evaluation.json").read_text())
    table = pd.read_csv(run_folder / "evaluation.csv")
    assert len(saved["rows"]) == len(table) == 4 * 5
    assert saved["versions"]["torch"]
    assert {row["width"] for row in saved["rows"] if row["model"] == "bm25"} == {None}


def test_evaluate_widths_and_elsewhere(run_folder, task, tmp_path, capsys):
    call = ["evaluate", str(run_folder / "final"), "--tasks", str(task), "--dims", "64", "16", "--baselines"]
    assert main([*call, "--output", str(tmp_path / "mine")]) == 0
    assert "| 16 " in capsys.readouterr().out
    assert (tmp_path / "mine.csv").exists()


def test_evaluate_says_what_is_wrong(run_folder, tmp_path, capsys):
    code, line = failing(capsys, "evaluate", run_folder, "--tasks", "nowhere", "--baselines")
    assert (code, "nowhere" in line) == (1, True)
    code, line = failing(capsys, "evaluate", tmp_path / "none")
    assert code == 1


def test_embed(run_folder, tmp_path, capsys):
    model = load_run(run_folder).model
    (tmp_path / "a.txt").write_text("one text\n\nanother text\n")
    (tmp_path / "a.jsonl").write_text('{"text": "one text"}\n{"text": "", "id": 3}\n{"text": "another text"}')
    for name, options, expected in (
        ("a.txt", [], model.encode_document(["one text", "", "another text"])),
        (
            "a.jsonl",
            ["--prompt", "query", "--width", "16"],
            model.encode_query(["one text", "", "another text"], truncate_dim=16),
        ),
    ):
        output = tmp_path / f"{name}.npy"
        assert (
            main(
                ["embed", str(run_folder), "--input", str(tmp_path / name), "--output", str(output), *options]
            )
            == 0
        )
        vectors = np.load(output)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert "3 x 16 float32" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b"caf\xe9", "is not UTF-8"),
        ("a.csv", b"text\n", r"\.txt"),
        ("a.jsonl", b'{"text": "a"}\nnot json\n', "line 2 is not JSON"),
        ("a.jsonl", b'{"text": 3}\n', "line 1: expected an object"),
        ("a.jsonl", b'["a"]\n', "line 1: expected an object"),
    ],
)
def test_texts_that_cannot_be_read(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_texts(tmp_path / name)


def test_embed_says_what_is_wrong(run_folder, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("x\n")
    call = ["embed", run_folder, "--input", tmp_path / "a.txt", "--output", tmp_path / "a.npy"]
    code, line = failing(capsys, *call, "--width", "17")
    assert (code, "17" in line) == (1, True)
    code, line = failing(capsys, *call, "--prompt", "poem")
    assert (code, "poem" in line) == (1, True)
    assert not (tmp_path / "a.npy").exists()


def test_doctor(run_folder, capsys):
    assert main(["doctor", str(run_folder)]) == 0
    assert "yes" in capsys.readouterr().out
    assert main(["doctor", "no/such/model"]) == 1
    assert "NO" in capsys.readouterr().out


def test_ctrl_c(monkeypatch, capsys):
    def stopped(model):
        raise KeyboardInterrupt

    monkeypatch.setattr("egemma_lab.model.doctor", stopped)
    assert main(["doctor"]) == 130


def test_evaluate_several_tasks_shows_widths_side_by_side(run_folder, task, tmp_path, capsys):
    pairs = [{"sentence1": f"a {n}", "sentence2": f"the {n * n}", "score": n} for n in range(6)]
    (tmp_path / "eval" / "rated").mkdir(parents=True)
    (tmp_path / "eval" / "rated" / "test.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    call = ["evaluate", str(run_folder), "--tasks", str(task), "rated", "--dims", "64", "16"]
    assert (
        main([*call, "--baselines", "bm25", "--data-dir", str(tmp_path), "--output", str(tmp_path / "x")])
        == 0
    )
    lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()]
    assert [cell.strip() for cell in lines[0]] == ["task", "metric", "model", "64", "16", "-"]
    assert [[cell.strip() for cell in line[:3]] for line in lines[2:]] == [
        [task.name, "nDCG@10", "first"],
        [task.name, "nDCG@10", "bm25"],
        ["rated", "spearman", "first"],
    ]
    saved = json.loads((tmp_path / "x.json").read_text())
    assert saved["data"].keys() == {task.name, "rated"}
    assert len(saved["rows"]) == 2 * 5 + 5 + 2


def test_make_runs_the_stages_of_a_recipe_file(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        "egemma_lab.train.stages.run_stages", lambda *given, **options: asked.append((given, options))
    )
    recipe, output = tmp_path / "recipe.yaml", tmp_path / "out"
    flags = ["--data-dir", str(tmp_path), "--scale", "0.5", "--seed", "3", "--until", "first"]
    assert main(["make", str(recipe), "--output", str(output), *flags]) == 0
    assert asked == [((recipe, output), {"data_dir": tmp_path, "scale": 0.5, "seed": 3, "until": "first"})]
    assert str(output / "final") in capsys.readouterr().out


def test_make_says_in_one_line_what_is_wrong_with_a_recipe(tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: x\nstage: []\n")
    assert main(["make", str(recipe), "--output", str(tmp_path / "out")]) == 1
    assert "recipe.yaml: the recipe: no field 'stage'; did you mean 'stages'" in capsys.readouterr().err


def test_export_writes_a_file_and_says_who_compared_it(run_folder, tmp_path, capsys):
    assert main(["export", str(run_folder), str(tmp_path / "first.gguf"), "--precision", "Q8_0"]) == 0
    assert (tmp_path / "first.gguf").read_bytes()[:4] == b"GGUF"
    assert "gguf Q8_0, 0.4 MB. Compared by llama.cpp: largest 1 - cosine" in capsys.readouterr().out
    code, line = failing(
        capsys, "export", run_folder, tmp_path / "first", "--format", "onnx", "--precision", "Q8_0"
    )
    assert code == 1
    assert "format='onnx' with f32, int8" in line
