"""What a run does besides learning: each a callback, none of them known to the loop.

The loop calls, in the order of the list:

    on_start(state)            before the first step of this execution (resumed or new)
    on_step(state, row)        after every step; `row` is the history's row, callbacks may add columns
    on_snapshot(state, path)   after the probe texts were encoded
    on_save(state, path)       after a checkpoint was written
    on_end(state)              once, however the run ended: `state.status` says how

`state` (a `TrainState`) has `.model .recipe .run .step .steps .progress .elapsed .history_rows .status`, and
`state.stop()` ends the run after the step. Only the main process calls callbacks. Randomness used in a
callback
does not reach the run: every step seeds its own.
"""

import json
import sys

from egemma_lab.train.folder import RunFolder
from egemma_lab.train.run import read_history
from egemma_lab.train.storage import write_text

EVENTS = ("on_start", "on_step", "on_snapshot", "on_save", "on_end")


class Callback:
    """Does nothing at every event; subclasses override what they need."""

    def on_start(self, state): ...

    def on_step(self, state, row): ...

    def on_snapshot(self, state, path): ...

    def on_save(self, state, path): ...

    def on_end(self, state): ...


def check_callback(callback):
    """Refuse an object that hears no event: most likely a class instead of an object, or a function."""
    if isinstance(callback, type) or not any(callable(getattr(callback, event, None)) for event in EVENTS):
        raise TypeError(f"callback {callback!r} is no object with any of the methods {', '.join(EVENTS)}")


class History(Callback):
    """One JSON line a step in `history.jsonl`, written out at once, so that a kill loses no finished step."""

    _file = None

    def on_start(self, state):
        path = RunFolder(state.run.folder).history
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - stays open as long as the run

    def on_step(self, state, row):
        state.history_rows.append(row)
        self._file.write(_line(row))
        self._file.flush()

    def on_end(self, state):
        if self._file is not None:
            self._file.close()


def truncate_history(path, step):
    """Drop the rows beyond `step` from the file: those steps are taken again. Returns the rows that stay."""
    rows = [row for row in read_history(path) if row["step"] <= step]
    if [row["step"] for row in rows] != list(range(1, step + 1)):
        raise ValueError(
            f"{path} does not hold the {step} steps before the checkpoint (it holds {len(rows)}): it was "
            "changed or damaged, so the run cannot be continued; begin anew with resume=False"
        )
    write_text(path, "".join(map(_line, rows)))
    return rows


def _line(row):
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


class Checkpoints(Callback):
    """A checkpoint every `save_every` steps; the loop itself saves at the end."""

    def on_step(self, state, row):
        if state.step % state.recipe.save_every == 0:
            state.save()


class ProgressBar(Callback):
    """A line of text: share done, time left, loss and its terms, tokens a second. On stderr, no widgets."""

    def on_start(self, state):
        from tqdm.std import tqdm

        self._bar = tqdm(
            total=100.0,
            initial=100.0 * state.progress,
            bar_format="{desc}{percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}{postfix}",
            mininterval=0.5,
            file=sys.stderr,
        )

    def on_step(self, state, row):
        total = f"/{state.steps}" if state.steps else ""
        terms = [
            f"{name} {row[name]:.3f}"
            for name in ("loss", "contrastive", "spread_out", "matching")
            if name in row
        ]
        self._bar.set_description_str(f"step {state.step}{total} ", refresh=False)
        self._bar.set_postfix_str(
            ", ".join([*terms, f"{row['tokens_per_second']:,.0f} tokens/s"]), refresh=False
        )
        self._bar.update(min(100.0, 100.0 * state.progress) - self._bar.n)

    def on_end(self, state):
        self._bar.close()
        if state.status == "interrupted":
            print(
                f"Stopped after step {state.step}. Checkpoint and model are saved in {state.run.folder}; the "
                "same call continues from here.",
                file=sys.stderr,
            )


class TensorBoard(Callback):
    """Every column of the history as a TensorBoard scalar.

    folder: where the event files go; None: `tensorboard/` in the run's folder. Raises ImportError naming the
    package where TensorBoard is not installed.
    """

    def __init__(self, folder=None):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "the TensorBoard callback needs the package tensorboard: pip install tensorboard"
            ) from error
        self._make = SummaryWriter
        self._folder = folder

    def on_start(self, state):
        folder = self._folder or RunFolder(state.run.folder).path / "tensorboard"
        # on resume: what lies beyond the checkpoint is computed, and so written, again
        self._writer = self._make(str(folder), purge_step=state.step + 1)

    def on_step(self, state, row):
        for name, value in row.items():
            if name != "step" and isinstance(value, (int, float)):
                self._writer.add_scalar(name, value, state.step)

    def on_end(self, state):
        self._writer.close()
