"""What every loss asks of its inputs: rows of one shape, in float32 or better, outside autocast."""

import functools
import itertools

import torch


def in_full_precision(loss):
    """Switch autocast off inside `loss`: scores in bfloat16 tie, and sums of their squares drift."""

    @functools.wraps(loss)
    def wrapped(*args, **kwargs):
        first = next((x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)), None)
        if first is None:
            return loss(*args, **kwargs)
        with torch.autocast(first.device.type, enabled=False):
            return loss(*args, **kwargs)

    return wrapped


def rows(same_width=True, **named):
    """The named embeddings as (B, d) tensors of one dtype: float64 if any of them is, else float32.

    None stays None. Raises TypeError for what is no tensor, ValueError for shapes that do not match.
    """
    given = {name: x for name, x in named.items() if x is not None}
    for name, x in given.items():
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"{name} is a {type(x).__name__}; a torch tensor of shape (B, d) is expected")
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(f"{name} has shape {tuple(x.shape)}; (B, d) with B >= 1 and d >= 1 is expected")
    shapes = {name: tuple(x.shape) if same_width else len(x) for name, x in given.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {tuple(x.shape)}" for name, x in given.items())
        wanted = "(B, d)" if same_width else "number of rows"
        raise ValueError(
            f"the embeddings belong together row by row and need the same {wanted}; got {listed}"
        )
    dtype = functools.reduce(torch.promote_types, (x.dtype for x in given.values()), torch.float32)
    return [None if x is None else x.to(dtype) for x in named.values()]


def check_dims(dims, width=None):
    """`dims` as a tuple of prefix widths, strictly decreasing, none wider than `width`."""
    dims = tuple(dims)
    whole = all(isinstance(m, int) and m >= 1 for m in dims)
    if not dims or not whole or any(a <= b for a, b in itertools.pairwise(dims)):
        raise ValueError(
            f"dims={dims} must be whole numbers >= 1 in decreasing order, such as (256, 128, 64, 32)"
        )
    if width is not None and dims[0] > width:
        raise ValueError(
            f"dims={dims} do not fit embeddings of width {width}: "
            f"every prefix width must be at most {width}; pass dims=({width}, ...)"
        )
    return dims


def check_dim_weights(weights, dims):
    """One finite weight >= 0 per width; None means 1 each, as in the paper."""
    weights = (1.0,) * len(dims) if weights is None else tuple(float(w) for w in weights)
    if len(weights) != len(dims) or not all(0 <= w < float("inf") for w in weights):
        raise ValueError(f"weights={weights} must hold one finite number >= 0 for each width of dims={dims}")
    return weights
