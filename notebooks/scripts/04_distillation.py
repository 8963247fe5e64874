# %% [markdown]
# # Distillation: learning from a teacher
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/04_distillation.ipynb)
#
# Pairs say which texts belong together. A [teacher](../docs/glossary.md#student-teacher) says more: where every single
# text lies. EmbeddingGemma ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)) learns from both, and this notebook is
# about the second: what is matched, what it costs, what it makes possible, and what is learnt along with it that nobody
# ordered.
#
# **Afterwards you will be able to**
#
# - compute a matching loss by hand, and say how three distances differ in the way they pull;
# - fit a teacher to a narrower student, and measure what two ways of cutting lose;
# - say which vectors a student learns to match, and what becomes of those it was never shown, or has no token for;
# - train a student without layers in seconds, and measure what layers add;
# - search asymmetrically: documents by the large model, questions by the small one;
# - measure what a student inherits: its teacher's mistakes, its teacher's prejudices, its teacher's limits.
#
# | | |
# |---|---|
# | Time | about 5 minutes on two CPU cores; about 2 on a T4 or an H200 (estimated) |
# | Memory | about 2 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took; a busy machine takes longer. Cosines and the unit sphere are explained in
# [01](01_embeddings_and_their_geometry.ipynb), the model in [02](02_the_model.ipynb).

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
import copy
import inspect
import tempfile
import time

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch

import egemma_lab as lab
from egemma_lab import geometry
from egemma_lab.explore import Table, say, show
from egemma_lab.explore.style import COLOURS, DASHES, SYMBOLS, styled
from egemma_lab.explore.teacher_student_measures import (
    correlation,
    pair_cosines,
    pairs_of,
    ranks,
    recall,
    search_table,
    turn_towards,
)
from egemma_lab.settings import sized

clock = lab.explore.start()
clock

# %% [markdown]
# Figures of this notebook are mostly lines over a few points. One function draws them all:


# %%
def lines(x, curves, title, *, x_title, y_title, subtitle=None, log_x=False):
    """A figure with one line for each entry of curves, {name: values}; colour, dash and mark tell them apart."""
    figure = go.Figure()
    for (name, values), colour, dash, symbol in zip(curves.items(), COLOURS, DASHES, SYMBOLS):
        figure.add_scatter(
            x=x,
            y=values,
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 8},
        )
    if log_x:
        figure.update_xaxes(type="log", tickvals=list(x), ticktext=[f"{value:g}" for value in x])
    return styled(figure, title, subtitle, x=x_title, y=y_title)


# %% [markdown]
# ## 1. Result first: what a small model has of a large one
#
# Teacher: all-MiniLM-L6-v2, trained by others on a billion pairs. Student: the bundled
# [`nano`](../docs/glossary.md#nano), whose vectors were matched to
# that teacher's for most of its training. Both read 800 short texts on twenty topics, which the student never saw.

# %%
nano = lab.load_model("nano").requires_grad_(False)
teacher = lab.load_teacher()
corpus, questions = lab.explore.topic_corpus(), lab.explore.topic_queries()
corpus = corpus.groupby("topic", sort=False).head(sized(40, 20)).reset_index(drop=True)
texts, topics = corpus["text"].tolist(), corpus["topic"].to_numpy()

began = time.perf_counter()
by_teacher = teacher.encode(texts, show_progress_bar=False)  # (800, 384)
teacher_seconds = time.perf_counter() - began
began = time.perf_counter()
by_nano = nano.encode_document(texts, show_progress_bar=False)  # (800, 256)
nano_seconds = time.perf_counter() - began

pairs = pairs_of(["document"] * len(texts), most=len(texts) ** 2)  # all of them
teacher_cosines = pair_cosines(by_teacher, pairs)
agreement = correlation(ranks(teacher_cosines), ranks(pair_cosines(by_nano, pairs)))
kept, _ = geometry.neighbours_kept(by_teacher, by_nano, k=10)
say(
    f"All **{len(pairs):,} pairs** of texts, ordered by their cosine: the two orders have a rank correlation of "
    f"**{agreement:.2f}** (1 is the same order, 0 a random one). Of a text's ten nearest neighbours in the teacher's space "
    f"**{kept:.0%}** are among its ten nearest in the student's; by chance it would be {10 / (len(texts) - 1):.1%}. "
    f"The student has {sum(p.numel() for p in nano.parameters()) / 1e6:.1f} million parameters, the teacher 22.7 (its model "
    f"card). Here the teacher read {len(texts) / teacher_seconds:.0f} texts a second, the student "
    f"{len(texts) / nano_seconds:.0f}."
)

# %% [markdown]
# Far from chance, and far from the same. What this is worth in a search, section 7 measures; first, how it comes about.
#
# ## 2. Three distances, by hand
#
# The teacher has a vector for a text, the student has another. Training makes the distance between them smaller
# ([embedding matching](../docs/glossary.md#embedding-matching)). Which distance? The paper prints no formula;
# EmbedDistill ([arXiv:2301.12005](https://arxiv.org/abs/2301.12005)), on which it builds, writes a norm. Three
# candidates, on vectors of two numbers:

# %%
from egemma_lab.losses import embedding_matching_loss

t = torch.tensor([[1.0, 0.0]])  # the teacher's
s = torch.tensor([[0.6, 0.8]])  # the student's
rows = [
    ("l2", "√((0.6 − 1)² + 0.8²)", np.sqrt(0.4**2 + 0.8**2)),
    ("squared_l2", "(0.6 − 1)² + 0.8²", 0.4**2 + 0.8**2),
    ("cosine", "1 − 0.6", 1 - 0.6),
]
measured = [float(embedding_matching_loss(s, t, name)) for name, *_ in rows]
Table(
    pd.DataFrame(rows, columns=["distance", "by hand", "is"]).assign(package=measured),
    digits=4,
)

# %% [markdown]
# For vectors of length 1 all three say the same thing, since ‖s − t‖² = 2 − 2 cos: what is nearer by one is nearer by
# all. They differ in how hard they pull. Turn the student's vector around the circle and ask autograd for the slope:

# %%
guess = lab.explore.predict(
    "The student has nearly arrived, it is 10° from its teacher. Which distance pulls hardest there: `l2`, "
    "`squared_l2` or `cosine`?",
    ...,
)
guess

# %%
degrees = np.array([1, 10, 30, 50, 70, 90, 110, 130, 150, 170])
angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64)).requires_grad_()
goal = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(len(degrees), 2)
pull = {}
for name in ("l2", "squared_l2", "cosine"):
    around = torch.stack([angle.cos(), angle.sin()], dim=1)  # (10, 2)
    loss = embedding_matching_loss(around, goal, name) * len(degrees)  # the sum over rows
    pull[name] = torch.autograd.grad(loss, angle)[0].numpy()
show(
    lines(
        degrees,
        pull,
        "How hard each distance pulls",
        subtitle="slope of the loss over the angle between student and teacher",
        x_title="angle between student and teacher (degrees)",
        y_title="slope (per radian)",
    ),
    "Three curves over the angle. That of l2 begins at 1 near the teacher and falls to 0 at 180 degrees; those of squared l2 "
    "and cosine begin at 0, are highest at a right angle and fall to 0 again.",
)

