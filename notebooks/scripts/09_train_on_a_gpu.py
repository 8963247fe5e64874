# %% [markdown]
# # Train on a GPU: from raw text to an encoder, and the real model on your own pairs
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/09_train_on_a_gpu.ipynb)
#
# The notebooks before this one train for minutes on a processor. This one is about the rest: what a GPU must hold, which
# number format it may compute in, how a batch becomes larger than its memory, what several GPUs change, and how a training
# survives the end of a Colab session. Every cell is the same on both: without a GPU it runs at `micro` size and shows
# that all of it works; with one it runs at `nano` size, and adapts the real EmbeddingGemma to pairs of your own.
#
# **Afterwards you will be able to**
#
# - say before you rent a GPU whether a training fits on it, from counts and not from a rule of thumb;
# - say why bfloat16 and not float16, and which numbers stay in float32;
# - make a batch as large as the loss wants it, in the memory of a small one, and say what that costs;
# - start one training on several GPUs, kill it, and go on to the same result;
# - take text to an encoder with the whole recipe, and an encoder to your own pairs.
#
# | | |
# |---|---|
# | Time | about 5 minutes on two CPU cores; about 5 on a T4 or an H200 with the real model (all estimated; no GPU was at hand) |
# | Memory | about 2 GB; with the real model about 11 GB of the GPU's (estimated from the counts below) |
# | Needs | nothing but this machine. For the real model: a GPU, and a Hugging Face token whose account accepted the Gemma terms |
#
# The last cell prints what it really took; the run stored here had no GPU. The recipe itself is told in notebooks
# [03](03_contrastive_learning.ipynb) to [08](08_souping.ipynb); it helps to have seen [00](00_start_here.ipynb) and
# [02](02_the_model.ipynb). Words that are linked lead to the [glossary](../docs/glossary.md), symbols stand in
# [notation](../docs/notation.md).

# %%
# In Colab only: install the lab beside the numpy, torch, plotly and ipywidgets that Colab ships.
import subprocess
import sys
from importlib.metadata import version

if "google.colab" in sys.modules:
    kept = [f"{name}=={version(name)}" for name in ("numpy", "torch", "plotly", "ipywidgets")]
    package = "egemma-lab[plots] @ git+https://github.com/OWNER/egemma-lab"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package, *kept], check=True)

# %%
import inspect
import json
import logging
import os
import shutil
import time
import warnings
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import torch
import transformers

import egemma_lab as lab
from egemma_lab.explore import Table, say, show
from egemma_lab.model import EmbeddingGemma, preset_config
from egemma_lab.settings import sized

logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
datasets.disable_progress_bars()
transformers.utils.logging.disable_progress_bar()
gpu = torch.cuda.is_available()
device = torch.device("cuda" if gpu else "cpu")
work = Path("runs/09_train_on_a_gpu")
shutil.rmtree(work, ignore_errors=True)  # running the notebook again begins anew
work.mkdir(parents=True)
clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: what fits on which GPU
#
# You want to train the real EmbeddingGemma, and the GPU that is free is a T4, an L4 or an H200. How many texts of 128
# tokens fit into one step? Nobody has to try. PyTorch can run a model on **fake tensors**, which have a shape and a type
# and no numbers, so that a model of 300 million weights takes no memory and its forward pass a few seconds on any laptop.
# The package counts so: this function adds up what a forward pass keeps for the backward pass, and `training_memory` puts
# beside it what does not depend on the batch. (You can read on without following it; section 3 checks what it says.)

# %%
from egemma_lab.train.memory import kept_bytes, peak_bytes, training_memory

print(inspect.getsource(kept_bytes))

# %%
large = preset_config("300m")
counts = {
    precision: training_memory(large, tokens=128, precision=precision)
    for precision in ("float32", "bfloat16")
}
NAMES = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "AdamW",
    "copies": "kept once a step",
    "text": "each text",
    "checkpointed": "each text, with checkpointing",
    "layer": "one layer of a text",
}
Table(
    pd.DataFrame(
        {
            precision: {name: getattr(count, field) / 1e6 for field, name in NAMES.items()}
            for precision, count in counts.items()
        }
    ),
    caption="EmbeddingGemma 300M in training, texts of 128 tokens, in MB (10⁶ bytes)",
    digits=1,
)

# %% [markdown]
# The first three rows are there whatever the batch: weights, their gradients, and the two running means that the optimizer
# AdamW keeps of each gradient. "Kept once a step" are the copies of the matrices in 16 bits. The other rows count for each
# text: what is kept of it for the backward pass; what is left of that with
# [checkpointing](../docs/glossary.md#gradient-checkpointing), which section 4 explains; and the part of a single layer.
#
# The rest is division. A T4 has 16 GB, an L4 24 and an H200 141 (NVIDIA's data sheets); a tenth is set aside for the driver,
# for tensors that live for a moment, and for holes between tensors.

# %%
GPUS = {"T4": (16e9, "float32"), "L4": (24e9, "bfloat16"), "H200": (141e9, "bfloat16")}
BUDGET = 2048  # tokens of a micro-batch, the recipe's default: 16 texts of 128


