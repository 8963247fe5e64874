"""How fast vectors are searched in each precision, and what they take: beside numpy and sentence-transformers.

    python benchmarks/search.py [--count 100000] [--width 256] [--queries 64] [--threads 1] [--repeats 5]

Exact search for the 10 best among `count` random unit vectors, every vector compared. Milliseconds a query in processor
time, best of the repeats, for one query at a time and for all at once; MB of the vectors by their type, and by how much
the process grew (faiss keeps a copy of the bytes of int8). Each way runs in a process of its own. The peers are numpy's
matrix product with argpartition, and `semantic_search_faiss` of sentence-transformers over the same bits.
"""

import argparse
import multiprocessing
import time

import numpy as np
import psutil

K = 10


def ours(precision, rescore=4):
    """(bytes of the vectors, function that searches) for a precision of `egemma_lab.quantize.search`."""

    def prepare(vectors):
        from egemma_lab.quantize.coded_vectors import CodedVectors
        from egemma_lab.quantize.searching import find

        stored = CodedVectors.of(vectors, precision)
        return stored.nbytes, lambda queries: find(queries, stored, K, rescore)

    return prepare


def with_numpy(vectors):
    kept = vectors.copy()

    def search(queries):
        scores = queries @ kept.T
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        return np.take_along_axis(scores, best, axis=1), best

    return kept.nbytes, search


def with_sentence_transformers(vectors):
    from sentence_transformers.quantization import quantize_embeddings, semantic_search_faiss

    options = {"corpus_precision": "ubinary", "top_k": K, "rescore_multiplier": 4}
    codes = quantize_embeddings(vectors, "ubinary")
    *_, index = semantic_search_faiss(vectors[:1], codes, **options, output_index=True)
    return codes.nbytes, lambda queries: semantic_search_faiss(queries, corpus_index=index, **options)


WAYS = {
    "numpy float32": with_numpy,
    "float32": ours("float32"),
    "int8": ours("int8"),
    "binary": ours("binary", rescore=0),
    "binary rescored": ours("binary"),
    "s-t binary rescored": with_sentence_transformers,
}


def unit_rows(count, width, seed):
    rows = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def measure(way, count, width, queries, threads, repeats):
    """ms a query alone, ms a query among all, MB of the vectors, MB the process grew."""
    import faiss

    faiss.omp_set_num_threads(threads)
    asked = unit_rows(queries, width, seed=1)
    WAYS[way](unit_rows(200, width, seed=0))[1](asked)  # libraries loaded, memory of a search taken
    before = psutil.Process().memory_info().rss
    nbytes, search = WAYS[way](unit_rows(count, width, seed=0))
    search(asked[:1])
    grown = psutil.Process().memory_info().rss - before
    alone, together = float("inf"), float("inf")
    for _ in range(repeats):
        start = time.process_time()
        for row in asked:
            search(row[None])
        alone = min(alone, 1e3 * (time.process_time() - start) / queries)
        start = time.process_time()
        search(asked)
        together = min(together, 1e3 * (time.process_time() - start) / queries)
    return alone, together, nbytes / 2**20, grown / 2**20


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = vars(parser.parse_args())
    print(", ".join(f"{name} {value:,}" for name, value in options.items()))
    print(f"{'':<20}{'ms alone':>10}{'ms batch':>10}{'MB vectors':>12}{'MB grown':>10}")
    spawn = multiprocessing.get_context("spawn")
    for way in WAYS:
        with spawn.Pool(1) as pool:
            alone, together, size, grown = pool.apply(measure, (way, *options.values()))
        print(f"{way:<20}{alone:>10.3f}{together:>10.3f}{size:>12.1f}{grown:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