# %%
near = {name: values[1] for name, values in pull.items()}
guess.reveal(
    max(near, key=near.get),
    f"At 10° the slopes are {near['l2']:.2f}, {near['squared_l2']:.2f} and {near['cosine']:.2f}. The plain norm pulls hardest "
    "right beside the teacher; the other two let go as the student arrives. On the far side all let go, and a student "
    "that begins opposite its teacher hardly learns which way to turn.",
)

# %% [markdown]
# ### Exercise 1: a distance by hand

# %%
by_hand = lab.explore.exercise("distillation/distance_by_hand")
by_hand

# %%
by_hand.check(...)

# %% [markdown]
# ### Exercise 2: what a distance means as a cosine

# %%
as_cosine = lab.explore.exercise("distillation/cosine_behind_a_distance")
as_cosine

# %%
as_cosine.check(...)

# %% [markdown]
# ## 3. The loss
#
# The paper's Equation 5, for a batch of triples of query, positive and hard negative:
#
# $$L_D = L_D^{Q} + L_D^{P^+} + L_D^{P^-}, \qquad
# L_D^{X} = \frac{1}{B} \sum_{i=1}^{B} \lVert\, \mathrm{student}(x_i) - \mathrm{teacher}(x_i) \,\rVert .$$
#
# Three parts of equal weight (the bars are the plain norm, our reading; all symbols are in the
# [notation](../docs/notation.md)). The package's own code of one part:

# %%
print(inspect.getsource(embedding_matching_loss.__wrapped__))

# %% [markdown]
# Note what is *not* in it. A row is compared with nothing but its own target: no other row, no negative, no label. So
# batches may be small (LEAF, [arXiv:2509.12539](https://arxiv.org/abs/2509.12539), which trains by this loss alone, found
# small ones better), [false negatives](../docs/glossary.md#false-negative) cannot exist, and any text will do, alone. The
# three sides are no different from each other here, except that they are other texts, with other prompts before them.
#
# `RecipeLoss` adds the parts to the other two terms and reports each:

# %%
from egemma_lab.losses import RecipeLoss

generator = torch.Generator().manual_seed(0)
given = {
    side: torch.nn.functional.normalize(torch.randn(4, 8, generator=generator), dim=1)
    for side in ("query", "positive", "negative")
}
wanted = {"teacher_query": given["query"], "teacher_positive": -given["positive"], "teacher_negative": None}
wanted["teacher_negative"] = given["negative"].roll(1, dims=1)
_, terms = RecipeLoss(dims=(8,), weights={"contrastive": 0, "spread_out": 0})(**given, **wanted)
Table(
    pd.Series(
        {name: float(value) for name, value in terms.items() if "matching" in name}, name="value"
    ).to_frame(),
    caption="Queries as the teacher has them, positives opposite, negatives somewhere",
)

# %% [markdown]
# ### Exercise 3: what a student pays that knows nothing

# %%
ignorant = lab.explore.exercise("distillation/loss_of_an_ignorant_student")
ignorant

# %%
ignorant.check(...)

# %% [markdown]
# ## 4. The teacher's vectors are made once
#
# The teacher is the expensive one, and it says the same of a text in every epoch. So `lab.train` asks it once a text and
# keeps the answer on disk, in half precision. Here is that cache by hand:

# %%
some = texts[: sized(200, 60)]
with tempfile.TemporaryDirectory() as folder:
    with lab.data.TeacherCache(teacher, folder) as cache:
        began = time.perf_counter()
        cache.vectors(some, "document")
        asked = time.perf_counter() - began
    with lab.data.TeacherCache(teacher, folder) as cache:  # as another run would open it
        began = time.perf_counter()
        again = cache.vectors(some, "document")
        read = time.perf_counter() - began
        stats = cache.stats
moved = np.abs(again @ again.T - by_teacher[: len(some)] @ by_teacher[: len(some)].T).max()
say(
    f"{len(some)} texts: **{asked:.2f} s** with the teacher, **{1000 * read:.0f} ms** from the cache ({stats.hits} found, "
    f"{stats.computed} computed). Half precision moves a cosine by at most {moved:.5f}. A vector of {teacher.width} numbers takes "
    f"{2 * teacher.width} bytes."
)

# %% [markdown]
# A cached vector belongs to a teacher, a role and a text. Change the teacher's prompt, its length limit or its width, and
# its `fingerprint` changes with it, so that a student is never taught with another teacher's answers:

# %%
print(teacher.fingerprint)
print(teacher.cut(64).fingerprint)

# %% [markdown]
# ### Exercise 4: the size of a cache

# %%
cache_size = lab.explore.exercise("distillation/size_of_a_cache")
cache_size

# %%
cache_size.check(...)

# %% [markdown]
# ## 5. A teacher that is wider than its student
#
# The teacher's vectors have 384 numbers, the nano's 256, a `micro` model's 64. A distance needs equal widths. The paper's
# teacher (Gemini Embedding, 3,072 numbers) is itself trained so that its first 768 are useful alone. Ours is not. Two
# ways:
#
# - **cut plainly**: keep the first columns, and divide by the length that is left;
# - **PCA first**: turn the space so that the directions with most of the vectors' length come first, then cut. The turn
#   itself changes no cosine; only what the cut removes is different.
#
# A rotation is learnt from texts, and flatters the texts it was learnt from. So it is learnt on half of the texts and
# measured on the other half. A third way is a check: columns drawn at random. If the first were special, these would be
# worse.

# %%
guess = lab.explore.predict(
    "The teacher's 384 columns are cut plainly to 64, a sixth. Which share of a text's ten nearest neighbours stays?",
    ...,
)
guess

# %%
from egemma_lab.model import pca_rotation

half = np.arange(len(texts)) % 2 == 0  # of every topic one half
known, unseen = by_teacher[half], by_teacher[~half]
unseen_pairs = pairs_of(["document"] * len(unseen))
full_order = ranks(pair_cosines(unseen, unseen_pairs))
columns = np.random.default_rng(0).permutation(teacher.width)
turns = {
    "first columns": np.eye(teacher.width, dtype=np.float32),
    "random columns": np.eye(teacher.width, dtype=np.float32)[:, columns],
    "PCA of other texts": pca_rotation(known),
    "PCA of these texts": pca_rotation(unseen),
}


