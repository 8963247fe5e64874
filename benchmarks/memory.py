"""What a training of the real shape holds in memory: counted for four sizes of GPU, and measured on this machine.

    python benchmarks/memory.py [--preset 300m] [--texts 4] [--ways full checkpointing lora] [--threads 1]
    python benchmarks/memory.py --table       # the counted table alone, as Markdown

Weights are random. Each way takes two steps of AdamW in float32 in a process of its own; what is measured is how much
that process's largest resident memory grew, and the sum of the tensors alive at the fullest moment of the second step.
The 300m at four texts takes about 6 GB and some minutes; lora needs peft.
"""

import argparse
import multiprocessing
import resource

import psutil
import torch
from measuring import record

from egemma_lab.model import EmbeddingGemma, preset_config
from egemma_lab.train.gradient_cache import encode_and_backward
from egemma_lab.train.lora import add_adapters, lora_settings
from egemma_lab.train.memory import peak_bytes, training_memory

WAYS = {
    "full": {},
    "checkpointing": {"checkpointing": True},
    "cache": {"gradient_cache": True},
    "lora": {"lora": 16},
}
DEVICES = (16, 24, 80, 141)  # GB
PLANS = [
    ("all weights, float32", {"precision": "float32"}, {}),
    ("all weights, bf16 autocast", {"precision": "bfloat16"}, {}),
    ("the same with checkpointing", {"precision": "bfloat16"}, {"checkpointing": True}),
    ("the same with the gradient cache", {"precision": "bfloat16"}, {"gradient_cache": True}),
    ("LoRA r=16, bf16 autocast", {"precision": "bfloat16", "lora": 16}, {}),
    ("LoRA with checkpointing", {"precision": "bfloat16", "lora": 16}, {"checkpointing": True}),
]


def table(preset, lengths=(128, 512, 2048)):
    """Texts of so many tokens that one step holds, a row a way and a column a device: Markdown."""
    lines = []
    for tokens in lengths:
        lines += ["", f"Texts of {tokens:,} tokens in one step:", ""]
        lines += ["| way | before the first text |" + "".join(f" {gb} GB |" for gb in DEVICES)]
        lines += ["|---|--:|" + "--:|" * len(DEVICES)]
        for name, shape, ways in PLANS:
            memory = training_memory(preset_config(preset), tokens, **shape)
            fits = [memory.fits(gb * 1e9, **ways) for gb in DEVICES]
            cells = ["any number" if n == float("inf") else f"{n:,}" for n in fits]
            lines.append(f"| {name} | {memory.fixed / 1e9:.1f} GB | " + " | ".join(cells) + " |")
    return "\n".join(lines[1:])


def measured(preset, texts, tokens, way, threads):
    """(bytes the process grew by, bytes of tensors alive at once) of two steps."""
    torch.set_num_threads(threads)
    before = psutil.Process().memory_info().rss
    model = EmbeddingGemma(preset_config(preset)).train()
    if way == "lora":
        add_adapters(model, lora_settings("lora", 16), seed=0)
    if way == "checkpointing":
        model.gradient_checkpointing_enable()
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-5, fused=True)
    ids = torch.randint(5, preset_config(preset).text.vocab_size, (texts, tokens))

    class Loss:
        def __init__(self, vectors):
            self.total = (vectors @ vectors.T).square().mean()

    def step():
        chunks = ids.split(1 if way == "cache" else texts)
        encode_and_backward(lambda ids: model(ids, torch.ones_like(ids)), chunks, Loss, cache=way == "cache")
        optimizer.step()
        optimizer.zero_grad()

    step()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    held = sum(p.nbytes for p in model.parameters()) + sum(8 * p.numel() for p in learning)
    return grown, held + peak_bytes(step)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="300m")
    parser.add_argument("--texts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--ways", nargs="+", default=["full", "checkpointing", "lora"], choices=WAYS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="count and measure nothing")
    options = parser.parse_args()
    if options.table:
        print(table(options.preset))
        return
    figures, targets = {}, []
    spawn = multiprocessing.get_context("spawn")
    for way in options.ways:
        ways = dict(WAYS[way])
        lora = ways.pop("lora", None)
        micro = 1 if way == "cache" else options.texts
        memory = training_memory(preset_config(options.preset), options.tokens, lora=lora)
        counted = memory.total(options.texts, micro=micro, **ways)
        with spawn.Pool(1) as pool:
            grown, alive = pool.apply(
                measured, (options.preset, options.texts, options.tokens, way, options.threads)
            )
        figures[way] = {"counted": counted, "alive": alive, "process grew by": grown}
        print(way, {name: f"{value / 1e9:.2f} GB" for name, value in figures[way].items()}, flush=True)
        what = f"{options.preset} in training, {way}, {options.texts} texts of {options.tokens} tokens: peak over count"
        targets.append([what, "0.85 to 1.15", f"{alive / counted:.2f}", 0.85 <= alive / counted <= 1.15])
    record("memory", targets, figures, options.threads)


if __name__ == "__main__":
    main()
