"""What four prefix widths cost beside the widest alone: time of a forward and backward pass, and peak memory.

    python benchmarks/losses.py [--device cuda] [--threads 1] [--repeats 15]

For contrastive and spread-out loss of a (B, d) batch with hard negatives: `RecipeLoss` at the full width only
and at all four, and the plain losses once per width (`matryoshka_loss`), at one width and at four. The four
take turns; a time is the best of the repeats, in processor time (CPU, where other programs run beside it) or
wall time (GPU). Memory is the growth of a process of its own (CPU) or of the allocator's peak (GPU).
"""

import argparse
import multiprocessing
import resource
import time

import torch

from egemma_lab.losses import RecipeLoss, contrastive_loss, matryoshka_loss, spread_out_loss

CASES = [(64, 256), (128, 256), (256, 256), (1024, 256), (256, 768), (1024, 768), (4096, 768)]


def widths(d):
    return (768, 512, 256, 128) if d == 768 else (d, d // 2, d // 4, d // 8)


def loop(query, positive, negative, dims):
    return matryoshka_loss(contrastive_loss, query, positive, negative, dims=dims) + matryoshka_loss(
        spread_out_loss, query, positive, dims=dims
    )


WAYS = {
    "one pass, widest": lambda q, p, n, dims: RecipeLoss(dims=dims[:1])(q, p, n).total,
    "one pass, all": lambda q, p, n, dims: RecipeLoss(dims=dims)(q, p, n).total,
    "plain, widest": lambda q, p, n, dims: loop(q, p, n, dims[:1]),
    "plain, all": loop,
}


def prepare(batch, width, device, threads):
    """A function that runs one forward and backward pass the given way."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    embeddings = [
        torch.randn(batch, width, generator=generator).to(device).requires_grad_() for _ in range(3)
    ]

    def run(way):
        for x in embeddings:
            x.grad = None
        WAYS[way](*embeddings, widths(width)).backward()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return run


def times(batch, width, device, threads, repeats):
    """Best milliseconds of each way."""
    run = prepare(batch, width, device, threads)
    clock = time.perf_counter if device.startswith("cuda") else time.process_time
    best = dict.fromkeys(WAYS, float("inf"))
    for _ in range(repeats + 1):
        for way in WAYS:
            start = clock()
            run(way)
            best[way] = min(best[way], 1e3 * (clock() - start))
    return best


def peak_memory(way, batch, width, device, threads):
    """Megabytes that one forward and backward pass adds at its peak."""
    run = prepare(batch, width, device, threads)
    if device.startswith("cuda"):
        run(way)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run(way)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    prepare(2, width, device, threads)(way)  # libraries loaded, kernels chosen
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(way)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {options.device}, {options.threads} threads; ms (MB)")
    print(f"{'B':>5} {'d':>4} " + "".join(f"{way:>19}" for way in WAYS) + "      all/widest   plain/one pass")
    spawn = multiprocessing.get_context("spawn")
    for batch, width in CASES:
        with spawn.Pool(1) as pool:
            ms = pool.apply(times, (batch, width, options.device, options.threads, options.repeats))
        line = ""
        for way in WAYS:
            with spawn.Pool(1) as pool:
                mb = pool.apply(peak_memory, (way, batch, width, options.device, options.threads))
            line += f"{ms[way]:>12.2f} ({mb:>4.0f})"
        ratio, gain = ms["one pass, all"] / ms["one pass, widest"], ms["plain, all"] / ms["one pass, all"]
        print(f"{batch:>5} {width:>4} {line} {ratio:>15.2f} {gain:>16.2f}", flush=True)


if __name__ == "__main__":
    main()