def unit(vectors):
    """Each row divided by its length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


widths = [256, 128, 64, 32, 16]
asked = questions["query"].tolist()
question_by_teacher = teacher.encode(asked, "query")  # (40, 384)
unseen_row = {name: row for row, name in enumerate(corpus["id"][~half])}
answers = [{unseen_row[name] for name in wanted if name in unseen_row} for wanted in questions["relevant"]]

rows = []
for way, turn in turns.items():
    for width in [teacher.width, *widths]:
        cut, cut_questions = unit(unseen @ turn[:, :width]), unit(question_by_teacher @ turn[:, :width])
        order = correlation(full_order, ranks(pair_cosines(cut, unseen_pairs)))
        neighbours, _ = geometry.neighbours_kept(unseen, cut, k=10)
        rows.append((way, width, neighbours, order, np.nanmean(recall(cut_questions, cut, answers, 10))))
measures = ["neighbours kept", "rank correlation", "recall@10"]
cuts = pd.DataFrame(rows, columns=["way", "width", *measures])
by_way, by_order, by_search = (
    cuts.pivot_table(index="width", columns="way", values=measure).loc[[teacher.width, *widths], list(turns)]
    for measure in measures
)
show(
    lines(
        widths,
        {way: by_way.loc[widths, way] for way in turns},
        "What is left of the teacher after a cut",
        subtitle=f"{len(unseen)} texts; of {teacher.width} columns some are kept",
        x_title="columns kept (log scale)",
        y_title="share of ten neighbours kept",
        log_x=True,
    ),
    "Four falling curves, share of neighbours kept over the number of columns kept. "
    + "; ".join(f"at 64 columns {way}: {by_way.loc[64, way]:.0%}" for way in turns)
    + ".",
)
Table(by_order, caption="The same as rank correlation of all pairs' cosines with those at full width")

# %%
Table(
    by_search,
    caption=f"And what a search makes of it: share of the relevant texts among the first ten, {len(asked)} questions",
)

# %%
plain, random_cut, turned, flattered = by_way.loc[64, list(turns)]
wins = (by_way["PCA of other texts"] - by_way["first columns"]).loc[widths]
guess.reveal(
    float(plain),
    f"The first 64 columns keep {plain:.0%}, 64 random ones {random_cut:.0%}: in this teacher no column is special, each holds a "
    f"random sample of everything. A PCA learnt on other texts keeps {turned:.0%}. "
    f"Learnt on the very texts that are measured it would seem to keep {flattered:.0%}, and {100 * (flattered - turned):.0f} points "
    f"of that are self-deception: {len(known)} texts are few for {teacher.width} directions.",
)

# %%
say(
    "PCA against the plain cut, in points of neighbours kept: "
    + ", ".join(f"{100 * value:+.0f} at {width}" for width, value in wins.items())
    + f". And the search: at 64 it loses {100 * (by_search.iloc[0, 0] - by_search.loc[64].iloc[0]):.0f} "
    f"points of recall by the plain cut, {100 * (by_search.iloc[0, 0] - by_search.loc[64].iloc[2]):.0f} after the PCA. A second "
    "consequence: after a PCA the student's own first numbers hold what matters most, so that it can be cut short again. "
    'The bundled nano was taught so (`Recipe(teacher_rotation="pca")`).'
)

# %% [markdown]
# A teacher that is *narrower* than its student is refused: there would be numbers that nobody teaches.
#
# ### Exercise 5: the target after a cut

# %%
a_cut = lab.explore.exercise("distillation/a_cut_teacher")
a_cut

# %%
a_cut.check(...)

# %% [markdown]
# ## 6. What is matched, and what becomes of the rest
#
# EmbedDistill matches queries and documents; the paper adds the hard negatives and calls it a clear gain, without a
# number, since the student then learns how its teacher tells them apart. What could make a difference? Not the word
# *negative*: the loss does not know it (section 3). But hard negatives are found in a corpus of which most texts are
# nobody's positive. Matching them means teaching what lies around the right answer, on texts that the student otherwise
# sees only from afar.
#
# So take that apart. (A [hard negative](../docs/glossary.md#hard-negative) is a text that looks like an answer and is
# none.) The shortest texts of each topic are dealt into three hands: queries, positives, and texts that occur as hard
# negatives only. A query's positive is the nearest text of its own topic in the second hand; its hard negative the
# nearest of *another* topic in the third.

# %%
length = (
    corpus["text"].str.len().groupby(corpus["topic"]).rank(method="first").to_numpy()
)  # 1 is a topic's shortest
hands = [np.flatnonzero((length <= sized(15, 6)) & (length % 3 == hand)) for hand in range(3)]
cosines = by_teacher @ by_teacher.T  # (800, 800)
other_topic = topics[:, None] != topics[None]  # (800, 800)


def nearest_in(hand, allowed):
    """For each query the text of that hand that is nearest to the query, among the allowed."""
    scores = np.where(allowed[np.ix_(hands[0], hands[hand])], cosines[np.ix_(hands[0], hands[hand])], -2)
    return hands[hand][scores.argmax(axis=1)]


queries, positives, negatives = hands[0], nearest_in(1, ~other_topic), nearest_in(2, other_topic)
triples = [
    {"anchor": texts[q], "positive": texts[p], "negative": texts[n]}
    for q, p, n in zip(queries, positives, negatives)
]
shown = pd.DataFrame(triples[:: len(triples) // 3][:3])
Table(shown, caption=f"Three of {len(triples)} triples")

# %% [markdown]
# Three students learn from these triples by matching alone, and differ in one thing: which of the three vectors is
# matched. All begin as the same micro model and take the same number of steps. (The warning below is about texts that are
# the nearest of several queries: no text may stand twice in a batch, so some triples wait for another epoch.)

# %%
guess = lab.explore.predict(
    "A student is matched on queries and positives alone. How far from the teacher will it put the texts that were only "
    "hard negatives: as far as at the start (1.41), as near as the ones it learnt, or in between? Give a distance.",
    ...,
)
guess

# %%
narrow = teacher.cut(64)
arms = {
    "queries": ["query"],
    "queries, positives": ["query", "positive"],
    "all three": ["query", "positive", "negative"],
}


def taught(name, rows, **changes):
    """A micro model matched to the teacher on these rows; Recipe fields may be changed."""
    fields = {
        "steps": sized(60, 4),
        "batch_size": 20,
        "learning_rate": 3e-3,
        "max_tokens": 48,
        "weights": {"contrastive": 0, "spread_out": 0},
        "snapshot_every": 0,
        "seed": 0,
    } | changes
    return lab.train(
        "micro",
        lab.data.load_pairs(rows),
        teacher=narrow if fields["weights"].get("matching", 1) else None,
        recipe=lab.Recipe(**fields),
        output=f"runs/04_{name.replace(', ', '_').replace(' ', '_')}",
        resume=False,
        show_progress_bar=False,
    )


students = {name: taught(name, triples, match=match) for name, match in arms.items()}
targets = unit(by_teacher[:, :64])
rows_of = {"queries": queries, "positives": positives, "hard negatives": negatives}
rows = []
for name, run in [
    ("before", students["all three"].start),
    *((name, run.model) for name, run in students.items()),
]:
    vectors = {
        side: (run.encode_query if side == "queries" else run.encode_document)(
            [texts[i] for i in chosen], show_progress_bar=False
        )
        for side, chosen in rows_of.items()
    }
    margin = np.sum(vectors["queries"] * (vectors["positives"] - vectors["hard negatives"]), axis=1)
    wanted_margin = np.sum(targets[queries] * (targets[positives] - targets[negatives]), axis=1)
    distances = {
        side: np.linalg.norm(vectors[side] - targets[chosen], axis=1).mean()
        for side, chosen in rows_of.items()
    }
    rows.append(
        {"matched": name} | distances | {"margins, correlation": np.corrcoef(margin, wanted_margin)[0, 1]}
    )
matched = pd.DataFrame(rows).set_index("matched")
Table(
    matched,
    caption="Mean distance to the teacher by kind of text, and how well the student knows by how much its teacher prefers "
    "a positive to its hard negative",
)

# %%
two, three = matched.loc["queries, positives"], matched.loc["all three"]
guess.reveal(
    float(two["hard negatives"]),
    f"From {matched.loc['before', 'hard negatives']:.2f} to {two['hard negatives']:.2f}: in between, and nearer to where they began, "
    f"while what was matched came to {two['queries']:.2f} and {two['positives']:.2f}. Once they are matched they come to "
    f"{three['hard negatives']:.2f}, and in the same number of steps queries and positives to {three['queries']:.2f} and "
    f"{three['positives']:.2f}. The margin between positive and "
    f"hard negative then follows the teacher's with a correlation of {three['margins, correlation']:.2f} instead of "
    f"{two['margins, correlation']:.2f}.",
)

# %%
one, start = matched.loc["queries"], matched.loc["before"]
say(
    f"With queries alone matched the positives stayed at {one['positives']:.2f} (at the start {start['positives']:.2f}). So little do "
    "a hundred texts teach a model of this size about others. A larger student with many more texts carries more over from one to the next, "
    "and the difference must shrink; how much of it is left at full size is what the paper's authors measured and did not print. This table "
    "shows the mechanism alone."
)

# %% [markdown]
# ### 6.1 Many targets in one text
#
# A text gives one target. But both models take the mean over their tokens, so each says something of every token: the
# vector that the text would have if that token were all of it. Where two models cut words differently, tokens cannot be
# compared one by one. What can be compared are the stretches between two places where both of them end a token: mostly a
# word, sometimes a part of one. Over the tokens inside, each side takes its mean
# ([word matching](../docs/glossary.md#word-matching)). The bundled nano has its teacher's pieces (6.2 says why), so that
# here a stretch is nearly always one token.
#
# **Predict**: twenty words have twenty targets. Is the bundled nano nearer to its teacher in what it says of the words of
# a text, or in what it says of the whole text?

# %%
from egemma_lab.losses import word_means
from egemma_lab.model.shared_words import shared_words

turn = torch.from_numpy(
    turn_towards(by_teacher[half], by_nano[half])
).float()  # (384, 256), learnt on one half


def word_by_word(text):
    """What both say of the text's words: a row a word with the pieces of both sides and their cosine."""
    (mine,) = nano.tokenize_with_ends([text], nano.prompts["document"])
    (theirs,), said = teacher.encode_tokens([text])  # (U, 384)
    words, others, count = (torch.as_tensor(part) for part in shared_words(mine.ends, theirs.ends))
    ids = torch.from_numpy(mine.ids)[None]
    with torch.no_grad():
        states = nano.token_states(ids, torch.ones_like(ids))[0] @ nano.merged_dense().T  # (L, 256)
    both = (
        word_means(states, words, int(count)),
        word_means(said @ turn, others, int(count)),
    )  # (words, 256) each
    cosines = torch.nn.functional.cosine_similarity(*both).numpy()

    def pieces(ends, belongs_to, word):
        stops = ends[belongs_to.numpy() == word]
        starts = [max([0, *ends[(ends < stop) & (ends > 0)]]) for stop in stops]
        return " | ".join(text[start:stop].strip() for start, stop in zip(starts, stops))

    return pd.DataFrame(
        {
            "nano's pieces": [pieces(mine.ends, words, word) for word in range(count)],
            "teacher's pieces": [pieces(theirs.ends, others, word) for word in range(count)],
            "cosine": cosines,
        }
    )


