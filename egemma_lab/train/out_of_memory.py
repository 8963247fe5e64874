"""Too little memory for a step: the same gradient from smaller chunks, or a word about what to lower."""

import warnings

import torch

from egemma_lab.model.batching import is_out_of_memory
from egemma_lab.train.gradient_cache import encode_and_backward, random_states, restore_random


class Fitting:
    """Attempts at a step: where memory is too small once more and smaller, and smaller from then on.

    `parts`: into how many every micro-batch is to be cut: 1, 2, 4, 8, ... Where single texts are too much, the
    allocator's error is passed on. `cache`: whether the gradient cache is used; turning it on, where it is off, is the
    first thing tried. `retry`: whether to try again at all: not in one of several processes, since the others wait
    for it in the middle of a step.
    """

    def __init__(self, cache=True, retry=True):
        self.cache, self.retry = cache, retry
        self.parts = 1

    def attempt(self, step, rows, parameters):
        """What `step()` returns, called until it fits: it reads `parts` and `cache`, and leaves the gradients.

        rows: of the longest micro-batch; parameters: whose gradients a failed attempt may have left half added up.
        """
        before, tried = random_states(), (self.cache, self.parts)
        while True:
            try:
                output = step()
            except (RuntimeError, MemoryError) as error:
                smallest = self.cache and self.parts >= rows
                if not self.retry or smallest or not is_out_of_memory(error):
                    raise
            else:
                break
            # behind the except block: what the failed attempt held is free by now
            self.cache, self.parts = True, self.parts * (2 if self.cache else 1)
            forget_attempt(parameters)
            restore_random(before)
        if tried != (self.cache, self.parts):
            cached = [] if tried[0] else ["the gradient cache"]
            cut_up = [] if self.parts == 1 else [f"micro-batches cut into {self.parts}"]
            warnings.warn(
                f"memory is too small for this batch: from here on with {' and '.join(cached + cut_up)}. The gradient "
                f"is the same, a step takes longer; {'Recipe(gradient_cache=True) and ' if cached else ''}a smaller "
                "token_budget would spare the attempt",
                stacklevel=2,
            )
        return output


class FittingStep(Fitting):
    """`encode_and_backward`, once more and smaller where memory is too small, and smaller from then on.

    First with the gradient cache, which keeps one chunk's activations instead of the batch's; then with chunks cut
    into parts. Loss and gradient stay those of the whole batch, up to the rounding of their sums (and up to which
    random numbers a text meets, in a model that trains with dropout).

    >>> from types import SimpleNamespace
    >>> w = torch.ones(1, 1, requires_grad=True)
    >>> def encode(texts):  # has room for two
    ...     if len(texts) > 2:
    ...         raise MemoryError
    ...     return torch.tensor(texts)[:, None] @ w
    >>> step = FittingStep(cache=False)
    >>> with warnings.catch_warnings(record=True):
    ...     output = step(encode, [[1.0, 2.0, 3.0]], lambda v: SimpleNamespace(total=v.sum()), parameters=[w])
    >>> output.total.item(), w.grad.item(), step.cache, step.parts
    (6.0, 6.0, True, 2)
    """

    def __call__(self, encode, chunks, loss, *, parameters, backward=torch.Tensor.backward):
        """As `encode_and_backward`, leaving its gradient in `parameters`."""

        def step():
            pieces = [piece for chunk in chunks for piece in cut(chunk, self.parts)]
            return encode_and_backward(encode, pieces, loss, cache=self.cache, backward=backward)

        return self.attempt(step, max(map(len, chunks)), parameters)


def forget_attempt(parameters):
    """Throw away the gradients that a failed attempt may have left half added up, and give memory back."""
    for parameter in parameters:
        parameter.grad = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def cut(chunk, parts):
    """A list or tensor in at most so many parts of about the same length.

    >>> cut([1, 2, 3, 4, 5], 2)
    [[1, 2, 3], [4, 5]]
    """
    size = -(-len(chunk) // parts)
    return [chunk[start : start + size] for start in range(0, len(chunk), size)]


def too_little_memory(step, recipe):
    """The MemoryError of a training that cannot be made smaller by itself: what in its recipe may be lowered."""
    lower = ("batch_size", "batch_blocks", "block_tokens", "token_budget", "max_tokens")
    named = ", ".join(f"{name}={getattr(recipe, name)}" for name in lower if hasattr(recipe, name))
    spare = "set gradient_checkpointing=True, or " if hasattr(recipe, "gradient_checkpointing") else ""
    return MemoryError(
        f"step {step}: memory is too small, also for smaller micro-batches. The last checkpoint is kept. Lower one of "
        f"{named}, {spare}take a smaller model or teacher"
    )
