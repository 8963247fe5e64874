"""What a newcomer waits for: the package's import, and the first picture of notebook 00 after "Run all".

    python benchmarks/startup.py [--rounds 5]

Wall time, each import in a fresh process: `import egemma_lab` less `import torch` alone. The model's code is imported
when it is first asked for, and transformers' Gemma 3 with it: seconds of both are among the figures. The notebook runs
in a kernel of its own, with an empty cache; its picture is the first output of a figure or a table.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
from measuring import record, said, spread
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
IMPORTS = {
    "torch": "import torch",
    "lab": "import torch, egemma_lab",
    "transformers": "import torch; from transformers import Gemma3TextModel, PreTrainedTokenizerFast",
    "model": "import torch, egemma_lab as lab; lab.load_model",
}


def seconds_of(code):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def first_picture(path):
    """Seconds from the kernel's start to the first output that is more than text, and the cell's number."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as cache:
        client = NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}, timeout=600)
        start = time.perf_counter()
        with client.setup_kernel(env={**__import__("os").environ, "EGEMMA_CACHE": cache}):
            for number, cell in enumerate(notebook.cells):
                client.execute_cell(cell, number)
                shown = [out for out in cell.get("outputs", []) if set(out.get("data", {})) - {"text/plain"}]
                if shown:
                    return time.perf_counter() - start, number
    raise ValueError(f"{path} shows no picture")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    seconds = {name: [] for name in IMPORTS}
    for number in range(rounds + 1):  # the first from a cold disk, not kept
        for name, code in IMPORTS.items():
            taken = seconds_of(code)
            if number:
                seconds[name].append(taken)
    beyond = spread(np.array(seconds["lab"]) - np.array(seconds["torch"]))
    imports = {name: spread(taken) for name, taken in seconds.items()}
    print(imports)
    notebook = ROOT / "notebooks" / "00_start_here.ipynb"
    pictures = [first_picture(notebook) for _ in range(min(rounds, 3))]
    picture = spread([taken for taken, _ in pictures], 1)
    record(
        "startup",
        [
            ["import beyond torch's, s", "0.3", said(beyond), beyond["median"] <= 0.3],
            ["first picture of notebook 00, s", "10", said(picture), picture["median"] <= 10],
        ],
        {"imports": imports, "beyond_torch": beyond, "first_picture": picture, "cell": pictures[0][1]},
    )


if __name__ == "__main__":
    main()
