"""What several processes (`accelerate launch`) must agree on. With one process each of these does nothing.

Every process encodes its share of a batch's rows. The vectors are then gathered, so that each computes the losses
of the whole batch, all its rows as negatives and all its duplicates known, and back-propagates into its own rows alone.
The sum of the processes' gradients is the gradient that one process with the whole batch would have.
"""

import dataclasses

import torch


def share_of_batch(accelerator, batch):
    """This process's rows of a batch: equal, neighbouring shares. A stream's are this process's from the start."""
    if accelerator.num_processes == 1 or batch.source.streamed:
        return batch
    size = len(batch) // accelerator.num_processes
    mine = slice(size * accelerator.process_index, size * (accelerator.process_index + 1))
    cut = {
        name: getattr(batch, name)[mine]
        for name in ("rows", "anchors", "positives", "negatives", "query_ids", "positive_ids")
        if getattr(batch, name) is not None
    }
    return dataclasses.replace(batch, **cut)


def of_whole_batch(accelerator, rows):
    """(b, ...) of this process -> (B, ...) of all, in the batch's order. Gradient flows into this process's rows."""
    if accelerator.num_processes == 1 or rows is None:
        return rows
    parts = list(accelerator.gather(rows.detach().contiguous()).chunk(accelerator.num_processes))
    parts[accelerator.process_index] = rows
    return torch.cat(parts)


def shared_mean(accelerator, terms):
    """Mean over processes of a dict of scalar tensors, as floats."""
    values = torch.stack([value.detach().double() for value in terms.values()])
    if accelerator.num_processes > 1:
        values = accelerator.reduce(values, reduction="mean")
    return dict(zip(terms, values.tolist()))


def shared_sum(accelerator, number):
    """Sum over processes of a whole number."""
    if accelerator.num_processes == 1:
        return number
    return int(accelerator.reduce(torch.tensor(number, device=accelerator.device), reduction="sum"))


def agree(accelerator, elapsed, stopping):
    """(the main process's clock, whether any process was asked to stop)."""
    if accelerator.num_processes == 1:
        return elapsed, stopping
    main = elapsed if accelerator.is_main_process else 0.0
    both = torch.tensor([main, float(stopping)], dtype=torch.float32, device=accelerator.device)
    clock, stops = accelerator.reduce(both, reduction="sum").tolist()
    return clock, stops > 0
