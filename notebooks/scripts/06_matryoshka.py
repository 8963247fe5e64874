# %% [markdown]
# # Matryoshka: vectors that may be cut
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/06_matryoshka.ipynb)
#
# A stored vector costs bytes, and every search reads them all. Some models let you keep only the first numbers of each
# vector: the prefix is an embedding too, as in the [wooden doll](../docs/glossary.md#matryoshka) that holds a smaller
# one. This notebook shows what has to be trained for that, how the cut is done right and wrong, and what it costs, with
# intervals.
#
# **Afterwards you will be able to**
#
# - cut vectors correctly, and recognise by one number that somebody else did not;
# - write the Matryoshka loss by hand and say which column of a vector learns from which width;
# - tell apart two ways to put the important columns in front: a loss, and a rotation;
# - choose a width from a frontier of quality against bytes, and search in two looks, a short one first.
#
# | | |
# |---|---|
# | Time | about 1 minute on two CPU cores; the same on a T4 or an H200 (estimated) |
# | Memory | about 1.5 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took; a busy machine takes longer. Cosines and the unit sphere are explained in
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
import importlib.util
import inspect

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
import torch.nn.functional as F

import egemma_lab as lab
from egemma_lab.explore import Table, say, show
from egemma_lab.explore.style import COLOURS, DASHES, SYMBOLS, styled
from egemma_lab.settings import sized

if importlib.util.find_spec("faiss") is None:  # what searches vectors; Colab has none
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "faiss-cpu"], check=True)

clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: an eighth of the vector
#
# The [nano](../docs/glossary.md#nano) is the laboratory's small model: EmbeddingGemma's architecture, vectors of 256
# numbers. It encodes 800 short texts on twenty topics and 40 questions about them. Here is one question, answered with
# all 256 numbers, and then with the first 32 of each vector alone.

# %%
nano = lab.load_model("nano")
corpus, asked = lab.explore.topic_corpus(), lab.explore.topic_queries()
texts = corpus["text"].tolist()
documents = nano.encode_document(texts, show_progress_bar=False)  # (800, 256)
questions = nano.encode_query(asked["query"].tolist(), show_progress_bar=False)  # (40, 256)
print(f"The widths this model was trained for: {nano.widths}")


