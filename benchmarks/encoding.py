"""Texts a second against `SentenceTransformer.encode`, with the same weights, texts, threads and vectors.

    python benchmarks/encoding.py [--model nano] [--count 10000] [--threads 1] [--rounds 3]

The texts are of mixed length: functions mined from the installed packages, their documentation, and the bundled
topical texts, in random order, behind the document prompt. sentence-transformers gets the batch size that is best for
it (tried on a tenth of the texts), and both tokenize, pad, embed and bring to unit length. Where the processor
multiplies bfloat16, both also in that, each against sentence-transformers in float32.
"""

import argparse

import numpy as np
import torch
from measuring import in_turns, record, said, spread

import egemma_lab as lab
from egemma_lab.model.folder import find_folder
from egemma_lab.train.machine import best_precision

BATCH_SIZES = (8, 16, 32, 64, 128)


def mixed_texts(count, seed=0):
    """`count` different texts, a tenth of them the bundled topical ones, the rest functions and what they say of
    themselves."""
    topical = lab.explore.topic_corpus()["text"].tolist()[: count // 10]
    pairs = lab.data.load_pairs("python-docs", split="all", limit=count)
    mined = [text for row in pairs for text in (row["positive"], row["anchor"])]
    texts = list(dict.fromkeys(topical + mined))[:count]
    return [texts[i] for i in np.random.default_rng(seed).permutation(len(texts))]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    from sentence_transformers import SentenceTransformer

    model = lab.load_model(options.model, device="cpu")
    peer = SentenceTransformer(str(find_folder(options.model)), device="cpu")
    texts = mixed_texts(options.count)
    lengths = np.array([len(ids) for ids in model.tokenize(texts, model.prompts["document"])])
    print(f"{len(texts)} texts, {lengths.mean():.0f} tokens each ({lengths.min()} to {lengths.max()})")

    def by_peer(some, batch_size):
        return peer.encode_document(some, batch_size=batch_size, show_progress_bar=False)

    tenth = texts[: len(texts) // 10]
    tried = in_turns({size: lambda size=size: by_peer(tenth, size) for size in BATCH_SIZES}, 1)
    best = min(BATCH_SIZES, key=lambda size: tried[size][0])
    print(
        "sentence-transformers' batch sizes, seconds for a tenth:",
        {k: round(v[0], 1) for k, v in tried.items()},
    )
    ways = {
        "egemma_lab": lambda: model.encode_document(texts, show_progress_bar=False),
        "sentence-transformers": lambda: by_peer(texts, best),
    }
    if best_precision("auto", torch.device("cpu")) == "bfloat16":
        small = lab.load_model(options.model, device="cpu", dtype="bfloat16")
        small_peer = SentenceTransformer(
            str(find_folder(options.model)), device="cpu", model_kwargs={"dtype": "bfloat16"}
        )
        ways["egemma_lab, bfloat16"] = lambda: small.encode_document(texts, show_progress_bar=False)
        ways["sentence-transformers, bfloat16"] = lambda: small_peer.encode_document(
            texts, batch_size=best, show_progress_bar=False
        )
    apart = np.abs(ways["egemma_lab"]() - ways["sentence-transformers"]()).max()
    seconds = in_turns(ways, options.rounds)
    ratios = {way: spread(seconds["sentence-transformers"] / taken) for way, taken in seconds.items()}
    ratio, small_ratio = ratios["egemma_lab"], ratios.get("egemma_lab, bfloat16")
    rates = {way: spread(len(texts) / taken, 0) for way, taken in seconds.items()}
    print({way: said(rate, " texts/s") for way, rate in rates.items()}, f"largest difference {apart:.1e}")
    record(
        "encoding",
        [
            ["encoding, float32, times sentence-transformers", "1.5", said(ratio), ratio["median"] >= 1.5],
            ["largest difference of a coordinate", "1e-4", f"{apart:.1e}", bool(apart <= 1e-4)],
            *(
                [
                    [
                        "encoding, bfloat16, times the peer's float32",
                        "2",
                        said(small_ratio),
                        small_ratio["median"] >= 2,
                    ]
                ]
                if small_ratio
                else []
            ),
        ],
        {
            "texts": len(texts),
            "mean_tokens": float(lengths.mean()),
            "batch_size": best,
            "rates": rates,
            "ratios": ratios,
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
