"""A run, finished or not, as an object: its recipe, history, snapshots and model."""

import functools
import json
from pathlib import Path

import numpy as np

from egemma_lab.train.checkpoint import load_checkpoint, newest_checkpoint
from egemma_lab.train.folder import RunFolder
from egemma_lab.train.lora import merged
from egemma_lab.train.recipe import Recipe


class Run:
    """What is in a run's folder; `lab.train` returns one and `lab.load_run(folder)` opens one.

    folder: a path. `recipe`, `info` (versions, machine, fingerprints), `history` (pandas: one row a step, one
    column a loss term and width), `snapshots` (the probe texts' vectors over training), `model` (the trained
    model: the final one, or the newest checkpoint's), `start` (the model before the first step), `status`
    ("running" also stands in the folder of a run that was killed), `step` (of the last row in the history).
    """

    def __init__(self, folder, model=None):
        self.folder = Path(folder)
        self._files = RunFolder(folder)
        if not self._files.holds_a_run:
            raise FileNotFoundError(
                f"{self.folder} holds no run (no run.json in it); give the folder that was `output` in "
                "train()"
            )
        if model is not None:
            self.model = model  # in memory already: shadows the cached property

    @property
    def recipe(self):
        return Recipe.from_yaml(self._files.recipe)

    @property
    def info(self):
        return self._files.read_info()

    @property
    def status(self):
        return self._files.read_status()[0]

    @property
    def history(self):
        """A pandas.DataFrame with one row a step, read anew each time: a running run's grows.

        Columns: step, epoch, source, loss, every term and every term at every width ("contrastive/64"),
        gradient_norm (before clipping), learning_rate, tokens (of the step, without padding),
        tokens_per_second, seconds (of training since step 1), and "eval/..." in rows of steps with an
        evaluation.
        """
        import pandas as pd

        return pd.DataFrame(read_history(self._files.history))

    @property
    def step(self):
        rows = read_history(self._files.history)
        return rows[-1]["step"] if rows else 0

    @property
    def snapshots(self):
        return Snapshots(self._files.snapshots)

    @functools.cached_property
    def model(self):
        from egemma_lab.model import load_model
        from egemma_lab.train.model_choice import read_start

        # a run that was interrupted, resumed and killed has a final model older than its newest checkpoint
        if self._files.final.is_dir() and self.status in ("finished", "interrupted"):
            model = load_model(self._files.final)
        else:
            model = read_start(self._files, self.recipe)
            newest = newest_checkpoint(self._files.checkpoints)
            if newest is not None:
                load_checkpoint(newest[0], model)
            if self.recipe.lora is not None:
                model = merged(model)
        model.name = self.folder.resolve().name
        return model

    @property
    def start(self):
        """The model before the first step, loaded anew each time."""
        from egemma_lab.model import load_model

        model = load_model(self._files.start)
        model.name = f"{self.folder.resolve().name} before training"
        return model

    def __repr__(self):
        rows = read_history(self._files.history)
        loss = f", loss {rows[-1]['loss']:.4f}" if rows else ""
        return f"Run({str(self.folder)!r}: {self.status}, {len(rows)} steps{loss})"


class Snapshots:
    """The probe texts' vectors over training.

    `steps` (T,) int; `embeddings` (T, n, d) float16, unit rows; `texts`, `labels`, `roles` ("query" or
    "document"): n strings each. Where the probe was drawn from pairs, text i of the first half and text i of
    the second half are an anchor and its positive.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        probe = self.folder / "probe.jsonl"
        rows = (
            [json.loads(line) for line in probe.read_text(encoding="utf-8").splitlines()]
            if probe.exists()
            else []
        )
        self.texts = [row["text"] for row in rows]
        self.labels = [row["label"] for row in rows]
        self.roles = [row["role"] for row in rows]
        self._files = sorted(self.folder.glob("step-*.npy"), key=_step_of)
        self.steps = np.array([_step_of(path) for path in self._files], dtype=np.int64)

    @functools.cached_property
    def embeddings(self):
        if not self._files:
            return np.zeros((0, len(self.texts), 0), dtype=np.float16)
        return np.stack([np.load(path, allow_pickle=False) for path in self._files])

    def __len__(self):
        return len(self.steps)

    def __repr__(self):
        return f"Snapshots({len(self)} of {len(self.texts)} texts, steps {self.steps.tolist()})"


def load_run(folder):
    """Open a run's folder, whether the run is finished, running, or was killed.

    Raises FileNotFoundError where the folder holds no run.
    """
    return Run(folder)


def read_history(path):
    """The rows of a history file as dicts; a last line cut short by a kill is not a row."""
    if not Path(path).exists():
        return []
    lines = Path(path).read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]  # what stands behind the last newline is unfinished


def _step_of(path):
    return int(path.stem[5:])