def unit(vectors):
    """Each row divided by its length."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def found(width, row=9, k=3):
    """The k texts nearest to a question, by the first `width` numbers of every vector. Try other rows, 0 to 39."""
    cosines = unit(documents[:, :width]) @ unit(questions[row, :width])
    best = np.argsort(-cosines)[:k]
    answers = asked["relevant"][row]
    return pd.DataFrame(
        {
            "numbers": width,
            "cosine": cosines[best],
            "text": [texts[i] for i in best],
            "answers it": ["yes" if corpus["id"][i] in answers else "" for i in best],
        }
    )


Table(pd.concat([found(256), found(32)], ignore_index=True), caption=asked["query"][9])

# %% [markdown]
# Look at the column on the right, and do not be taken in by the cosines: with fewer numbers all of them are higher. But one
# question proves nothing. All 40 have been given their answers by hand, so that [nDCG@10](../docs/glossary.md#ndcg10)
# can be measured: 1 where the answers stand first, 0 where none is among the ten best. Further down *value* is that,
# *low* and *high* end its 95% interval, and *share* is what is left of the full width's, with its own interval. First
# your guess.

# %%
guess = lab.explore.predict(
    "Of the quality (nDCG@10) that 256 numbers reach, which share is left with the first 32?", ...
)
guess

# %%
from egemma_lab.evaluate.retrieval_data import RetrievalData
from egemma_lab.evaluate.retrieval_task import RetrievalTask

ids = [f"question-{row}" for row in range(len(asked))]
data = RetrievalData(
    queries=dict(zip(ids, asked["query"])),
    corpus=dict(zip(corpus["id"], texts)),
    qrels=dict(zip(ids, asked["relevant"])),
    titles={},
)
topics_task = RetrievalTask("topics", lambda: data)
frontier = lab.evaluate.frontier(nano, topics_task, show_progress_bar=False)
floats = frontier[frontier["precision"] == "float32"]
Table(floats[["width", "bytes", "value", "low", "high", "share", "share_low", "share_high"]], digits=3)

# %%
least = floats.iloc[-1]
guess.reveal(
    float(least["share"]),
    f"With 95% confidence between {least['share_low']:.2f} and {least['share_high']:.2f}: {int(least['n'])} questions tell "
    "no more exactly. The interval of the share is paired: the same questions stand above and below. And these are hard "
    f"questions for so small a model, as {floats.iloc[0]['value']:.2f} at full width says; larger exams come below.",
)

# %% [markdown]
# ## 2. Cutting, right and wrong
#
# Take a question and two documents with four numbers each, all of length 1, and keep two.

# %%
q = np.array([0.6, 0.0, 0.8, 0.0])
a, b = np.array([0.5, 0.1, 0.7, 0.5]), np.array([0.7, 0.5, 0.5, 0.1])
assert np.allclose([q @ q, a @ a, b @ b], 1)
by_hand = {
    "four numbers": (q @ a, q @ b),
    "two, only cut": (q[:2] @ a[:2], q[:2] @ b[:2]),
    "two, cut and normalised": (unit(q[:2]) @ unit(a[:2]), unit(q[:2]) @ unit(b[:2])),
}
rows = [
    (name, *scores, "a" if scores[0] > scores[1] else "b", np.linalg.norm(a[: 4 if i == 0 else 2]))
    for i, (name, scores) in enumerate(by_hand.items())
]
Table(pd.DataFrame(rows, columns=["", "score of a", "score of b", "winner", "length of a"]), digits=3)

# %% [markdown]
# A prefix of a unit vector is shorter than 1, and not equally short for all documents. The dot product of cut vectors
# rewards a document for having much of its length in front, whatever it says: *b* wins though *a* points nearly where the
# question points. **Cut, then normalise**, always ([truncation](../docs/glossary.md#truncation)).
#
# The nano does it by itself, and refuses a width that it was not trained for:

# %%
short = nano.encode_query("how do plants drink?", truncate_dim=64)
print(f"encode(..., truncate_dim=64): shape {short.shape}, length {np.linalg.norm(short):.6f}")
try:
    nano.encode_query("how do plants drink?", truncate_dim=100)
except ValueError as error:
    print(f"ValueError: {error}")

# %% [markdown]
# Not every library does. sentence-transformers applies `truncate_dim` after its last module, and the last module is what
# normalises; unless told otherwise, it returns prefixes as they were cut.

# %%
from pathlib import Path

from sentence_transformers import SentenceTransformer

folder = Path(lab.__file__).parent / "assets" / "nano"
peer = SentenceTransformer(str(folder), truncate_dim=64, device="cpu")
options = {"prompt_name": "query", "show_progress_bar": False}
as_cut = peer.encode("how do plants drink?", **options)
normalised = peer.encode("how do plants drink?", normalize_embeddings=True, **options)
say(
    f"sentence-transformers with `truncate_dim=64`: length **{np.linalg.norm(as_cut):.3f}**; with "
    f"`normalize_embeddings=True` as well: {np.linalg.norm(normalised):.3f}, and then no number differs from ours by more "
    f"than {np.abs(normalised - short).max():.1g}."
)

# %% [markdown]
# So one number tells: look at the length of a few stored vectors. How much harm does it do? The question's own length
# changes no ranking, since it is the same for all documents. The documents' lengths do, as far as they are unequal.

# %%
guess = lab.explore.predict(
    "At width 32, for how many of the 40 questions do the ten best texts change when nobody normalises?", ...
)
guess


# %%
def ten_best(width, normalise):
    """Rows of the ten best texts of every question, (40, 10)."""
    stored = unit(documents[:, :width]) if normalise else documents[:, :width]
    return np.argsort(-(questions[:, :width] @ stored.T), axis=1, kind="stable")[:, :10]


def mean_ndcg(rows):
    """nDCG@10 of rankings (40, 10), a value a question."""
    from egemma_lab.evaluate.retrieval import measure

    names = corpus["id"].to_numpy()
    run = {i: {name: 10 - rank for rank, name in enumerate(names[row])} for i, row in zip(ids, rows)}
    values = measure(data.qrels, run, ["nDCG@10"])["nDCG@10"]
    return np.array([values[i] for i in ids])


def true_neighbours(width, normalise):
    """Of each text's ten nearest others at full width, the share among its ten nearest at `width`, (800,)."""
    ten = {}
    for columns, divide in ((256, True), (width, normalise)):
        cut = documents[:, :columns]
        cosines = cut @ (unit(cut) if divide else cut).T
        np.fill_diagonal(cosines, -np.inf)  # nobody is their own neighbour
        ten[divide, columns] = np.argsort(-cosines, axis=1, kind="stable")[:, :10]
    whole, short = ten[True, 256], ten[normalise, width]
    return (whole[:, :, None] == short[:, None, :]).any(axis=2).mean(axis=1)


