"""The step sizes: AdamW, its learning rate over the run, and gradients summed over processes."""

import math

import torch

_GROUPS = ("matrices", "norms", "table")


def make_optimizer(model, recipe, table_rate=1.0):
    """AdamW over all parameters, fused where the device has a fused one; no weight decay on norms.

    A norm's weight is a scale around its default, not a direction to be kept short: shrinking it only fights
    the next layer. Matrices (embedding, attention, feed-forward, Dense) have two dimensions, norms one.
    table_rate: what the token table's rate is multiplied with; a group keeps that factor as "share", for `set_rate`.
    """
    groups = {name: {"params": [], "weight_decay": recipe.weight_decay, "share": 1.0} for name in _GROUPS}
    groups["norms"]["weight_decay"] = 0.0
    groups["table"]["share"] = table_rate
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            kind = "matrices" if parameter.ndim >= 2 else "norms"
            if table_rate != 1.0 and "embed_tokens." in name:
                kind = "table"
            groups[kind]["params"].append(parameter)
    found = [group for group in groups.values() if group["params"]]
    fused = all(p.device.type in ("cpu", "cuda") for group in found for p in group["params"])
    optimizer = torch.optim.AdamW(found, lr=recipe.learning_rate, fused=fused)
    set_rate(optimizer, recipe.learning_rate)
    return optimizer


def set_rate(optimizer, rate):
    """Give every group of an optimizer that `make_optimizer` made its share of a step's rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


def learning_rate(recipe, step, progress):
    """The rate of one step: a linear climb from 0, times half a cosine from 1 down to 0 over the whole run.

    step: 1 for the first; progress: the share of the budget that is used up, in [0, 1].
    With `warmup` in steps the climb counts steps, otherwise progress.

    >>> from egemma_lab.train import Recipe
    >>> recipe = Recipe(steps=100, learning_rate=1.0, warmup=0.1)
    >>> [round(learning_rate(recipe, 100 * p, p), 3) for p in (0.05, 0.1, 0.5, 1.0)]
    [0.497, 0.976, 0.5, 0.0]
    """
    done = step if isinstance(recipe.warmup, int) else progress
    climb = min(1.0, done / recipe.warmup) if recipe.warmup else 1.0
    return recipe.learning_rate * climb * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def sum_gradients(accelerator, parameters):
    """Every process's gradients become the sum over processes: each has back-propagated into its own rows.

    One reduction after the backward pass instead of DistributedDataParallel's hooks inside it: the same
    numbers, and it works however often the model was called in the step (micro-batches, GradCache's replays).
    """
    if accelerator.num_processes == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    flat = accelerator.reduce(flat, reduction="sum")
    for gradient, total in zip(gradients, flat.split([g.numel() for g in gradients])):
        gradient.copy_(total.view_as(gradient))
