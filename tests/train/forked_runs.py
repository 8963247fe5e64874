"""Script of test_kill.py: trains in forked children that kill themselves with signal 9 at given places.

Usage: forked_runs.py FOLDER SCENARIO...; a scenario is EVENT:STEP, or "finish". Each child continues the run
in FOLDER; its exit code is printed. One process that imports, many that train: importing takes the time.
"""

import os
import signal
import sys
from pathlib import Path

import accelerate
import datasets
import torch

from egemma_lab.data import batch_plan, teacher_cache
from egemma_lab.losses import RecipeLoss
from egemma_lab.model import load_model, new_model
from egemma_lab.train import Recipe, storage, train

sys.path.insert(0, str(Path(__file__).parent.parent))
from fake_teacher import FakeTeacher

# imported once here instead of in every child
PRELOADED = (
    accelerate.Accelerator,
    datasets.Dataset,
    batch_plan,
    teacher_cache,
    RecipeLoss,
    load_model,
    new_model,
)

RECIPE = Recipe(
    steps=12, batch_size=8, save_every=4, snapshot_every=5, max_tokens=24, precision="float32", seed=3
)


def pairs():
    numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    return [
        {
            "anchor": f"what is {a} plus {b}?",
            "positive": f"the sum of {a} and {b}, both small numbers",
            "negative": f"{a} without {b}",
        }
        for a in numbers
        for b in numbers[:4]
    ]


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """Kills its process at an event of a step; `inside_save` strikes between writing and renaming."""

    def __init__(self, event, step):
        self.event, self.step = event, step

    def _at(self, event, step):
        if (event, step) == (self.event, self.step):
            kill()

    def on_start(self, state):
        if self.event == "inside_save":
            rename = os.rename

            def killing(source, target):
                if Path(target).name == f"step-{self.step:06d}":
                    kill()
                rename(source, target)

            storage.os.rename = killing
        self._at("on_start", state.step)

    def on_step(self, state, row):
        self._at("on_step", state.step)  # before the row is written

    def on_snapshot(self, state, path):
        self._at("on_snapshot", state.step)

    def on_save(self, state, path):
        self._at("on_save", state.step)

    def on_end(self, state):
        self._at("on_end", state.step)


def child(folder, scenario):
    torch.set_num_threads(1)
    callbacks = []
    if scenario != "finish":
        event, step = scenario.split(":")
        callbacks = [Killer(event, int(step))]
    train(
        "micro",
        pairs(),
        teacher=FakeTeacher(96),
        recipe=RECIPE,
        output=folder,
        callbacks=callbacks,
        show_progress_bar=False,
    )


def main():
    folder, *scenarios = sys.argv[1:]
    for scenario in scenarios:
        pid = os.fork()
        if pid == 0:
            child(folder, scenario)
            os._exit(0)
        print(scenario, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
