# %% [markdown]
# # Contrastive learning: an exam in every step
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/03_contrastive_learning.ipynb)
#
# Nobody tells an embedding model where a text belongs. It is told which two texts belong together, and in every step it
# sits an exam: find your partner among all the others. This notebook takes that exam apart: how strict it is, how many
# wrong answers stand on the sheet, how wrong they are, and what happens when a wrong answer is right or when there are
# none.
#
# **Afterwards you will be able to**
#
# - write the contrastive loss of EmbeddingGemma from memory, and check every part of it by hand;
# - say what a temperature does to the gradient, and why losses at two temperatures cannot be compared;
# - tell a large batch from many small ones added up, and train the large one in the memory of the small (gradient cache);
# - weigh hard negatives as the paper does, mine some, and see when one is a right answer in disguise;
# - recognise collapse, and name its causes.
#
# | | |
# |---|---|
# | Time | about 2 minutes on two CPU cores, about as long on a T4 or an H200 (both estimated: the models are tiny) |
# | Memory | about 2 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took; a busy machine takes longer. It helps to have seen [notebook
# 00](00_start_here.ipynb), which trains a real model in two minutes; cosines, alignment and uniformity are explained in
# [01](01_embeddings_and_their_geometry.ipynb).

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
import logging

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
import torch.nn.functional as F

import egemma_lab as lab
from egemma_lab.explore import Table, say, show
from egemma_lab.explore.style import COLOURS, DASHES, SYMBOLS, styled
from egemma_lab.losses import contrastive_loss
from egemma_lab.settings import sized

for chatty in ("torchao", "torch.utils._pytree"):  # where it is installed, it announces what it lacks
    logging.getLogger(chatty).setLevel(logging.ERROR)
clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: meaning from nothing but pairs
#
# The pairs are those of notebook 00: the first sentence of a docstring and the function that it describes, from the
# Python packages installed here. Some packages are kept apart for the test. Each pair comes with a third text, a function
# that looks similar and does something else; it is needed in section 5. A pair's first text is called query, question or
# anchor, its second positive, right answer or, here, function: papers, pictures and programs each have their word.

# %%
rows = lab.data.load_pairs("python-docs", limit=sized(8000, 300))
rows = rows.filter(lambda negative: negative is not None, input_columns="negative")
held_out = lab.data.load_pairs("python-docs", split="test", columns={"negative": None}, limit=sized(1000, 60))
some = rows.select(range(min(3000, len(rows))))  # enough to learn how words are cut
tokenizer = lab.model.train_tokenizer([*some["anchor"], *some["positive"]], vocab_size=sized(4096, 600))


def tokens_of(texts, most=64):
    """Token ids of texts, without <bos> and <eos>, 0 on padding: (n, most)."""
    ids = torch.zeros(len(texts), most, dtype=torch.long)
    for row, found in zip(ids, tokenizer(list(texts)).input_ids):
        found = torch.tensor(found[1:-1][:most])
        row[: len(found)] = found
    return ids


questions, functions, similar = (tokens_of(rows[column]) for column in ("anchor", "positive", "negative"))
test_questions, test_functions = tokens_of(held_out["anchor"]), tokens_of(held_out["positive"])
say(
    f"**{len(rows):,} pairs** to learn from, {len(held_out):,} of other packages to be tested on. "
    f"{len(tokenizer):,} pieces of words."
)

# %% [markdown]
# The student is the smallest text encoder there is. It has one vector for each piece of a word, and a text is the mean of
# its pieces' vectors, brought to length 1. No layers, no attention, no order of words: a *bag of pieces*. It begins as
# random numbers. It is small enough to be trained dozens of times in this notebook, and the loss that trains it is the
# package's own.


# %%
class Bag(torch.nn.Module):
    """The mean of a text's piece vectors, at length 1: (n, L) ids, 0 on padding -> (n, d)."""

    def __init__(self, seed=0, width=64):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.table = torch.nn.Parameter(torch.randn(len(tokenizer), width, generator=draw))

    def forward(self, ids):
        return F.normalize(F.embedding_bag(ids, self.table, mode="mean", padding_idx=0), dim=-1)


STEPS, BATCH = sized(150, 4), sized(256, 32)


def train_bag(seed=0, exam=BATCH, negatives=None, loss=contrastive_loss, watch=None, steps=STEPS, **options):
    """A bag trained in `steps` steps of BATCH pairs. Each step's pairs are asked in exams of `exam` pairs, whose losses
    are averaged. `negatives`: token ids of a hard negative for each pair. `options` go to the loss."""
    bag = Bag(seed)
    optimiser = torch.optim.Adam(bag.parameters(), lr=0.1)
    draw = torch.Generator().manual_seed(seed)
    for step in range(steps):
        if watch is not None:
            watch(step, bag)
        drawn = torch.randperm(len(questions), generator=draw)[:BATCH]
        sides = [bag(side[drawn]) for side in (questions, functions, negatives) if side is not None]
        exams = zip(*(side.split(exam) for side in sides))
        total = torch.stack([loss(*each, **options) for each in exams]).mean()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    return bag.requires_grad_(False)


def places(bag):
    """For each test question, how many functions of other pairs lie nearer than its own: (n,), 0 is a first place."""
    cosines = bag(test_questions) @ bag(test_functions).T  # (n, n)
    return (cosines > cosines.diagonal()[:, None]).sum(dim=1)


def recall(bag, k=10):
    """Share of the test questions whose function is among the first k found."""
    return (places(bag) < k).double().mean().item()


before, after = Bag(seed=0).requires_grad_(False), train_bag(seed=0)
words = ["file", "color", "array", "string", "error"]
pieces = {word: "▁" + word for word in words if "▁" + word in tokenizer.get_vocab()}


def nearest_pieces(bag, piece, k=5):
    """The k pieces of at least four letters whose vectors point most nearly where this one's does."""
    table = F.normalize(bag.table, dim=-1)  # (V, d)
    best = (table @ table[tokenizer.convert_tokens_to_ids(piece)]).argsort(descending=True)
    names = (tokenizer.convert_ids_to_tokens(int(i)).strip("▁").casefold() for i in best[1:200])
    others = [
        name for name in dict.fromkeys(names) if name.isalpha() and len(name) > 3 and "▁" + name != piece
    ]
    return ", ".join(others[:k])


