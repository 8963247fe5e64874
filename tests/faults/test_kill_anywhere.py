"""Killed with signal 9 at twenty random moments, work goes on and ends as if it had never been disturbed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from egemma_lab.data import TeacherCache
from egemma_lab.model import load_model
from egemma_lab.train import load_run

SCRIPT = Path(__file__).parent / "killed_work.py"
KILLS = 20


def disturbed(task, folder):
    """The folder of the undisturbed work, and those of the work that was killed again and again."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), task, str(folder), str(KILLS)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count = int(done.stdout.split()[-1])
    return folder / "whole", [folder / str(number) for number in range(count)]


def leftovers(folder):
    return [
        path
        for path in folder.rglob("*")
        if "unfinished" in path.name or path.name.startswith((".start-", ".final-", ".model"))
    ]


@pytest.mark.slow
def test_training(tmp_path):
    whole, others = disturbed("training", tmp_path / "work")
    expected, clock = load_run(whole), ["seconds", "tokens_per_second"]
    for folder in others:
        run = load_run(folder)
        assert run.status == "finished"
        assert run.history.drop(columns=clock).equals(expected.history.drop(columns=clock))
        mine, theirs = run.model.state_dict(), expected.model.state_dict()
        assert all(np.array_equal(mine[name].numpy(), theirs[name].numpy()) for name in theirs)
        assert not leftovers(folder)


@pytest.mark.slow
def test_teacher_cache(tmp_path, fake_teacher):
    whole, others = disturbed("cache", tmp_path / "work")
    texts = [f"text {i}" for i in range(400)]
    expected = TeacherCache(fake_teacher, whole).vectors(texts, "query")
    for folder in others:
        cache = TeacherCache(fake_teacher, folder)
        assert np.array_equal(cache.vectors(texts, "query"), expected)
        assert cache.stats.computed == 0
        assert not list(folder.rglob("*.damaged"))


@pytest.mark.slow
def test_export(tmp_path):
    whole, others = disturbed("exporting", tmp_path / "work")
    expected = load_model(whole / "model").encode(["text 1"])
    for folder in others:
        assert (folder / "model.gguf").read_bytes() == (whole / "model.gguf").read_bytes()
        assert np.array_equal(load_model(folder / "model").encode(["text 1"]), expected)
        assert not leftovers(folder)


@pytest.mark.slow
def test_experiment_grid(tmp_path):
    whole, others = disturbed("grid", tmp_path / "work")

    def ranks(folder):
        (path,) = (folder / "micro").glob("*.json")
        arms = json.loads(path.read_text())["arms"]
        return {
            arm: {seed: (run["ranks"], run["loss"]) for seed, run in entry["runs"].items()}
            for arm, entry in arms.items()
        }

    for folder in others:
        assert ranks(folder) == ranks(whole)
