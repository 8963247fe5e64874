"""One pass over one source, cut into batches: shuffled, grouped by length, no text twice in a batch.

Plain arrays in, one array of row numbers out; knows nothing of data sets, prompts or steps.
"""

from collections import deque
from itertools import islice

import numpy as np

WINDOW = 64  # batches whose rows are sorted by length together: little padding left, and still a shuffle


def plan_epoch(lengths, anchor_ids, positive_ids, batch_size, rng):
    """Row numbers of one epoch's batches, `(batches, batch_size)` int64; each row stands in it at most once.

    Args:
        lengths: `(n,)`, what to group by.
        anchor_ids, positive_ids: `(n,)` ints, small and from 0 on; equal texts have equal ids, also across
            the two.
        batch_size: rows of every batch.
        rng: a numpy Generator; the plan depends on it and on the arrays alone.

    Rows are shuffled, sorted by length within windows of up to 64 batches, and cut. A row one of whose texts
    already stands in the batch (as anchor or as positive) waits for a later batch. Every batch is full,
    because its size is the number of in-batch negatives and so part of the loss: rows that fill no batch at
    the end are left out of this epoch, and the shuffle leaves others out of the next.
    """
    order = _shuffled_by_length(lengths, batch_size, rng)
    if rows_per_text(anchor_ids, positive_ids).max() == 1:  # nothing has to wait
        batches = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)  # (batches, B)
    else:
        batches = _cut(order, anchor_ids, positive_ids, batch_size)  # (batches, B)
    return batches[rng.permutation(len(batches))]  # else lengths would rise and fall in waves


def rows_per_text(anchor_ids, positive_ids):
    """In how many rows each text stands, `(largest id + 1,)`; a row with the same text twice counts once."""
    return np.bincount(np.concatenate([anchor_ids, positive_ids[positive_ids != anchor_ids]]))


def _shuffled_by_length(lengths, batch_size, rng):
    n = len(lengths)
    order = rng.permutation(n)
    # At least four windows, so that the members of a batch change from epoch to epoch on little data as well.
    window = batch_size * min(WINDOW, max(1, n // batch_size // 4))
    for number, start in enumerate(range(0, n, window)):
        part = order[start : start + window]
        part = part[np.argsort(lengths[part], kind="stable")]
        order[start : start + window] = (
            part[::-1] if number % 2 else part
        )  # up, down: no jump between windows
    return order


def _cut(order, anchor_ids, positive_ids, batch_size):
    anchors, positives = anchor_ids.tolist(), positive_ids.tolist()
    batches, rows, used = [], [], set()
    waiting = {}  # text -> rows that wait because that text was in the batch; longest waiting text first

    def place(row):
        """Puts `row` into the open batch, or lets it wait for the text that is there already."""
        if anchors[row] in used or positives[row] in used:
            text = anchors[row] if anchors[row] in used else positives[row]
            waiting.setdefault(text, deque()).append(row)
            return
        rows.append(row)
        used.update((anchors[row], positives[row]))
        if len(rows) == batch_size:
            batches.append(rows.copy())
            rows.clear()
            used.clear()

    def place_waiting(texts):
        for text in list(islice(waiting, texts)):
            queue = waiting.pop(text)
            while queue and text not in used:
                place(queue.popleft())
            if queue:
                waiting[text] = queue  # behind the others

    for row in order.tolist():
        place(row)
        if not rows and waiting:  # a batch has just been closed: those that wait go first
            place_waiting(4 * batch_size)  # the bound keeps the whole linear
    placed = -1
    while waiting and placed != len(batches):  # no full batch from all that wait: the rest is left out
        placed = len(batches)
        place_waiting(len(waiting))
    return np.array(batches, dtype=np.int64).reshape(-1, batch_size)
