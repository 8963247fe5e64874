"""Texts a second: torch, onnxruntime and llama.cpp with one model, the same texts, the same threads, one machine.

    python benchmarks/export_speed.py [--model nano] [--texts FILE.jsonl] [--threads 1] [--rounds 5] [--folder KEEP]

Texts are the bundled probe (500 sentences) behind the document prompt, or a file's; tokenization counts for all. torch
and onnxruntime get batches of texts of like length, llama.cpp one request to its server, which takes the texts one by
one. Seconds are processor time, this process's and the server's, because other programs may run beside: with one thread
that is what a free core would take. In every round each has its turn, and a ratio is taken within a round. Printed are
the medians and, in brackets, the extremes of the rounds. `--folder` keeps the exported files, and uses those
that are there.
"""

import argparse
import contextlib
import json
import tempfile
import time
from importlib import resources
from pathlib import Path

import measuring
import numpy as np
import onnxruntime
import psutil
import torch
from tokenizers import Tokenizer

import egemma_lab as lab
from egemma_lab.model import token_budget_batches
from egemma_lab.quantize.llama_cpp import llama_server

PROGRAMS = {"onnx": "onnxruntime", "gguf": "llama.cpp"}
EXPORTS = [
    ("onnx", "f32"),
    ("onnx", "int8"),
    ("gguf", "f32"),
    ("gguf", "bf16"),
    ("gguf", "Q8_0"),
    ("gguf", "Q4_0"),
]


def files(model, folder):
    """{(format, precision): path}, written where they are not there yet."""
    made = {}
    for kind, precision in EXPORTS:
        path = folder / f"{model.name}-{precision}{'.gguf' if kind == 'gguf' else '-onnx'}"
        if not path.exists():
            print(lab.quantize.export(model, path, kind, precision), flush=True)
        made[kind, precision] = path
    return made


def megabytes(path):
    return sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path])) / 1e6


def processor_time(server=None):
    """Seconds of processor time that this process, and a server's, have used so far."""
    used = server.cpu_times() if server else None
    return time.process_time() + (used.user + used.system if used else 0)


def by_onnxruntime(folder, threads):
    """A function from texts to vectors, in batches of 2,048 padded tokens, as the model's own on a CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()

    def encode(texts):
        ids = [row.ids for row in tokenizer.encode_batch(texts)]
        vectors = {}
        for rows in token_budget_batches([len(row) for row in ids], 2048):
            feed = lab.model.pad_batch([ids[row] for row in rows])
            feed = dict(zip(("input_ids", "attention_mask"), (each.numpy() for each in feed)))
            vectors.update(zip(rows, session.run(None, feed)[0]))
        return np.stack([vectors[row] for row in range(len(texts))])

    return encode


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--texts", type=Path, help=".jsonl with 'text' (default: the bundled probe)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = lab.load_model(options.model, device="cpu")
    lines = (options.texts or resources.files("egemma_lab") / "assets" / "probe.jsonl").read_text("utf-8")
    texts = [model.prompts["document"] + json.loads(line)["text"] for line in lines.splitlines()]
    tokens = sum(map(len, model.tokenize(texts)))
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = files(model, folder)
        sizes = {(PROGRAMS[kind], precision): megabytes(path) for (kind, precision), path in made.items()}
        servers = {}
        ways = {("torch", "f32"): lambda texts: model.encode(texts, show_progress_bar=False)}
        for (kind, precision), path in made.items():
            if kind == "onnx":
                ways["onnxruntime", precision] = by_onnxruntime(path, options.threads)
            else:
                server = stack.enter_context(llama_server(path, threads=options.threads))
                ways["llama.cpp", precision] = server.embed
                servers["llama.cpp", precision] = psutil.Process(server.pid)
        expected = model.encode(texts)
        nearest = {way: (encode(texts) * expected).sum(1).min() for way, encode in ways.items()}  # and warm
        seconds = {way: [] for way in ways}
        for _ in range(options.rounds):
            for way, encode in ways.items():
                start = processor_time(servers.get(way))
                encode(texts)
                seconds[way].append(processor_time(servers.get(way)) - start)
    base = np.array(seconds["torch", "f32"])
    print(f"{model.name}, {len(texts)} texts of {tokens / len(texts):.0f} tokens, {options.threads} threads")
    print(f"{'':<18} {'MB':>6} {'texts/s':>9} {'':>16} {'x torch':>8} {'':>14} {'least cosine':>13}")
    figures = []
    for way, taken in seconds.items():
        rate, ratio = len(texts) / np.array(taken), base / np.array(taken)
        size = f"{sizes[way]:.1f}" if way in sizes else ""
        rates = f"({rate.min():.0f} to {rate.max():.0f})"
        ratios = f"({ratio.min():.2f} to {ratio.max():.2f})"
        print(
            f"{way[0]:<11} {way[1]:<6} {size:>6} {np.median(rate):>9.0f} {rates:>16} "
            f"{np.median(ratio):>8.2f} {ratios:>16} {nearest[way]:>11.5f}"
        )
        figures.append(
            {
                "program": way[0],
                "precision": way[1],
                "megabytes": sizes.get(way),
                "texts a second": measuring.spread(rate, 1),
                "times torch": measuring.spread(ratio),
                "least cosine": float(nearest[way]),
            }
        )
    measuring.record("export_speed", [], figures, options.threads)


if __name__ == "__main__":
    main()
