"""A step through the gradient cache against a plain step of the same batch: time, and memory as the batch grows.

    python benchmarks/gradient_cache.py [--model nano] [--batches 64 256 1024] [--rounds 3] [--threads 1]

Forward and backward pass of the recipe's loss over `batch` random triplets of 32 tokens, in micro-batches of 2,048
tokens. The time is that of the same batch both ways; memory is the growth of a process of its own, for each batch.
"""

import argparse
import multiprocessing
import resource

import torch
from measuring import in_turns, record, said, spread

import egemma_lab as lab
from egemma_lab.losses import RecipeLoss
from egemma_lab.train.gradient_cache import encode_and_backward

LENGTH, ROWS = 32, 64  # tokens a text; texts in a micro-batch


def prepare(name, batch, threads):
    """{"plain", "cached"}: functions that take one step's gradient."""
    torch.set_num_threads(threads)
    model = lab.load_model(name, device="cpu").train()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, model.config.text.vocab_size, (3 * batch, LENGTH), generator=generator)
    chunks = [(rows, torch.ones_like(rows)) for rows in ids.split(ROWS)]
    loss = RecipeLoss(dims=model.widths, weights={"matching": 0})

    def step(cache):
        model.zero_grad()
        encode_and_backward(lambda chunk: model(*chunk), chunks, lambda v: loss(*v.chunk(3)), cache=cache)

    return {"plain": lambda: step(False), "cached": lambda: step(True)}


def growth(name, batch, way, threads):
    """MB that a process grows by while it takes a step."""
    prepare(name, 2, threads)[way]()  # libraries loaded, kernels chosen, gradients there
    run = prepare(name, batch, threads)[way]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    memory = {}
    for batch in options.batches:
        for way in ("plain", "cached"):
            with spawn.Pool(1) as pool:
                memory[f"{way} {batch}"] = round(
                    pool.apply(growth, (options.model, batch, way, options.threads))
                )
    seconds = in_turns(prepare(options.model, options.batches[1], options.threads), options.rounds)
    ratio = spread(seconds["cached"] / seconds["plain"])
    print("MB of growth:", memory)
    first, last = (memory[f"cached {batch}"] for batch in (options.batches[0], options.batches[-1]))
    record(
        "gradient_cache",
        [
            [
                "a step through the gradient cache, times a plain one",
                "1.45",
                said(ratio),
                ratio["median"] < 1.45,
            ],
            [
                f"its memory at {options.batches[-1]} rows over that at {options.batches[0]}, MB",
                "constant: 50 more at most",
                f"{first} to {last}",
                last - first <= 50,
            ],
        ],
        {"batches": options.batches, "megabytes": memory, "ratio": ratio},
        options.threads,
    )


if __name__ == "__main__":
    main()