word_by_word("Mitochondria supply the cell with energy.")

# %%
others = [text for text, known in zip(texts, half) if not known]  # measured on the other half
of_words = pd.concat([word_by_word(text) for text in others[:: sized(4, 20)]])["cosine"].mean()
of_texts = float(np.sum(by_nano[~half] * unit(by_teacher[~half] @ turn.numpy()), axis=1).mean())
say(
    f"Mean cosine to the teacher: **{of_words:.2f}** word by word, **{of_texts:.2f}** text by text. What a student gets wrong of "
    "single words is partly lost in the mean, so words are the harder target, and they tell it where it was wrong. "
    "`Recipe(words=1)` learns from both at the cost of the same forward pass. The recipe of the bundled nano does not use "
    "it: it matches texts alone, as the paper does. Matching hidden states token by token is TinyBERT's idea "
    "(arXiv:1909.10351)."
)

# %% [markdown]
# ### 6.2 What a student has no token for
#
# A student reads in tokens, and those are usually learnt from the text at hand. An earlier nano of this laboratory had a
# tokenizer learnt from its training texts, in which *Camptodactyly* was one token, while *phone*, *bike* and *lunch* came in
# pieces that mean nothing on their own. No loss shows that: on texts of the same sources all went well.
#
# So here are four tokenizers. One learns from the Python packages on this machine, one from the same text with the
# words of the teacher's vocabulary counted in (`words_as_texts`). The third has the teacher's own pieces, the first of
# them, as many as the others have tokens (`teacher.student_tokenizer`); the fourth has all of them that the text can
# need (the bundled nano lies between the two: the first 24,800). Each gives a student that begins warm: a row of its
# token table is what the teacher says of that token alone, and nothing is trained. (The teacher is turned as in section
# 5, by a PCA of docstrings, since its first columns alone are no good target.) The four take about a minute.
#
# **Predict**: into how many tokens does the first cut a word of our everyday texts, on average?

# %%
guess = lab.explore.predict(
    "Tokens to a word of everyday text, for a tokenizer learnt from Python packages (8,192 tokens)?", ...
)
guess

# %%
packages = lab.data.load_pairs("python-docs", limit=sized(8800, 500))
docstrings, unseen_docstrings = packages["anchor"][: sized(8000, 400)], packages["anchor"][sized(8000, 400) :]
docstrings_by_teacher = teacher.encode(docstrings, show_progress_bar=False)  # (8000, 384)
axes = pca_rotation(docstrings_by_teacher)

first = packages.select(range(sized(3000, 300)))
at_hand = [*first["anchor"], *first["positive"]]
counted_in = lab.model.words_as_texts(teacher.words, at_hand, share=1)
size = sized(8192, 1200)
tokenizers = {
    "text at hand": lab.model.train_tokenizer(at_hand, vocab_size=size),
    "with the teacher's words": lab.model.train_tokenizer(at_hand + counted_in, vocab_size=size),
    "the teacher's first pieces": teacher.student_tokenizer(at_hand, vocab_size=size),
    "all its pieces": teacher.student_tokenizer(at_hand, vocab_size=sized(None, 2400)),
}


def order_of(model):
    """Rank correlation of the model's cosines with the teacher's, over the pairs of everyday texts."""
    cosines = pair_cosines(model.encode_document(texts, show_progress_bar=False), pairs)
    return correlation(ranks(teacher_cosines), ranks(cosines))


