"""What the benchmarks share: turns, ratios with their spread, and a file of figures that names its machine."""

import json
import os
import platform
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"


def clock(device="cpu"):
    """Seconds: of processor time on a CPU, where other programs may run beside, of a wall's clock on a GPU."""
    if str(device).startswith("cuda"):
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def in_turns(ways, rounds, device="cpu", warm=True):
    """{way: seconds of each round}: in a round each function has its turn; with `warm`, one more that is not kept."""
    for run in ways.values() if warm else ():
        run()
    seconds = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            start = clock(device)
            run()
            seconds[way].append(clock(device) - start)
    return {way: np.array(taken) for way, taken in seconds.items()}


def spread(values, digits=2):
    """{"median", "low", "high"} of what was measured once a round."""
    low, median, high = np.quantile(values, [0, 0.5, 1])
    return {name: round(float(v), digits) for name, v in (("median", median), ("low", low), ("high", high))}


def said(numbers, unit=""):
    """A spread in words: "1.62 (1.58 to 1.70)"."""
    return f"{numbers['median']:g}{unit} ({numbers['low']:g} to {numbers['high']:g})"


def machine(threads=None):
    """Where figures come from."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads or torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
    }


def record(name, targets, figures, threads=None):
    """Write results/NAME.json: what was aimed at, what was measured, on which machine, when. Prints the targets.

    targets: rows of (what, aim, measured, whether it was reached), for the table of benchmarks/README.md.
    """
    RESULTS.mkdir(exist_ok=True)
    rows = [dict(zip(("what", "aim", "measured", "reached"), row)) for row in targets]
    content = {
        "measured": str(date.today()),
        "machine": machine(threads),
        "targets": rows,
        "figures": figures,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    for row in rows:
        print(
            f"{row['what']}: {row['measured']}; aim {row['aim']}: {'reached' if row['reached'] else 'missed'}"
        )


def _cpuinfo():
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
