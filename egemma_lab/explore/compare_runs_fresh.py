"""A short run with the learner's own weights, trained beside the notebook that asked for it."""

import threading
import time
from pathlib import Path

PAIRS = 3000  # python-docs' own where none are given: enough for minutes, read in a second
STARTS = {
    "nano, from the teacher's words": "nano",
    "micro, from the teacher's words": "micro",
    "the bundled nano, further": "bundled",
}
QUIET = 0.5  # seconds between two reports


def fresh_recipe(start, minutes, **losses):
    """The `Recipe` of a short run: minutes of training, and whatever fields of it the losses need.

    start: a value of `STARTS`. Fresh weights begin warm, since minutes are not enough from noise; the bundled nano
    goes on at a third of the rate. Whatever cannot be trained is refused as `Recipe` refuses it.
    """
    from egemma_lab.train import Recipe

    return Recipe(
        minutes=minutes,
        **losses,
        batch_size=64,
        max_tokens=64,
        learning_rate=1e-4 if start == "bundled" else 3e-4,
        warm_start=start != "bundled",
    )


def describe_changes(recipe):
    """What of a recipe's losses is not as usual, in a few words for a legend; "" where all is.

    >>> from egemma_lab.train import Recipe
    >>> describe_changes(Recipe(weights={"spread_out": 0}, temperature=0.02))
    'spread-out 0, τ 0.02'
    """
    from egemma_lab.train import Recipe

    usual = Recipe()
    words = [
        f"{term.replace('_', '-')} {weight:g}"
        for term, weight in recipe.weights.items()
        if weight != usual.weights[term]
    ]
    words += [f"{name} {weight:g}" for name, weight in recipe.own_terms.items()]
    for field, letter in (("temperature", "τ"), ("hardness", "α")):
        if getattr(recipe, field) != getattr(usual, field):
            words.append(f"{letter} {getattr(recipe, field):g}")
    return ", ".join(words)


def free_folder(parent):
    """The first of parent/fresh-1, parent/fresh-2, ... that is not there yet."""
    number = 1
    while (Path(parent) / f"fresh-{number}").exists():
        number += 1
    return Path(parent) / f"fresh-{number}"


class FreshRun:
    """A training in a thread of its own.

    `start(...)` begins it, `stop()` ends it after its step. The functions given are called from the thread:
    `report(share, words)` as it goes on, then `done(run)` or `failed(error)`.
    """

    def __init__(self, report, done, failed):
        self._report, self._done, self._failed = report, done, failed
        self._thread, self._stopping, self._next = None, False, 0.0

    @property
    def is_alive(self):
        return self._thread is not None and self._thread.is_alive()

    def start(self, start, recipe, output, *, pairs=None, teacher=None, probe=None):
        """Train: see `lab.train`. `pairs` None: 3,000 of python-docs; `teacher` None: the usual one; RuntimeError
        while another run is under way."""
        if self.is_alive:
            raise RuntimeError("a run is under way; stop it, or wait until it is done")
        self._stopping = False
        work = (start, recipe, output, pairs, teacher, probe)
        self._thread = threading.Thread(target=self._work, args=work, name="fresh run", daemon=True)
        self._thread.start()

    def stop(self):
        self._stopping = True

    def join(self):
        if self._thread is not None:
            self._thread.join()

    def _work(self, *arguments):
        try:
            run = self._train(*arguments)
        except Exception as error:
            self._failed(error)
        else:
            self._done(run)

    def _train(self, start, recipe, output, pairs, teacher, probe):
        import egemma_lab as lab

        if pairs is None:
            self._report(0.0, "reading the Python packages of this machine (a minute the first time)")
            pairs = lab.data.load_pairs("python-docs", limit=PAIRS)
        if teacher is None:
            self._report(0.0, "opening the teacher")
            teacher = lab.load_teacher(max_seq_length=recipe.max_tokens)
        self._report(0.0, "setting up: tokenizer, first weights")
        return lab.train(
            lab.load_model("nano") if start == "bundled" else start,
            pairs,
            teacher=teacher,
            recipe=recipe,
            output=output,
            probe=probe,
            callbacks=[self],
            show_progress_bar=False,
        )

    def on_step(self, state, row):
        """Called by the loop after every step."""
        if self._stopping:
            state.stop()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + QUIET
            self._report(
                state.progress, f"step {row['step']}, loss {row['loss']:.3f}, {row['seconds']:.0f} s"
            )
