"""Script of test_processes.py, started by `accelerate launch`: a few steps on the CPU in several processes.

Usage: launched.py OUTPUT MODEL [RANK OF ADAPTERS]
"""

import os
import sys

import torch
from fake_teacher import FakeTeacher
from forked_runs import pairs
from runs import At, part, quick

from egemma_lab.train import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    output, model, *rank = sys.argv[1:]
    changes = {"lora": int(rank[0])} if rank else {}
    for callbacks in ([At(3, lambda state: state.stop())], []):
        run = train(
            model,
            pairs(),
            teacher=FakeTeacher(96),
            recipe=quick(steps=5, weights={}, gradient_cache=True, token_budget=200, **changes),
            output=output,
            callbacks=callbacks,
            probe=["a text"],
            show_progress_bar=False,
        )
        weights = torch.cat([p.detach().flatten() for p in run.model.parameters()])
        with open(f"{output}-{os.environ['RANK']}.txt", "a") as file:
            print(run.status, f"{weights.double().sum().item():.17g}", file=file)
    part()