lengths, harm = [], []
for width in nano.widths[1:]:
    norms = np.linalg.norm(documents[:, :width], axis=1)
    lengths.append((width, *np.quantile(norms, [0.05, 0.5, 0.95]), (width / 256) ** 0.5))
    right, wrong = ten_best(width, True), ten_best(width, False)
    changed = sum(set(x) != set(y) for x, y in zip(right, wrong))
    kept, left = true_neighbours(width, True), true_neighbours(width, False)
    error = 1.96 * (kept - left).std(ddof=1) / len(kept) ** 0.5
    scores = mean_ndcg(right).mean(), mean_ndcg(wrong).mean()
    harm.append((width, changed, *scores, kept.mean(), left.mean(), (left - kept).mean(), error))
Table(
    pd.DataFrame(lengths, columns=["width", "5%", "median", "95%", "a random direction"]),
    caption="Lengths of the documents' prefixes",
)

# %%
columns = [
    "width",
    "of 40 changed",
    "nDCG@10 right",
    "wrong",
    "neighbours right",
    "neighbours wrong",
    "lost",
    "±",
]
harm = pd.DataFrame(harm, columns=columns)
Table(
    harm,
    caption="Normalised (right) and not (wrong): questions, and all 800 texts' true neighbours",
    digits=3,
)

# %%
worst = harm.iloc[-1]
guess.reveal(
    int(worst["of 40 changed"]),
    f"Whether the new ten are worse, forty questions cannot tell (nDCG@10 {worst['nDCG@10 right']:.3f} and {worst['wrong']:.3f}). All "
    f"800 texts can, asking for the neighbours they have at full width: {worst['neighbours right']:.3f} of them are found, "
    f"and {worst['neighbours wrong']:.3f} without normalising, a difference of {worst['lost']:.3f} ± {worst['±']:.3f}. No more than "
    "that, because the lengths do not differ more; it is lost for nothing all the same. And every threshold breaks: at width 32 a typical text has "
    f"a score of {lengths[-1][2] ** 2:.2f} with itself, not 1.",
)

# %% [markdown]
# ### Exercise 1: a cosine of prefixes

# %%
prefix_cosine = lab.explore.exercise("prefix_widths/cosine_of_two_prefixes")
prefix_cosine

# %%
prefix_cosine.check(...)

# %% [markdown]
# ### Exercise 2: how long is a prefix?
#
# The table above has a column "random direction". Where does it come from?

# %%
prefix_length = lab.explore.exercise("prefix_widths/length_of_a_prefix")
prefix_length

# %%
prefix_length.check(...)

# %% [markdown]
# ## 3. Is there an order at all?
#
# Nothing says that the first numbers of a vector should be better than the last. Compare the first 32 columns with the
# last 32 and with 32 drawn at random, in two models: the nano, and its teacher all-MiniLM-L6-v2, which was never trained
# to be cut.

# %%
guess = lab.explore.predict(
    "Which will be best in the teacher, which nobody trained to be cut: its `first`, `last` or `random` 32 "
    "columns, or are they `alike`?",
    ...,
)
guess

# %%
teacher = lab.load_teacher()
teacher_documents = teacher.encode(texts)  # (800, 384)
teacher_questions = teacher.encode(asked["query"].tolist())  # (40, 384)


def ndcg_of(columns, stored, wanted):
    """nDCG@10 by these columns alone."""
    cosines = unit(wanted[:, columns]) @ unit(stored[:, columns]).T
    return mean_ndcg(np.argsort(-cosines, axis=1, kind="stable")[:, :10]).mean()


order = []
for name, stored, wanted in (
    ("nano", documents, questions),
    ("teacher", teacher_documents, teacher_questions),
):
    width = stored.shape[1]
    drawn = [np.random.default_rng(seed).permutation(width)[:32] for seed in range(sized(20, 5))]
    random = [ndcg_of(columns, stored, wanted) for columns in drawn]
    every, last = np.arange(width), np.arange(width)[-32:]
    scores = [ndcg_of(columns, stored, wanted) for columns in (every, every[:32], last)]
    order.append((name, *scores, np.mean(random), np.min(random), np.max(random)))
columns = ["model", "all columns", "first 32", "last 32", "random 32: mean", "lowest", "highest"]
order = pd.DataFrame(order, columns=columns)
Table(order, digits=3)

# %%
ours, theirs = order.iloc[0], order.iloc[1]
ends = theirs[["first 32", "last 32"]].astype(float)
inside = ends.between(theirs["lowest"], theirs["highest"]).all()
guess.reveal(
    "alike"
    if inside
    else ends.idxmax().removesuffix(" 32")
    if ends.max() > theirs["random 32: mean"]
    else "random",
    f"The teacher's first have {theirs['first 32']:.2f}, its last {theirs['last 32']:.2f}, random ones {theirs['lowest']:.2f} to "
    f"{theirs['highest']:.2f}. In the teacher the first 32 columns are {theirs['first 32'] / theirs['random 32: mean']:.2f} times as good as random "
    f"ones, the last 32 {theirs['last 32'] / theirs['random 32: mean']:.2f} times. In the nano it is "
    f"**{ours['first 32'] / ours['random 32: mean']:.1f}** and **{ours['last 32'] / ours['random 32: mean']:.1f}** times: somebody has put "
    "an order into its columns. (That the teacher is better at these questions altogether is another matter.)",
)

