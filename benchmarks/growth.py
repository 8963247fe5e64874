"""Time and peak memory of mining, encoding, training and evaluating at 1, 4 and 16 times the data.

    python benchmarks/growth.py [--rows 250] [--threads 1]

Each part at each size runs in a process of its own. A time is processor time divided by the rows; memory is the peak of
the process above what it had before. Linear and flat would be 1 and 1 in the last columns: the largest size over the
smallest. What is mined are packages of a thousand generated functions; the rest uses the micro model and
random sentences, and the search of an evaluation asks 50 questions of a corpus that grows.
"""

import argparse
import multiprocessing
import resource
import tempfile
from pathlib import Path

import numpy as np
import psutil
import torch
from measuring import clock, record

import egemma_lab as lab

TIMES = (1, 4, 16)
PARTS = ("mine", "encode", "train", "evaluate")


def sentences(count, seed=0):
    """`count` different sentences of random words."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(3, 8))) for _ in range(3000)]
    return [f"{n} " + " ".join(rng.choice(words, 12)) for n in range(count)]


def functions(seed):
    """A module of a hundred documented functions, no two modules alike."""
    template = '''
def work_{n}(value, other, count={seed}):
    """Make {text} of a value."""
    total = value * {n} + {seed}
    for part in range(count):
        total += part * other - {n}
    return total
'''
    return "".join(template.format(n=n, seed=seed, text=text) for n, text in enumerate(sentences(100, seed)))


def work(part, rows, folder):
    """A function that does the part's work on so many rows; what it needs is made here, outside the measurement."""
    from egemma_lab.model import new_model, train_tokenizer

    folder = Path(folder)
    if part == "mine":
        for number in range(rows // 250):
            package = folder / f"package_{number}"
            package.mkdir()
            (package / "__init__.py").touch()
            for module in range(10):
                (package / f"module_{module}.py").write_text(functions(10 * number + module), "utf-8")
        return lambda: lab.data.load_python_docs("all", paths=[folder], show_progress_bar=False)
    texts = sentences(2 * rows)
    model = new_model("micro", train_tokenizer(texts[:500], vocab_size=800))
    model.encode(texts[:64], show_progress_bar=False)  # libraries loaded, kernels chosen
    if part == "encode":
        return lambda: model.encode(texts[:rows], show_progress_bar=False)
    if part == "train":
        recipe = lab.Recipe(steps=rows // 25, batch_size=25, weights={"matching": 0}, save_every=10**6)
        pairs = list(zip(texts[:rows], texts[rows:]))
        return lambda: lab.train(model, pairs, recipe=recipe, output=folder / "run", show_progress_bar=False)
    queries, corpus = model.encode(texts[:50]), model.encode(texts[:rows])
    from egemma_lab.evaluate.chunked_search import search_in_chunks

    chunks = (corpus for _ in range(20))
    ids = [str(row) for row in range(20 * rows)]
    return lambda: search_in_chunks(queries, chunks, ids)


def measure(part, rows, threads):
    """(seconds of processor time, MB the process grew by)."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        run = work(part, rows, folder)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = clock() + children()
        run()
        seconds = clock() + children() - before
        return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 2**10


def children():
    """Seconds of the processes that this one started, those that ended and those that still wait for work."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    waiting = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return ended.ru_utime + ended.ru_stime + sum(times.user + times.system for times in waiting)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    figures, targets = {}, []
    for part in PARTS:
        found = []
        for times in TIMES:
            with spawn.Pool(1) as pool:
                found.append(pool.apply(measure, (part, options.rows * times, options.threads)))
        per_row = [seconds / (options.rows * times) for times, (seconds, _) in zip(TIMES, found)]
        ratio, (first, last) = per_row[-1] / per_row[0], (found[0][1], found[-1][1])
        figures[part] = {
            "rows": [options.rows * times for times in TIMES],
            "seconds": [round(seconds, 2) for seconds, _ in found],
            "megabytes": [round(mb, 1) for _, mb in found],
        }
        print(part, figures[part], flush=True)
        targets.append(
            [
                f"{part}: time a row at {TIMES[-1]} times the data over that at 1",
                "1.1 at most",
                f"{ratio:.2f}",
                ratio <= 1.1,
            ]
        )
        targets.append(
            [
                f"{part}: growth of memory at {TIMES[-1]} times the data, MB",
                "flat: 50 more at most",
                f"{first:.0f} to {last:.0f}",
                last - first <= 50,
            ]
        )
    record("growth", targets, figures, options.threads)


if __name__ == "__main__":
    main()