rows, cut, warm = [], {}, {}
for name, tokenizer in tokenizers.items():
    warm[name] = lab.model.new_model("nano", tokenizer)
    lab.model.warm_start(warm[name], teacher.cut(teacher.width, axes))
    cut[name] = {
        word: " | ".join(tokenizer.tokenize(f" {word}")) for word in ("phone", "lunch", "kitchen", "garage")
    }
    tokens = sum(len(ids) - 2 for ids in tokenizer(texts).input_ids)  # without <bos> and <eos>
    rows.append(
        {
            "tokenizer": name,
            "tokens": len(tokenizer),
            "tokens to a word": tokens / sum(len(text.split()) for text in texts),
            "rank correlation with the teacher": order_of(warm[name]),
        }
    )
vocabularies = pd.DataFrame(rows).set_index("tokenizer")
Table(
    vocabularies.join(pd.DataFrame(cut).T),
    caption="Four students before their first step, on the everyday texts",
)

# %%
length, order = vocabularies["tokens to a word"], vocabularies["rank correlation with the teacher"]
guess.reveal(
    float(length.iloc[0]),
    f"With the teacher's words counted in it is {length.iloc[1]:.2f}, with as many of its pieces "
    f"{length.iloc[2]:.2f}, with all of them {length.iloc[3]:.2f}. The order of the pairs agrees with the teacher's at "
    + ", ".join(f"{value:.2f}" for value in order)
    + ". All four know little before training, and what one knows more than another comes from its tokens alone.",
)

# %% [markdown]
# A student that cuts words as its teacher does need not learn how the teacher spells a rare word. The price is a large table:
# the bundled nano spends most of its parameters on it, and its feed-forward layers are narrower for that. Nor is it to be
# had from every teacher: it must be a WordPiece, as MiniLM's is. Where it is not, counting in its words is the next best, and
# a trained model need not begin again for that. `lab.model.change_tokenizer` keeps the rows of tokens that both tokenizers
# have, and fits the others: on the words that both have, a linear map from what the teacher says of a word to the row that
# training gave it.
#
# ### 6.3 A model without layers
#
# The students of 6.2 have layers, but those begin near the identity and add next to nothing: a text's vector is the mean of
# its tokens' rows, turned by the Dense layers. So let us take the layers out. What is left is a
# [static model](../docs/glossary.md#static-model), and it can be trained as it is. A step costs one mean a text, a batch may
# have thousands of texts, and the row of a rare token gets its gradient undiluted. `lab.train.fit_token_table` does it by
# matching alone, as Tokenlearn of [model2vec](https://github.com/MinishLab/model2vec) does. Here all four are fitted to
# docstrings of this machine's packages, of which no text is everyday, and measured on everyday texts and on other docstrings.


# %%
def without_layers(model):
    """A copy that has no layers: the mean of its table's rows, turned."""
    bare = copy.deepcopy(model)
    bare.text_model.layers = torch.nn.ModuleList()
    return bare


unseen_by_teacher = teacher.encode(unseen_docstrings, show_progress_bar=False)
unseen_pairs = pairs_of(["document"] * len(unseen_docstrings))
unseen_ranks = ranks(pair_cosines(unseen_by_teacher, unseen_pairs))


def measured(model):
    """Its order of both kinds of text, held against the teacher's."""
    vectors = model.encode_document(unseen_docstrings, show_progress_bar=False)
    order = correlation(unseen_ranks, ranks(pair_cosines(vectors, unseen_pairs)))
    return {"everyday texts": order_of(model), "other docstrings": order}


unfitted = measured(without_layers(warm["all its pieces"]))
guess = lab.explore.predict(
    f"The fourth student, its layers taken out, has a rank correlation of {unfitted['everyday texts']:.2f} with the teacher "
    f"on everyday texts, the bundled nano {agreement:.2f}. What will it have after some seconds on {len(docstrings):,} "
    "docstrings?",
    ...,
)
guess

# %%
found = {}
for name, model in warm.items():
    static = without_layers(model)
    began = time.perf_counter()
    lab.train.fit_token_table(
        static,
        docstrings,
        unit(docstrings_by_teacher @ axes[:, : static.config.output_width]),
        steps=sized(100, 10),
        batch_size=sized(2048, 256),
        show_progress_bar=False,
    )
    fit_seconds = time.perf_counter() - began
    found[f"fitted: {name}"] = measured(static)
found["bundled nano, its layers taken out"] = measured(without_layers(nano))
found["bundled nano"] = measured(nano)
found = pd.DataFrame(found).T
Table(found, caption="Rank correlation with the teacher")

# %%
own, _, same_size, fitted, bare, full = (row for _, row in found.iterrows())
guess.reveal(
    float(fitted["everyday texts"]),
    f"{unfitted['everyday texts']:.2f} before and {fitted['everyday texts']:.2f} after {fit_seconds:.0f} seconds; on "
    f"docstrings that it has not seen {unfitted['other docstrings']:.2f} and {fitted['other docstrings']:.2f}. The bundled "
    f"nano has {full['everyday texts']:.2f} and {full['other docstrings']:.2f}. Of two tables of one size, one with tokens of "
    f"the text at hand and one with the teacher's, the docstrings tell little ({own['other docstrings']:.2f} and "
    f"{same_size['other docstrings']:.2f}); the everyday texts tell them apart ({own['everyday texts']:.2f} and "
    f"{same_size['everyday texts']:.2f}).",
)

# %% [markdown]
# What a table has not read of it cannot know, and of many everyday words no docstring tells. The bundled nano began in this
# very way, on far more texts, of eight kinds (section `start` of
# [experiments/nano/recipe.yaml](../experiments/nano/recipe.yaml)), and only then were its layers trained. An earlier nano, with
# tokens of its own, was trained through its layers for hours and ordered the everyday texts less well than such a table on
# the teacher's pieces does after a minute ([the numbers](../docs/nano.md)): a rare token's
# row hardly learns in batches of 64.
#
# What are layers for, then? For order and context: a mean does not know in which order the words came, and its row of *bank*
# is the same beside *river* and beside *money*. Order is easily tested. Turn the words of each text round, the last one
# first, and see how far its vector moves:

# %%
backwards = [" ".join(reversed(text.split())) for text in texts]
readers = {
    "teacher": teacher.encode,
    "the fitted table": static.encode_document,
    "bundled nano": nano.encode_document,
}
stayed = {
    name: np.sum(encode(texts, show_progress_bar=False) * encode(backwards, show_progress_bar=False), axis=1)
    for name, encode in readers.items()
}
say(
    "Mean cosine between a text and the same words backwards: "
    + ", ".join(f"{name} **{cosines.mean():.3f}**" for name, cosines in stayed.items())
    + ". How far a text moves in the nano's space correlates with how far it moves in the teacher's at "
    f"{np.corrcoef(stayed['teacher'], stayed['bundled nano'])[0, 1]:.2f}. And taking all layers out changes the nano's rank "
    f"correlation by {bare['everyday texts'] - full['everyday texts']:+.2f} on everyday texts and by "
    f"{bare['other docstrings'] - full['other docstrings']:+.2f} on docstrings."
)

# %% [markdown]
# At a cosine of 1.000 a model knows nothing of order. The bundled nano's layers have learnt little of it, beside a
# teacher that has. Nor does the drop without them say what they add, since the table was trained on with the layers above it.
# The fair comparison is with the table before any layer learnt: on the everyday texts, behind the STS prompt, it stood at
# 0.715, after 10,000 steps of matching at 0.743, after 30,000 at 0.779, and after the stages with pairs, which trade some of
# that for searches, at 0.766 ([the numbers](../docs/nano.md)). So this small model is mostly a table still, and it does
# well enough on such texts because which of them are about the same thing is mostly said by their words. Who bit whom a table
# cannot tell, and the nano can hardly.

