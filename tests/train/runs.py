"""What the tests of the training loop share (not collected: no test in it)."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from accelerate import PartialState

from egemma_lab.train import Recipe, train

CLOCK = ["seconds", "tokens_per_second"]
HERE = Path(__file__).parent


def launch(processes, script, *arguments, **variables):
    """The finished call of a script of this folder in several processes, its words in `stderr`.

    It is what `accelerate launch` starts for several GPUs on one machine; for CPUs that wants MPI.
    """
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "ACCELERATE_USE_CPU": "true"}
    return subprocess.run(
        [sys.executable, *command, str(HERE / script), *map(str, arguments)],
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )


def part():
    """What a script of several processes ends with: one that exits while still connected may be aborted."""
    PartialState().destroy_process_group()


def quick(**changes):
    """A recipe of a few small steps."""
    fields = {
        "steps": 6,
        "batch_size": 8,
        "save_every": 2,
        "snapshot_every": 3,
        "max_tokens": 24,
        "token_budget": 1024,
        "precision": "float32",
        "weights": {"matching": 0},
    }
    if "minutes" in changes:
        del fields["steps"]
    return Recipe(**{**fields, **changes})


def run_it(
    model, pairs, output, *, callbacks=(), teacher=None, resume=True, probe=("a text", "another"), **changes
):
    """Train on a few pairs without a bar."""
    return train(
        model,
        pairs,
        teacher=teacher,
        recipe=quick(**changes),
        output=output,
        callbacks=callbacks,
        resume=resume,
        probe=probe,
        show_progress_bar=False,
    )


def assert_same(one, other):
    """Equal histories but for the clock, and equal weights, bit for bit."""
    assert one.history.drop(columns=CLOCK).equals(other.history.drop(columns=CLOCK))
    mine, theirs = one.model.state_dict(), other.model.state_dict()
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert np.array_equal(mine[name].numpy(), theirs[name].numpy()), name


class At:
    """Calls `action(state)` at a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step(self, state, row):
        if state.step == self.step:
            self.action(state)
