"""Everything CI runs, part by part, cheapest first; each part says how long it took.

    python tools/checks.py                 # all parts: what `make test` does
    python tools/checks.py format lint     # some of them

All parts run even when one fails, so that one look shows everything; the exit status is 1 if any failed.
"""

import os
import subprocess
import sys
import time

from chosen import chosen
from notebook_header import ROOT

PYTHON = sys.executable
PARTS = {
    "format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "lint": [PYTHON, "-m", "ruff", "check", "."],
    "addresses": [PYTHON, "tools/urls.py", "--check"],
    "static": [PYTHON, "tools/check_notebooks.py"],
    "imports": [PYTHON, "-m", "pytest", "-q", "tests/test_imports.py"],
    "tests": [PYTHON, "-m", "pytest", "-q", "--durations=15", "--numprocesses=auto", "--dist=loadfile"],
    "notebooks": [PYTHON, "tools/run_notebooks.py"],
}


def environment(part):
    """Environment variables of one part; what the caller has set stays.

    No part may need the network. The tests run on all cores, a file at a time, each on one thread: their matrices
    are tiny, where more threads only wait for each other, and one gives the same sums on every machine. The
    notebooks train: all cores.
    """
    defaults = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "MPLBACKEND": "agg"}
    if part == "notebooks":
        del defaults["MPLBACKEND"]  # the kernel brings its own
    else:
        defaults["OMP_NUM_THREADS"] = "1"
    return {**defaults, **os.environ}


def main(arguments=None):
    names = chosen(__doc__.partition("\n")[0], PARTS, "part", arguments)
    results = {}
    for name in names:
        print(f"== {name}", flush=True)
        start = time.perf_counter()
        status = subprocess.run(PARTS[name], cwd=ROOT, env=environment(name)).returncode
        results[name] = (status, time.perf_counter() - start)
        print(f"== {name}: {'ok' if status == 0 else 'FAILED'}, {results[name][1]:.1f} s\n", flush=True)
    print("\n".join(f"{'ok' if s == 0 else 'FAILED':8}{n:12}{t:8.1f} s" for n, (s, t) in results.items()))
    return int(any(status for status, _ in results.values()))


if __name__ == "__main__":
    sys.exit(main())
