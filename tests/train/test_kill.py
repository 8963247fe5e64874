"""A run killed with signal 9, wherever, and continued is bit for bit the run that was never killed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from egemma_lab.train import load_run

SCRIPT = Path(__file__).parent / "forked_runs.py"


def runs(folder, *scenarios, cache):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "EGEMMA_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), *scenarios],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [int(line.split()[1]) for line in done.stdout.splitlines()]


def assert_same_run(one, other):
    """Equal history (all but clock times), snapshots and files of weights, bit for bit."""
    clock = ["seconds", "tokens_per_second"]
    assert one.history.drop(columns=clock).equals(other.history.drop(columns=clock))
    assert one.snapshots.steps.tolist() == other.snapshots.steps.tolist()
    assert np.array_equal(one.snapshots.embeddings, other.snapshots.embeddings)
    for name in (
        "final/model.safetensors",
        "final/2_Dense/model.safetensors",
        "final/3_Dense/model.safetensors",
    ):
        a, b = load_file(one.folder / name), load_file(other.folder / name)
        assert a.keys() == b.keys()
        assert all(np.array_equal(a[key], b[key]) for key in a)


def test_killed_again_and_again(tmp_path):
    assert runs(tmp_path / "whole", "finish", cache=tmp_path / "cache-1") == [0]
    scenarios = [
        "on_snapshot:0",  # before the first step
        "on_step:3",  # before there is any checkpoint; step 3 is not in the history yet
        "inside_save:4",  # the checkpoint is written, but has not its name yet
        "on_save:4",
        "on_snapshot:5",  # history and snapshots are ahead of the checkpoint
        "on_step:8",
        "inside_save:8",
        "on_save:12",  # after the last checkpoint, before the final model
    ]
    codes = runs(tmp_path / "killed", *scenarios, "finish", cache=tmp_path / "cache-2")
    assert codes == [-9] * len(scenarios) + [0]
    whole, killed = load_run(tmp_path / "whole"), load_run(tmp_path / "killed")
    assert whole.status == killed.status == "finished"
    assert whole.history["step"].tolist() == list(range(1, 13))
    assert_same_run(whole, killed)
    leftovers = [path for path in (tmp_path / "killed").rglob("*") if "unfinished" in path.name]
    assert leftovers == []
