# %% [markdown]
# # Quantization: fewer bits for vectors and for weights
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/07_quantization.ipynb)
#
# A float32 number takes 32 bits. Vectors can do with 8, or with one; weights with 8, 4, or fewer than two. This notebook
# rounds both, by hand and with the package, measures what it costs, trains a layer under rounding, and hands the rounded
# model to two programs that know nothing of PyTorch.
#
# **Afterwards you will be able to**
#
# - compute int8 and binary codes by hand, and say what ranges and a second look are for;
# - keep vectors in an index that refuses a query which cannot be compared with them;
# - round a block of weights as GGUF does, and explain how a network learns through a rounding that has no gradient;
# - decide by intervals, not by the number of bits, whether training under rounding pays;
# - export a model for llama.cpp and onnxruntime and check that they compute the same.
#
# | | |
# |---|---|
# | Time | about 2 minutes on two CPU cores, and on a T4 or an H200 (all estimated) |
# | Memory | about 2 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took; a busy machine takes longer. What it means to cut a vector is explained in
# [06](06_matryoshka.ipynb). Words that are linked lead to the [glossary](../docs/glossary.md), symbols stand in
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
import importlib.util
import inspect
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch

import egemma_lab as lab
from egemma_lab.explore import Table, say, show
from egemma_lab.explore.style import COLOURS, SYMBOLS, styled
from egemma_lab.settings import sized

# What searches vectors, and what writes and runs files for other programs; Colab has none of it.
wanted = {"faiss": "faiss-cpu", "xllamacpp": "xllamacpp"}
wanted |= {name: name for name in ("gguf", "onnx", "onnxscript", "onnxruntime")}
for module, package in wanted.items():
    if importlib.util.find_spec(module) is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=module != "xllamacpp")
importlib.invalidate_caches()

clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: the same search in a fraction of the bytes
#
# 800 short texts, 40 questions with answers given by hand (in fast mode 20 questions), and the
# [nano](../docs/glossary.md#nano), the laboratory's small model. Four ways to answer: everything in float32; the vectors in
# bits with an [int8 copy](../docs/glossary.md#int8-binary-vectors) for a second look; the model's weights in four bits; and
# both. [nDCG@10](../docs/glossary.md#ndcg10) is the quality of the first ten results, 1 at best, with a 95% interval.

# %%
from egemma_lab.evaluate.retrieval_data import RetrievalData
from egemma_lab.evaluate.retrieval_task import RetrievalTask
from egemma_lab.evaluate.vector_precision import WAYS, WAYS_WITH_COPY

corpus, asked = lab.explore.topic_corpus(), lab.explore.topic_queries()
texts = corpus["text"].tolist()
ids = [f"question-{row}" for row in range(len(asked))]
data = RetrievalData(
    queries=dict(zip(ids, asked["query"])),
    corpus=dict(zip(corpus["id"], texts)),
    qrels=dict(zip(ids, asked["relevant"])),
    titles={},
)
topics_task = RetrievalTask("topics", lambda: data)
quiet = {"show_progress_bar": False}
ways = WAYS | WAYS_WITH_COPY
nano, nano_int4 = lab.load_model("nano"), lab.load_model("nano-int4")
frontiers = {
    model.name: lab.evaluate.frontier(
        model, topics_task, ways=ways, widths=[256], limit=sized(None, 20), **quiet
    )
    for model in (nano, nano_int4)
}
assets = Path(lab.__file__).parent / "assets"
megabytes = {  # of the weights, the Dense layers' included
    name: sum(path.stat().st_size for path in (assets / name).rglob("*.safetensors")) / 1e6
    for name in ("nano", "nano-int8", "nano-mixed", "nano-int4")
}
rows = [
    (
        name,
        megabytes[folder],
        way,
        int(row.bytes),
        row.value,
        row.low,
        row.high,
    )
    for (name, frame), folder in zip(frontiers.items(), ("nano", "nano-int4"))
    for way in ("float32", "binary rescored by int8")
    for row in frame[frame["precision"] == way].itertuples()
]
columns = ["model", "MB of its file", "vectors", "bytes a vector", "nDCG@10", "low", "high"]
Table(pd.DataFrame(rows, columns=columns), digits=3)

# %% [markdown]
# A vector shrinks to less than a third, the model's file too (the nano's own already holds its weights in 16 bits), and
# the quality moves by a hundredth or two, inside intervals that are much wider. Larger measurements come below.
#
# ## 2. A vector in bytes
#
# Give each dimension a range, from its smallest to its largest value among the vectors to be stored, and divide it into
# 255 buckets. What is stored is the bucket's number. Three vectors of two numbers, by hand:

# %%
small = np.array([[0.6, -0.8], [0.0, 1.0], [0.28, 0.96]], dtype=np.float32)
low, high = small.min(axis=0), small.max(axis=0)
bucket = (high - low) / 255
codes = np.floor((small - low) / bucket).clip(0, 255)  # 0 to 255
read = low + (codes + 0.5) * bucket  # the middle of each bucket
ours = lab.quantize.quantize_vectors(small, "uint8")
assert np.array_equal(codes, ours)


def written(rows, digits):
    """Each vector as [x, y], rounded."""
    return [f"[{', '.join(f'{x:.{digits}f}' for x in row)}]" for row in rows]


table = pd.DataFrame({"vector": written(small, 2), "codes": written(ours, 0), "read back": written(read, 4)})
Table(table, caption=f"Buckets are {bucket[0]:.5f} and {bucket[1]:.5f} wide")

# %% [markdown]
# Nothing is off by more than half a bucket. (The largest value itself lies at the end of the last bucket and gets a code
# of its own, so that there are 256 codes, as many as a byte has.) This is `uint8`, codes from 0 to 255; `int8` is the same less
# 128. On real vectors, with the ranges of the corpus:

# %%
documents = nano.encode_document(texts, **quiet)  # (800, 256)
questions = nano.encode_query(asked["query"].tolist(), **quiet)  # (40, 256)
ranges = lab.quantize.calibrate(documents)  # (2, 256): smallest and largest value of each dimension
codes = lab.quantize.quantize_vectors(documents, "int8", ranges)  # (800, 256) int8
told = lab.quantize.dequantize_vectors(codes, "int8", ranges)  # (800, 256) float32
off = np.abs(told - documents) / ((ranges[1] - ranges[0]) / 255)
cosines = (told * documents).sum(axis=1) / np.linalg.norm(told, axis=1)
say(
    f"{documents.nbytes:,} bytes become {codes.nbytes:,}. The numbers are off by at most {off.max():.2f} buckets, and the "
    f"lowest cosine between a vector and what its codes stand for is **{cosines.min():.5f}**."
)

# %% [markdown]
# ### Exercise 1: a code by hand

# %%
code = lab.explore.exercise("fewer_bits/code_of_a_number")
code

# %%
code.check(...)

# %% [markdown]
# ### Where the ranges come from
#
# The ranges are learnt once and kept with the codes. From how many vectors? What lies outside gets the last bucket of its
# side. And what if every batch of documents brings its own ranges? Quality is measured here against the search with the
# vectors as they were: which share of its ten best does the search with codes find?

# %%
guess = lab.explore.predict(
    "Which is worse for finding the exact ten best: ranges learnt from only `ten` texts, or each half of the corpus with "
    "its `own` ranges, read with those of the whole?",
    ...,
)
guess

# %%
_, exact = lab.quantize.search(questions, documents, 10, "float32")


def found_of(vectors):
    """Share of the exact ten best that these stand-ins for the documents find."""
    _, rows = lab.quantize.search(questions, vectors, 10, "float32")
    return np.mean([len(set(x) & set(y)) / 10 for x, y in zip(rows, exact)])


calibrated = []
for count in (10, 50, 200, 800):
    chosen = np.random.default_rng(0).permutation(len(documents))[:count]
    learnt = lab.quantize.calibrate(documents[chosen])
    outside = ((documents < learnt[0]) | (documents > learnt[1])).mean()
    held = lab.quantize.quantize_vectors(documents, "int8", learnt)
    stand_in = lab.quantize.dequantize_vectors(held, "int8", learnt)
    calibrated.append((f"{count} texts", outside, found_of(stand_in)))
halves = [lab.quantize.quantize_vectors(half, "int8") for half in np.split(documents, 2)]
mixed_up = lab.quantize.dequantize_vectors(np.concatenate(halves), "int8", ranges)
calibrated.append(("each half its own, read with those of all", 0.0, found_of(mixed_up)))
columns = ["ranges from", "numbers outside", "exact ten best found"]
calibrated = pd.DataFrame(calibrated, columns=columns)
Table(calibrated, digits=3)

# %%
ten, own = calibrated["exact ten best found"].iloc[[0, -1]]
guess.reveal(
    "ten" if ten < own else "own",
    f"Ten texts: {ten:.3f}, with {calibrated['numbers outside'].iloc[0]:.1%} of all numbers cut off. Mixed ranges: {own:.3f}. "
    "Both are errors that no program reports by itself: codes look the same whatever they mean. So ranges belong in "
    "the same folder as the codes.",
)

# %% [markdown]
# ## 3. A vector in bits
#
# The extreme: keep only the sign of each number, 1 where it is above 0. 256 numbers become 32 bytes, and two vectors are
# compared by counting the bits in which they differ, the Hamming distance. Why should that work? For random directions
# the share of differing signs is the angle between two vectors over 180° (Charikar 2002,
# [doi:10.1145/509907.509965](https://doi.org/10.1145/509907.509965)). Here, over pairs of real texts:

# %%
bits = np.unpackbits(lab.quantize.quantize_vectors(documents, "ubinary"), axis=1).astype(
    np.float32
)  # (800, 256)
pick = np.random.default_rng(0).integers(len(texts), size=(2, 1500))
pick = pick[:, pick[0] != pick[1]]
angles = np.degrees(np.arccos((documents[pick[0]] * documents[pick[1]]).sum(axis=1).clip(-1, 1)))
differing = np.abs(bits[pick[0]] - bits[pick[1]]).mean(axis=1)
figure = go.Figure()
figure.add_scatter(
    x=angles,
    y=differing,
    mode="markers",
    name="pairs of texts",
    marker={"size": 4, "color": COLOURS[0], "opacity": 0.4},
)
figure.add_scatter(
    x=[0, 180], y=[0, 1], mode="lines", name="angle / 180°", line={"color": COLOURS[3], "dash": "dash"}
)
figure.update_xaxes(range=[angles.min() - 5, angles.max() + 5])
figure.update_yaxes(range=[differing.min() - 0.05, differing.max() + 0.05], tickformat=".0%")
show(
    styled(
        figure,
        "What the signs know of the angle",
        f"{len(angles):,} pairs of texts, {documents.shape[1]} signs each",
        x="angle between two vectors (degrees)",
        y="share of signs that differ",
    ),
    f"A cloud of points that rises with the angle, around the line angle / 180°; correlation {np.corrcoef(angles, differing)[0, 1]:.2f}.",
)

# %% [markdown]
# Signs give the angle roughly. How roughly?

# %%
rest = differing - angles / 180
coin = (0.25 / documents.shape[1]) ** 0.5
say(
    f"Around the line the shares scatter by {rest.std():.1%}; as many tosses of a coin scatter by {coin:.1%}. They lie above it by "
    f"{rest.mean():.1%} on average: among the signs all columns count alike, in the vectors they do not."
)

# %% [markdown]
# So bits find the neighbourhood and not the order in it. The remedy: take more candidates than asked for and order them
# anew, with the query's floats against something finer. Against what?

# %%
guess = lab.explore.predict(
    "The bits alone find which share of the exact ten best? And with 40 candidates, ordered anew by the float query against "
    "an int8 copy?",
    ...,
)
guess

# %%
rescored = []
for second in (None, "int8", "float32"):
    for factor in (1, 2, 4, 8, 16):
        recall, each = lab.quantize.recall_against_exact(
            questions, documents, k=10, precision="binary", rescore=factor, rescore_precision=second
        )
        rescored.append((second or "the bits themselves", factor, recall))
plain, _ = lab.quantize.recall_against_exact(questions, documents, k=10, precision="binary", rescore=0)
rescored = pd.DataFrame(rescored, columns=["second look against", "factor", "recall"])
figure = go.Figure()
for (name, rows), colour, symbol in zip(
    rescored.groupby("second look against", sort=False), COLOURS, SYMBOLS
):
    figure.add_scatter(
        x=rows["factor"],
        y=rows["recall"],
        name=name,
        mode="lines+markers",
        line={"color": colour, "dash": "dot" if name == "float32" else "solid"},
        marker={"symbol": symbol, "size": 9},
    )
figure.add_hline(plain, line={"dash": "dash", "color": "#555555"}, annotation_text="bits, no second look")
factors = sorted(rescored["factor"].unique())
figure.update_xaxes(type="log", tickvals=factors, ticktext=[str(10 * factor) for factor in factors])
figure.update_layout(legend={"title": {"text": "second look against"}})
at_four = rescored[rescored["factor"] == 4].set_index("second look against")["recall"]
show(
    styled(
        figure,
        "The second look",
        f"{len(questions)} questions, {len(texts)} texts, width 256",
        x="candidates for ten results (log scale)",
        y="recall of the exact ten best",
    ),
    f"Recall over the number of candidates. Bits alone: {plain:.2f}, a dashed line. With 40 candidates: "
    + ", ".join(f"against {name} {value:.2f}" for name, value in at_four.items())
    + ".",
)

# %%
guess.reveal(
    f"{plain:.2f} and {at_four['int8']:.2f}",
    f"The float query against the bits themselves already gives {at_four['the bits themselves']:.2f} for no byte more: only "
    f"one side is rounded then. An int8 copy is as good as a float32 one ({at_four['float32']:.2f}) at a quarter of its bytes; what "
    "is missing then was not among the candidates.",
)

# %% [markdown]
# ### Exercise 2: what fits into an index

# %%
index_bytes = lab.explore.exercise("fewer_bits/bytes_of_an_index")
index_bytes

# %%
index_bytes.check(...)

# %% [markdown]
# ### A folder that knows what it holds
#
# Codes mean nothing without model, prompts, width and ranges. An `Index` keeps them together in a folder and refuses what
# cannot be compared. It searches as `lab.quantize.search` does, by [faiss](https://faiss.ai), the library most search engines
# for vectors begin with: floats compared one by one, bytes by its 8-bit quantizer, which is told our ranges, bits by Hamming
# distance. Three ways to go wrong, and what is said:

# %%
work = tempfile.TemporaryDirectory()
folder = Path(work.name)
index = lab.quantize.Index.build(nano, documents, precision="binary", rescore_precision="int8")
index.save(folder / "index")
index = lab.quantize.Index.load(folder / "index", nano)
print(index)
scores, rows = index.search("how do plants drink?", k=2)
print([texts[row] for row in rows])


def refused(attempt):
    """What is said against an attempt that must fail."""
    try:
        attempt()
    except ValueError as error:
        print(f"- {error}")
    else:
        raise AssertionError("this should have been refused")


refused(lambda: index.search(questions[:, :64]))  # another width
refused(lambda: index.search("how do plants drink?", model=nano_int4))  # another model
refused(lambda: index.search("how do plants drink?", prompt_name="document"))  # another prompt

# %% [markdown]
# ## 4. What fewer bits cost the nano's vectors
#
# Forty questions are few. The same on four tasks of the evaluation suite, with thousands of questions and pairs and at every
# width (`32d` is the first 32 numbers), measured once for the repository
# (the script is [vectors.py](../experiments/compression/vectors.py)). "Binary rescored" takes its second look against the
# bits themselves, "binary rescored by int8" against a copy ([rescoring](../docs/glossary.md#rescoring)):

# %%
from egemma_lab.experiments.shipped import experiments_folder, shipped_results

home = experiments_folder() / "compression"
address = "https://raw.githubusercontent.com/OWNER/egemma-lab/main/experiments/compression"
home = home if (home / "vectors.csv").is_file() else address
vectors = pd.read_csv(f"{home}/vectors.csv")
mean = vectors[vectors["task"] == "mean"]
drawn = mean[mean["precision"] != "binary rescored by float32"]
show(
    lab.explore.quality_frontier(
        drawn, subtitle=f"nano, {mean['metric'].iloc[0]}, n = {int(mean['n'].iloc[0]):,}, 95%"
    ),
    lab.explore.describe_frontier(drawn),
)
full = mean[mean["width"] == 256].set_index("precision")
Table(full[["bytes", "share", "share_low", "share_high", "recall"]], digits=3, caption="Full width")

# %%
say(
    f"int8 keeps {full.loc['int8', 'share']:.4f} of the quality ({full.loc['int8', 'share_low']:.4f} to "
    f"{full.loc['int8', 'share_high']:.4f}): nothing that these tasks can see. Bits alone keep "
    f"{full.loc['binary', 'share']:.3f}, with a second look against themselves {full.loc['binary rescored', 'share']:.3f}, against an int8 copy "
    f"**{full.loc['binary rescored by int8', 'share']:.3f}**. Note recall beside quality: with the copy only "
    f"{full.loc['binary rescored by int8', 'recall']:.2f} of the exact ten best are found, and quality hardly falls, since most of the "
    "ten are no answers."
)

# %% [markdown]
# ## 5. A block of weights
#
# So much for vectors. Weights are rounded in groups, each with a scale of its own. The format Q4_0 of GGUF, the files that
# llama.cpp reads, takes [blocks](../docs/glossary.md#block-of-a-quantization) of 32: the scale s is the weight of largest
# magnitude, w_max with its sign, over −8, and each weight becomes a code c, the nearest whole number from −8 to 7,
#
# $$s = \frac{w_{\max}}{-8}, \qquad c_i = \mathrm{clip}\left(\left\lfloor \frac{w_i}{s} + \frac12 \right\rfloor, -8, 7\right), \qquad \hat w_i = s\, c_i .$$
#
# The largest weight gets exactly −8. Eight weights of a block (the other 24 are 0):

# %%
from egemma_lab.quantize.formats import round_weight, scheme_of

block = torch.zeros(1, 32)
block[0, :8] = torch.tensor([-4.0, 3.9, 1.3, 0.2, -0.3, 2.0, -2.2, 3.6])
scale = block[0, block.abs().argmax()] / -8
by_hand = (block / scale + 8.5).floor().clamp(0, 15) - 8
packed, scales = lab.quantize.pack(block, "int4_block")
read = lab.quantize.unpack(packed, scales, "int4_block")
assert torch.equal(read, by_hand * scale)
table = pd.DataFrame({"weight": block[0, :8], "code": by_hand[0, :8].int(), "read back": read[0, :8]})
Table(
    table,
    caption=f"Scale {scale:g}; {packed.nbytes} bytes of codes and {scales.nbytes} of scale for 32 weights",
)

# %% [markdown]
# 3.9 would need the code 8, which four bits do not have: it becomes 3.5. The rule in the package is as short, and bit for
# bit ggml's:

# %%
from egemma_lab.quantize import formats

print(inspect.getsource(formats._int4_block))

# %% [markdown]
# ### Exercises 3 and 4: a weight, and a model

