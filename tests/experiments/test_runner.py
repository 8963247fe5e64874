"""Whole experiments at micro size: finished runs are kept, a killed grid goes on, arms see the same texts."""

import json
import linecache

import pytest
import yaml
from test_plan import write

from egemma_lab.cli import main
from egemma_lab.experiments import comparisons, find_experiment, run_experiment, scores, verdicts
from egemma_lab.experiments.page import page, verdict_table
from egemma_lab.train import load_run

QUIET = {"scale": "micro", "show_progress_bar": False}


@pytest.fixture
def config(tmp_path, tiny_pairs):
    rows = [{"anchor": row["anchor"], "positive": row["positive"]} for row in tiny_pairs]
    data = tmp_path / "data"
    data.mkdir()
    (data / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = {"batch_size": 6, "weights": {"matching": 0}, "max_tokens": 16, "precision": "float32"}
    return write(
        tmp_path,
        tokenizer={"vocab_size": 500, "texts": 200},
        start={"kind": "random"},
        stages={"train": {"sources": ["pairs"], "recipe": recipe}},
        published=[{"of": "warm", "over": "cold", "difference": -1, "what": "a guess", "source": "nobody"}],
        measure={"widths": ["full", "quarter"]},
    )


@pytest.fixture
def run(config, tmp_path):
    def running(output="out", **options):
        options = {"seeds": 2, "data_dir": tmp_path / "data", **QUIET, **options}
        return run_experiment(config, output=tmp_path / output, **options)

    return running


def test_every_arm_and_seed_is_trained_once_and_measured(run, tmp_path, monkeypatch):
    results = run(keep_runs=True)
    assert json.loads((tmp_path / "out/micro/tiny.json").read_text()) == results
    seeds = {arm: list(entry["runs"]) for arm, entry in results["arms"].items()}
    assert seeds == {"cold": ["0", "1"], "warm": ["0", "1"]}
    entry = results["arms"]["warm"]["runs"]["1"]
    assert entry["steps"] == 2
    assert set(entry["ranks"]) == {"full", "quarter"}
    assert len(entry["ranks"]["full"]["pairs"]) == results["sets"]["pairs"] == 10
    assert "torch" in results["made"]["versions"]

    monkeypatch.setattr("egemma_lab.experiments.runner.run_stages", None)  # nothing is trained again
    assert run() == results
    assert len(run(arms=["cold"])["arms"]) == 1


def test_the_same_call_elsewhere_gives_the_same_numbers(run):
    first, second = run("one", seeds=1), run("two", seeds=1)
    for results in (first, second):
        for entry in results["arms"].values():
            entry["runs"]["0"].pop("minutes")
    assert first == second


def test_seeds_run_side_by_side_are_put_together(run, monkeypatch):
    together = run("together")
    alone = run(seeds=[1])
    assert alone["seeds"] == [1]
    assert list(alone["arms"]["warm"]["runs"]) == ["1"]
    assert "`egemma-lab experiment tiny --scale micro --seed 1`." in page(alone)
    run(seeds=[0])
    monkeypatch.setattr("egemma_lab.experiments.runner.run_stages", None)  # nothing is trained again
    found = run(seeds=2)
    assert found["seeds"] == together["seeds"] == [0, 1]
    for arm, entry in together["arms"].items():
        for seed, kept in entry["runs"].items():
            assert found["arms"][arm]["runs"][seed]["ranks"] == kept["ranks"]


@pytest.mark.parametrize("seeds", [0, -1, [], [0, 0], [-1], ["one"]])
def test_seeds_that_are_none_are_refused(run, seeds, tmp_path):
    with pytest.raises(ValueError, match="give how many, 1 or more, or a list"):
        run(seeds=seeds)
    assert not (tmp_path / "out").exists()


def test_a_killed_grid_goes_on(run, monkeypatch, tmp_path):
    whole = run("whole")
    from egemma_lab.experiments import runner

    original, calls = runner.run_stages, []

    def dying(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(runner, "run_stages", dying)
    with pytest.raises(KeyboardInterrupt):
        run("killed")
    half = json.loads((tmp_path / "killed/micro/tiny.json").read_text())
    assert sum(len(entry["runs"]) for entry in half["arms"].values()) == 2
    again = run("killed")
    for results in (whole, again):
        for entry in results["arms"].values():
            for each in entry["runs"].values():
                each.pop("minutes")
    assert again == whole


def test_all_arms_of_a_seed_see_the_same_texts_in_the_same_order(run, config, tmp_path):
    run(keep_runs=True, seeds=1)
    histories = []
    for folder in sorted((tmp_path / "out/micro/runs").iterdir()):
        trained = load_run(folder / "1-train")
        histories.append(trained.history[["source", "tokens"]])
        assert (folder / "0-start/model/model.safetensors").stat().st_nlink >= 3  # one start, and both arms'
    assert len(histories) == 2
    assert histories[0].equals(histories[1])


def test_measured_runs_leave_only_the_measured_models(run, tmp_path):
    run(seeds=1)
    runs = tmp_path / "out/micro/runs"
    left = {path.relative_to(runs).parts[1:] for path in runs.rglob("*") if path.is_file()}
    models = {parts for parts in left if parts[-1] == "model.safetensors"}
    assert {parts[0] for parts in models} == {"final"}
    assert ("1-train", "history.jsonl") in left


def test_another_look_at_the_same_models_trains_nothing(run, config, tmp_path, monkeypatch):
    first = run(seeds=1)
    config.write_text(config.read_text().replace("- quarter", "- half"))
    with monkeypatch.context() as patched:
        patched.setattr("egemma_lab.experiments.runner.run_stages", None)
        again = run(seeds=1)
    before, after = (each["arms"]["cold"]["runs"]["0"]["ranks"] for each in (first, again))
    assert set(after) == {"full", "half"}
    assert after["full"] == before["full"]

    config.write_text(config.read_text().replace("cold: null", "cold: {model: 0-start/model}"))
    other = run(seeds=1)  # a model that was not kept: the run is made again
    assert set(other["arms"]["cold"]["runs"]["0"]["ranks"]) == {"full", "half"}


def test_arms_may_be_models_of_one_run(run, config, tmp_path):
    text = (
        config.read_text()
        .replace("cold: null", "cold: {model: 0-start/model}")
        .replace("  warm:", "  end: {}\n  warm:")
    )
    config.write_text(text)
    results = run(seeds=1, keep_runs=True)
    assert len(list((tmp_path / "out/micro/runs").iterdir())) == 2  # cold and end are one run
    assert set(results["arms"]) == {"cold", "end", "warm"}


def test_tables_of_results(run):
    results = run()
    table = scores(results)
    assert len(table) == 2 * 2 * 2  # arms, views, seeds
    assert table["score"].between(0, 1).all()
    frame = comparisons(results)
    assert frame["of"].tolist() == ["score", "score", "change"]
    by_hand = table[table["view"] == "full"].groupby("arm")["score"].mean()
    assert frame["difference"][0] == pytest.approx(by_hand["warm"] - by_hand["cold"])
    (row,) = verdicts(results).to_dict("records")
    assert row["found"] == pytest.approx(frame["difference"][0])
    assert row["verdict"] in ("same sign", "no difference to be seen", "the other sign")


def test_the_page_and_the_table_say_what_was_found(run, config):
    results = run()
    text = page(results)
    for words in (
        "# ?",
        "Varied: temperature",
        "| warm |",
        "`egemma-lab experiment tiny --scale micro --seeds 2`",
    ):
        assert words in text
    (row,) = verdicts(results).to_dict("records")
    assert f"a guess (nobody) | {100 * row['found']:+.1f}" in text or "| 0.0" in text
    assert row["verdict"] in verdict_table([results])
    silent = verdict_table([{**results, "published": []}])
    assert "nothing published" in silent


def test_the_command_runs_and_keeps(run, config, tmp_path, monkeypatch, capsys):
    shipped = tmp_path / "experiments"
    shipped.mkdir()
    for module in ("shipped", "runner", "command"):
        monkeypatch.setattr(
            f"egemma_lab.experiments.{module}.experiments_folder", lambda: shipped, raising=False
        )
    (shipped / "tiny").mkdir()
    (shipped / "tiny" / "config.yaml").write_text(config.read_text())
    where = ["--data-dir", str(tmp_path / "data"), "--output", str(tmp_path / "out")]
    assert main(["experiment", "tiny", "--scale", "micro", "--seeds", "1", "--keep", *where]) == 0
    assert "## Scores" in capsys.readouterr().out
    assert json.loads((shipped / "tiny/results.json").read_text())["experiment"] == "tiny"
    assert "## Scores" in (shipped / "tiny/README.md").read_text()
    assert "[tiny](../experiments/tiny/README.md)" in (tmp_path / "docs/results.md").read_text()
    some = ["experiment", "tiny", "--scale", "micro", "--seeds", "1", *where, "--arms"]
    tiny = find_experiment(config)
    other = next(arm for arm in tiny.arms if arm != tiny.baseline)
    assert main([*some, other]) == 0
    alone = capsys.readouterr().out
    assert "## Scores" in alone
    assert "## Differences" not in alone
    one = ["experiment", "tiny", "--scale", "micro", *where, "--seed", "1"]
    assert main(one) == 0
    assert "seeds 1," in capsys.readouterr().out
    assert main([*one, "--keep"]) == 1
    assert "leave --arms and --seed out" in capsys.readouterr().err
    assert main([*some, other, "--keep"]) == 1
    assert "leave --arms and --seed out" in capsys.readouterr().err
    assert main([*some, "another"]) == 1
    assert "has no arm 'another'" in capsys.readouterr().err
    assert main(["experiment"]) == 0
    assert "tiny" in capsys.readouterr().out
    assert main(["experiment", "tinny"]) == 1
    assert "did you mean 'tiny'" in capsys.readouterr().err


def test_a_shipped_experiment_is_found_by_its_name():
    assert find_experiment("spread-out").name == "spread-out"


def test_a_loss_term_of_ones_own_is_an_arm_and_its_source_counts(config, tmp_path, monkeypatch, no_own_terms):
    from egemma_lab.experiments import runner

    given = yaml.safe_load(config.read_text())
    given["arms"]["warm"] = {"stages": {"train": {"recipe": {"own_terms": {"product": 5}}}}}
    config.write_text(yaml.safe_dump(given))
    terms, original, made = tmp_path / "terms.py", runner.run_stages, []

    def watched(recipe, *args, **kwargs):
        made.append(recipe.stages[0]["recipe"].get("own_terms"))
        return original(recipe, *args, **kwargs)

    monkeypatch.setattr(runner, "run_stages", watched)
    call = [
        "experiment",
        str(config),
        "--scale",
        "micro",
        "--seeds",
        "1",
        "--data-dir",
        str(tmp_path / "data"),
    ]
    call += ["--output", str(tmp_path / "out")]
    assert main(call) == 1  # nobody has registered it
    for sign in ("", "", "-"):
        terms.write_text(
            "from egemma_lab.losses import register_term\n\n\n@register_term()\ndef product(vectors):\n"
            f"    return {sign}(vectors.query * vectors.positive).sum(dim=1).mean()\n"
        )
        linecache.clearcache()  # a file is read once in a process; here it changes
        assert main([*call, "--terms", str(terms)]) == 0
    # the other arm once; the one with the term once for each source
    assert made.count({"product": 5}) == 2
    assert made.count(None) == 1