say(
    f"Among {len(held_out):,} functions of packages it never saw, the trained bag finds the right one within the first ten for "
    f"**{recall(after):.0%}** of the questions. With random vectors it was {recall(before):.0%} (a question and its function "
    f"often share words), by blind chance it is {10 / len(held_out):.0%}."
)
Table(
    pd.DataFrame(
        {"before": {word: nearest_pieces(before, piece) for word, piece in pieces.items()}}
        | {"after": {word: nearest_pieces(after, piece) for word, piece in pieces.items()}}
    ),
    caption="The nearest pieces of words, before and after",
)

# %% [markdown]
# Nobody told it which of these words have to do with each other. It was only asked, again and again, which function
# belongs to which sentence. Not every row convinces after so few steps.
#
# ## 2. The exam
#
# ### 2.1 By hand
#
# Three questions q and their three right answers p, as points of the unit circle. Row i of the table holds the cosines of
# question i with all answers; the right ones stand on the diagonal. (In the picture a question is an *anchor*, its right
# answer a *positive*.)


# %%
def on_circle(*degrees):
    """Unit vectors of the plane at these angles."""
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)  # (n, 2)


q, p = on_circle(90, 30, -30), on_circle(80, 50, -60)
show(
    lab.explore.circle_pairs(
        q.numpy(), p.numpy(), names=["pair 1", "pair 2", "pair 3"], title="Three questions and their answers"
    ),
    "The unit circle with three questions at 90, 30 and -30 degrees; each is tied to its answer, 10, 20 and 30 degrees away.",
)
cosines = q @ p.T  # (3, 3)
Table(
    pd.DataFrame(cosines.numpy(), index=[f"q{i}" for i in (1, 2, 3)], columns=[f"p{j}" for j in (1, 2, 3)]),
    digits=3,
)

# %% [markdown]
# Each row becomes a choice: the cosines are divided by a temperature τ and sent through a softmax, so that they turn into
# probabilities. The loss of a row is the surprise at the right answer, −log of its probability; the batch's loss is the
# mean.

# %%
tau = 0.2
chances = (cosines / tau).exp() / (cosines / tau).exp().sum(dim=1, keepdim=True)  # (3, 3), rows sum to 1
by_hand = -chances.diagonal().log()  # (3,)
Table(
    pd.DataFrame(
        {
            "chance of the right answer": chances.diagonal().numpy(),
            "surprise, nats": by_hand.numpy(),
        },
        index=["q1", "q2", "q3"],
    ),
    caption=f"Mean {by_hand.mean():.6f}; `contrastive_loss` gives {contrastive_loss(q, p, temperature=tau):.6f}",
    digits=3,
)

# %% [markdown]
# ### 2.2 The paper's equation
#
# EmbeddingGemma's loss ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354), equations 2 and 3) has two more parts, a
# hard negative nᵢ with a weight, and a mask:
#
# $$
# L_C = \frac{1}{B} \sum_{i=1}^{B} -\log \frac{e^{\,\mathrm{sim}(q_i, p_i)/\tau}}
# {w_i\, e^{\,\mathrm{sim}(q_i, n_i)/\tau} + \sum_{j=1}^{B} 1_{TN}(i,j)\, e^{\,\mathrm{sim}(q_i, p_j)/\tau}}
# $$
#
# - sim is the cosine, τ the [temperature](../docs/glossary.md#temperature), B the number of pairs in the batch
#   ([notation](../docs/notation.md));
# - the answers of *other* pairs are the wrong ones: the [**in-batch negatives**](../docs/glossary.md#in-batch-negatives).
#   They cost nothing, for they are there anyway;
# - nᵢ is the **hard negative** of row i, wᵢ its weight; only its own row sees it (section 5);
# - 1_TN(i, j) is 0 where two rows have the same question or the same answer, so that a right answer is not marked wrong
#   (section 6).
#
# The package's code reads like the formula. Below the long docstring it goes on like this:

# %%
source = inspect.getsource(contrastive_loss)
print(source.partition('"""')[0].rstrip(), "...", source.rpartition('"""')[2], sep="\n")

# %% [markdown]
# Two things to know when you compare it with other code:
#
# - Read to the letter, 1_TN(i, i) is 0 as well, for a question equals itself; the right answer would then leave its own
#   denominator. Such a loss exists (*decoupled*), and it can fall below 0. The package keeps the right answer in, as a
#   softmax does.
# - Many libraries put the hard negatives of *all* rows into every row. Here that is `hard_negatives="batch"`.

# %%
others = cosines.masked_fill(torch.eye(3, dtype=torch.bool), -torch.inf)
decoupled = ((others / tau).logsumexp(dim=1) - cosines.diagonal() / tau).mean()
say(
    f"The three pairs again: {contrastive_loss(q, p, temperature=tau):.3f} with the right answer in the denominator, "
    f"{decoupled:.3f} without."
)

# %% [markdown]
# ### Exercise 1: odds at a temperature

# %%
odds = lab.explore.exercise("contrastive/odds_at_a_temperature")
odds

# %%
odds.check(...)

# %% [markdown]
# ## 3. Temperature: who gets pushed
#
# What does the loss *do*? Its derivative with respect to a cosine is the answer, and it is simple: for a wrong answer j
# it is its probability divided by τ, for the right one (probability − 1) divided by τ. So the wrong answers are pushed
# away in proportion to their probability, and the right one is pulled by as much as all pushes together. Check it on the
# three pairs:

# %%
free = cosines.clone().requires_grad_()  # the cosines themselves, as if they could be moved
(-(free / tau).log_softmax(dim=1).diagonal()).mean().backward()
expected = (chances - torch.eye(3)) / tau / 3  # the 3 is the B of the mean
say(f"Largest difference between autograd and the formula: {(free.grad - expected).abs().max():.0e}.")
Table(
    pd.DataFrame(free.grad.numpy(), index=[f"q{i}" for i in (1, 2, 3)], columns=[f"p{j}" for j in (1, 2, 3)]),
    caption="Negative: pulled nearer; positive: pushed away. Each row sums to 0",
    digits=3,
)

# %% [markdown]
# Now a real row: the trained bag, one batch of pairs. The wrong answers are sorted, the nearest first. With the same
# cosines, how many of them share the push depends on the temperature.

