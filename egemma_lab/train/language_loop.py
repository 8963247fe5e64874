"""The loop of language runs: folder, checkpoints and callbacks are those of `train`, the model is another.

A language model has `parts(rows, recipe, generator)`, which turns blocks into `Part`s, and `loss_sum(part)`.
"""

import contextlib
import dataclasses
import math
import time

import numpy as np
import torch

from egemma_lab.model.batching import is_out_of_memory
from egemma_lab.train.interrupt import InterruptFlag
from egemma_lab.train.language_run import LanguageRun
from egemma_lab.train.language_setup import set_up_language
from egemma_lab.train.micro_batches import Ahead
from egemma_lab.train.optimizer import learning_rate, set_rate
from egemma_lab.train.out_of_memory import Fitting, cut, too_little_memory

_TRAINING, _MEASURING = 1, 2  # streams of random numbers


@dataclasses.dataclass
class Part:
    """Blocks that go through the model together: `inputs`, int64 tensors; `count` predicted tokens."""

    inputs: tuple
    count: int
    name: str | None = None

    def cut(self, parts):
        """The same blocks in so many parts of about the same number, fewer where there are not as many blocks."""
        rows = zip(*(cut(tensor, parts) for tensor in self.inputs))
        each = self.count // len(self.inputs[0])  # blocks that go together predict equally many
        return [Part(some, each * len(some[0]), self.name) for some in rows]


def run_language(job):
    """Set up or take up the run, train, and leave a folder that can be used: a `LanguageRun`."""
    with contextlib.ExitStack() as stack:
        state, blocks = set_up_language(job, stack)
        if state.status == "finished":
            return LanguageRun(state.run.folder)
        state.emit("on_start")
        state.started = time.monotonic()
        interrupt = InterruptFlag()
        try:
            with interrupt:
                _loop(state, blocks, interrupt)
            state.close("finished" if state.step >= state.steps else "interrupted")
        except Exception as error:
            state.fail()
            if is_out_of_memory(error):
                raise too_little_memory(state.step + 1, state.recipe) from error
            raise
        finally:
            state.emit("on_end")
    interrupt.pass_on()
    return LanguageRun(state.run.folder)


def _loop(state, blocks, interrupt):
    model, recipe, optimizer = state.model, state.recipe, state.optimizer
    parameters = [p for p in model.parameters() if p.requires_grad]
    fitting = Fitting()
    every = recipe.evaluate_every or max(1, recipe.steps // 10)
    model.train()

    def make(step):
        rows = blocks.batch(step, recipe.batch_blocks, recipe.seed)
        return model.parts(rows, recipe, np.random.default_rng([recipe.seed, step, _TRAINING]))

    with Ahead(make, first=state.step + 1) as upcoming:
        while state.step < state.steps and not (state.stopping or interrupt.pressed):
            began = time.monotonic()
            step = state.step + 1
            rate = learning_rate(recipe, step, (step - 0.5) / state.steps)
            set_rate(optimizer, rate)
            losses = _fitting_losses(fitting, model, upcoming.next(), state.precision, parameters)
            gradient_norm = float(torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm))
            if not math.isfinite(losses["loss"] + gradient_norm):
                raise FloatingPointError(
                    f"step {step}: loss is {losses['loss']}, gradient_norm is {gradient_norm}. The weights "
                    "were not changed by it and the last checkpoint is kept; take a lower learning_rate"
                )
            optimizer.step()
            optimizer.zero_grad()
            state.step = step
            tokens = recipe.batch_blocks * recipe.block_tokens
            row = {
                "step": step,
                "epoch": blocks.epoch(step, recipe.batch_blocks),
                **losses,
                "gradient_norm": gradient_norm,
                "learning_rate": rate,
                "tokens": tokens,
                "tokens_per_second": tokens / (time.monotonic() - began),
                "seconds": state.elapsed,
            }
            if step % every == 0 or step == state.steps:
                row.update(held_out_loss(model, blocks, recipe, state.precision))
            state.emit("on_step", row)


def _fitting_losses(fitting, model, parts, precision, parameters):
    """Losses and gradients of a step. They are sums over blocks, so both stay the same, up to rounding, where memory
    is too small and every part of the blocks is cut up."""

    def step():
        pieces = [piece for part in parts for piece in part.cut(fitting.parts)]
        return _losses(model, pieces, precision, backward=True)

    return fitting.attempt(step, max(len(part.inputs[0]) for part in parts), parameters)


def _losses(model, parts, precision, backward=False):
    """{"loss": mean nats a predicted token, "loss/<name>": over the parts of a name}; gradients added up."""
    total = sum(part.count for part in parts)
    sums = []
    for part in parts:
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            nats = model.loss_sum(part)
        if backward:
            (nats / total).backward()
        sums.append(nats.detach())
    sums = torch.stack(sums).tolist()
    losses = {"loss": sum(sums) / total}
    for name in sorted({part.name for part in parts} - {None}):
        own = [(nats, part.count) for nats, part in zip(sums, parts) if part.name == name]
        losses[f"loss/{name}"] = sum(nats for nats, _ in own) / sum(count for _, count in own)
    return losses


def held_out_loss(model, blocks, recipe, precision="float32"):
    """The history's "held_out/..." columns, {} without held-out blocks. The same tokens, masked in the same
    way, each time."""
    if not len(blocks.held_out):
        return {}
    generator = np.random.default_rng([recipe.seed, 0, _MEASURING])
    parts = model.parts(blocks.held_out.astype(np.int64), recipe, generator)
    with torch.no_grad():
        loss = _losses(model, parts, precision)["loss"]
    row = {"held_out/loss": loss, "held_out/perplexity": math.exp(min(loss, 700.0))}
    if model.reads_all:
        row["held_out/bits_per_byte"] = loss / math.log(2) / blocks.bytes_per_token
    return row


def by_budget(rows, row_tokens, token_budget):
    """Slices of so many rows that no more than `token_budget` tokens are together, at least one row each.

    >>> [len(part) for part in by_budget([0] * 5, row_tokens=10, token_budget=25)]
    [2, 2, 1]
    """
    size = max(1, token_budget // row_tokens)
    return [rows[start : start + size] for start in range(0, len(rows), size)]
