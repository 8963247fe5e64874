"""Ten million generated rows through a stream: rows a second, and the memory of the process at every tenth of them.

    python benchmarks/streaming.py [--rows 10000000] [--batch 1024] [--buffer 16384]

Then a plan made anew is asked for the batch of the last step, as a resumed run does.
"""

import argparse
import time

import psutil
from measuring import record

from egemma_lab.data import BatchPlan, stream_pairs


def generated(rows):
    return ((f"what is {n} plus one, and what comes next?", f"{n} plus one is {n + 1}") for n in range(rows))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--buffer", type=int, default=16_384)
    options = parser.parse_args()
    process, steps = psutil.Process(), options.rows // options.batch

    def plan():
        return BatchPlan(
            stream_pairs(lambda: generated(options.rows), buffer_size=options.buffer), options.batch, seed=0
        )

    going, megabytes, start = plan(), [], time.process_time()
    for step in range(steps):
        last = going.batch(step)
        if (step + 1) % max(1, steps // 10) == 0:
            megabytes.append(round(process.memory_info().rss / 2**20))
            print(f"{(step + 1) * options.batch:,} rows: {megabytes[-1]} MB", flush=True)
    rate = steps * options.batch / (time.process_time() - start)
    start = time.process_time()
    again = plan().batch(steps - 1)
    found = time.process_time() - start
    assert again.anchors == last.anchors
    print(f"{rate:,.0f} rows a second of processor time; the last batch found again in {found:.1f} s")
    growth = max(megabytes[1:]) - megabytes[0]
    what = f"memory of a stream of {options.rows:,} rows, growth after the first tenth"
    record(
        "streaming",
        [[what, "20 MB at most", f"{growth} MB", growth <= 20]],
        {"megabytes": megabytes, "rows a second": round(rate), "seconds to the last batch": round(found, 1)},
    )


if __name__ == "__main__":
    main()
