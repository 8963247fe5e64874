"""Two programs at once on one machine: what each still does, and how OpenMP's threads had better wait for each other.

    python benchmarks/together.py [--rounds 3] [--seconds 8]

A program here encodes texts (a second) or trains on pairs (steps a second) with the bundled nano and as many threads as
there are cores; wall time, so that nothing else may run beside. Alone and in twos, with what torch's OpenMP does by
itself and with each of `SETTINGS` in the environment, which it reads when torch is imported.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from measuring import record, said, spread

import egemma_lab as lab

SETTINGS = {
    "as it is": {},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
UNITS = {"encode": "texts", "train": "steps"}


def wait_for_go():
    """Tell the parent that all is set up, and wait for its word."""
    print("ready", flush=True)
    sys.stdin.readline()
    return time.perf_counter()


def encode(seconds):
    """Texts a second."""
    model = lab.load_model("nano")
    texts = [f"The quick brown fox number {n} jumps over a lazy dog that sleeps." for n in range(600)]
    model.encode(texts, show_progress_bar=False)
    start, count = wait_for_go(), 0
    while time.perf_counter() - start < seconds:
        model.encode(texts, show_progress_bar=False)
        count += len(texts)
    return count / (time.perf_counter() - start)


class Clock:
    """A callback of the training: three steps to warm up, then as many as `seconds` hold."""

    def __init__(self, seconds):
        self.seconds, self.start, self.count = seconds, None, 0

    def on_step(self, state, row):
        if row["step"] == 3:
            self.start = wait_for_go()
        elif row["step"] > 3:
            self.count += 1
            self.taken = time.perf_counter() - self.start
            if self.taken >= self.seconds:
                state.stop()


def train(seconds):
    """Steps of 64 triplets a second."""
    rows = [
        {
            "anchor": f"how does thing {n} work when it is used by {7 * n}",
            "positive": f"Thing number {n} works by turning {3 * n} wheels in a row.",
            "negative": f"Thing {n + 1} is broken, {n} times.",
        }
        for n in range(2000)
    ]
    clock, recipe = Clock(seconds), lab.Recipe(steps=1000, weights={"matching": 0})
    with tempfile.TemporaryDirectory() as folder:
        lab.train(
            lab.load_model("nano"),
            rows,
            recipe=recipe,
            output=f"{folder}/run",
            callbacks=[clock],
            show_progress_bar=False,
        )
    return clock.count / clock.taken


def rates(work, settings, programs, seconds):
    """What each of `programs` processes does a second, all begun at one word."""
    command = [sys.executable, __file__, "--work", work, "--seconds", str(seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, env={**os.environ, **settings}, **pipes) for _ in range(programs)]
    for each in running:
        if each.stdout.readline() != "ready\n":
            raise RuntimeError(f"{work} ended before it began; its error stands above")
    for each in running:
        each.stdin.write("go\n")
        each.stdin.flush()
    found = [float(each.stdout.readlines()[-1]) for each in running]
    for each in running:
        each.wait()
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each program's work")
    parser.add_argument("--work", choices=UNITS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print({"encode": encode, "train": train}[options.work](options.seconds))
        return
    figures = {}
    for work, unit in UNITS.items():
        for programs in (1, 2):
            found = {name: [] for name in SETTINGS}
            for _ in range(options.rounds):
                for name, settings in SETTINGS.items():
                    found[name].append(np.mean(rates(work, settings, programs, options.seconds)))
            figures[f"{work}, {programs} at once"] = {name: spread(each) for name, each in found.items()}
            for name, each in figures[f"{work}, {programs} at once"].items():
                print(f"{work}, {programs} at once, {name}: {said(each)} {unit} a second each", flush=True)
    record("together", [], figures)


if __name__ == "__main__":
    main()