# %%
n = min(512, len(questions))
with torch.no_grad():
    sheet = after(questions[:n]) @ after(functions[:n]).T  # (n, n)
wrong = sheet.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
rank = np.arange(1, n)
figure, half = go.Figure(), {}
for i, t in enumerate((1.0, 0.2, 0.05, 0.01)):
    push = (wrong / t).softmax(dim=1).sort(dim=1, descending=True).values[:, :-1]  # (n, n - 1)
    together = push.cumsum(dim=1).mean(dim=0).numpy()  # (n - 1,)
    half[t] = int(np.searchsorted(together, 0.5)) + 1
    figure.add_scatter(
        x=rank, y=together, name=f"τ = {t:g}", line={"color": COLOURS[i], "dash": DASHES[i], "width": 2}
    )
figure.update_xaxes(type="log", tickvals=[1, 3, 10, 30, 100, 300])
figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
show(
    styled(
        figure,
        "Who gets pushed: the colder, the fewer",
        f"mean over {n} questions, each with {n - 1} wrong answers",
        x="wrong answers, the nearest first (log scale)",
        y="their share of the push",
    ),
    "Four rising curves, the share of the push over the number of nearest wrong answers. "
    + ", ".join(f"at temperature {t:g} half of it goes to {count} of {n - 1}" for t, count in half.items())
    + ".",
)

# %% [markdown]
# At τ = 1 all wrong answers are pushed nearly alike, the far ones too, which need it least. At 0.01 most of the push goes
# to the nearest one. The paper prints no temperature; jina-embeddings-v5, which trains with the same three losses, prints
# 0.02 ([arXiv:2602.15547](https://arxiv.org/abs/2602.15547)). The package's default is 0.05.

# %%
guess = lab.explore.predict(
    "The same student, the same pairs and steps, at τ = 1, 0.2, 0.05, 0.02 and 0.005. Which finds best?", ...
)
guess

# %%
SEEDS = range(sized(3, 2))


def measured(**options):
    """What bags trained with these options can do, a row a seed."""
    rows = []
    for seed in SEEDS:
        bag = train_bag(seed=seed, **options)
        vectors = bag(test_questions), bag(test_functions)
        rows.append(
            {
                "recall@10": recall(bag),
                "cosine of pairs": (vectors[0] * vectors[1]).sum(dim=1).mean().item(),
                "cosine of others": lab.geometry.mean_cosine(vectors[1].numpy()),
                "uniformity": lab.geometry.uniformity(vectors[1].numpy()),
            }
        )
    return pd.DataFrame(rows)


temperatures = {t: measured(temperature=t) for t in (1.0, 0.2, 0.05, 0.02, 0.005)}
table = pd.DataFrame({f"{t:g}": frame.mean() for t, frame in temperatures.items()}).T
table["recall@10, lowest to highest"] = [
    f"{frame['recall@10'].min():.2f} to {frame['recall@10'].max():.2f}" for frame in temperatures.values()
]
Table(
    table.rename_axis("temperature"),
    caption=f"Trained at five temperatures, tested on packages never seen: means over {len(SEEDS)} seeds",
    digits=3,
)


# %%
def seeds_figure(results, title, x, subtitle=None, log=False):
    """Recall at 10 of each setting: a dot a seed, a line through the means."""
    figure = go.Figure()
    middle = [frame["recall@10"].mean() for frame in results.values()]
    figure.add_scatter(
        x=list(results), y=middle, name="mean", mode="lines", line={"color": COLOURS[0], "width": 2}
    )
    each = [(setting, value) for setting, frame in results.items() for value in frame["recall@10"]]
    figure.add_scatter(
        x=[setting for setting, _ in each],
        y=[value for _, value in each],
        name="one seed",
        mode="markers",
        marker={"color": COLOURS[3], "symbol": SYMBOLS[2], "size": 9},
    )
    figure.update_xaxes(
        type="log" if log else None, tickvals=list(results), ticktext=[f"{setting:g}" for setting in results]
    )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return styled(figure, title, subtitle, x=x, y="recall@10")


best = max(temperatures, key=lambda t: temperatures[t]["recall@10"].mean())
show(
    seeds_figure(
        temperatures,
        "Temperature decides how much is learnt",
        "temperature (log scale)",
        f"{STEPS} steps of {BATCH} pairs; {len(held_out):,} functions to choose from",
        log=True,
    ),
    "A curve of recall at 10 over the temperature, with a dot for each seed: "
    + ", ".join(f"{t:g}: {frame['recall@10'].mean():.0%}" for t, frame in temperatures.items())
    + ".",
)
guess.reveal(
    f"τ = {best:g}",
    f"It finds {temperatures[best]['recall@10'].mean():.0%} within ten; τ = 1 ends at "
    f"{temperatures[1.0]['recall@10'].mean():.0%}, τ = 0.005 at {temperatures[0.005]['recall@10'].mean():.0%}. The best value "
    "depends on model, data and length of training: in a long run of a large model it need not be this one.",
)

# %% [markdown]
# The table tells why cold is worse here. *Cosine of pairs* is that of a question and its function, *cosine of others*
# that of two functions which have nothing to do with each other. At τ = 0.005 a lead of 0.01 in cosine already makes odds
# of e² = 7.4 to 1, so nothing asks the cloud to spread, and it does not: the functions lie almost in one direction.
#
# Never compare the *losses* of two temperatures. The same vectors, read by the loss at five temperatures (from here on,
# all trainings use the package's 0.05 again):

# %%
with torch.no_grad():
    asked, read = after(test_questions[:BATCH]), after(test_functions[:BATCH])
readings = {f"{t:g}": contrastive_loss(asked, read, temperature=t).item() for t in temperatures}
Table(
    pd.Series(readings, name="loss of one and the same model").rename_axis("temperature").to_frame(), digits=3
)

# %% [markdown]
# ## 4. Batch size: how long is the exam
#
# Without hard negatives, each question chooses among the B answers of its batch. A model for which all answers look
# alike has a loss of log B; one whose cosines differ by chance can begin above that, the colder the temperature the
# more. A large batch is a harder exam, and harder exams teach more, as long as memory lasts.
#
# Often a batch is too large for the memory, and people let the gradients of several small batches add up before they take
# a step (*accumulation*). Is that the same? (What the exercise calls a gradient cache is the subject of 4.1.)
#
# ### Exercise 2: what accumulation asks