# %% [markdown]
# There are two ways to make such an order. One is to **turn** the space, so that the directions with most of the vectors
# come first: a rotation changes no cosine at full width, and of all cuts that of the principal directions keeps the dot
# products best. The other is to **train** the prefixes. First the training.
#
# ## 4. The loss
#
# *Matryoshka Representation Learning* ([arXiv:2205.13147](https://arxiv.org/abs/2205.13147), equation 1) adds up the same
# loss over the widths m of a set M, each on the first m numbers of the vector z:
#
# $$L = \sum_{m \in M} c_m \; \ell\left(\frac{z_{1:m}}{\lVert z_{1:m} \rVert}\right), \qquad c_m = 1$$
#
# The division by the length is what a cosine asks for. EmbeddingGemma
# ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)) does so with its contrastive and its spread-out loss, at the
# widths 768, 512, 256 and 128, with equal weights; for its embedding matching the paper names no widths, and here it
# stays at the full one. (The letters are in the [notation](../docs/notation.md); ℓ is any loss.) By hand, it takes a
# loop:


# %%
def by_hand(query, positive, widths, temperature=0.05):
    """The contrastive loss, summed over prefixes."""
    total = 0.0
    for m in widths:
        q = query[:, :m] / query[:, :m].norm(dim=1, keepdim=True)  # (B, m)
        p = positive[:, :m] / positive[:, :m].norm(dim=1, keepdim=True)  # (B, m)
        total = total + F.cross_entropy(q @ p.T / temperature, torch.arange(len(q)))
    return total


from egemma_lab.losses import RecipeLoss, contrastive_loss, matryoshka_loss

rows = [
    next(row for row, name in enumerate(corpus["id"]) if name in answers) for answers in asked["relevant"]
]
query = torch.tensor(questions, dtype=torch.float64)  # (40, 256): the questions
positive = torch.tensor(documents[rows], dtype=torch.float64)  # (40, 256): a text that answers each
recipe = RecipeLoss(weights={"spread_out": 0, "matching": 0}, dims=nano.widths)
three = {
    "by hand": by_hand(query, positive, nano.widths),
    "matryoshka_loss": matryoshka_loss(contrastive_loss, query, positive, dims=nano.widths),
    "RecipeLoss, which training uses": recipe(query, positive).total,
}
Table(
    pd.DataFrame({"loss": [float(x) for x in three.values()]}, index=list(three)),
    digits=9,
    caption="Three ways",
)

# %% [markdown]
# The package's own function wraps any loss, and is as short as the formula:

# %%
from egemma_lab.losses.matryoshka import unit_prefix

source = inspect.getsource(matryoshka_loss)
head, _, rest = source.partition('    """')
print(head + rest.partition('"""\n')[2] + "\n" + inspect.getsource(unit_prefix))

# %% [markdown]
# `RecipeLoss` gets the same numbers faster: the products of a wide prefix are those of the narrower one plus those of the
# columns that were added, so that all widths together take as many multiplications as the widest.
#
# Which column hears which loss? The first 32 stand in every prefix, the last 128 in one. So the gradient should be
# largest in front. Measured, per column, beside that of the full width alone:

# %%
guess = lab.explore.predict(
    "How many times larger is the squared gradient of a column in front (0 to 31) than of one at the "
    "end (128 to 255), with all four widths in the loss?",
    ...,
)
guess


# %%
def gradient_of(widths):
    """Mean squared gradient a column, (256,), of the query's vectors."""
    x = query.clone().requires_grad_()
    matryoshka_loss(contrastive_loss, x, positive, dims=widths).backward()
    return (x.grad**2).mean(dim=0).numpy()


parts = {"0 to 31": slice(0, 32), "32 to 63": slice(32, 64)}
parts |= {"64 to 127": slice(64, 128), "128 to 255": slice(128, 256)}
gradients = {"full width alone": gradient_of((256,)), "all four widths": gradient_of(nano.widths)}
table = pd.DataFrame(
    {
        name: [values[part].mean() / gradients["full width alone"].mean() for part in parts.values()]
        for name, values in gradients.items()
    },
    index=pd.Index(parts, name="columns"),
)
Table(table, caption="Squared gradient a column, in multiples of the full width's mean")

