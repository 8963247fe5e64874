"""Which token may look at which: at all real ones (full layers), or those in a window (sliding layers)."""

import torch


def attention_masks(attention_mask, window, implementation="sdpa"):
    """Masks for both kinds of layers, as `Gemma3TextModel` takes them.

    Returns {"full_attention": mask, "sliding_attention": mask}.

    `attention_mask` (B, L) is 1 on real tokens. A query q sees key k where k is real and, in sliding layers,
    |q - k| < `window`. A padded query with nothing but padding inside its window would see nothing at all,
    and the softmax of nothing is NaN, which gradients then carry everywhere (huggingface/transformers#45491);
    so each token always sees itself. That changes no real token: those see themselves anyway, and nobody
    looks at padding.

    A mask is None where everything is allowed, boolean for "sdpa", and additive float32 for "eager"; any
    other implementation builds its own from the plain (B, L) mask, which is then returned as it came.

    >>> masks = attention_masks(torch.tensor([[1, 1, 1, 0]]), window=2)
    >>> masks["sliding_attention"][0, 0].int().tolist()
    [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    """
    if implementation not in ("sdpa", "eager"):
        return attention_mask
    length = attention_mask.shape[1]
    dynamic = torch.compiler.is_compiling() or torch.jit.is_tracing()  # then the masks may depend on no value
    full = sliding = None
    if dynamic or not attention_mask.all():
        full = sliding = attention_mask.bool()[:, None, None, :]  # (B, 1, 1, L)
    if dynamic or length > window:
        position = torch.arange(length, device=attention_mask.device)
        distance = (position[:, None] - position[None, :]).abs()  # (L, L)
        sliding = (distance < window)[None, None]  # (1, 1, L, L)
        if full is not None:
            sliding = (sliding & full) | (distance == 0)  # (B, 1, L, L)
    if implementation == "eager":
        full, sliding = (additive(mask) for mask in (full, sliding))
    return {"full_attention": full, "sliding_attention": sliding}


def additive(mask):
    """What a boolean mask adds to the scores: 0 where it is true, float32's least number elsewhere; None stays."""
    if mask is None:
        return None
    return torch.where(mask, 0.0, torch.finfo(torch.float32).min)