# %%
choices = lab.explore.exercise("contrastive/choices_under_accumulation")
choices

# %%
choices.check(...)

# %%
exams = [size for size in (4, 16, 64, 256) if size <= BATCH]
guess = lab.explore.predict(
    f"Every step uses {BATCH} pairs. Asked in one exam of {exams[-1]}, or in {BATCH // exams[0]} exams of {exams[0]} whose "
    "gradients are averaged: by how many percent points will their recall@10 differ?",
    ...,
    unit="points",
)
guess

# %%
sizes = {exam: measured(exam=exam) for exam in exams}
show(
    seeds_figure(
        sizes,
        "The same pairs, the same steps, exams of another length",
        "pairs an exam (log scale)",
        f"every step averages the gradients of exams with {BATCH} pairs together",
        log=True,
    ),
    "A curve of recall at 10 over the number of pairs in an exam, with a dot for each seed: "
    + ", ".join(f"{exam}: {frame['recall@10'].mean():.0%}" for exam, frame in sizes.items())
    + ".",
)
low, high = sizes[exams[0]]["recall@10"], sizes[exams[-1]]["recall@10"]
guess.reveal(
    float(round(100 * (high.mean() - low.mean()), 1)),
    f"{low.mean():.1%} with exams of {exams[0]}, {high.mean():.1%} with one of {exams[-1]}. Each step saw the same pairs, so "
    "this is the effect of the wrong answers alone.",
)

# %% [markdown]
# ### 4.1 The gradient cache: a long exam in little memory
#
# The [gradient cache](../docs/glossary.md#gradient-cache) is the way out. Why does a batch need memory? Each layer keeps
# what it computed until the gradient comes back. The loss couples all pairs, so it seems that everything must be kept at
# once. It need not: the loss sees the network **only through the vectors**, and those are small. By the chain rule the
# gradient is a sum over texts,
#
# $$\frac{dL}{d\theta} = \sum_i \frac{\partial L}{\partial v_i} \cdot \frac{d v_i}{d\theta}$$
#
# and the sum can be taken in pieces ([arXiv:2101.06983](https://arxiv.org/abs/2101.06983)): first all vectors, without
# keeping anything; then the loss and the ∂L/∂v of each vector; then piece by piece each text again, this time with
# memory, and its part of the sum. The package's own code:

# %%
from egemma_lab.train.gradient_cache import encode_and_backward

source = inspect.getsource(encode_and_backward)
print(source.partition('"""')[0].rstrip(), "...", source.rpartition('"""')[2], sep="\n")

# %% [markdown]
# The smallest case, for a pencil. One weight w = 2, texts that are the numbers 1 and 3, vectors v = w · x, loss L = v₁ ·
# v₂. The loss couples both texts: L = 3w², and its derivative is 6w = 12. In pieces: v = (2, 6), ∂L/∂v₁ = v₂ = 6 and
# ∂L/∂v₂ = v₁ = 2, so the sum is 6 · 1 + 2 · 3 = 12.

# %%
from types import SimpleNamespace


def as_total(loss):
    """`encode_and_backward` wants an object whose `total` is the loss."""
    return lambda vectors: SimpleNamespace(total=loss(vectors))


w = torch.tensor([[2.0]], requires_grad=True)
pencil = [torch.tensor([[1.0]]), torch.tensor([[3.0]])]
encode_and_backward(lambda x: x @ w, pencil, as_total(lambda v: v[0, 0] * v[1, 0]), cache=True)
say(f"By the gradient cache: dL/dw = **{w.grad.item():g}**.")

# %% [markdown]
# The same with a transformer (preset `micro`, EmbeddingGemma's architecture at its smallest), real pairs and the real
# loss, three ways: the whole batch at once, the gradient cache, and plain accumulation. For each, how far its gradient is
# from that of the whole batch, and how many bytes PyTorch kept for the way back.

# %%
from egemma_lab.model import new_model, pad_batch

micro = new_model("micro", tokenizer, seed=0)
pairs_at_once, piece = sized(64, 8), sized(8, 2)
ids = [row[row > 0].tolist() or [1] for side in (questions, functions) for row in side[:pairs_at_once]]
chunks = [ids[i : i + piece] for i in range(0, len(ids), piece)]


def encode(chunk):
    """Vectors of a list of token ids: (n, d)."""
    return micro(*pad_batch(chunk))


def exam_of(vectors):
    """The loss of a batch whose questions come first, then the answers."""
    asked, read = vectors.chunk(2)
    return contrastive_loss(asked, read)


def gradient_of(compute):
    """The whole gradient as one vector, and the most bytes that waited for the backward pass at one time."""
    kept, most = {}, 0

    def keep(tensor):
        nonlocal most
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:  # the weights are there anyway
            kept[storage.data_ptr()] = storage.nbytes()
        most = max(most, sum(kept.values()))
        return tensor

    weights = {parameter.untyped_storage().data_ptr() for parameter in micro.parameters()}
    micro.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        compute(kept.clear)
    gradient = torch.cat([parameter.grad.flatten() for parameter in micro.parameters()]).double()
    return gradient, most


def whole(_):
    """One graph for everything."""
    encode_and_backward(encode, [ids], as_total(exam_of))


def cached(forget):
    """Piece by piece; what a piece kept is gone when its backward pass is over."""

    def each(chunk):
        forget()
        return encode(chunk)

    encode_and_backward(each, chunks, as_total(exam_of), cache=True)


def accumulated(forget):
    """Small batches with a loss each, their gradients averaged."""
    half = len(ids) // 2
    for i in range(0, half, piece):
        forget()
        vectors = encode([*ids[i : i + piece], *ids[half + i : half + i + piece]])
        (exam_of(vectors) * piece / half).backward()


gradients = {
    name: gradient_of(compute)
    for name, compute in (("whole batch", whole), ("gradient cache", cached), ("accumulation", accumulated))
}
true = gradients["whole batch"][0]
compared = pd.DataFrame(
    {
        name: {
            "distance to the whole batch's gradient": f"{(g - true).norm() / true.norm():.0e}",
            "cosine with it": f"{F.cosine_similarity(g, true, dim=0):.6f}",
            "kept for the way back": f"{kept / 2**20:.1f} MB",
        }
        for name, (g, kept) in gradients.items()
    }
).T
assert (gradients["gradient cache"][0] - true).norm() < 1e-4 * true.norm()
Table(compared, caption=f"{pairs_at_once} pairs, in pieces of {piece} texts or pairs")