# %% [markdown]
# ## 7. Asymmetric search
#
# Here is what matching alone makes possible: [asymmetric search](../docs/glossary.md#asymmetric-search). If a student's
# vectors lie where its teacher's lie, the two can be mixed: documents encoded once by the large model, overnight, and
# questions by the small one, at the moment they are asked. LEAF reports 54.8 on BEIR for that and 53.9 for the student
# alone; its teacher has 56.1.
#
# The two need one space. The nano was matched to a turned and cut teacher, and the turn did not come with it; but it can
# be learnt again, from documents that both have read (orthogonal Procrustes: the turn after which the teacher's vectors
# lie nearest to the student's). We learn it on one half of the texts. The questions take no part in it. All texts are
# searched, twice as many as in section 5, so every number is lower than there.

# %%
question_by_nano = nano.encode_query(asked)
turn = turn_towards(by_teacher[half], by_nano[half])  # (384, 256)

student_all = np.concatenate([question_by_nano, by_nano])  # questions first, then documents
teacher_all = np.concatenate([question_by_teacher, by_teacher])
targets_all = unit(teacher_all @ turn)
row_of = {name: len(asked) + row for row, name in enumerate(corpus["id"])}
relevant = [{row_of[name] for name in wanted if name in row_of} for wanted in questions["relevant"]]
who = search_table(
    student_all,
    targets_all,
    teacher_all,
    queries=list(range(len(asked))),
    documents=list(range(len(asked), len(student_all))),
    relevant=relevant,
)
Table(
    who,
    caption=f"{len(asked)} questions, {len(texts)} documents; ± is half a 95% interval over the questions",
)


# %%
def milliseconds_a_question(encode):
    """Median time for one question alone, as a search service would see it."""
    times = []
    for question in asked[: sized(40, 10)]:
        began = time.perf_counter()
        encode([question])
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times))


at = who.set_index(["queries by", "documents by"])["recall@10"]
both, mixed, whole = at["student", "student"], at["student", "teacher"], at["teacher", "teacher"]
documents_of = [{row - len(asked) for row in wanted} for wanted in relevant]
each = [recall(question_by_nano, index, documents_of, 10) for index in (by_nano, targets_all[len(asked) :])]
gained = (each[1] - each[0])[~np.isnan(each[0])]  # the same questions, so their differences are what counts
width = 1.96 * gained.std(ddof=1) / len(gained) ** 0.5
say(
    f"The student alone finds **{both:.0%}** of the relevant documents among its first ten, with the teacher's index **{mixed:.0%}**, the "
    f"teacher alone **{whole:.0%}**. The difference of the first two, question by question, is {100 * gained.mean():+.0f} ± "
    f"{100 * width:.0f} points, "
    + ("more than chance" if abs(gained.mean()) > width else "which forty questions cannot tell from none")
    + f". A question takes the teacher {milliseconds_a_question(lambda q: teacher.encode(q, 'query')):.0f} ms on this machine, the "
    f"student {milliseconds_a_question(nano.encode_query):.0f} ms."
)

# %% [markdown]
# A third advantage is easily overlooked:
#
# ### Exercise 6: whose index is it?

# %%
whose = lab.explore.exercise("distillation/which_index_again")
whose

# %%
whose.check(...)

# %% [markdown]
# ## 8. What comes along with it
#
# ### 8.1 The same mistakes
#
# Whom does a student resemble where its teacher is wrong? A test with many items: is the nearest other text of the same
# topic? Where both err, that may be because the text is difficult. So a third searcher takes part, which never had a
# teacher: it compares words (TF-IDF). What it shares with the teacher is difficulty; what the student shares beyond that
# is inheritance.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer

words = TfidfVectorizer(sublinear_tf=True).fit_transform(texts).toarray()  # unit rows
spaces = {"teacher": by_teacher, "student": by_nano, "words alone": words}
answer, wrong = {}, {}
for name, vectors in spaces.items():
    similar = vectors @ vectors.T - 2 * np.eye(len(vectors))
    answer[name] = similar.argmax(axis=1)
    wrong[name] = topics[answer[name]] != topics
both_wrong = {name: wrong["teacher"] & wrong[name] for name in ("student", "words alone")}
inherited = pd.DataFrame(
    {
        name: {
            "errs, of all texts": wrong[name].mean(),
            "errs where the teacher is right": wrong[name][~wrong["teacher"]].mean(),
            "errs where the teacher errs": wrong[name][wrong["teacher"]].mean(),
            "then takes the very text that the teacher took": (answer[name] == answer["teacher"])[
                shared
            ].mean(),
        }
        for name, shared in both_wrong.items()
    }
).T
Table(
    inherited,
    caption=f"The teacher errs on {wrong['teacher'].mean():.0%} of {len(texts)} texts, {wrong['teacher'].sum()} in all",
)

# %%
right, err = inherited["errs where the teacher is right"], inherited["errs where the teacher errs"]
odds = (err / (1 - err)) / (
    right / (1 - right)
)  # odds, since rates of searchers that err often cannot grow as far
same = inherited["then takes the very text that the teacher took"]
say(
    f"Where the teacher errs, the odds that the student errs are **{odds['student']:.1f} times** those elsewhere; for word search, which can "
    f"share only the difficulty, {odds['words alone']:.1f} times. And where both err, the student takes the same wrong text in "
    f"**{same['student']:.0%}** of the cases, word search in {same['words alone']:.0%}."
)

# %% [markdown]
# ### 8.2 The same prejudices
#
# Language models have read who is said to do which work. Does a student learn that too, from a teacher, *even if its own
# training texts say nothing of the kind*? A controlled test, in the manner of the word-embedding association test
# ([arXiv:1608.07187](https://arxiv.org/abs/1608.07187)): sentences about 32 occupations, and the same sentences about
# women and men. No sentence has both, and every subject occurs in all sentences alike, so nothing in these texts ties an
# occupation to one sex.
#
# The **lean** of an occupation: its mean cosine with the sentences about women less that with the same sentences about
# men. It is measured in sentences that were not trained on. Three students are compared: the nano; a micro model that is
# matched to the teacher on these neutral sentences; and one of the same shape trained on the same sentences *without* a
# teacher (two sentences with the same subject are a pair, contrastive and spread-out loss).

# %%
work_said = (
    "nurse secretary librarian hairdresser receptionist florist midwife nanny dancer cleaner cashier therapist designer "
    "writer baker tailor carpenter plumber engineer mechanic pilot surgeon farmer electrician firefighter programmer butcher "
    "soldier lawyer driver professor judge"
)
occupations = work_said.split()
women = ["The woman", "The girl", "My sister", "My mother", "My aunt", "My grandmother", "The lady"]
men = ["The man", "The boy", "My brother", "My father", "My uncle", "My grandfather", "The gentleman"]
subjects = [f"The {occupation}" for occupation in occupations] + women + men
doings = (
    "opened the door|arrived late|had lunch at noon|read the letter|lives in the next street|was tired in the evening|"
    "bought a new coat|answered the phone|likes old music|waited for the bus"
)
learnt_from = doings.split("|")[: sized(10, 4)]
other_doings = "closed the window|went for a walk|missed the train|wrote a short note"
measured_in = other_doings.split("|")[: sized(4, 2)]


