"""Matryoshka: the same loss on leading sub-vectors, so that a prefix of an embedding is an embedding."""

import torch.nn.functional as F

from ._vectors import check_dim_weights, check_dims, rows


def matryoshka_loss(loss, *embeddings, dims=(768, 512, 256, 128), weights=None, **kwargs):
    """Σ_m c_m loss(prefixes of width m), every prefix re-normalised to unit length.

    Works with any loss on (B, d) tensors; it does the whole computation once per width. `RecipeLoss` gets the
    same numbers for the paper's two Matryoshka terms (contrastive and spread-out) from products that build on
    each other. A teacher's vectors passed as an embedding are cut and re-normalised as well, so the loss of a
    student that equals its teacher is 0; the paper itself does not put Matryoshka on its distillation.

    Args:
        loss: called as loss(*prefixes, **kwargs) -> scalar.
        embeddings: (B, d) tensors; None is passed on as None.
        dims: prefix widths in decreasing order, none wider than d. The default is EmbeddingGemma's.
        weights: c_m, one a width; default 1 each (the paper adds them without weights).

    Returns a scalar. Raises ValueError for dims that do not decrease or do not fit the embeddings.

    Source: Matryoshka Representation Learning, arXiv 2205.13147; EmbeddingGemma, arXiv 2509.20354.

    >>> import torch
    >>> from egemma_lab.losses import spread_out_loss
    >>> x = torch.tensor([[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]])
    >>> matryoshka_loss(spread_out_loss, x, dims=(4, 2)).item()   # 0.5² at width 4, 1 (collapsed) at width 2
    1.25
    """
    dims = check_dims(dims)
    for number, x in enumerate(embeddings):
        rows(**{f"embedding {number}": x})
        if x is not None:
            check_dims(dims, x.shape[1])
    weights = check_dim_weights(weights, dims)
    total = 0.0
    for width, weight in zip(dims, weights):
        prefixes = [None if x is None else unit_prefix(x, width) for x in embeddings]  # (B, width)
        total = total + weight * loss(*prefixes, **kwargs)
    return total


def unit_prefix(x, width):
    """The first `width` columns, each row at unit length again, in float32 or better."""
    (x,) = rows(x=x)
    return F.normalize(x[:, :width])