# %% [markdown]
# The gradient cache gives the whole batch's gradient, up to the rounding of 32 bits. Accumulation gives another one: its
# exams are shorter. The price of the cache is a second forward pass.
#
# In a training the switch is `gradient_cache=True` in the recipe. Two short real trainings, with and without (the recipe
# adds up the loss over several widths of the vectors, which [06_matryoshka](06_matryoshka.ipynb) explains; hence its
# size):

# %%
from datasets import Dataset

few = Dataset.from_dict({name: rows[name][: sized(512, 32)] for name in ("anchor", "positive")})
recipe = lab.Recipe(
    steps=sized(8, 2),
    batch_size=sized(64, 8),
    max_tokens=32,
    token_budget=512,
    learning_rate=2e-3,
    weights={"spread_out": 0, "matching": 0},
    precision="float32",
    snapshot_every=0,
)
runs = {
    cache: lab.train(
        new_model("micro", tokenizer, seed=0),
        few,
        recipe=recipe.replace(gradient_cache=cache),
        output=f"runs/03_{'cached' if cache else 'whole'}",
        resume=False,
        show_progress_bar=False,
    )
    for cache in (False, True)
}
losses = pd.DataFrame(
    {"whole batch": runs[False].history["contrastive"], "gradient cache": runs[True].history["contrastive"]}
)
apart = max(
    (a - b).abs().max().item()
    for a, b in zip(runs[False].model.state_dict().values(), runs[True].model.state_dict().values())
)
losses.index = pd.Index(runs[False].history["step"], name="step")
Table(
    losses,
    caption=f"Contrastive loss of two trainings (summed over {len(micro.widths)} widths). Largest difference between their final weights: {apart:.0e}",
    digits=5,
)

# %% [markdown]
# ## 5. Hard negatives
#
# Most of the wrong answers in a batch are wrong in an obvious way. A [**hard
# negative**](../docs/glossary.md#hard-negative) is chosen to be nearly right: a function of the same module, with similar
# words, that does something else. The paper uses them in its second stage of training, together with a smaller batch; the
# first stage has none and a larger batch.
#
# ### 5.1 The weight
#
# A hard negative counts wᵢ = e^(α · sg(sim(qᵢ, nᵢ))) times, its [hardness weight](../docs/glossary.md#hardness-weight),
# with α = 5: the nearer to the question, the more (sg is explained below and changes no value). By hand, for one row:
# right answer at cosine 0.9, hard negative at 0.6, τ = 0.2.

# %%
right, hard, alpha = 0.9, 0.6, 5.0
weight = np.exp(alpha * hard)
row_by_hand = -np.log(np.exp(right / tau) / (weight * np.exp(hard / tau) + np.exp(right / tau)))


def at_cosine(c):
    """A unit vector that has this cosine with (1, 0)."""
    return torch.tensor([[c, (1 - c**2) ** 0.5]], dtype=torch.float64)


one = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
by_package = contrastive_loss(one, at_cosine(right), at_cosine(hard), temperature=tau, hardness=alpha)
plain = contrastive_loss(one, at_cosine(right), at_cosine(hard), temperature=tau, hardness=0)
say(
    f"Weight e^({alpha:g} · {hard:g}) = {weight:.2f}. Loss by hand {row_by_hand:.6f}, by the package {by_package:.6f}; without the "
    f"weight (α = 0) {plain:.6f}."
)

# %% [markdown]
# ### Exercise 3: the weight of a hard negative

# %%
weighing = lab.explore.exercise("contrastive/weight_of_a_hard_negative")
weighing

# %%
weighing.check(...)

# %% [markdown]
# The sg in the weight is a *stop-gradient*: the weight says how much the hard negative counts, but the model may not make
# its loss smaller by working on the weight itself. One can measure it. Let the hard negative's cosine c move a little and
# divide: once with the weight held where it was, once with the weight moving along. Which of the two does autograd give?


# %%
def row_loss(c, weight):
    """The row above, with the hard negative at cosine c."""
    return -np.log(np.exp(right / tau) / (weight * np.exp(c / tau) + np.exp(right / tau)))


step = 1e-6
held = (row_loss(hard + step, weight) - row_loss(hard - step, weight)) / (2 * step)
moving = (
    row_loss(hard + step, np.exp(alpha * (hard + step)))
    - row_loss(hard - step, np.exp(alpha * (hard - step)))
) / (2 * step)
angle = torch.tensor(np.arccos(hard), requires_grad=True)  # the hard negative turns on the circle
turned = torch.stack([angle.cos(), angle.sin()])[None]
contrastive_loss(one, at_cosine(right), turned, temperature=tau, hardness=alpha).backward()
by_autograd = angle.grad.item() / -np.sin(angle.item())  # d cos / d angle = -sin
assert abs(by_autograd - held) < 1e-4
say(f"Weight held: {held:.4f}. Weight moving along: {moving:.4f}. Autograd: **{by_autograd:.4f}**.")

# %% [markdown]
# ### 5.2 Where they come from
#
# The `negative` of our pairs was chosen by shared words. Better ones are mined with a model: take each question's nearest
# wrong answers. But the nearest of all may be right; so a candidate is taken only if its cosine is at most 95% of the
# right answer's (the *margin*, as NV-Embed sets it, [arXiv:2405.17428](https://arxiv.org/abs/2405.17428)).
# `mine_hard_negatives` does that with any teacher that can encode. Here the bag trained in section 1 is the miner, and so
# picks what it confuses itself.


# %%
class Miner:
    """What the miner needs of a teacher: texts -> vectors."""

    def encode(self, texts, role="document", show_progress_bar=None):
        return after(tokens_of(texts)).numpy()


import warnings

warnings.filterwarnings("ignore", message="for .* rows no candidate passes")  # counted below
named = rows.select_columns(["anchor", "positive"])
mined = lab.data.mine_hard_negatives(named, Miner(), relative_margin=0.95, show_progress_bar=False)
say(
    f"For {len(mined):,} of {len(rows):,} pairs a negative passes the margin of 95%. For the others all candidates looked at are "
    "nearer than the margin allows."
)
Table(
    lab.data.negative_report(mined).rename(columns=lambda name: name.replace("_", " ")),
    caption="How hard they are: quantiles over the pairs; ratio is the negative's score over the positive's",
)