# %%
weight = lab.explore.exercise("fewer_bits/weight_in_a_block")
weight

# %%
weight.check(...)

# %%
size = lab.explore.exercise("fewer_bits/size_of_a_model")
size

# %%
size.check(...)

# %% [markdown]
# Four formats round a whole model: `int8_block` and `int4_block`, blocks of 32 in 8 or 4 bits; `mixed_channel`,
# EmbeddingGemma's mixture of 8 bits in the attention and 4 elsewhere, with one scale a row of the matrix (a *channel*);
# and `ternary`, −1, 0 and 1 with one scale a row. `fake_quantize` gives a model that computes with the rounded weights,
# which stay in float32 underneath. No training yet:

# %%
guess = lab.explore.predict(
    "Rounded to four bits in blocks, what is the mean cosine between the nano's vectors and those it had before?",
    ...,
)
guess

# %%
sample = texts[: sized(800, 100)]
before = documents[: len(sample)]
rounded, kept = {}, []
for format in lab.quantize.FORMATS:
    rounded[format] = lab.quantize.fake_quantize(nano, format)
    after = rounded[format].encode_document(sample, **quiet)
    rows = [
        (round_weight(w, scheme_of(format, name)) - w).square().sum() / w.square().sum()
        for name, w in nano.state_dict().items()
        if w.ndim == 2
    ]
    same = lab.geometry.neighbours_kept(before, after, k=10)[0]
    kept.append(
        (
            format,
            float(np.mean([row.item() for row in rows])) ** 0.5,
            (before * after).sum(axis=1).mean(),
            same,
        )
    )
columns = ["format", "error of a weight, relative", "mean cosine", "ten neighbours kept"]
kept = pd.DataFrame(kept, columns=columns).set_index("format")
Table(kept, digits=4, caption=f"{len(sample)} texts, rounded and not trained")

# %%
off = kept.loc["int4_block", "error of a weight, relative"]
apart = (2 - 2 * kept.loc["int4_block", "mean cosine"]) ** 0.5  # between unit vectors of this cosine
guess.reveal(
    float(kept.loc["int4_block", "mean cosine"]),
    f"The weights are off by {off:.0%}, the vectors by √(2 − 2 · {kept.loc['int4_block', 'mean cosine']:.3f}) = "
    f"{apart:.0%} of their length: a layer passes on the relative error of its weights, from layer to layer errors add up, and "
    "the Dense layers take away what all texts have in common but not its error. A cosine hides that, since it is 1 less half "
    f"the squared error. Ternary weights are off by {kept.loc['ternary', 'error of a weight, relative']:.0%}, and that is too "
    "much.",
)

# %% [markdown]
# ## 6. Learning through a rounding
#
# Could the model be trained so that its *rounded* weights are good? That is quantization-aware training,
# [QAT](../docs/glossary.md#qat). Rounding is a staircase: flat almost everywhere, so its gradient is 0 and nothing would
# move. The straight-through estimator (Bengio, Léonard and Courville 2013,
# [arXiv:1308.3432](https://arxiv.org/abs/1308.3432)) goes forward over the stairs and backward as if they were a ramp:
#
# $$\hat w = \mathrm{round}(w), \qquad \frac{\partial L}{\partial w} := \frac{\partial L}{\partial \hat w}.$$
#
# In PyTorch, by hand, with one weight that is rounded to a whole number and should become 1.6:

# %%
w = torch.tensor(1.2, requires_grad=True)
path = []
for _ in range(8):
    straight = w + (w.round() - w).detach()  # forward: round(w); backward: the identity
    loss = (straight - 1.6) ** 2
    (gradient,) = torch.autograd.grad(loss, w)
    path.append((w.item(), straight.item(), loss.item(), gradient.item()))
    w = (w - 0.2 * gradient).detach().requires_grad_()
Table(pd.DataFrame(path, columns=["w", "rounded", "loss", "gradient"]))

# %% [markdown]
# The weight gathers small steps until the rounded one jumps, and then goes back and forth near the edge between two
# stairs, because no whole number is 1.6. The package does the same for every matrix of a model (`ctx` is where PyTorch would
# keep what the backward pass needs: nothing, here):

# %%
from egemma_lab.quantize import weights

print(inspect.getsource(weights._StraightThrough))

# %% [markdown]
# ### Exercise 5: a gradient past a rounding

# %%
past = lab.explore.exercise("fewer_bits/gradient_past_a_rounding")
past

# %%
past.check(...)

# %% [markdown]
# ### Rounding afterwards against training with rounding
#
# One matrix that runs in seconds: 256 numbers of the nano to 32, trained to bring texts of one topic together, thirty texts
# of each topic; the other ten are asked for the topic of their nearest trained text. Trained in floats and rounded
# afterwards; or trained on from there for as many steps again, under rounding; or trained on without rounding, so that
# the steps alone are not mistaken for the effect. The formats have one scale a row here: `int8_channel`, `int4_channel` and
# `ternary`.