# %%
front, back = table["all four widths"].iloc[[0, -1]]
guess.reveal(
    float(front / back),
    f"The full width alone would give {table['full width alone'].iloc[0] / table['full width alone'].iloc[-1]:.1f}. Columns in "
    "front are in all four losses, short prefixes tell the rows apart less well and so have larger losses, and a prefix is "
    "divided by its own length, which makes its gradient larger by as much. Nobody says that the order matters: it comes "
    "from who is asked most.",
)

# %% [markdown]
# ### Exercise 3: who hears what

# %%
hears = lab.explore.exercise("prefix_widths/losses_that_a_column_hears")
hears

# %%
hears.check(...)

# %% [markdown]
# ## 5. Train it, and turn it
#
# A small laboratory that runs in seconds: one matrix on top of the teacher's vectors, 384 numbers to 32, trained to bring
# texts of one topic together. Thirty texts of each topic are trained on; the other ten are asked for the topic of their
# nearest trained text. Three candidates, each with several seeds, the same data and the same number of steps:
#
# - **full width alone**: the contrastive loss at 32;
# - **all widths**: its sum over 32, 16, 8 and 4, the Matryoshka loss;
# - **full width, then turned**: the first again, with its columns rotated onto their principal axes after training.

# %%
topics = corpus["topic"].astype("category").cat.codes.to_numpy()
within = corpus.groupby("topic").cumcount().to_numpy()  # 0 to 39 in each topic
train, test = within < 30, within >= 30
HEAD_WIDTHS = (32, 16, 8, 4)
features = torch.tensor(teacher_documents)


def train_head(widths, seed, steps=150):
    """A matrix (384, 32), trained with the contrastive loss at these widths."""
    generator = torch.Generator().manual_seed(seed)
    head = (torch.randn(384, 32, generator=generator) / 384**0.5).requires_grad_()
    optimizer = torch.optim.Adam([head], lr=1e-2)
    rows = [torch.tensor(np.flatnonzero(train & (topics == topic))) for topic in range(20)]
    for _ in range(steps):
        chosen = [row[torch.randperm(30, generator=generator)[:6]] for row in rows]
        query, positive = (torch.cat([row[side] for row in chosen]) for side in (slice(0, 3), slice(3, 6)))
        loss = matryoshka_loss(
            contrastive_loss,
            features[query] @ head,
            features[positive] @ head,
            dims=widths,
            temperature=0.2,
            positive_ids=topics[query],  # another text of the same topic is no negative
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head.detach().numpy()


def topic_found(vectors, width):
    """Of the held-out texts, the share whose nearest trained text has their topic."""
    cut = unit(vectors[:, :width])
    nearest = (cut[test] @ cut[train].T).argmax(axis=1)
    return np.mean(topics[train][nearest] == topics[test])


from egemma_lab.model.rotation import pca_rotation

measured = []
for seed in range(sized(5, 2)):
    plain, nested = (
        teacher_documents @ train_head(widths, seed) for widths in (HEAD_WIDTHS[:1], HEAD_WIDTHS)
    )
    turned = unit(plain) @ pca_rotation(unit(plain)[train])
    for name, vectors in (
        ("full width alone", plain),
        ("all widths", nested),
        ("full width, then turned", turned),
    ):
        measured += [(name, width, topic_found(vectors, width)) for width in HEAD_WIDTHS]
measured = pd.DataFrame(measured, columns=["trained with", "width", "found"])
heads = measured.groupby(["trained with", "width"], sort=False)["found"].agg(["mean", "min", "max"])


def curves(frame, *, over, value, title, subtitle, x, y, logarithmic=True):
    """A line a group of `frame` (its columns: group, `over`, `value`, low, high), each with its own mark."""
    figure = go.Figure()
    for (name, rows), colour, dash, symbol in zip(
        frame.groupby("group", sort=False), COLOURS, DASHES, SYMBOLS
    ):
        figure.add_scatter(
            x=rows[over].to_numpy(),
            y=rows[value].to_numpy(),
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (rows["high"] - rows[value]).to_numpy(),
                "arrayminus": (rows[value] - rows["low"]).to_numpy(),
            },
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 9},
        )
    ticks = sorted(frame[over].unique())
    if logarithmic:
        figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    return styled(figure, title, subtitle, x=x, y=y)


shown = heads.reset_index().rename(columns={"trained with": "group", "min": "low", "max": "high"})
show(
    curves(
        shown,
        over="width",
        value="mean",
        title="A head of 32 numbers, cut",
        subtitle="topic of the nearest trained text; bars from the lowest to the highest seed",
        x="numbers kept (log scale)",
        y="share of held-out texts",
    ),
    "Three lines over the width, from 4 to 32 numbers. "
    + " ".join(
        f"{name}: {heads.loc[(name, 4), 'mean']:.2f} at 4 and {heads.loc[(name, 32), 'mean']:.2f} at 32."
        for name in heads.index.unique(0)
    ),
)
by_width = {name: heads["mean"][name] for name in heads.index.unique(0)}
Table(pd.DataFrame(by_width), digits=3)