def texts_that_fit(memory, count):
    """Texts a step in each of the three ways of running it."""
    return {
        "held whatever the batch, GB": count.fixed / 1e9,
        "plain": count.fits(memory),
        # one layer is computed again at a time, for the micro-batch whose backward pass is under way
        "checkpointing": count.fits(memory, checkpointing=True),
        "gradient cache needs, GB": count.total(BUDGET // count.tokens, gradient_cache=True) / 1e9,
    }


fits = pd.DataFrame.from_dict(
    {
        f"{name}, {precision}": texts_that_fit(memory, counts[precision])
        for name, (memory, precision) in GPUS.items()
    },
    orient="index",
)
Table(fits, caption="Texts of 128 tokens in one step, 300M", digits=1)

# %% [markdown]
# The T4 computes in float32, since it has no bfloat16 (section 2). Read the last column again: with the
# [gradient cache](../docs/glossary.md#gradient-cache) the memory does not depend on the batch at all, so any batch fits where
# one *micro-batch* does, the part of it that is encoded at a time. The rest of this notebook is where these numbers come
# from, whether they are true, and what each way costs in time.
#
# ### Exercise 1

# %%
bytes_exercise = lab.explore.exercise("train_on_a_gpu/bytes_of_a_training")
bytes_exercise

# %%
bytes_exercise.check(...)

# %% [markdown]
# ## 2. Which numbers: bfloat16, and why not float16
#
# A floating-point number has a sign, an exponent (how large it may be) and a significand (how exact it is). Two formats have
# sixteen bits, and they divide them differently.

# %%
kinds = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
rows = {}
for name, kind in kinds.items():
    about = torch.finfo(kind)
    rows[name] = {
        "bits": about.bits,
        "largest": f"{about.max:.3g}",
        "next number after 1": f"{1 + about.eps:.8g}",
        "8e5 becomes": f"{torch.tensor(8e5).to(kind).item():g}",
    }
Table(pd.DataFrame(rows).T)

# %% [markdown]
# The last column is the reason. Inside EmbeddingGemma activations come near 8·10⁵
# ([unslothai/unsloth#4014](https://github.com/unslothai/unsloth/issues/4014)); in float16 that is infinity, the
# next norm multiplies it by 1/∞ = 0, which is NaN (not a number), and every vector after it is NaN: an
# [overflow](../docs/glossary.md#overflow). So the lab refuses float16, before anything is computed:

# %%
nano = lab.load_model("nano", device="cpu")
try:
    nano.half()
except TypeError as refused:
    say(f"`nano.half()` raises TypeError: {refused}.")

# %% [markdown]
# How large are the nano's own activations? It is small, and trained in mixed precision, its weights in float32; but
# look which part of the model has the largest numbers.

# %%
largest = {}


def watch(name):
    """A hook that notes the largest number a module gives out."""

    def note(module, given, out):
        tensor = out[0] if isinstance(out, tuple) else out
        largest[name] = max(largest.get(name, 0.0), tensor.abs().max().item())

    return note


watched = {"token table": nano.text_model.embed_tokens, "final norm": nano.text_model.norm}
for number, layer in enumerate(nano.text_model.layers, 1):
    watched |= {f"layer {number}, feed-forward": layer.mlp, f"layer {number}": layer}
handles = [module.register_forward_hook(watch(name)) for name, module in watched.items()]
sample = lab.explore.topic_corpus()["text"].tolist()[: sized(200, 20)]
nano.encode_document(sample)
for handle in handles:
    handle.remove()
top = max(largest, key=largest.get)
say(
    f"Over {len(sample)} texts the nano's largest activation is {largest[top]:,.0f}, in *{top}*: "
    + (
        "far below what float16 can hold, "
        if largest[top] < torch.finfo(torch.float16).max
        else "already beyond what float16 can hold, "
    )
    + f"{torch.finfo(torch.float16).max:,.0f}. The nano therefore does not show the overflow of the large model; it was "
    "never told to keep its numbers small either, and nothing warns you when a later training lets them grow."
)

# %% [markdown]
# bfloat16 has float32's range and less exactness: beyond 1 the next number is 1.0078. That is enough for products whose
# sums are kept in float32, which is what the hardware does. It is not enough for a weight that grows by small steps:
#
# ### Exercise 2

# %%
update_exercise = lab.explore.exercise("train_on_a_gpu/a_lost_update")
update_exercise

# %%
update_exercise.check(...)

# %% [markdown]
# Hence *mixed* precision: weights, gradients, AdamW's means and the losses stay in float32, and only the products of the
# forward and the backward pass are made in bfloat16 (PyTorch's autocast). This is the whole of it in the package:

# %%
from egemma_lab.train.machine import best_precision
from egemma_lab.train.micro_batches import encoder

print(inspect.getsource(encoder))
print(inspect.getsource(best_precision))

# %%
say(
    f"On this machine `Recipe(precision='auto')` means **{best_precision('auto', device)}**. A T4 (compute capability 7.5) "
    "has no units for bfloat16 and gets float32; an L4 (8.9) and an H200 (9.0) have them."
)

# %% [markdown]
# ## 3. Where the memory goes
#
# Section 1 counted two kinds of things. The first does not depend on the batch: 16 bytes a weight, and in mixed precision a
# copy of the matrices in two bytes. The second are the **activations**: a backward pass needs what went into each product,
# norm and non-linearity, so the forward pass keeps all of it, for every token of the batch.
#
# Is the count true? Two checks on a model small enough to be run for real: the same count on real tensors, and the most
# memory that a step really holds. A GPU's allocator keeps a record of it; on a processor we watch every operation and count
# what it makes until it is gone.

# %%
from egemma_lab.train import memory

print(inspect.getsource(memory.peak_bytes))
print(inspect.getsource(memory._Alive))

# %%
from torch._subclasses.fake_tensor import FakeTensorMode

small = preset_config("micro")
micro_model = EmbeddingGemma(small)
texts, tokens = sized(64, 16), 64
ids = torch.ones(texts, tokens, dtype=torch.long, device=device)
in_step = EmbeddingGemma(small).to(device)
gradients = sum(4 * p.numel() for p in in_step.parameters())
with FakeTensorMode():
    fake = kept_bytes(EmbeddingGemma(small), texts, tokens, "float32")
real = kept_bytes(micro_model, texts, tokens, "float32")


def one_step():
    """Forward and backward pass of one batch."""
    in_step(ids, torch.ones_like(ids)).sum().backward()


peak = peak_bytes(one_step, device)
say(
    f"{texts} texts of {tokens} tokens through the micro: fake tensors count {fake / 1e6:.1f} MB kept, real tensors "
    f"{real / 1e6:.1f} MB. Together with the gradients ({gradients / 1e6:.1f} MB) that makes {(real + gradients) / 1e6:.1f} MB; the "
    f"measured peak of forward and backward pass is **{peak / 1e6:.1f} MB**, {peak / (real + gradients):.0%} of it."
)

# %% [markdown]
# The two need not agree to the byte. Tensors that live for a moment come on top, and while the gradients grow from the last
# layer to the first, activations are already being given back. A plan within a tenth or two of the truth is a plan.
#
# Attention is the part that depends on how it is computed. Written as plain products it keeps a matrix of L × L attention
# weights for every head; the fused kernels, which PyTorch chooses on GPUs and for longer texts, keep nothing of that size:

# %%
rows = {}
for implementation in ("sdpa", "eager"):
    micro_model.text_model.config._attn_implementation = implementation
    rows[implementation] = {
        f"{length} tokens": kept_bytes(micro_model, 2, length, "float32") / (2 * length)
        for length in (32, 64, 128, 256)
    }
micro_model.text_model.config._attn_implementation = "sdpa"
Table(
    pd.DataFrame(rows).T.rename(index={"sdpa": "fused", "eager": "plain products"}),
    caption="Bytes kept for each token of the micro, by the length of the text",
    digits=0,
)

# %% [markdown]
# So in memory a longer text costs its tokens, and no more, as long as attention is fused. In time it costs more: in the layers
# with full attention every token still looks at every other.
#
# ## 4. A batch larger than the memory
#
# A contrastive loss wants large batches, since every other pair of the batch is a wrong answer to tell apart
# ([in-batch negatives](../docs/glossary.md#in-batch-negatives)). Two ways to have one where it does not fit, which can be
# combined:
#
# - **checkpointing** keeps only what goes into each layer, and computes the layer again when the backward pass needs it;
# - the **gradient cache** ([arXiv:2101.06983](https://arxiv.org/abs/2101.06983)) encodes all micro-batches without keeping
#   anything, computes the loss and its gradient dL/dv on the vectors alone, then encodes each micro-batch again, with all it
#   keeps, and hands it its part of dL/dv. The gradient is the same: the chain rule through v.

# %%
from egemma_lab.train.gradient_cache import encode_and_backward

print(inspect.getsource(encode_and_backward).partition('"""')[0])
print("    ...\n" + inspect.getsource(encode_and_backward).partition("return output\n")[2])

# %% [markdown]
# By hand: v = 3w with w = 2, and the loss L = v². Then v = 6, dL/dv = 2v = 12; in the second encoding dv/dw = 3, so dL/dw = 36.
# Directly, L = 9w² and dL/dw = 18w = 36.

# %%
from types import SimpleNamespace

w = torch.tensor([[2.0]], requires_grad=True)
encode_and_backward(
    lambda x: x @ w, [torch.tensor([[3.0]])], lambda v: SimpleNamespace(total=(v**2).sum()), cache=True
)
say(f"`encode_and_backward` leaves the gradient {w.grad.item():g} in w.")

# %% [markdown]
# Now all four ways on a model, at growing batches, in micro-batches of eight texts.

# %%
sizes = sized((16, 32, 64), (8, 16))  # texts a step
more = sizes[-1] / sizes[0]
guess = lab.explore.predict(
    f"From {sizes[0]} texts a step to {sizes[-1]}, {more:g} times as many: how many times as much memory does a step with the "
    "gradient cache take?",
    ...,
    unit="times",
)
guess

# %%
from egemma_lab.losses import contrastive_loss

rng = np.random.default_rng(0)
WAYS = {
    "plain": (False, False),
    "checkpointing": (False, True),
    "gradient cache": (True, False),
    "both": (True, True),
}


def step_of(model, texts, cache, checkpointing, tokens=64):
    """A step's forward and backward pass over `texts` texts, half of them queries, half positives."""
    batch = rng.integers(4, model.config.text.vocab_size, size=(texts, tokens)).tolist()
    chunks = [batch[first : first + 8] for first in range(0, texts, 8)]
    encode = encoder(model, "float32")

    def loss(vectors):
        query, positive = vectors.chunk(2)  # (B, d) each
        return SimpleNamespace(total=contrastive_loss(query, positive))

    def step():
        model.train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        encode_and_backward(encode, chunks, loss, cache=cache)
        if checkpointing:
            model.gradient_checkpointing_disable()

    return step


def seconds_of(step):
    """How long it takes, by the processor's own clock where there is no GPU: others may be using it too."""
    clock = time.perf_counter if gpu else time.process_time
    began = clock()
    step()
    if gpu:
        torch.cuda.synchronize()
    return clock() - began


rows, left = [], {}
for texts in sizes:
    for way, (cache, checkpointing) in WAYS.items():
        rng = np.random.default_rng(texts)  # the same texts for all four
        step = step_of(in_step, texts, cache, checkpointing)
        in_step.zero_grad(set_to_none=False)  # gradients stay where they are, and are not counted
        step()
        gradient = torch.cat([p.grad.flatten() for p in in_step.parameters()])
        in_step.zero_grad(set_to_none=False)
        if texts == sizes[-1]:
            left[way] = gradient
        seconds = min(seconds_of(step) for _ in range(sized(3, 1)))
        rows.append({"texts": texts, "way": way, "MB": peak_bytes(step, device) / 1e6, "seconds": seconds})
ways = pd.DataFrame(rows)
plain = left["plain"]
apart = max(((g - plain).norm() / plain.norm()).item() for g in left.values())
say(f"All four leave the same gradient: the largest relative distance from the plain one is {apart:.0e}.")

# %%
import plotly.graph_objects as go

from egemma_lab.explore.style import class_marks, styled


def memory_figure(frame):
    """Peak memory over texts a step, a line a way."""
    fig = go.Figure()
    names = list(frame["way"].unique())
    for number, (name, (colour, symbol)) in enumerate(zip(names, class_marks(len(names)))):
        rows = frame[frame["way"] == name]
        fig.add_scatter(
            x=rows["texts"],
            y=rows["MB"],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": ("solid", "dash", "dot", "dashdot")[number]},
            marker={"symbol": symbol, "size": 10},
            hovertemplate="%{x} texts: %{y:.1f} MB<extra>" + name + "</extra>",
        )
    fig.update_xaxes(title="texts a step (64 tokens each)", type="log", tickvals=sorted(set(frame["texts"])))
    fig.update_yaxes(title="peak activations of a step (MB)", rangemode="tozero")
    return styled(fig, title="Four ways to hold a batch")


table = ways.pivot_table(index="way", columns="texts", values="MB").loc[list(WAYS)]
show(
    memory_figure(ways),
    f"Peak memory over texts a step. From {sizes[0]} to {sizes[-1]} texts: "
    + "; ".join(f"{way} {row[sizes[0]]:.0f} to {row[sizes[-1]]:.0f} MB" for way, row in table.iterrows())
    + ".",
)

# %%
slower = ways[ways["texts"] == sizes[-1]].set_index("way")["seconds"]
slower = slower / slower["plain"]
guess.reveal(
    table.loc["gradient cache", sizes[-1]] / table.loc["gradient cache", sizes[0]],
    f"A plain step takes {table.loc['plain', sizes[-1]] / table.loc['plain', sizes[0]]:.1f} times as much. What the cache adds with the batch "
    "are token ids and vectors, a few kilobytes. The price is time: "
    + ", ".join(f"{way} {slower[way]:.2f}" for way in list(WAYS)[1:])
    + " times as long as plain, here, at the largest batch.",
)

# %% [markdown]
# ### Exercise 3

# %%
passes_exercise = lab.explore.exercise("train_on_a_gpu/passes_of_cache_and_checkpointing")
passes_exercise

# %%
passes_exercise.check(...)

# %% [markdown]
# The exercise counts products alone, as they are most of the work in a large model. In one as small as this the many small
# operations count too, and the measured times are further apart.
#
# Which to take? The cache, when the batch is what does not fit: it holds any. Checkpointing, when one micro-batch does not
# fit, because texts are long: it alone makes a single text cheaper. In a recipe they are two words:
#
# ```python
# lab.Recipe(batch_size=1024, gradient_cache=True, token_budget=4096, gradient_checkpointing=True)
# ```
#
# ## 5. From raw text to an encoder: the whole recipe
#
# The text is code and docstrings of eleven packages of Python's own library. To use your own code, put the path of your
# project's folder in `MINE`.

# %%
import asyncio
import concurrent
import email
import http
import importlib
import logging as logging_package
import multiprocessing
import unittest
import urllib
import xml

from egemma_lab.data import load_python_docs

packages = (
    asyncio,
    concurrent,
    email,
    http,
    importlib,
    json,
    logging_package,
    multiprocessing,
    unittest,
    urllib,
    xml,
)
MINE = [Path(package.__file__).parent for package in packages[: sized(11, 4)]]  # or [Path("my/project")]
mined = load_python_docs("all", paths=MINE, show_progress_bar=False)
largest_package = mined.to_pandas()["package"].value_counts()
aside = largest_package.index[1]  # its functions are searched at the end, and nobody is trained on them
set_aside = np.array(mined["package"]) == aside
training = mined.select(np.flatnonzero(~set_aside))
held_out = mined.select(np.flatnonzero(set_aside))
say(
    f"**{len(mined):,} functions** with a docstring; the {len(held_out)} of `{aside}` are set aside. One of the others:"
)
print(f"anchor:   {training[0]['anchor']}\npositive: {training[0]['positive'][:200]}")

# %% [markdown]
# The recipe is a file, or here a dictionary. It has every stage of EmbeddingGemma's own:
#
# 1. **start**: a decoder is trained on next tokens, made both halves of an encoder-decoder, adapted by repairing damaged
#    texts; its encoder is kept (notebook 02);
# 2. **pre-finetuning**: pairs without hard negatives in a large batch, through the gradient cache; all three losses at
#    every width, with a teacher;
# 3. **finetuning**: smaller batches with hard negatives, several mixtures of two sources from the same start;
# 4. **souping**: the average of the mixtures' weights.
#
# On a processor each stage is a few steps at `micro` size, enough to see that it works. On a GPU the same cell takes `nano`
# and thirty times the steps.

# %%
from egemma_lab.train.staged_recipe import StagedRecipe
from egemma_lab.train.stages import run_stages

data = work / "data"
data.mkdir()
columns = ("anchor", "positive", "negative")
half = len(training) // 2
for name, rows in (
    ("first", training.select(range(half))),
    ("second", training.select(range(half, len(training)))),
):
    lines = [json.dumps({column: row[column] for column in columns}) for row in rows]
    (data / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")

size = sized("nano" if gpu else "micro", "micro")
language = {"steps": sized(30, 2), "batch_blocks": sized(8, 2), "block_tokens": sized(128, 96)}
lengths = {"max_tokens": sized(48, 24), "token_budget": sized(2048, 512)}
recipe = StagedRecipe(
    name="made-here",
    preset=size,
    seed=0,
    teacher={"name": "sentence-transformers/all-MiniLM-L6-v2", "max_seq_length": sized(48, 24)},
    data={
        "first": {"file": "first.jsonl", "hold_out": sized(40, 10), "licence": "PSF-2.0"},
        "second": {"file": "second.jsonl", "hold_out": sized(40, 10), "licence": "PSF-2.0"},
    },
    texts=[
        {"of": "first", "as": "texts", "column": ["anchor", "positive"]},
        {"of": "second", "as": "texts", "column": ["anchor", "positive"]},
    ],
    tokenizer={"vocab_size": sized(2048, 600), "texts": 5000},
    start={
        "kind": "encoder_decoder",
        "decoder": {**language, "learning_rate": 3e-3},
        "denoising": {**language, "learning_rate": 1e-3},
    },
    development={"sets": ["first", "second"], "queries": sized(40, 10)},
    stages=[
        {
            "name": "pre-finetuning",
            "sources": [{"of": "first", "negatives": "none"}, {"of": "second", "negatives": "none"}],
            "recipe": {
                "steps": sized(12, 2),
                "batch_size": sized(64, 8),
                "gradient_cache": True,
                "learning_rate": 2e-3,
                **lengths,
            },
        },
        {
            "name": "finetuning",
            "kind": "search",
            "trials": 2,
            "initial": 1,
            "sources": ["first", "second"],
            "recipe": {"steps": sized(6, 2), "batch_size": sized(16, 8), "learning_rate": 1e-3, **lengths},
        },
        {"name": "soup", "kind": "soup", "of": "finetuning", "best": 2, "method": "uniform"},
    ],
)
probe = lab.explore.probe_texts().to_dict("records")  # texts with labels, encoded again and again on the way
made = run_stages(
    recipe,
    work / "made",
    data_dir=data,
    scale=sized(30 if gpu else 1, 1),
    probe=probe[: sized(100, 12)],
    show_progress_bar=False,
)
stages = sorted(path.name for path in (work / "made").iterdir() if path.is_dir())
say(f"The folder has everything that was made on the way: {', '.join(f'`{stage}`' for stage in stages)}.")

# %%
from egemma_lab.train import LanguageRun

rows = []
for name in ("decoder", "denoising"):
    history = LanguageRun(work / "made" / "0-start" / name).history
    rows.append((f"start: {name}", history, "nats a token"))
for folder in sorted((work / "made").glob("*/**/run.json")):
    if "0-start" not in folder.parts:
        run = lab.load_run(folder.parent)
        rows.append((str(folder.parent.relative_to(work / "made")), run.history, "sum of the terms"))
summary = pd.DataFrame(
    [
        (
            name,
            len(history),
            int(history["tokens"].sum()),
            history["loss"].iloc[0],
            history["loss"].iloc[-1],
            unit,
        )
        for name, history, unit in rows
    ],
    columns=["stage", "steps", "tokens", "first loss", "last loss", "unit of the loss"],
)
Table(summary, caption="What was trained, from raw text to the soup", digits=2)

# %% [markdown]
# A loss that is higher at the end than at the beginning, after six or thirty steps, says nothing yet: each is that of one
# batch, and batches differ by more than so few steps can win. Nor can losses of different stages be compared: another batch
# size, hard negatives or none, another unit.
#
# Killed at any moment, the same call goes on where it was. What the bundled nano went through stands in a file of the
# same form, [experiments/nano/recipe.yaml](../experiments/nano/recipe.yaml):
#
# ```bash
# egemma-lab make experiments/nano/recipe.yaml --output runs/nano --data-dir DATA --scale 20
# ```
#
# How good is it? After so few steps it can hardly be any good, and the table must be allowed to say so. A folder in the layout
# of the benchmark BEIR (texts, questions, and which answers which) is a task for `lab.evaluate`; the questions are the
# docstrings of the package that was set aside, and the candidates its functions. Beside the model stand the same architecture
# with random weights and keyword search, [BM25](../docs/glossary.md#bm25):


# %%
def as_task(folder, corpus, queries, relevant):
    """Write a retrieval task in BEIR's layout: texts by id, questions by id, and which answers which how well."""
    folder.mkdir(parents=True)
    for name, texts in (("corpus", corpus), ("queries", queries)):
        lines = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    lines = [f"{query}\t{document}\t{grade}" for query, document, grade in relevant]
    (folder / "qrels.tsv").write_text("\n".join(lines), encoding="utf-8")
    return str(folder)


pairs_aside = held_out.select(range(min(len(held_out), sized(200, 30))))
own_task = as_task(
    work / "own-functions",
    {f"d{i}": text for i, text in enumerate(pairs_aside["positive"])},
    {f"q{i}": text for i, text in enumerate(pairs_aside["anchor"])},
    [(f"q{i}", f"d{i}", 1) for i in range(len(pairs_aside))],
)
made.max_seq_length = 64  # a function's beginning tells enough
warnings.filterwarnings("ignore", message=".*longer than .* tokens")  # meant, see the line above
scores = lab.evaluate(made, [own_task], baselines=["untrained", "bm25"], show_progress_bar=False)
scores = scores[scores["metric"] == "nDCG@10"].set_index("model")[["value", "low", "high"]]
Table(scores, caption=f"nDCG@10 over {len(pairs_aside)} functions of `{aside}`, with 95% intervals", digits=3)

# %% [markdown]
# ## 6. Killed, and gone on
#
# A Colab session ends when it likes. A run that is to survive needs three things: checkpoints that are whole or not there
# (written beside, then renamed), random numbers that follow from seed and step alone, and a place on a disk that stays.
# Here is a training in a process of its own that has an accident: the process is killed with a signal that it cannot even
# notice.

# %%
script = work / "train_mine.py"
script.write_text(
    '''"""Train a model on the pairs of a file: train_mine.py MODEL PAIRS RECIPE OUTPUT [STEP OF THE ACCIDENT]"""
import os
import signal
import sys

import egemma_lab as lab


class Accident:
    """Kills this very process, as a lost session would, after a step."""

    def __init__(self, step):
        self.step = step

    def on_step(self, state, row):
        if row["step"] == self.step:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


if __name__ == "__main__":
    model, pairs, recipe, output, *step = sys.argv[1:]
    lab.train(
        model,
        lab.data.load_pairs(pairs, columns={"negative": None}),
        recipe=lab.Recipe.from_yaml(recipe),
        output=output,
        callbacks=[Accident(int(step[0]))] if step else [],
        show_progress_bar=False,
    )
''',
    encoding="utf-8",
)
steps = sized(24, 6)
short = lab.Recipe(
    steps=steps,
    batch_size=sized(32, 8),
    save_every=steps // 3,
    snapshot_every=0,
    learning_rate=1e-3,
    weights={"matching": 0},
    **lengths,
)
short.to_yaml(work / "short.yaml")
model_folder, pair_file = str(work / "made" / "final"), str(data / "first.jsonl")
environment = {
    **os.environ,
    "OMP_NUM_THREADS": str(torch.get_num_threads()),
}  # the same sums in the same order


def launch(*command):
    """Run a Python command in a process of its own."""
    return subprocess.run(
        [sys.executable, *map(str, command)], env=environment, capture_output=True, text=True
    )


ended = launch(script, model_folder, pair_file, work / "short.yaml", work / "killed", steps - 2)
killed = lab.load_run(work / "killed")
assert ended.returncode != 0, "the accident did not happen"
say(
    f"The process ended with {ended.returncode}. Its folder says: status *{killed.status}*, {killed.step} steps in the history, "
    f"checkpoints {', '.join(f'`{path.name}`' for path in sorted((killed.folder / 'checkpoints').iterdir()))}."
)

# %% [markdown]
# Now the same call again, and beside it one that was never killed.

# %%
guess = lab.explore.predict(
    "How far apart will the two runs' last losses be: equal to about two digits, to about six digits, or bit for bit?",
    ...,
)
guess

# %%
same_call = {
    "model": model_folder,
    "pairs": lab.data.load_pairs(pair_file, columns={"negative": None}),
    "recipe": short,
    "show_progress_bar": False,
}
resumed = lab.train(output=work / "killed", **same_call)
whole = lab.train(output=work / "whole", **same_call)
losses = pd.DataFrame({"killed and gone on": resumed.history["loss"], "never killed": whole.history["loss"]})
losses.index = whole.history["step"].rename("step")
tensors = zip(resumed.model.state_dict().values(), whole.model.state_dict().values())
furthest = max((a - b).abs().max().item() for a, b in tensors)
same = furthest == 0 and losses.iloc[:, 0].equals(losses.iloc[:, 1])
Table(losses.tail(4), digits=9)

# %%
guess.reveal(
    "bit for bit" if same else f"equal but for {furthest:.0e} in a weight",
    f"The largest difference between two weights is {furthest:g}. On a processor the promise is bit for bit, on an equal "
    "machine with as many threads. A GPU adds in an order that changes from run to run, and then the digits are equal, but "
    "not all of them.",
)

# %% [markdown]
# In Colab the disk goes with the session; Google Drive stays. So:
#
# ```python
# from google.colab import drive
#
# mount = Path.cwd() / "drive"
# drive.mount(str(mount))
# run = lab.train(..., output=mount / "MyDrive" / "first-run")  # after a lost session: the same cell again
# ```

# %%
checkpoint = 12 * sum(p.numel() for p in made.parameters())
on_disk = sum(
    path.stat().st_size
    for path in sorted((whole.folder / "checkpoints").glob("*"))[-1].rglob("*")
    if path.is_file()
)
weights = counts["float32"].weights / 4
say(
    f"A checkpoint holds the weights and AdamW's two means, 12 bytes a weight: {checkpoint / 1e6:.1f} MB here "
    f"({on_disk / 1e6:.1f} MB on disk), {12 * weights / 1e9:.1f} GB for the 300M. Keep `keep_checkpoints` at 1 or 2, and make "
    "`save_every` a few minutes' worth of steps."
)

# %% [markdown]
# ## 7. Several GPUs
#
# The script of section 6 needs no change. It is started by accelerate, which starts one process a GPU:
#
# ```bash
# accelerate launch --multi_gpu --num_processes 4 train_mine.py MODEL pairs.jsonl recipe.yaml runs/many
# ```
#
# What changes is who encodes what. Each process takes its share of the batch's rows and encodes them, with the memory that
# its share needs. The vectors are then gathered: every process computes the loss of the **whole** batch, all its rows as
# negatives, and back-propagates into its own rows; the gradients are summed. So `batch_size` is that of all together, a
# step is the step that one GPU would have taken, up to the order of sums, and only the first process writes. Two processes
# on this machine's processor, started the way accelerate starts them:

# %%
environment["ACCELERATE_USE_CPU"] = "true"  # two processes cannot share one GPU here
ended = launch(
    *("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2),
    *(script, model_folder, pair_file, work / "short.yaml", work / "two"),
)
assert ended.returncode == 0, ended.stderr[-2000:]
two = lab.load_run(work / "two")
widest = f"contrastive/{made.widths[0]}"
first = {"one process": whole.history.iloc[0], "two processes": two.history.iloc[0]}
Table(
    pd.DataFrame(
        {
            name: {
                "choices of a query": short.batch_size,
                "their logarithm": np.log(short.batch_size),
                f"contrastive term at width {made.widths[0]}": row[widest],
                "length of the gradient": row["gradient_norm"],
                "tokens": row["tokens"],
            }
            for name, row in first.items()
        }
    ),
    caption="The first step, with the same weights and the same batch",
    digits=4,
)

# %% [markdown]
# The same batch, the same exam, the same step. Had each process computed the loss over its own rows alone, a query would
# have chosen among half as many, and the exam would have become easier with every GPU that is added; some training scripts
# do that without a word. What grows is small: every process holds the vectors of the whole batch, and one more copy of the
# gradients, 4 bytes a weight, while they are summed.
#
# ### Exercise 4

# %%
share_exercise = lab.explore.exercise("train_on_a_gpu/negatives_on_four_gpus")
share_exercise

# %%
share_exercise.check(...)

# %% [markdown]
# ## 8. The real model, on your own pairs
#
# With a GPU and a token the next cell downloads `google/embeddinggemma-300m` (1.2 GB in float32; accept its terms on
# [its page](https://huggingface.co/google/embeddinggemma-300m) first, then `hf auth login`). Without them the same cells go
# on with the model of section 5, which lies in a folder of the same layout and is opened by the same code. Either way it is
# said which of the two it is.
#
# Your pairs: a file with a column `anchor` and a column `positive`, perhaps `negative`; JSON Lines, CSV or Parquet.

# %%
from huggingface_hub import get_token

MY_PAIRS = pair_file  # "my_pairs.jsonl"
real = gpu and get_token() is not None
name = "google/embeddinggemma-300m" if real else model_folder
before = lab.load_model(name)
before.name, before.max_seq_length = "before", 128 if real else 64
my_pairs = lab.data.load_pairs(MY_PAIRS)
say(
    f"Opened **{name}**: {sum(p.numel() for p in before.parameters()):,} weights, vectors of {before.config.output_width}, "
    f"widths {before.widths}. {len(my_pairs)} pairs with the columns {', '.join(my_pairs.column_names)}."
)
lab.doctor(before)

# %% [markdown]
# A trained model is adapted gently: what it knows already is worth more than what a few pairs can teach. The lab's default
# for the real one is a rate of 2e-5. How gentle is gentle enough? Two runs, the second at ten times the rate.

# %%
gentle_recipe = lab.Recipe(
    steps=sized(100 if real else 30, 3),
    batch_size=sized(128 if real else 32, 8),
    learning_rate=2e-5 if real else 1e-3,
    warmup=0.1,
    weights={"matching": 0},  # no teacher
    gradient_cache=True,
    save_every=1000,  # for a short run the end is checkpoint enough
    snapshot_every=sized(10, 1),
    seed=0,
    **(lengths if not real else {"max_tokens": 128}),
)
recipes = {
    "gentle": gentle_recipe,
    "bold": gentle_recipe.replace(learning_rate=10 * gentle_recipe.learning_rate),
}
adapted = {
    key: lab.train(
        name,
        my_pairs,
        recipe=recipe,
        output=work / key,
        probe=probe[: sized(500, 12)],
        show_progress_bar=False,
    )
    for key, recipe in recipes.items()
}
for key, run in adapted.items():
    run.model.name, run.model.max_seq_length = key, before.max_seq_length

# %% [markdown]
# Both are asked two things: the functions of the package that was set aside, which is what they were adapted to; and
# everyday questions over the bundled texts, which have nothing to do with it. What is lost there is called *forgetting*.

# %%
guess = lab.explore.predict(
    "Who is best at the everyday questions afterwards: `before`, `gentle` or `bold`?", ...
)
guess

# %%
corpus, questions = lab.explore.topic_corpus(), lab.explore.topic_queries()
corpus = corpus.groupby("topic").head(sized(40, 8))
there = set(corpus["id"])
everyday = as_task(
    work / "everyday",
    dict(zip(corpus["id"], corpus["text"])),
    {f"q{i}": query for i, query in enumerate(questions["query"])},
    [
        (f"q{i}", key, grade)
        for i, right in enumerate(questions["relevant"])
        for key, grade in right.items()
        if key in there
    ],
)
each = lab.evaluate(
    before,
    [own_task, everyday],
    baselines=[run.model for run in adapted.values()],
    per_query=True,
    show_progress_bar=False,
)
means = each[each["metric"] == "nDCG@10"].pivot_table(index="task", columns="model", values="value")
Table(means[["before", "gentle", "bold"]], caption="nDCG@10", digits=3)

# %%
compared = lab.evaluate.compare(each, metrics=["nDCG@10"])
Table(
    compared[["task", "a", "b", "difference", "low", "high", "better"]],
    caption="nDCG@10, first model minus second, paired over the questions, with 95% intervals",
    digits=3,
)

# %%
verdicts = compared[compared["task"] == "everyday"].set_index("b")["better"]
undecided = (verdicts == "undecided").all()
at_home = compared[compared["task"] != "everyday"].set_index("b")
guess.reveal(
    "it cannot be told" if undecided else means.loc["everyday"].idxmax(),
    "By the intervals: "
    + "; ".join(
        f"`before` against `{key}` {'cannot be told apart' if better == 'undecided' else f'goes to `{better}`'}"
        for key, better in verdicts.items()
    )
    + ". At the functions of the package they were adapted to, "
    + "; ".join(
        f"`before` has {means.loc[row['task'], 'before']:.3f} and `{key}` {means.loc[row['task'], key]:.3f} "
        f"({'undecided' if row['better'] == 'undecided' else row['better'] + ' is better'})"
        for key, row in at_home.iterrows()
        if row["a"] == "before"
    )
    + ". "
    + (
        "This is the real model, which had much to lose."
        if real
        else "This is a model that hardly knew anything, so there was little to forget; ask again with the real one."
    ),
)

# %% [markdown]
# ## 9. Runs side by side
#
# All curves of both runs: above the terms of the loss, step by step; below, what became of the 500 **probe texts**, which a
# run encodes again every few steps. *Alignment* is how far texts that belong together lie apart, *uniformity* how evenly all
# lie on the sphere (notebook [01](01_embeddings_and_their_geometry.ipynb)), *effective rank* how many directions they make
# use of, and *label of the nearest* how often a text's nearest neighbour is on its topic. The panel of the matching term is
# empty, for these runs had no teacher. With the notebook running there are also maps of the texts: draw around a few points
# on one, and they stand out on the other.

# %%
lab.explore.compare_runs(adapted)

# %% [markdown]
# Three things to try:
#
# 1. **Find the step** at which the bold run leaves the gentle one, in the contrastive term and in the panels below. What became
#    of the effective rank in the bold run?
# 2. **Compare *start* and *end*** of one run on the two maps. Did an adaptation this short move the texts at all?
# 3. **Train a third** with the form below: spread-out at 0, or a temperature of 0.2, and put it beside these two.
#
# Losses can be compared here, because only the rate differs. Between runs of different temperature or weights they cannot.
#
# ## 10. What the paper had, and what we had
#
# The paper prints its stages and its tokens ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)); it prints neither its batch
# sizes nor its rates nor its temperature. Tokens and weights give a floor for the work, by the usual count of six operations
# a token and weight of the layers (two forward, four backward; the token table only looks up, and is left out). An H200 does
# 989 · 10¹² a second in bfloat16 by its data sheet (without sparsity); let 40% of that be reached, which would be good.

# %%
with torch.device("meta"):
    shape = EmbeddingGemma(large)
working = sum(p.numel() for p in shape.parameters()) - shape.text_model.embed_tokens.weight.numel()
paper = {
    "adaptation": 2.1e12 - 314e9 - 20e9,
    "pre-finetuning": 314e9,
    "finetuning": 20e9,
}
here = {
    "adaptation": summary["tokens"].iloc[1],
    "pre-finetuning": summary["tokens"][summary["stage"].str.contains("pre-finetuning")].sum(),
    "finetuning": summary["tokens"][summary["stage"].str.contains("2-finetuning")].sum(),
}
work_table = pd.DataFrame(
    {
        "paper: tokens": {stage: f"{number:.3g}" for stage, number in paper.items()},
        "days of one H200, at least": {
            stage: 6 * working * number / (0.4 * 989e12) / 86400 for stage, number in paper.items()
        },
        "here: tokens": {stage: f"{number:,}" for stage, number in here.items()},
    }
)
Table(work_table, digits=1)

# %% [markdown]
# The paper gives about 2.1 trillion tokens for everything from the adaptation on; the first row is what is left of them. The
# last stage is the one within reach: finetuning is the work of hours, not months. That is why one adapts a model that
# exists.
#
# ## Summary
#
# - Training takes 16 bytes a weight whatever the batch, and activations for each token of it; both can be counted before a GPU
#   is rented, and the count agrees with what a step takes.
# - bfloat16 has float32's range, float16 has not, and EmbeddingGemma needs the range. Weights and AdamW's means stay float32.
# - Checkpointing makes a text cheaper, the gradient cache makes the batch free; each costs about one forward pass in a
#   large model.
# - A run in a folder can be killed. The same call goes on; on a processor to the same bits.
# - Several GPUs share one batch: each encodes its part, the vectors are gathered, and the exam stays as hard as on one.
# - A trained model is adapted gently, and judged on what it was not adapted to as well.
#
# ## Where next
#
# - [10_judge_and_ship](10_judge_and_ship.ipynb): is the model any good, and how do others come to use it?
# - The folder `runs/09_train_on_a_gpu` keeps all runs: `lab.load_run(...)` opens each.

# %%
clock.report()
