"""What four prefix widths cost beside the widest alone: time of one forward and backward pass, and peak memory.

    python benchmarks/losses.py [--device cuda] [--threads 1] [--repeats 15]

For contrastive and spread-out loss of a (B, d) batch with hard negatives, three ways in the same run:
`widest`: RecipeLoss at the full width only; `all widths`: RecipeLoss at all four; `loop`: the plain losses,
once per width (`matryoshka_loss`). Times are medians; memory is the growth of the process (CPU, each case in a
process of its own) or of the allocator's peak (GPU), in MB.
"""

import argparse
import multiprocessing
import resource
import statistics
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
    "widest": lambda q, p, n, dims: RecipeLoss(dims=dims[:1])(q, p, n).total,
    "all widths": lambda q, p, n, dims: RecipeLoss(dims=dims)(q, p, n).total,
    "loop, widest": lambda q, p, n, dims: loop(q, p, n, dims[:1]),
    "loop": loop,
}


def measure(way, batch, width, device, threads, repeats):
    """(milliseconds, megabytes) of one forward and backward pass."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    embeddings = [
        torch.randn(batch, width, generator=generator).to(device).requires_grad_() for _ in range(3)
    ]
    cuda = device.startswith("cuda")

    def once():
        for x in embeddings:
            x.grad = None
        WAYS[way](*embeddings, widths(width)).backward()
        if cuda:
            torch.cuda.synchronize()

    if cuda:
        once()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        once()
        peak = (torch.cuda.max_memory_allocated() - before) / 2**20
    else:
        small = [x[:2].detach().requires_grad_() for x in embeddings]
        WAYS[way](*small, widths(width)).backward()  # libraries loaded, kernels chosen
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        once()
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:]) * 1e3, peak


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {options.device}, {options.threads} threads; ms (MB)")
    print(
        f"{'B':>5} {'d':>4} "
        + "".join(f"{way:>19}" for way in WAYS)
        + "   all widths/widest   loop/all widths"
    )
    spawn = multiprocessing.get_context("spawn")
    for batch, width in CASES:
        results = {}
        for way in WAYS:
            with spawn.Pool(1) as pool:
                arguments = (way, batch, width, options.device, options.threads, options.repeats)
                results[way] = pool.apply(measure, arguments)
        line = "".join(f"{ms:>10.2f} ({mb:>5.0f})" + " " for ms, mb in results.values())
        ratio = results["all widths"][0] / results["widest"][0]
        against_loop = results["loop"][0] / results["all widths"][0]
        print(f"{batch:>5} {width:>4} {line} {ratio:>16.2f} {against_loop:>17.2f}", flush=True)


if __name__ == "__main__":
    main()