# %%
four = heads.loc[pd.IndexSlice[:, 4], :].droplevel("width")
best, second = four["mean"].sort_values(ascending=False).index[:2]
apart = (
    "no seed of one reaches the other" if four["min"][best] > four["max"][second] else "their seeds overlap"
)
say(
    f"With four numbers left, **{best}** keeps most ({four['mean'][best]:.2f}), then {second} "
    f"({four['mean'][second]:.2f}; {apart}), and the columns of the head trained at full width alone hold "
    f"{four['mean']['full width alone']:.2f}. A rotation costs nothing, needs no training and no loss; it can only put in "
    "front what is there. Training the prefixes can also change what is there."
)

# %% [markdown]
# The nano has both: its teacher was turned onto its principal axes before the nano learnt to match it, and the
# contrastive and spread-out losses were summed over its four widths. What each of the two adds is asked by the experiment
# `matryoshka` of this laboratory: nanos trained for 60 steps, three seeds, from the same start (`egemma-lab experiment
# matryoshka` repeats it). Its arms: *full width alone* has neither; *all widths* has the losses at four widths; *narrow widths
# weigh more* too, the short ones heavier; *teacher rotated* has both. A line is an arm, its place the difference from *all
# widths* (to the right: better), at a quarter of the full width, with a 95% interval; small strokes are single seeds, filled
# marks can be told from zero, and differences inside the grey band may have been missed
# ([11](11_the_paper_in_miniature.ipynb)). Before you run it: which arm should win when the vectors are cut?

# %%
from egemma_lab.experiments import comparisons
from egemma_lab.experiments.shipped import experiments_folder, shipped_results

results = shipped_results("matryoshka")
show(
    lab.explore.experiment_figure(results, view="quarter"),
    lab.explore.describe_experiment(results, view="quarter"),
)
compared = comparisons(results)
table = compared.set_index(["of", "arm", "view"]).sort_index()


def difference(arm, view, of="score"):
    """Against *all widths* in points, with its interval, and whether it is sure."""
    row = table.loc[(of, arm, view)]
    sure = "" if row["p_corrected"] < 0.05 else ", not sure"
    return f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f}{sure})"


say(
    "Against *all widths*, in points of nDCG@10. "
    + " ".join(
        f"**{arm.capitalize()}**: {difference(arm, 'full')} uncut, {difference(arm, 'quarter')} at a quarter, "
        f"{difference(arm, 'eighth')} at an eighth."
        for arm in ("full width alone", "teacher rotated")
    )
    + " So in trainings this short the losses at all widths buy nothing uncut; what they do is make the cut cost less: from full "
    f"width to an eighth *full width alone* changes by {difference('full width alone', 'eighth', 'change')} beside *all widths*. "
    "Which wins at a given width is another question, and the intervals answer it."
)

# %% [markdown]
# ## 6. The frontier: quality against bytes
#
# A width is one way to save bytes; rounding the numbers is another, which [notebook 07](07_quantization.ipynb) is about:
# *int8* keeps a byte a number, *binary* one bit ([both](../docs/glossary.md#int8-binary-vectors)), and *rescored* means
# that the candidates which the bits propose are ordered anew by the question's floats
# ([rescoring](../docs/glossary.md#rescoring)). Both ways belong into one picture; the small labels in it are widths. For
# the 40 questions here:

# %%
show(
    lab.explore.quality_frontier(frontier, subtitle=f"nano, 800 short texts, {len(asked)} questions, 95%"),
    lab.explore.describe_frontier(frontier),
)

# %% [markdown]
# Of two points one above the other the upper is the better buy. Forty questions on a small corpus are a short exam. The
# same was measured on larger ones, with thousands of questions and pairs; the table comes with the repository. Its four
# tasks: *python-docs* (find the function that a sentence describes), *scifact* (the abstract that settles a claim),
# *xquad* (the paragraph that answers a question), and *stsb* (rate the likeness of two sentences;
# [docs/evaluation.md](../docs/evaluation.md)).

# %%
home = experiments_folder() / "compression" / "vectors.csv"
address = "https://raw.githubusercontent.com/OWNER/egemma-lab/main/experiments/compression/vectors.csv"
large = pd.read_csv(home if home.is_file() else address)
large = large[~large["precision"].str.contains("rescored by")]
mean = large[large["task"] == "mean"]
show(
    lab.explore.quality_frontier(
        mean,
        subtitle=f"{mean['model'].iloc[0].split()[0]}, {mean['metric'].iloc[0]}, n = {int(mean['n'].iloc[0]):,}, 95%",
    ),
    lab.explore.describe_frontier(mean),
)