# %% [markdown]
# The hardest of them deserve a look. Are they wrong?

# %%
frame = mined.to_pandas()
hardest = frame[frame["anchor"].str.len() < 70].sort_values("negative_score", ascending=False).head(6)


def head_of(code):
    """The first line of a function that says its name."""
    lines = [line.strip() for line in code.splitlines() if line.strip()]
    return " ".join(lines[:2])[:80]


Table(
    pd.DataFrame(
        {
            "question": hardest["anchor"],
            "right answer": hardest["positive"].map(head_of),
            "mined as wrong": hardest["negative"].map(head_of),
            "cosine with the right one": hardest["positive_score"],
            "with the wrong one": hardest["negative_score"],
        }
    ).reset_index(drop=True)
)

# %% [markdown]
# Some differ by one word that matters, others would do as an answer. That is the trouble with hard negatives: the harder
# they are, the more often they are right. The margin is the miner's guard against that.
#
# ### Exercise 4: the margin

# %%
margin = lab.explore.exercise("contrastive/highest_score_of_a_negative")
margin

# %%
margin.check(...)

# %% [markdown]
# ### 5.3 Do they help this student?

# %%
guess = lab.explore.predict(
    "Four trainings: no hard negatives; those chosen by words with α = 0, with α = 5; those mined, with α = 5. Which finds best?",
    ...,
)
guess

# %%
row_of = {text: i for i, text in enumerate(rows["anchor"])}
by_miner = similar.clone()  # where the miner found none, the one chosen by words stays
by_miner[[row_of[text] for text in frame["anchor"]]] = tokens_of(frame["negative"])
arms = {
    "none": measured(),
    "by words, α = 0": measured(negatives=similar, hardness=0),
    "by words, α = 5": measured(negatives=similar, hardness=5),
    "mined, α = 5": measured(negatives=by_miner, hardness=5),
}
beaten = {}
for name, options in (("none", {}), ("by words, α = 5", {"negatives": similar})):
    bag = train_bag(seed=0, **options)
    asked = bag(questions)
    own, other = ((asked * bag(side)).sum(dim=1) for side in (functions, similar))
    beaten[name] = (own > other).double().mean().item()
table = pd.DataFrame({name: frame.mean() for name, frame in arms.items()}).T
table["recall@10, lowest to highest"] = [
    f"{frame['recall@10'].min():.3f} to {frame['recall@10'].max():.3f}" for frame in arms.values()
]
Table(table.rename_axis("hard negatives"), caption=f"Means over {len(SEEDS)} seeds", digits=3)

# %%
scores = table["recall@10"]
winner, with_some = scores.idxmax(), scores.drop("none")
low, high = arms["none"]["recall@10"].min(), arms["none"]["recall@10"].max()
apart = [
    name
    for name in with_some.index
    if arms[name]["recall@10"].min() > high or arms[name]["recall@10"].max() < low
]
guess.reveal(
    winner,
    f"Without any {scores['none']:.1%}, with them {with_some.min():.1%} to {with_some.max():.1%}. "
    + (
        f"Every seed of “{'” and of “'.join(apart)}” lies outside the seeds of “none”; "
        if apart
        else "The seeds of all four overlap; "
    )
    + f"with {len(SEEDS)} seeds that is a hint, no proof. "
    + "What they were trained for they learnt: the right function stands before the one chosen by words in "
    f"{beaten['none']:.0%} of the training pairs without hard negatives, and in {beaten['by words, α = 5']:.0%} with them.",
)

# %% [markdown]
# A bag of pieces cannot see in which order words stand, so there is little that it could learn from near misses. The test
# is about finding among functions of all kinds, where the near misses are rare. Do not carry the outcome over to a model
# that can read; read it as a warning that hard negatives are not free.
#
# ## 6. Wrong answers that are right
#
# Such an answer is called a [false negative](../docs/glossary.md#false-negative).
#
# ### 6.1 Copies and the mask
#
# Two rows of a batch may hold the same text: one function described twice, one question asked twice. Then a right answer
# stands on the sheet as a wrong one. Below, the first two questions are the same text, with two answers, one nearer than
# the other.

# %%
q2, p2 = on_circle(90, 90, -10), on_circle(75, 130, 20)
for name, options in (("without the mask", {}), ("with the mask", {"query_ids": ["a", "a", "b"]})):
    start = p2.clone().requires_grad_()
    value = contrastive_loss(q2, start, temperature=tau, **options)
    value.backward()
    along = (-start.grad[0] @ (q2[0] - (q2[0] @ p2[0]) * p2[0])).item()  # towards its question, on the circle
    say(
        f"{name.capitalize()}: loss {value:.3f}; the nearer answer is "
        f"{'pulled towards' if along > 0 else '**pushed away from**'} its question ({along:+.4f})."
    )

# %% [markdown]
# Without the mask the second row takes the first one's answer for a wrong one, and pushes it away from the question that
# both share. `query_ids` and `positive_ids` tell the loss which rows hold equal texts; the training loop of the package
# passes them along by itself.
#
# ### Exercise 5: the floor under copies

# %%
floor = lab.explore.exercise("contrastive/floor_with_copies")
floor

# %%
floor.check(...)

# %% [markdown]
# ### 6.2 Same meaning, other words
#
# The mask knows equal texts only. Two texts that say the same in other words remain each other's wrong answers. How bad
# is that? The 800 everyday sentences of the package have twenty topics. A student shall learn to bring texts of a topic
# together; its pairs are two texts of the same topic. In a batch of 128 every topic stands several times, most of its
# rows with different texts: the mask of equal texts finds only a few of the right answers that are marked wrong.
#
# This student is a single matrix over the finished vectors of the bundled nano; half of the sentences are kept for the
# test.

# %%
nano = lab.load_model("nano")
corpus = lab.explore.topics(per_topic=sized(40, 8))
topics = pd.factorize(corpus["topic"])[0]
finished = torch.from_numpy(
    nano.encode_document(corpus["text"].tolist(), show_progress_bar=False)
)  # (800, 256)
for_training = np.arange(len(corpus)) % 2 == 0