# %%
guess = lab.explore.predict(
    "At which of `int8_channel`, `int4_channel` and `ternary` will training under rounding win back something that can be "
    "seen?",
    ...,
)
guess

# %%
from torch.nn.utils import parametrize

from egemma_lab.losses import contrastive_loss
from egemma_lab.quantize.weights import Rounding

topics = corpus["topic"].astype("category").cat.codes.to_numpy()
train = corpus.groupby("topic").cumcount().to_numpy() < 30  # of 40 in each topic
features = torch.tensor(documents)
steps = sized(150, 60)


def train_on(layer, seed):
    """`steps` of the contrastive loss, texts of one topic as pairs."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(layer.parameters(), lr=2e-3)
    rows = [torch.tensor(np.flatnonzero(train & (topics == topic))) for topic in range(20)]
    for _ in range(steps):
        chosen = [row[torch.randperm(30, generator=generator)[:6]] for row in rows]
        query, positive = (torch.cat([row[side] for row in chosen]) for side in (slice(0, 3), slice(3, 6)))
        loss = contrastive_loss(layer(features[query]), layer(features[positive]), positive_ids=topics[query])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer


def fresh(weight, scheme=None):
    """A layer with these weights, which computes with them as they are or rounded."""
    layer = torch.nn.Linear(256, 32, bias=False)
    layer.weight = torch.nn.Parameter(weight.clone())
    if scheme:
        parametrize.register_parametrization(layer, "weight", Rounding(scheme))
    return layer


@torch.no_grad()
def topic_found(layer):
    """Of the held-out texts, the share whose nearest trained text has their topic."""
    reduced = torch.nn.functional.normalize(layer(features)).numpy()
    nearest = (reduced[~train] @ reduced[train].T).argmax(axis=1)
    return np.mean(topics[train][nearest] == topics[~train])


measured = []
for seed in range(sized(5, 2)):
    generator = torch.Generator().manual_seed(seed)
    start = train_on(fresh(torch.randn(32, 256, generator=generator) / 16), seed).weight.detach()
    measured.append(("floats", "as they were", seed, topic_found(fresh(start))))
    measured.append(("floats", "trained on", seed, topic_found(train_on(fresh(start), seed + 100))))
    for scheme in ("int8_channel", "int4_channel", "ternary"):
        measured.append((scheme, "rounded", seed, topic_found(fresh(start, scheme))))
        under = train_on(fresh(start, scheme), seed + 100)
        measured.append((scheme, "trained under rounding", seed, topic_found(under)))
measured = pd.DataFrame(measured, columns=["weights", "how", "seed", "found"])
layers = measured.groupby(["weights", "how"], sort=False)["found"].agg(["mean", "min", "max"])
Table(layers.reset_index(), digits=3, caption="Topic of the nearest trained text; over the seeds")


# %%
def gained(name, after, before):
    """What training gave, seed by seed."""
    ways = measured[measured["weights"] == name].pivot_table(index="seed", columns="how", values="found")
    return ways[after] - ways[before]


steps_alone = gained("floats", "trained on", "as they were")
won = {
    name: gained(name, "trained under rounding", "rounded") - steps_alone
    for name in ("int8_channel", "int4_channel", "ternary")
}
every = [name for name, gain in won.items() if gain.min() > 0]
guess.reveal(
    ", ".join(every) or "none",
    f"The same steps without rounding give {steps_alone.mean():+.3f}, so that much is no merit of the rounding and is taken "
    "off. What is left, with the lowest and highest seed: "
    + ", ".join(
        f"{name} {gain.mean():+.3f} ({gain.min():+.3f} to {gain.max():+.3f})" for name, gain in won.items()
    )
    + ". Named are the formats for which it is above 0 with every seed. Where rounding costs nothing there is nothing to win "
    "back.",
)

# %%
at = layers["mean"]
say(
    f"Three values a weight cost this matrix {at['floats', 'as they were'] - at['ternary', 'rounded']:.3f}; after as many steps "
    f"under rounding it finds {at['ternary', 'trained under rounding']:.3f}, the floats that were trained on "
    f"{at['floats', 'trained on']:.3f}."
)

# %% [markdown]
# Compare such numbers with the spread of the seeds before believing them: one matrix of 32 rows has much to spare. This
# shows how it is done; what it buys a whole model, the next section measures.
#
# ## 7. The real thing: the nano's variants
#
# `nano-int8`, `nano-mixed` and `nano-int4` come with the package, stored in packed form: each was trained on under rounding,
# matching the vectors of the unrounded nano. They load by name and stay in the nano's space, so that a question
# encoded by one searches texts encoded by another.

# %%
variants = [("nano", nano)]
variants += [(name, lab.load_model(name)) for name in ("nano-int8", "nano-mixed")] + [
    ("nano-int4", nano_int4)
]
rows = []
for name, variant in variants:
    theirs = variant.encode_query(asked["query"].tolist(), **quiet)
    _, found = lab.quantize.search(theirs, documents, 10, "float32")
    same = np.mean([len(set(x) & set(y)) / 10 for x, y in zip(found, exact)])
    rows.append((name, megabytes[name], (theirs * questions).sum(axis=1).mean(), same))
columns = ["questions encoded by", "MB", "mean cosine to the nano's", "exact ten best of the nano found"]
Table(pd.DataFrame(rows, columns=columns), digits=3, caption="The texts stay encoded by the nano")

# %% [markdown]
# Measured on five tasks of the suite, with and without training under rounding, beside what the paper reports for its own
# variants (Table 1 of [arXiv:2509.20354](https://arxiv.org/abs/2509.20354): multilingual MTEB, mean over tasks, 308M
# parameters, all trained under rounding, no intervals printed):

# %%
suite = pd.read_csv(f"{home}/weights.csv")
suite = suite[suite["task"] == "mean"]
paper = pd.Series({"int8_block": 60.93, "mixed_channel": 60.69, "int4_block": 60.62}) / 61.15
order = list(lab.quantize.FORMATS)
figure = go.Figure()
for (way, label, shift), colour, symbol in zip(
    (("rounded", "nano, rounded", -0.12), ("trained", "nano, trained under rounding", 0.12)), COLOURS, SYMBOLS
):
    rows = suite[suite["way"] == way].set_index("format").loc[order]
    figure.add_scatter(
        x=rows["share"],
        y=np.arange(len(order)) + shift,
        error_x={
            "type": "data",
            "symmetric": False,
            "array": rows["share_high"] - rows["share"],
            "arrayminus": rows["share"] - rows["share_low"],
        },
        mode="markers",
        name=label,
        marker={"color": colour, "symbol": symbol, "size": 8},
    )
figure.add_scatter(
    x=paper,
    y=[order.index(name) for name in paper.index],
    mode="markers",
    name="EmbeddingGemma, trained",
    marker={"color": COLOURS[3], "symbol": "x", "size": 9},
)
figure.add_vline(1, line={"color": "#888888", "dash": "dot"})
figure.update_yaxes(tickvals=list(range(len(order))), ticktext=order, autorange="reversed")
figure.update_layout(legend={"orientation": "h", "y": -0.25, "x": 0})
shares = suite.set_index(["format", "way"])["share"]
show(
    styled(
        figure,
        "What rounded weights keep",
        f"nano: {suite['metric'].iloc[0]}, n = {int(suite['n'].iloc[0]):,}, 95% intervals; trained: mean of "
        f"{suite['seeds'].max()} seeds",
        x="share of the score with unrounded weights",
        y="format",
    ),
    "Points with intervals for four formats. "
    + "; ".join(
        f"{name}: rounded {shares[name, 'rounded']:.3f}, trained {shares[name, 'trained']:.3f}"
        for name in order
    )
    + ".",
)

# %%
table = suite.set_index(["format", "way"])
seen = [name for name in order if table.loc[(name, "rounded"), "share_high"] < 1]
won = [
    name
    for name in order
    if table.loc[(name, "trained"), "share_low"] > table.loc[(name, "rounded"), "share_high"]
]
say(
    f"Rounding alone costs something that the mean over these tasks shows in: {', '.join(seen) or 'none of the formats'}. Training "
    f"under rounding wins back more than the intervals in: {', '.join(won) or 'none'}. At ternary it goes from "
    f"{shares['ternary', 'rounded']:.3f} to **{shares['ternary', 'trained']:.3f}**. The paper trains all its variants and reports no "
    "rounding alone, so that its own gain is not known."
)

# %% [markdown]
# The experiment `quantization` of this laboratory asks the same with several seeds, and with a run that is trained on
# *without* rounding, to tell the two effects apart: `egemma-lab experiment quantization`. How to read its figure: a line is
# a model, its place the difference from the unrounded one, with a 95% interval; filled marks can be told from zero, and an
# effect inside the grey band may have been missed ([11](11_the_paper_in_miniature.ipynb)).

# %%
if (experiments_folder() / "quantization" / "results.json").is_file():
    results = shipped_results("quantization")
    show(lab.explore.experiment_figure(results), lab.explore.describe_experiment(results))
else:
    say("Its results do not come with this version yet.")

# %% [markdown]
# Read its lines against each other before reading them against zero: a line "trained" differs from the unrounded model by
# the rounding *and* by its additional steps, and "float32, trained on" has the steps alone.

# %% [markdown]
# ## 8. Files for other programs
#
# `export` writes a model for llama.cpp (one GGUF file) or for onnxruntime (a folder), runs the file with that very program, and
# keeps it only if the vectors agree. llama.cpp runs in a process of its own, since a file it cannot read ends the whole
# process.

# %%
from egemma_lab.quantize.llama_cpp import has_llama_cpp, llama_server

if not has_llama_cpp():
    say(
        "`xllamacpp` has no wheel for this machine: the GGUF file is checked by reading its tensors back, not by running it."
    )
written = lab.quantize.export(nano_int4, folder / "nano.gguf", format="gguf", precision="Q4_0")
print(written)

# %% [markdown]
# Prompts are not in the file: put them before the texts yourself. Ask the running server, and compare with the model here:

# %%
prompted = [nano.prompts["query"] + query for query in asked["query"][:10]]
if has_llama_cpp():
    with llama_server(folder / "nano.gguf") as server:
        theirs = server.embed(prompted)  # (10, 256), unit rows
        tokens = server.tokenize(prompted[:1])[0]
    ours = nano_int4.encode_query(asked["query"][:10].tolist(), **quiet)
    _, rows = lab.quantize.search(theirs, documents, 1, "float32")
    _, expected = lab.quantize.search(ours, documents, 1, "float32")
    say(
        f"llama.cpp makes the same {len(tokens)} tokens of the first question: {tokens == nano.tokenize(prompted[:1])[0]}. "
        f"The lowest cosine of its ten vectors with ours is **{(theirs * ours).sum(axis=1).min():.6f}** (it rounds activations as "
        f"well), and for {int((rows == expected).sum())} of 10 questions it finds the same first text."
    )
else:
    say("Nothing to ask here: this machine has no llama.cpp.")

# %% [markdown]
# The same for onnxruntime: the graph goes from token ids to unit vectors, pooling, Dense layers and normalisation included.
# Tracing takes seconds a layer; in fast mode a fresh model of two layers takes the nano's place.

# %%
from egemma_lab.model.embedding_gemma import EmbeddingGemmaConfig
from egemma_lab.model.presets import PRESETS, fresh_model
from egemma_lab.quantize.onnx_file import onnx_ids, onnx_vectors


def two_layers():
    """A micro model of two layers with fresh weights and the nano's tokenizer."""
    kinds = ["sliding_attention", "full_attention"]
    text = {"vocab_size": len(nano.tokenizer), "num_hidden_layers": len(kinds), "layer_types": kinds}
    shape = {**PRESETS["micro"], "text": {**PRESETS["micro"]["text"], **text}, "pooling": "mean"}
    return fresh_model(EmbeddingGemmaConfig.from_dict(shape), nano.tokenizer, name="two layers")