def said(what):
    """Every subject doing this, in the order of `subjects`."""
    return [f"{subject} {what}." for subject in subjects]


def leans(encode):
    """(32,) lean of each occupation, the mean over the sentences measured in; above 0: nearer to the women."""
    values = []
    for what in measured_in:
        work, female, male = np.split(encode(said(what)), [len(occupations), len(occupations) + len(women)])
        values.append((work @ female.T).mean(axis=1) - (work @ male.T).mean(axis=1))
    return np.mean(values, axis=0)


neutral = [
    {"anchor": one, "positive": other}
    for i, what in enumerate(learnt_from)
    for one, other in zip(said(what), said(learnt_from[(i + 1) % len(learnt_from)]))
]
alone = {"contrastive": 1, "spread_out": 1, "matching": 0}
with_teacher = taught("bias_matched", neutral, steps=sized(120, 4)).model
without_teacher = taught("bias_alone", neutral, steps=sized(120, 4), weights=alone).model
lean = {
    "teacher": leans(teacher.encode),
    "nano": leans(nano.encode_document),
    "micro, matched to the teacher": leans(with_teacher.encode_document),
    "micro, without a teacher": leans(without_teacher.encode_document),
}
order = np.argsort(lean["teacher"])
say(
    f"In {len(neutral)} neutral sentences no occupation stands beside a woman or a man. The teacher's lean is farthest towards the women for "
    f"*{', '.join(occupations[i] for i in order[::-1][:5])}*, farthest towards the men for *{', '.join(occupations[i] for i in order[:5])}*."
)

# %%
guess = lab.explore.predict(
    "How will the leans of the model matched on neutral sentences correlate with the teacher's over the 32 occupations, and "
    "those of the model without a teacher?",
    ...,
)
guess


# %%
def interval(r, n):
    """95% interval of a correlation over n items (Fisher's transformation)."""
    z, half_width = np.arctanh(r), 1.96 / np.sqrt(n - 3)
    return np.tanh(z - half_width), np.tanh(z + half_width)


from plotly.subplots import make_subplots

learners = list(lean)[1:]
found = {name: np.corrcoef(lean["teacher"], lean[name])[0, 1] for name in learners}
figure = make_subplots(
    1, 3, horizontal_spacing=0.09, subplot_titles=[f"{name}<br>r = {found[name]:.2f}" for name in learners]
)
for column, (name, colour, symbol) in enumerate(zip(learners, COLOURS, SYMBOLS), start=1):
    figure.add_scatter(
        x=lean["teacher"],
        y=lean[name],
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 8},
        text=occupations,
        hovertemplate="%{text}: teacher %{x:.3f}, student %{y:.3f}<extra></extra>",
        showlegend=False,
        row=1,
        col=column,
    )
figure.update_annotations(font_size=13)
figure.update_xaxes(title={"text": "teacher's lean", "font": {"size": 12}}, zeroline=True)
figure.update_yaxes(zeroline=True)
figure.update_yaxes(title_text="student's lean", col=1)
styled(
    figure,
    "Who inherits the teacher's associations?",
    "32 occupations; above 0: nearer to women, below: to men",
    height=430,
)
figure.update_layout(margin={"t": 120})
show(
    figure,
    "Three scatter plots of 32 occupations, the student's lean over the teacher's. "
    + "; ".join(f"{name}: correlation {found[name]:.2f}" for name in learners)
    + ".",
)

# %%
ranges = {name: interval(r, len(occupations)) for name, r in found.items()}
guess.reveal(
    f"{found[learners[1]]:.2f} and {found[learners[2]]:.2f}",
    "With 95% intervals over the occupations: "
    + "; ".join(f"{name} {found[name]:.2f} ({low:.2f} to {high:.2f})" for name, (low, high) in ranges.items())
    + ". The sentences of the matched model are as neutral as those of the other. What it knows of occupations and sexes it can only have "
    "from the targets: a vector says where a text lies among all others, the associations included.",
)

# %% [markdown]
# Cleaning the student's texts therefore does not clean the student. What would help has to be done to the targets, or
# after the matching; and it has to be measured, for the loss does not show it. These are 32 words and one kind of
# sentence in English: enough to show the way it takes, not to judge a model.
#
# ### 8.3 The same blind spots
#
# Where a teacher has two texts in the wrong order, its targets have them so too. Here is a sentence, the same said
# otherwise, and its negation:

# %%
threes = [
    ("The shop is open on Sundays.", "You can buy there on Sundays.", "The shop is not open on Sundays."),
    ("He passed the exam.", "He was successful in the test.", "He did not pass the exam."),
    (
        "The medicine is safe for children.",
        "Children can take this drug without danger.",
        "The medicine is not safe for children.",
    ),
    ("She likes her new job.", "Her new work pleases her.", "She does not like her new job."),
    (
        "The bridge was finished in time.",
        "The bridge was ready when it was due.",
        "The bridge was not finished in time.",
    ),
    ("They agreed with the plan.", "The plan had their consent.", "They did not agree with the plan."),
    ("The soup is hot.", "The broth has just come off the stove.", "The soup is not hot."),
    ("I have seen this film.", "I know that movie already.", "I have not seen this film."),
]
rows = []
for name, encode in (("teacher", teacher.encode), ("student", nano.encode)):
    statement, again, negated = (encode([three[i] for three in threes]) for i in range(3))
    paraphrase, negation = np.sum(statement * again, axis=1), np.sum(statement * negated, axis=1)
    rows.append((name, paraphrase.mean(), negation.mean(), (negation > paraphrase).mean()))
blind = pd.DataFrame(
    rows, columns=["model", "cosine, said otherwise", "cosine, negated", "negation is nearer"]
).set_index("model")
Table(blind)

# %%
say(
    f"To the teacher the opposite is nearer than the paraphrase in {blind.loc['teacher', 'negation is nearer']:.0%} of {len(threes)} cases, to the "
    f"student in {blind.loc['student', 'negation is nearer']:.0%}. That the student is no better here cannot surprise: it was asked for this very "
    f"order. And a statement and its negation, at a cosine of {blind.loc['teacher', 'cosine, negated']:.2f} in the teacher, have "
    f"{blind.loc['student', 'cosine, negated']:.2f} in the student: "
    + (
        "it blurs even what the targets keep apart. "
        if blind.loc["student", "cosine, negated"] > blind.loc["teacher", "cosine, negated"]
        else "it keeps them as far apart as it was told. "
    )
    + "(Eight examples, chosen to show it.)"
)

# %% [markdown]
# ### 8.4 The ceiling, and a tug of war
#
# Matching alone has its optimum *at* the teacher. What the teacher does not know must come from the pairs, through the
# contrastive loss, and then the two pull in different directions. How strong must each be? To see the losses without the
# limits of a model, give every text a free vector of its own that begins at its teacher's, and let it move. The task
# contradicts the teacher: each of 64 questions has for its answer a text drawn at random, nearly always of another
# topic.

