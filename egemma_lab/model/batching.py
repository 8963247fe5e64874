"""From lists of token ids to padded batches, by token count."""

from itertools import chain

import numpy as np
import torch


def pad_batch(ids, pad_id=0, device=None):
    """Pad lists of token ids on the right to the longest of them.

    Parameters: `ids`, B sequences of ints, none empty; `pad_id`, what fills up (Gemma's `<pad>` is 0);
    `device`, where the result is to live (default: CPU). Returns `(input_ids, attention_mask)`, int64 and (B,
    L) each, the mask 1 on real tokens. ValueError for an empty batch or an empty sequence: there would be
    nothing to take a mean over.

    >>> input_ids, attention_mask = pad_batch([[2, 7, 8, 1], [2, 1]])
    >>> input_ids.tolist(), attention_mask.tolist()
    ([[2, 7, 8, 1], [2, 1, 0, 0]], [[1, 1, 1, 1], [1, 1, 0, 0]])
    """
    lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))  # (B,)
    if len(ids) == 0 or lengths.min() == 0:
        raise ValueError(f"pad_batch needs non-empty lists of token ids, got lengths {lengths.tolist()}")
    mask = np.arange(lengths.max()) < lengths[:, None]  # (B, L)
    padded = np.full(mask.shape, pad_id, dtype=np.int64)
    padded[mask] = np.fromiter(chain.from_iterable(ids), dtype=np.int64, count=lengths.sum())
    input_ids, attention_mask = torch.from_numpy(padded), torch.from_numpy(mask.astype(np.int64))
    if device is None:
        return input_ids, attention_mask
    return input_ids.to(device), attention_mask.to(device)


def token_budget_batches(lengths, token_budget):
    """Group texts of similar length so that no padded batch is larger than the budget.

    Parameters: `lengths`, token count of each text; `token_budget`, the most tokens, padding counted, in one
    batch. Returns lists of indices into `lengths`, longest first (a batch that does not fit into memory fails
    at once, not after an hour); every index stands in exactly one of them, and a text above the budget gets a
    batch of its own.

    >>> token_budget_batches([3, 9, 4, 100, 4], token_budget=12)
    [[3], [1], [2, 4, 0]]
    """
    if token_budget < 1:
        raise ValueError(f"token_budget={token_budget} must be at least 1")
    batches = []
    width = 0  # of the open batch: its first text is its longest
    for index in np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist():
        if not batches or (len(batches[-1]) + 1) * width > token_budget:
            batches.append([])
            width = lengths[index]
        batches[-1].append(index)
    return batches


def is_out_of_memory(error):
    """Whether an exception says that memory was too small: CUDA's own class, and the CPU allocator's words.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."))
    True
    >>> is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    False
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "DefaultCPUAllocator" in str(error) and "memory" in str(error)
