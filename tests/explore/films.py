"""Small films for the tests of the explorers (not collected: no test in it)."""

import gc
import tracemalloc

import numpy as np
import pandas as pd

from egemma_lab.explore import Replay


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def make_film(moments=5, texts=24, axes=6, seed=0, stages=("first", "second")):
    """Texts of three labels that drift from one heap to three; the first half are queries, the second documents."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(texts) % 3
    noise = rng.standard_normal((texts, axes))
    goals = 4 * rng.standard_normal((3, axes))[kinds]
    share = np.linspace(0, 1, moments)[:, None, None]
    vectors = unit(noise + share * goals + (1 - share) * 3)
    cut = -(-moments // len(stages))
    stage = [stages[i // cut] for i in range(moments)]
    half = texts // 2
    table = pd.DataFrame(
        {
            "stage": stage,
            "step": [10 * (i % cut) for i in range(moments)],
            "loss": np.linspace(4, 1, moments),
            "contrastive": np.where(np.array(stage) == stages[0], np.nan, 2.0),
            "matching": np.linspace(2, 0.5, moments),
            "kept": 1.0,
            "neighbours_kept": 1.0,
        }
    )
    return Replay(
        texts=[f"text {i} about {'abc'[k]}" for i, k in enumerate(kinds)],
        labels=[f"topic {'abc'[k]}" for k in kinds],
        roles=["query"] * half + ["document"] * (texts - half),
        moments=table,
        vectors=vectors,
        axes=np.eye(axes, 2 * axes, dtype=np.float32),
        runs={},
    )


def kept_by(move, times=20):
    """Bytes that a call of `move(i)` leaves behind, once caches are full: the mean of the round that leaves least.

    Of Python and numpy. The traced sizes see what the most memory ever held does not: growth in a process that was
    larger before. What leaks does so in each of the three rounds; a table that Python makes anew, larger and in one
    piece, falls into one of them. So does the largest: plotly makes a class each time it takes a property's path apart
    (`_plotly_utils.utils.chomp_empty_strings`), and Python enters every class into the table of `object`'s subclasses,
    74, 147 or 295 kB, though the classes go with the next garbage collection.
    """
    for i in range(10):
        move(i)
    tracemalloc.start()
    try:
        for i in range(20):  # each call takes the place of what the one before left; that was not traced
            move(i)
        return min(kept_in_a_round(move, times) for _ in range(3))
    finally:
        tracemalloc.stop()


def kept_in_a_round(move, times):
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    for i in range(times):
        move(i)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    return (after - before) / times
