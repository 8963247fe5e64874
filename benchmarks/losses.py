"""What four prefix widths cost beside the widest alone: time of a forward and backward pass, and peak memory.

    python benchmarks/losses.py [--device cuda] [--threads 1] [--repeats 7]

For contrastive and spread-out loss of a (B, d) batch with hard negatives: `RecipeLoss` at the full width only
and at all four, and the plain losses once per width (`matryoshka_loss`), at one width and at four. The four
take turns; a printed time is the best of the repeats, in processor time (CPU, where other programs run beside it) or
wall time (GPU). Memory is the growth of a process of its own (CPU) or of the allocator's peak (GPU). At last one pass
over a batch so large that no matrix of all its pairs would fit, with the ids of its texts.
"""

import argparse
import multiprocessing
import resource

import torch
from measuring import in_turns, record, said, spread

from egemma_lab.losses import RecipeLoss, contrastive_loss, matryoshka_loss, spread_out_loss

CASES = [(64, 256), (128, 256), (256, 256), (1024, 256), (256, 768), (1024, 768), (4096, 768)]
AIMED, LARGEST = CASES[-1], (32_768, 768)
GIGABYTES = 8  # for the largest


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
WITH_IDS = "one pass, all, with ids"
ALL_WAYS = WAYS | {
    WITH_IDS: lambda q, p, n, dims: (
        RecipeLoss(dims=dims)(q, p, n, query_ids=range(len(q)), positive_ids=range(len(p))).total
    )
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
        ALL_WAYS[way](*embeddings, widths(width)).backward()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return run


def times(batch, width, device, threads, repeats):
    """Milliseconds of each way in each round."""
    run = prepare(batch, width, device, threads)
    seconds = in_turns({way: lambda way=way: run(way) for way in WAYS}, repeats, device)
    return {way: 1e3 * taken for way, taken in seconds.items()}


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
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {options.device}, {options.threads} threads; ms (MB)")
    print(f"{'B':>5} {'d':>4} " + "".join(f"{way:>19}" for way in WAYS) + "      all/widest   plain/one pass")
    figures = {}
    for batch, width in CASES:
        ms = apart(times, batch, width, options.device, options.threads, options.repeats)
        mb = {way: apart(peak_memory, way, batch, width, options.device, options.threads) for way in WAYS}
        line = "".join(f"{ms[way].min():>12.2f} ({mb[way]:>4.0f})" for way in WAYS)
        found = {
            "all over widest": spread(ms["one pass, all"] / ms["one pass, widest"]),
            "plain over one pass": spread(ms["plain, all"] / ms["one pass, all"]),
            "memory": {way: round(value) for way, value in mb.items()},
        }
        figures[f"{batch} x {width}"] = found
        ratios = (
            f"{found['all over widest']['median']:>15.2f} {found['plain over one pass']['median']:>16.2f}"
        )
        print(f"{batch:>5} {width:>4} {line} {ratios}", flush=True)
    largest = apart(peak_memory, WITH_IDS, *LARGEST, options.device, options.threads) / 2**10
    aimed = figures["{} x {}".format(*AIMED)]
    share = aimed["memory"]["one pass, all"] / aimed["memory"]["plain, all"]
    where = "B = {:,}, d = {}, four widths".format(*AIMED)
    record(
        "losses",
        [
            [
                f"loss and backward, {where}: a loop over widths, times one pass",
                "2",
                said(aimed["plain over one pass"]),
                aimed["plain over one pass"]["median"] >= 2,
            ],
            [f"its memory over the loop's, {where}", "0.5", f"{share:.2f}", share <= 0.5],
            [
                f"memory of one pass at B = {LARGEST[0]:,}, GB",
                str(GIGABYTES),
                f"{largest:.1f}",
                largest <= GIGABYTES,
            ],
        ],
        figures,
        options.threads,
    )


def apart(work, *arguments):
    """What a function returns in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


if __name__ == "__main__":
    main()
