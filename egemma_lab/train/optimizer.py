"""The step sizes: AdamW, its learning rate over the run, and gradients summed over processes."""

import math

import torch


def make_optimizer(model, recipe):
    """AdamW over all parameters, fused where the device has a fused one; no weight decay on norms.

    A norm's weight is a scale around its default, not a direction to be kept short: shrinking it only fights
    the next layer. Matrices (embedding, attention, feed-forward, Dense) have two dimensions, norms one.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=recipe.learning_rate, fused=fused)


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
