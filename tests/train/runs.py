"""What the tests of the training loop share (not collected: no test in it)."""

import numpy as np

from egemma_lab.train import Recipe, train

CLOCK = ["seconds", "tokens_per_second"]


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