# %%
at_64 = large[(large["width"] == 64) & (large["precision"] == "float32")].set_index("task")
ranked = at_64.drop("mean")["share"].sort_values()
same_bytes = mean[mean["bytes"] == 32].sort_values("share", ascending=False)
say(
    f"At width 64 the nano keeps **{at_64.loc['mean', 'share']:.0%}** of its quality "
    f"({at_64.loc['mean', 'share_low']:.1%} to {at_64.loc['mean', 'share_high']:.1%}), from {ranked.iloc[0]:.0%} on "
    f"{ranked.index[0]} to {ranked.iloc[-1]:.0%} on {ranked.index[-1]}: what a cut costs depends on the task. And 32 bytes "
    "can be spent in several ways: "
    + ", ".join(
        f"width {row.width} as {row.precision} keeps {row.share:.2f}" for row in same_bytes.itertuples()
    )
    + "."
)

# %% [markdown]
# ## 7. Two looks: the short width first
#
# One need not choose. Compare the first 32 numbers of every vector, take the best candidates, and look at those again at
# full width. What is stored stays whole, what is *read* is short. In the table *recall* is the share of the full search's
# ten best that is found, and *less work* says how many times fewer multiplications it takes.


# %%
def two_looks(width, candidates, k=10):
    """Rows of the k best of each question: `candidates` by a prefix, ordered anew by the whole vectors."""
    first = unit(questions[:, :width]) @ unit(documents[:, :width]).T  # (40, 800)
    kept = np.argsort(-first, axis=1, kind="stable")[:, :candidates]  # (40, candidates)
    again = np.einsum("qd,qcd->qc", questions, documents[kept])  # (40, candidates)
    return np.take_along_axis(kept, np.argsort(-again, axis=1, kind="stable")[:, :k], axis=1)


exact = two_looks(256, len(texts))
guess = lab.explore.predict(
    "Of the ten best texts of the full search, which share is found with a first look at 32 numbers and 40 candidates "
    "(of 800)?",
    ...,
)
guess

# %%
looks = []
for width in (32, 64, 128):
    for candidates in (10, 20, 40, 80, 160):
        rows = two_looks(width, candidates)
        recall = np.array([len(set(x) & set(y)) / 10 for x, y in zip(rows, exact)])
        spread = 1.96 * recall.std(ddof=1) / len(recall) ** 0.5
        work = len(texts) * 256 / (len(texts) * width + candidates * 256)
        quality = mean_ndcg(rows).mean()
        looks.append((width, candidates, recall.mean(), spread, quality, work))
looks = pd.DataFrame(looks, columns=["first look", "candidates", "recall", "±", "nDCG@10", "less work"])
shown = looks.assign(
    group="first " + looks["first look"].astype(str) + " numbers",
    low=looks["recall"] - looks["±"],
    high=(looks["recall"] + looks["±"]).clip(upper=1),
)
show(
    curves(
        shown,
        over="candidates",
        value="recall",
        title="How many candidates the second look needs",
        subtitle=f"share of the exact ten best that are found, {len(texts)} texts, {len(questions)} questions, 95%",
        x="candidates that are looked at again (log scale)",
        y="recall of the exact ten best",
    ),
    "Three rising lines of recall over the number of candidates, for first looks at 32, 64 and 128 numbers; "
    + ", ".join(
        f"with {int(row['first look'])} numbers and 40 candidates {row['recall']:.2f}"
        for _, row in looks[looks["candidates"] == 40].iterrows()
    )
    + ".",
)
Table(looks[looks["candidates"].isin([10, 40, 160])].reset_index(drop=True), digits=2)

# %%
forty = looks[(looks["first look"] == 32) & (looks["candidates"] == 40)].iloc[0]
alone = looks[(looks["first look"] == 32) & (looks["candidates"] == 10)].iloc[0]
guess.reveal(
    float(forty["recall"]),
    f"With 10 candidates, which a second look can only put into another order, it is {alone['recall']:.2f}. nDCG@10 is then "
    f"{alone['nDCG@10']:.3f}, with 40 candidates {forty['nDCG@10']:.3f} for {forty['less work']:.1f} times fewer multiplications than "
    f"the full search, which has {mean_ndcg(exact).mean():.3f}; forty questions tell nothing that small apart. In a corpus of millions the second look costs next to nothing, but "
    "there are more texts that a short prefix mistakes for the best, so that more candidates are needed.",
)

# %% [markdown]
# ### Exercise 4: the price of two looks

# %%
price = lab.explore.exercise("prefix_widths/price_of_two_looks")
price

# %%
price.check(...)

