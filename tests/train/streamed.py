"""Script of test_stream_training.py: a few steps on a stream in several processes; each writes which rows it saw."""

import os
import sys

import torch
from runs import part, quick
from test_stream_training import rows

from egemma_lab.data import stream_pairs
from egemma_lab.train import loop, train

if __name__ == "__main__":
    torch.set_num_threads(1)
    seen, plain = {}, loop.tokenize_batch

    def tokenize(model, batch, recipe):
        seen.setdefault(len(seen), batch.anchors)
        return plain(model, batch, recipe)

    loop.tokenize_batch = tokenize
    train(
        "micro",
        stream_pairs(rows()),
        recipe=quick(steps=5, snapshot_every=0),
        output=sys.argv[1],
        probe=["a text"],
        show_progress_bar=False,
    )
    with open(f"{sys.argv[1]}-{os.environ['RANK']}.txt", "w") as file:
        print(*(text.split()[2] for step in range(5) for text in seen[step]), file=file)
    part()
