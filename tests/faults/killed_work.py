"""Script of test_kill_anywhere.py: work in forked children that are killed with signal 9 after random times.

Usage: killed_work.py TASK FOLDER KILLS. The task is done once undisturbed in FOLDER/whole; then again in FOLDER/0,
FOLDER/1 and so on, by children of which KILLS are killed at random moments. Each folder's next child goes on where the
last one was killed; when one reaches the end, a new folder is begun. The last folder is finished undisturbed. Prints a
line with the number of folders. One process that imports, many that work: importing takes the time.
"""

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import accelerate
import datasets
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))

from fake_teacher import FakeTeacher
from forked_runs import PRELOADED, RECIPE, pairs
from test_plan import write

from egemma_lab.data import TeacherCache
from egemma_lab.experiments import run_experiment
from egemma_lab.model import new_model, train_tokenizer
from egemma_lab.quantize import export
from egemma_lab.train import train

LOADED = (*PRELOADED, accelerate, datasets)
TEXTS = [f"text {i}" for i in range(400)]


class SlowTeacher(FakeTeacher):
    """Takes a millisecond a text, so that there is something to be killed in."""

    def encode(self, texts, role="document", **options):
        time.sleep(0.001 * len(texts))
        return super().encode(texts, role, **options)


def training(folder):
    os.environ["EGEMMA_CACHE"] = str(folder.parent / "cache" / folder.name)
    options = {"teacher": FakeTeacher(96), "recipe": RECIPE, "show_progress_bar": False}
    train("micro", pairs(), output=folder, **options)


def cache(folder):
    filled = TeacherCache(SlowTeacher(), folder)
    filled.fill(TEXTS, "query", chunk=10, show_progress_bar=False)


def exporting(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):  # each replaces the one before
        model = new_model("micro", train_tokenizer(TEXTS, vocab_size=400), seed=number)
        model.save_pretrained(folder / "model")
        export(model, folder / "model.gguf", precision="Q8_0")


def grid(folder):
    home = folder.parent / "config"
    if not home.exists():
        home.mkdir()
        rows = [f'{{"anchor": "what is {i} plus one", "positive": "it is {i + 1}"}}' for i in range(120)]
        (home / "pairs.jsonl").write_text("\n".join(rows))
        recipe = {"batch_size": 6, "weights": {"matching": 0}, "max_tokens": 16, "precision": "float32"}
        write(
            home,
            tokenizer={"vocab_size": 500, "texts": 200},
            start={"kind": "random"},
            stages={"train": {"sources": ["pairs"], "recipe": recipe}},
        )
    (config,) = home.glob("*.yaml")
    run_experiment(config, scale="micro", seeds=2, data_dir=home, output=folder, show_progress_bar=False)


TASKS = {"training": training, "cache": cache, "exporting": exporting, "grid": grid}


def child(task, folder):
    """The pid of a child that does the task in the folder."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            torch.set_num_threads(1)
            TASKS[task](folder)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def wait(pid):
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, -signal.SIGKILL):
        sys.exit(f"the work itself failed with {code}")
    return code


def ended_within(pid, seconds):
    """Whether a child has ended, waiting for it no longer than this; it stays to be waited for."""
    last = time.monotonic() + seconds
    while (ended := os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)) is None:
        if time.monotonic() >= last:
            break
        time.sleep(0.005)
    return ended is not None


def main():
    task, folder, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    folder.mkdir(parents=True)
    began = time.monotonic()
    wait(child(task, folder / "whole"))
    seconds = time.monotonic() - began
    random.seed(0)
    killed, rounds = 0, 0
    while killed < kills:
        pid = child(task, folder / str(rounds))
        if not ended_within(pid, random.uniform(0, seconds)):
            os.kill(pid, signal.SIGKILL)
        if wait(pid) == 0:  # it was faster
            rounds += 1
        else:
            killed += 1
    wait(child(task, folder / str(rounds)))
    print("folders", rounds + 1, flush=True)


if __name__ == "__main__":
    main()