# %% [markdown]
# ## 8. Move the width yourself
#
# The explorer holds the same texts at every width: left a map, turned so that what moves has moved, right a few cosines.
# A pale point has lost most of its neighbours. Move *width*; the menus for vectors and weights belong to notebook 07.

# %%
lab.explore.matryoshka(nano, sized(None, texts[:200]))

# %% [markdown]
# Which texts lose their neighbours ([neighbour flips](../docs/glossary.md#neighbour-flip)), and could one have told?
# Choose a change and a text. A neighbour whose cosine lay well above the edge of the neighbourhood rarely leaves it; the
# right panel says how rarely.

# %%
lab.explore.flips(documents, {f"width {width}": documents[:, :width] for width in (64, 128, 32)}, texts)

# %% [markdown]
# ## 9. What the paper found, and what we found
#
# EmbeddingGemma with 308M parameters, cut from 768 to 128 numbers, on the multilingual MTEB (arXiv:2509.20354, tables 6
# to 8). Before you look: which task type suffers?

# %%
guess = lab.explore.predict(
    "Cut to a sixth of the width, what does EmbeddingGemma lose more of: `retrieval` or `similarity` of sentences?",
    ...,
)
guess

# %%
published = pd.DataFrame(
    {
        "width": [768, 512, 256, 128],
        "retrieval": [62.5, 61.5, 58.8, 55.3],
        "similarity": [74.7, 74.8, 74.6, 73.8],
    }
)
sides = []
for kind in ("retrieval", "similarity"):
    for width, value in zip(published["width"], published[kind]):
        share = value / published[kind][0]
        sides.append((f"EmbeddingGemma, {kind}", width / 768, share, share, share))
for kind, task in (("retrieval", "xquad"), ("similarity", "stsb")):
    rows = large[(large["task"] == task) & (large["precision"] == "float32")]
    for row in rows.itertuples():
        sides.append((f"nano, {kind} ({task})", row.width / 256, row.share, row.share_low, row.share_high))
sides = pd.DataFrame(sides, columns=["group", "part", "share", "low", "high"])
figure = curves(
    sides,
    over="part",
    value="share",
    title="What a cut costs: the paper's model and ours",
    subtitle="share of the score at full width; bars: 95%, not published for the paper's",
    x="part of the full width that is kept (log scale)",
    y="share of the full width's score",
)
parts = {1: "1", 2 / 3: "2/3", 0.5: "1/2", 1 / 3: "1/3", 0.25: "1/4", 1 / 6: "1/6", 0.125: "1/8"}
figure.update_xaxes(tickvals=list(parts), ticktext=list(parts.values()))
at = sides.set_index(["group", "part"])["share"]
show(
    figure,
    "Four lines, each lower at its narrow end. At a sixth of its width EmbeddingGemma keeps "
    f"{at['EmbeddingGemma, retrieval'].iloc[-1]:.2f} of its retrieval and {at['EmbeddingGemma, similarity'].iloc[-1]:.2f} "
    f"of its similarity; the nano at an eighth {at['nano, retrieval (xquad)'].iloc[-1]:.2f} and "
    f"{at['nano, similarity (stsb)'].iloc[-1]:.2f}.",
)

# %%
lost = published.iloc[0] - published.iloc[-1]
quarter = sides[np.isclose(sides["part"], 0.25)].set_index("group")["share"]
guess.reveal(
    "retrieval" if lost["retrieval"] > lost["similarity"] else "similarity",
    f"{lost['retrieval']:.1f} points against {lost['similarity']:.1f}. The nano agrees in kind and not in amount: at a "
    f"quarter of its width it keeps {quarter['nano, retrieval (xquad)']:.2f} of its retrieval and "
    f"{quarter['nano, similarity (stsb)']:.2f} of its similarity; the paper's model keeps "
    f"{1 - lost['retrieval'] / published.iloc[0]['retrieval']:.2f} and "
    f"{1 - lost['similarity'] / published.iloc[0]['similarity']:.2f} at a sixth, a narrower part. The nano has a third of "
    "the columns to begin with, and was trained for a few hours.",
)

# %% [markdown]
# ## Summary
#
# - Cut, then normalise. A stored vector whose length is not 1 tells that somebody forgot.
# - The Matryoshka loss is the same loss at several widths, summed. Columns in front hear all of them, and so become the
#   ones that matter everywhere.
# - A rotation onto principal axes also orders columns, without any training: measure it first, it may be enough.
# - What a cut costs depends on the task: comparing sentences loses less than finding one text among many.
# - A short first look with a second look at full width gives most of the quality for a part of the work.
#
# ## Where next
#
# - [07_quantization](07_quantization.ipynb): fewer bits a number instead of fewer numbers, for vectors and for the model
#   itself.
# - [05_spread_out](05_spread_out.ipynb) asks what makes a space robust against both.

# %%
clock.report()