def same_topic(vectors):
    """Share of test sentences whose nearest other test sentence has their topic."""
    tested, kinds = vectors[~for_training], topics[~for_training]
    among = tested @ tested.T - 2 * torch.eye(len(tested))
    return (kinds[among.argmax(dim=1).numpy()] == kinds).mean()


def train_matrix(seed, ids_of):
    """One matrix, trained on pairs of texts of a topic; `ids_of` (rows) -> the ids that the mask gets, or None."""
    matrix = torch.eye(finished.shape[1], requires_grad=True)
    optimiser = torch.optim.Adam([matrix], lr=1e-3)
    draw = np.random.default_rng(seed)
    groups = [np.flatnonzero(for_training & (topics == topic)) for topic in range(topics.max() + 1)]
    for _ in range(sized(100, 4)):
        topic = draw.integers(len(groups), size=128)
        first, second = np.array([draw.choice(groups[t], 2, replace=False) for t in topic]).T  # (128,) each
        sides = (F.normalize(finished[side] @ matrix, dim=-1) for side in (first, second))
        optimiser.zero_grad()
        contrastive_loss(*sides, query_ids=ids_of(first), positive_ids=ids_of(second)).backward()
        optimiser.step()
    return same_topic(F.normalize(finished @ matrix.detach(), dim=-1))


guess = lab.explore.predict(
    "Three masks: none; equal texts (the paper's); equal topics. Which of the three students finds topics best?",
    ...,
)
guess

# %%
masks = {
    "none": lambda rows: None,
    "equal texts": lambda rows: rows,
    "equal topics": lambda rows: topics[rows],
}
found = pd.DataFrame(
    {name: [train_matrix(seed, ids_of) for seed in SEEDS] for name, ids_of in masks.items()},
    index=[f"seed {seed}" for seed in SEEDS],
).T
found["mean"] = found.mean(axis=1)
Table(
    found.rename_axis("mask"),
    caption=f"Nearest other sentence has the same topic; before training {same_topic(finished):.3f}",
    digits=3,
)

# %%
others_alike = 127 / (topics.max() + 1)
guess.reveal(
    found["mean"].idxmax(),
    f"In a batch of 128, about {others_alike:.0f} other rows have a question's own topic, and each is marked wrong unless the mask "
    f"knows. Mean: {found.loc['equal topics', 'mean']:.1%} with a mask of topics, {found.loc['equal texts', 'mean']:.1%} with the "
    f"paper's, {found.loc['none', 'mean']:.1%} with none. The ids are yours to choose: give rows that are right answers to each "
    "other the same id.",
)

# %% [markdown]
# Compare the rows with the value before training, in the table's caption: an exam that marks too many right answers wrong
# can undo what was there. Where nobody knows the topics, one can let a model guess which in-batch negatives are right
# answers, and leave those out (GISTEmbed, [arXiv:2402.16829](https://arxiv.org/abs/2402.16829)). The paper masks by
# identity alone.
#
# ## 7. Collapse
#
# Why ask about wrong answers at all? Pull the pairs together, and be done. The loss is then −cosine of the pairs, and
# here is what becomes of the bag.

# %%
guess = lab.explore.predict("Pulling only: what will recall@10 be at the end, in percent?", ..., unit="%")
guess


# %%
def pull_only(question, function):
    """No wrong answers: 1 − the cosine of the pairs."""
    return 1 - (question * function).sum(dim=1).mean()


watched = {"pulling only": [], "contrastive": []}


def watcher(name):
    """Notes what a bag can do every ten steps."""

    def watch(step, bag):
        if step % sized(10, 1) == 0:
            with torch.no_grad():
                asked, read = bag(test_questions), bag(test_functions)
                watched[name].append(
                    {
                        "step": step,
                        "recall@10": recall(bag),
                        "cosine of pairs": (asked * read).sum(dim=1).mean().item(),
                        "cosine of others": lab.geometry.mean_cosine(read.numpy()),
                    }
                )

    return watch


collapsed = train_bag(loss=pull_only, watch=watcher("pulling only"))
train_bag(watch=watcher("contrastive"))
from plotly.subplots import make_subplots

figure = make_subplots(1, 2, subplot_titles=list(watched), shared_yaxes=True, horizontal_spacing=0.06)
for column, history in enumerate(map(pd.DataFrame, watched.values()), start=1):
    for i, name in enumerate(("recall@10", "cosine of pairs", "cosine of others")):
        figure.add_scatter(
            x=history["step"],
            y=history[name],
            name=name,
            showlegend=column == 1,
            line={"color": COLOURS[i], "dash": DASHES[i], "width": 2},
            row=1,
            col=column,
        )
figure.update_yaxes(range=[-0.02, 1.02])
figure = styled(figure, "The same pairs, with and without wrong answers", x="step")
figure.update_yaxes(title_text="share, or cosine", col=1)
ends = {name: history[-1] for name, history in watched.items()}
show(
    figure,
    "Two panels over the steps. "
    + " ".join(
        f"{name.capitalize()}: at the end recall at 10 is {end['recall@10']:.0%}, the cosine of pairs {end['cosine of pairs']:.2f}, "
        f"of others {end['cosine of others']:.2f}."
        for name, end in ends.items()
    ),
)

# %%
guess.reveal(
    100 * recall(collapsed),
    f"The random bag had {recall(before):.0%}. Pairs reach a cosine of {ends['pulling only']['cosine of pairs']:.2f}, and so does "
    f"everything else ({ends['pulling only']['cosine of others']:.2f}): all texts share their pieces' vectors, and the easiest way "
    "to bring every pair together is to bring all together. The loss looks splendid. That is collapse. "
    + (
        "That the search even got a little better need not fool you: the tiny differences that are left still sort the texts by "
        "shared words, and there it ends; with wrong answers it reaches "
        if recall(collapsed) > recall(before)
        else "With wrong answers the search reaches "
    )
    + f"{ends['contrastive']['recall@10']:.0%}.",
)

# %% [markdown]
# In the right panel everything comes together at first, too: to pull is the same for all pairs and quickly learnt. There
# the wrong answers then drive it apart; in the left panel nothing does.
#
# Two roads lead to [collapse](../docs/glossary.md#collapse), and `lab.geometry.report` sees both (mean cosine near 1,
# uniformity near 0):
#
# - no wrong answers, as above;
# - a temperature so small that a hair's breadth is victory: the loss is near 0 long before the texts have come apart.
#
# A batch of one is a way to learn nothing at all: the only choice is the right one, the loss is exactly 0, so is its gradient,
# and the model stays as it began.