traced = sized(lambda: nano, two_layers)()
written = lab.quantize.export(traced, folder / "onnx", format="onnx", precision="f32")
print(written)
theirs = onnx_vectors(folder / "onnx", onnx_ids(folder / "onnx", prompted))
ours = traced.encode_query(asked["query"][:10].tolist(), **quiet)
say(
    f"onnxruntime and torch differ by at most **{np.abs(theirs - ours).max():.0e}** in any of {ours.size:,} numbers. The folder holds "
    f"{', '.join(sorted(path.name for path in (folder / 'onnx').iterdir()))}; its README shows thirty lines of Python that need no torch."
)

# %% [markdown]
# [docs/serving.md](../docs/serving.md) serves both files over HTTP, [docs/index.md](../docs/index.md) puts vectors into an
# index; `benchmarks/export_speed.py` measures texts a second.
#
# ## 9. Move width and precision yourself
#
# One setting, its quality with intervals, and its bytes. A weight format is encoded when it is first chosen, which takes
# some seconds.

# %%
lab.explore.precision(nano, sized(None, texts[:100]))

# %% [markdown]
# And which texts lose neighbours, by bits or by ternary weights?

# %%
after = rounded["ternary"].encode_document(sample, **quiet)
signs = lab.quantize.dequantize_vectors(lab.quantize.quantize_vectors(before, "ubinary"), "ubinary")
lab.explore.flips(before, {"vectors in bits": signs, "ternary weights": after}, sample)

# %%
work.cleanup()

# %% [markdown]
# ## Summary
#
# - int8 vectors cost nothing that these tasks can see; their ranges must be learnt once and kept with them.
# - Bits find the neighbourhood, a second look finds the order. Quality falls less than recall.
# - Weights are rounded in groups with a scale each. In blocks of 32 rounding costs the nano next to nothing, with one scale
#   a row more, at three values a weight much: section 7 has the shares, and single tasks lose more than their mean.
# - The straight-through estimator lets a rounded weight learn. It pays where rounding hurts, and the same steps without
#   rounding say how much of a gain is its own.
# - A file for another program is worth what the comparison with the model says, and the prompts must be put there.
#
# ## Where next
#
# [05](05_spread_out.ipynb) asks which spaces stand rounding better; [06](06_matryoshka.ipynb) cuts instead of rounding;
# [10](10_judge_and_ship.ipynb) chooses width and precision for a budget.

# %%
clock.report()