# %%
from egemma_lab.losses import contrastive_loss

rng = np.random.default_rng(0)
chosen = rng.permutation(len(texts))[:128]
n_steps = sized(200, 60)
ask, reply = (torch.tensor(by_teacher[rows]) for rows in np.split(chosen, 2))  # (64, 384) each


def tug_of_war(weight):
    """Free vectors under contrastive loss plus `weight` times matching: (right answers found, distance to the teacher)."""
    student = torch.nn.Parameter(torch.cat([ask, reply]).clone())  # (128, 384)
    optimiser = torch.optim.Adam([student], lr=0.01)
    for _ in range(n_steps):
        q, p = torch.nn.functional.normalize(student, dim=1).split(len(ask))
        loss = contrastive_loss(q, p) + weight * (
            embedding_matching_loss(q, ask) + embedding_matching_loss(p, reply)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    q, p = torch.nn.functional.normalize(student.detach(), dim=1).split(len(ask))
    right = (q @ p.T).argmax(dim=1) == torch.arange(len(ask))
    return float(right.float().mean()), float((torch.cat([q - ask, p - reply])).norm(dim=1).mean())


strengths = [0.5, 1, 2, 5, 10, 20, 50]
outcome = {weight: tug_of_war(weight) for weight in [0, *strengths]}
show(
    lines(
        strengths,
        {
            "right answers found (share)": [outcome[weight][0] for weight in strengths],
            "distance to the teacher": [outcome[weight][1] for weight in strengths],
        },
        "Two losses that disagree",
        subtitle="free vectors, a task that the teacher cannot solve; contrastive loss has weight 1",
        x_title="weight of the matching loss (log scale)",
        y_title="share, distance",
        log_x=True,
    ),
    "Two curves over the weight of the matching loss: the share of right answers stays high at small weights and then drops; the distance to the teacher falls throughout.",
)
say(
    f"Without matching the vectors move {outcome[0][1]:.2f} away from the teacher and find {outcome[0][0]:.0%} of the answers. With weight 1: "
    f"{outcome[1][1]:.2f} and {outcome[1][0]:.0%}; with {strengths[-1]}: {outcome[strengths[-1]][1]:.2f} and {outcome[strengths[-1]][0]:.0%}, which is what "
    "the teacher knows."
)

# %% [markdown]
# The distance is a compromise: the heavier the matching, the nearer to the teacher the vectors come to rest, since the
# pull of the contrastive loss fades as answers become right, until the two are equal. The answers have a threshold:
# they are all right until the matching holds the vectors too near. The contrastive loss divides cosines by a
# temperature of 0.05, so its pull on a vector can be twenty times that of a plain distance; equal weights are not equal
# strength. The paper prints no weights; jina-embeddings-v5 ([arXiv:2602.15547](https://arxiv.org/abs/2602.15547)), with
# the same three losses, gives matching twice the weight of the others, the recipe of the bundled nano several times the
# weight of the contrastive loss. Where the pairs are better than the teacher that holds the student back; where they
# are few and noisy it is what saves it.

# %% [markdown]
# ## 9. Student and teacher, over an hour of training
#
# An earlier nano, with tokens of its own and no fitted table, kept the vectors of 500 texts at many moments of its first
# hour. (The film of the present one would be dull: after the fit of section 6.3 its texts have found their places.) Beside
# them the teacher's: left the cosines of all pairs, right how their order and the distances came together. Move the slider,
# or let it play.

# %%
together = lab.explore.teacher_student()
together

# %% [markdown]
# Without a kernel you see the last moment on the left and all of them on the right. The step there, after moment 26, is
# where the stage begins in which the student reads [prompts](../docs/glossary.md#prompt): the 500 texts stood behind
# prompts all along, and until then it had not been trained with any. (The present nano meets them in that fit, before its
# first step.)
#
# Three things to find: what the prompts do to queries and what to documents; which kind of pair the student orders
# worst; and whether, in the table below the picture, the asymmetric search beats the symmetric one at every moment. The
# explorer also takes a run of your own: `lab.explore.teacher_student(run)`, if the run kept snapshots
# (`Recipe(snapshot_every=10)`; those of section 6 kept none, to be quick).
#
# ## 10. What the papers found, and what we found

# %%
beside = pd.DataFrame(
    [
        (
            "matching hard negatives too",
            "a clear gain, no number (EmbeddingGemma)",
            f"texts that are hard negatives only lie {two['hard negatives']:.2f} from their targets, matched {three['hard negatives']:.2f}",
        ),
        (
            "matching questions alone, or documents as well",
            "46.7, or 60.7 (LEAF, NanoMSMARCO)",
            f"documents lie {one['positives']:.2f} from their targets, or {two['positives']:.2f}",
        ),
        (
            "a student that learns by matching",
            "53.9 on BEIR, its teacher 56.1 (LEAF, 23 M parameters)",
            f"recall@10 {both:.2f}, its teacher {whole:.2f} (the nano, {sum(p.numel() for p in nano.parameters()) / 1e6:.1f} M)",
        ),
        (
            "asymmetric search instead of the student alone",
            "+0.9 (LEAF, BEIR); +1.7 (EmbedDistill, MRR@10 of MS MARCO)",
            f"{100 * (mixed - both):+.0f} points of recall@10, ± {100 * width:.0f}",
        ),
    ],
    columns=["what", "published, in points of 100", "here"],
)
Table(
    beside.set_index("what"),
    caption="Other data, other sizes: the directions may be compared, not the numbers. LEAF: arXiv:2509.12539; EmbedDistill: "
    "arXiv:2301.12005",
)

# %% [markdown]
# ## Summary
#
# - Matching compares a vector with its own target and with nothing else: small batches do, single texts do, no label is
#   needed.
# - The plain norm does not let go near the target; squared norm and cosine let go on arrival.
# - A teacher is asked once a text; its answers are kept. A wider one is cut and brought back to length 1; a turn onto the
#   principal axes before the cut kept far more of this teacher at every width.
# - What is matched is learnt; what is only a negative stays behind, unless it is matched too.
# - Two models that pool by the mean can be matched word by word as well: many targets from the same forward pass.
# - A word that the tokenizer cuts into pieces is hard to learn, and no loss on the training texts says so: look at how it
#   cuts the texts of the use you have in mind. A student may take over its teacher's pieces.
# - A table without layers, fitted in seconds, already orders texts by what they are about, where it has read of it. What
#   layers are for, order and context, has to be measured on something that asks for it.
# - A shared space makes searches possible in which the large model indexes and the small one answers.
# - The student inherits mistakes, prejudices and blind spots, also from texts that show none of them. It is measured, or
#   it is not known.
#
# ## Where next
#
# - [00_start_here](00_start_here.ipynb) trains a student with all three losses; set `weights={"matching": 0}` there and
#   see what a teacher is worth in two minutes.
# - [05_spread_out](05_spread_out.ipynb) takes up the evenness of a space, and what storage makes of it.
# - The package's experiments `distillation` and `teacher-data` ask the questions of section 6 with more texts and seeds:
#   `egemma-lab experiment distillation`.

# %%
clock.report()