# %%
single = contrastive_loss(q[:1], p[:1], temperature=tau).item()
narrow_q, narrow_p = on_circle(1, 2, 3), on_circle(1.1, 2.1, 3.1)  # all within little more than two degrees
hair = [(t, contrastive_loss(narrow_q, narrow_p, temperature=t).item()) for t in (0.05, 0.0005, 0.00001)]
say(
    f"Loss of a batch of one: {single:g}. Three pairs within little more than two degrees of each other: "
    + ", ".join(f"{value:.3f} at τ = {t:g}" for t, value in hair)
    + ". In section 3 the coldest training ended with a mean cosine of "
    f"{temperatures[0.005]['cosine of others'].mean():.2f} between functions that have nothing to do with each other; at τ = "
    f"{best:g} it was {temperatures[best]['cosine of others'].mean():.2f}."
)

# %% [markdown]
# ## 8. Under your hands: the loss playground
#
# Points on a circle that move by the package's own losses. A and B begin at the same places, close together as an
# untrained model's vectors are; only their settings differ. A has the contrastive loss alone. B pulls without wrong
# answers, as in section 7. Grey rings show where a teacher has the same texts (neither listens to it here).

# %%
from egemma_lab.explore.controls import show_live
from egemma_lab.explore.playground_figure import playground_figure

playground = lab.explore.loss_playground("contrastive alone", "collapse")
for _ in range(sized(40, 2)):
    playground.advance(4)
now = playground.history.groupby("side").last()
show_live(  # the playground itself, and for readers without a kernel a picture of where it stands now
    playground.box,
    playground_figure(playground.sides),
    f"Two circles after {now['steps']['A']} steps. A, contrastive alone: the pairs lie apart, uniformity "
    f"{now['uniformity']['A']:.2f}. B, collapse: all points in one narrow bundle, uniformity {now['uniformity']['B']:.2f}.",
)

# %% [markdown]
# Things to try:
#
# 1. B "too cold". Which side is the first to find every pair? And once both do: whose margins are wider, and whose loss
#    is lower?
# 2. A "the paper's", B "duplicates without the mask". Watch the dotted lines between the copies.
# 3. A "the paper's", B "hardness too high". Where do the queries go?
# 4. B "batch of two": its loss is low. Why is that no success?

# %%
Table(
    now[["contrastive", "alignment", "uniformity", "accuracy", "margin"]],
    caption=f"After {now['steps']['A']} steps. A: contrastive alone; B: collapse. Alignment 0: pairs meet. Uniformity 0: all in "
    "one place",
    digits=3,
)
say(
    f"By its loss B looks better: {abs(now['contrastive']['B']):.3f}, because nothing stands in its exam but the right answer. It even "
    f"finds {now['accuracy']['B']:.0%} of the pairs, but by a hair: its margin is {now['margin']['B']:.3f} against "
    f"{now['margin']['A']:.3f}, and a uniformity of {now['uniformity']['B']:.2f} says that all lies nearly in one place."
)

# %% [markdown]
# ## 9. What the paper found, and what we found

# %%
gain = 100 * (sizes[exams[-1]]["recall@10"].mean() - sizes[exams[0]]["recall@10"].mean())
beside = pd.DataFrame(
    [
        (
            "temperature",
            "not printed. jina-embeddings-v5, with the same three losses, prints 0.02 (arXiv:2602.15547)",
            f"best of five: {best:g}",
        ),
        (
            "batch size",
            "not printed; larger in the first stage, smaller in the second",
            f"exams of {exams[-1]} instead of {exams[0]}: {gain:+.1f} points of recall@10",
        ),
        (
            "hard negatives",
            "none in the first stage, one a pair in the second. Its teacher, Gemini Embedding: 1 to 3 help (arXiv:2503.07891)",
            f"{100 * (scores.drop('none').max() - scores['none']):+.1f} points at best, with a student that cannot read order",
        ),
        (
            "hardness",
            "α = 5, for explicit hard negatives only; no comparison printed. LLaVE, its source: α = 9 on all negatives (arXiv:2503.04812)",
            f"{100 * (scores['by words, α = 5'] - scores['by words, α = 0']):+.1f} points over α = 0",
        ),
        (
            "false negatives",
            "equal questions and equal answers are masked; no comparison printed",
            f"mask of topics {100 * (found.loc['equal topics', 'mean'] - found.loc['none', 'mean']):+.1f} points over none",
        ),
    ],
    columns=["what", "the paper", "here"],
)
Table(beside, caption="EmbeddingGemma, arXiv:2509.20354, beside this notebook")

# %% [markdown]
# Ours are tiny models trained for seconds. What carries over is the mechanics, equation by equation; the best settings do
# not. The package's experiments `temperature` and `hardness` ask the same with a transformer, more steps, several seeds
# and corrected intervals.
#
# ## Summary
#
# - The contrastive loss is the surprise at the right answer in an exam whose wrong answers are the other rows' right
#   ones.
# - The temperature says how many of the wrong answers share the push. Losses at two temperatures cannot be compared.
# - A batch is an exam. Accumulation makes many short ones; the gradient cache makes one long one in the memory of a short
#   one, with the same gradient.
# - A hard negative counts e^(α · cosine) times, and no gradient goes through that weight.
# - Some wrong answers are right. The mask removes equal texts; what else is equal, you have to say.
# - Without wrong answers everything falls together, and the loss does not tell. Look at the space.
#
# ## Where next
#
# - [01_embeddings_and_their_geometry](01_embeddings_and_their_geometry.ipynb) has the measures that see a collapse;
#   [02_the_model](02_the_model.ipynb) takes apart the model that these losses train.
# - [04_distillation](04_distillation.ipynb) adds the teacher's term, [05_spread_out](05_spread_out.ipynb) the spread-out
#   term, which asks for the space to be used also where no exam does.
# - Your own pairs: `lab.train("micro", rows, recipe=lab.Recipe(weights={"spread_out": 0, "matching": 0}), output=...)`.

# %%
clock.report()
