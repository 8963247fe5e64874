# %% [markdown]
# # Start here: search your own Python by meaning
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/00_start_here.ipynb)
#
# Ask a question in plain English, get back the function that answers it, out of the Python packages installed on this
# machine. The model behind it is one that you train yourself, here, in two minutes.
#
# **Afterwards you will be able to**
#
# - say what pairs an embedding model learns from, and what each of its three loss terms wants;
# - watch the terms fall while the model trains, and say what their first values mean before anything was learnt;
# - judge a search fairly: beside a model with random weights, a larger teacher, and plain keyword search, on packages
#   that your model never saw.
#
# | | |
# |---|---|
# | Time | about 5 minutes on two CPU cores, two of them training; about 4 on a T4 or an H200 (estimated) |
# | Memory | about 4 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took. Your packages are not mine, so your numbers will differ from those shown
# here. That is meant: every sentence that speaks of a result is computed where it stands.

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
import warnings

import numpy as np
import pandas as pd
import torch

import egemma_lab as lab
from egemma_lab.explore import Table, say, show
from egemma_lab.settings import sized

clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Your Python is the data
#
# Every documented function is a small lesson: the first sentence of its docstring says in English what its code does. So
# each function gives a pair. The [**anchor**](../docs/glossary.md#anchor) is that sentence; the **positive** is the code
# with the docstring taken out. An embedding model learns from such pairs alone: what belongs together, and, by
# comparison, what does not.
#
# Nothing is imported or run; the files are only read. The first time this takes a minute, afterwards a second.

# %%
pairs = lab.data.load_pairs("python-docs", columns={"negative": None}, limit=sized(3000, 96))
say(f"**{len(pairs):,} pairs** from {len(set(pairs['package']))} packages installed here. Two short ones:")
short = [row for row in pairs if len(row["anchor"]) < 70 and 100 < len(row["positive"]) < 300]
for row in short[:2]:
    print(f"anchor: {row['anchor']}\npositive, from {row['package']}:\n\n{row['positive']}\n\n{'-' * 60}")

# %% [markdown]
# Some packages are kept apart. No line of them is seen in training, so whatever is found in them is found by meaning and
# not by memory. They are what we search.

# %%
held_out = lab.data.load_pairs("python-docs", split="test", limit=sized(1500, 96))
functions, packages = held_out["positive"][:], held_out["package"][:]
largest = pd.Series(packages).value_counts().head(8)
assert not set(packages) & set(pairs["package"])
say(
    f"**{len(functions):,} functions** of {len(set(packages))} other packages. Most come from "
    + ", ".join(f"`{name}` ({count})" for name, count in largest.items())
    + "."
)

# %% [markdown]
# ## 2. Result first: what a trained model can do
#
# An [embedding](../docs/glossary.md#embedding) model turns a text into a **vector**, a list of numbers, here always of
# length 1. Texts that mean similar things should get vectors that point in similar directions. Searching is then one
# multiplication: the dot product of two vectors of length 1 is the [cosine](../docs/glossary.md#cosine) of the angle
# between them, 1 for the same direction, 0 for unrelated ones.
#
# Here is a model that others trained on a billion pairs, all-MiniLM-L6-v2. It will be our
# [**teacher**](../docs/glossary.md#student-teacher). It sees the code
# alone, without docstrings; the docstring's first sentence stands beside each find, so that you can judge it.

# %%
teacher = lab.load_teacher(max_seq_length=64)  # a function's first 64 tokens tell most of what it does
teacher_vectors = teacher.encode(functions)  # (n, 384)


def found(question, question_vector, function_vectors, k=5):
    """The k functions whose vectors point most nearly in the question's direction."""
    cosines = function_vectors @ question_vector  # (n, d) @ (d,) -> (n,)
    rows = [
        (cosines[i], f"{packages[i]}: {held_out[int(i)]['name']}", held_out[int(i)]["anchor"])
        for i in np.argsort(-cosines)[:k]
    ]
    return Table(pd.DataFrame(rows, columns=["cosine", "function", "what its docstring says"]), question)


def ask_teacher(question):
    """Search with the teacher."""
    return found(question, teacher.encode([question], role="query")[0], teacher_vectors)


ask_teacher("How do I draw a circle?")

# %% [markdown]
# Put a question of your own in place of this one. Short, concrete questions work best, and what is found depends on what
# is installed.

# %%
ask_teacher("What is the middle value of a list of numbers?")

# %% [markdown]
# ## 3. What training asks of a model
#
# The recipe is that of EmbeddingGemma ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)). It adds up three terms:
#
# - **contrastive**: training takes pairs in *batches*, say 64 at a time. Among all functions of a batch, each sentence
#   must find its own. It is a multiple-choice exam, and the term is the surprise at the right answer: minus the natural
#   logarithm of its probability (*cross-entropy*; the unit is the *nat*).
# - **spread-out**: different texts should not crowd together. The term is the mean squared cosine between them.
# - **embedding matching**: a vector should lie near the one that the teacher gives to the same text. The term is the
#   distance between the two.
#
# All symbols of the course stand in one table, the [notation](../docs/notation.md).
#
# The contrastive term is small enough to check by hand. Probabilities come from the cosines: e to the power of each,
# divided by their sum (the *softmax*). Two sentences, two functions, vectors of two numbers: each sentence points exactly
# at its own function and stands at a right angle to the other.

# %%
from egemma_lab.losses import contrastive_loss

sentences = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # (2, 2)
codes = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # (2, 2)
measured = contrastive_loss(sentences, codes, temperature=1.0)
# one right answer with cosine 1, one wrong answer with cosine 0: minus the log of e¹ / (e¹ + e⁰)
by_hand = -np.log(np.e / (np.e + 1))
say(f"`contrastive_loss` says {measured:.6f}; by hand it is {by_hand:.6f}.")

# %% [markdown]
# A temperature of 1 is lenient. The recipe first divides every cosine by a small temperature, and the same answer becomes
# far more certain:

# %%
losses = [(t, float(contrastive_loss(sentences, codes, temperature=t))) for t in (1.0, 0.2, 0.05)]
Table(pd.DataFrame(losses, columns=["temperature", "contrastive loss"]), digits=6)

# %% [markdown]
# ### Exercise 1: the surprise of a model that knows nothing

# %%
surprise = lab.explore.exercise("start_here/surprise_of_knowing_nothing")
surprise

# %%
surprise.check(...)

# %% [markdown]
# ### Exercise 2: a harder exam
#
# Later notebooks give each pair a third text, a [**hard negative**](../docs/glossary.md#hard-negative): a function that
# looks similar and does something else.

# %%
harder = lab.explore.exercise("start_here/size_of_the_exam")
harder

# %%
harder.check(...)

# %% [markdown]
# ## 4. A prediction
#
# Before you train: how far do two minutes go? Write your guess in place of the three dots.

# %%
n_questions = sized(150, 20)
n_candidates = 5 * n_questions
guess = lab.explore.predict(
    f"Your model will get {n_questions} docstring sentences of packages it never saw, and look for the function of each among "
    f"{n_candidates} candidates. For what share of the questions, in percent, will it be among the first ten found? "
    f"(Blind chance: {1000 / n_candidates:.1f} %.)",
    ...,
    unit="%",
)
guess

# %% [markdown]
# ## 5. Train
#
# The teacher reads each training text once. Its vectors are kept on disk, so a second run finds them there.

# %%
narrow = teacher.cut(256)  # the student is narrower: the teacher's first 256 numbers are kept
cache = lab.data.TeacherCache(narrow)
for column, role in (("anchor", "query"), ("positive", "document")):
    cache.fill(pairs[column], role, show_progress_bar=False)
cache.flush()
say(
    f"{len(cache):,} vectors of this teacher are on disk; {cache.stats.computed:,} of them were computed just now, in "
    f"{cache.stats.seconds:.0f} s."
)

# %% [markdown]
# Now the student, preset `nano`: EmbeddingGemma's architecture on a small scale. Its tokenizer, which cuts a text into
# word pieces, is made from your pairs. Its layers start as noise. Its dictionary, one vector for each piece, does not
# ([`warm_start`](../docs/glossary.md#warm-start)): each word piece begins as what the teacher says of that piece alone;
# the progress bar is the teacher reading the pieces. From noise only, two minutes lead much less far; exercise 4 lets you
# see how far.
#
# The picture redraws itself while the model learns. Black is a whole term; the coloured lines are its parts: the
# contrastive and spread-out terms for each **width** (the model is trained to be useful even when only the first numbers
# of each vector are kept), the matching term for each kind of text (*query*: the sentences, *positive*: the code).

# %%
recipe = lab.Recipe(
    minutes=sized(2, 0.1),
    batch_size=sized(64, 8),
    max_tokens=64,  # of a function, as much as the teacher reads
    warm_start=True,
    seed=0,
)
run = lab.train(
    "nano",
    pairs,
    teacher=teacher,
    recipe=recipe,
    output="runs/00_start_here",
    resume=False,  # running this cell again begins anew; the earlier run is moved aside
    callbacks=[lab.explore.LivePlot()],
    show_progress_bar=False,
)

# %% [markdown]
# ### Read the curves
#
# The same history once more, to point at: a line shows its values, a click on a width in the legend hides it everywhere.
#
# If the contrastive term suddenly falls by a step, the second pass over the pairs has begun: with 3,000 pairs, 64 a
# batch, that is after about 47 steps. From there on the model sits an exam whose answers it has seen. (A slower machine
# does not get that far in two minutes; then there is no step.) What it has really learnt, only texts that it has not
# seen can tell (section 7).
#
# The table below sets the first and the last values beside values that can be known without any training. The spread-out
# term is a sum of eight parts, two sides (sentences, code) times four widths: each part is 1 where all texts have one
# direction, and 1 / width where directions are random ([01](01_embeddings_and_their_geometry.ipynb) shows why). The
# matching term is a sum over the two sides, and unrelated vectors of length 1 lie √2 apart.

# %%
history = run.history
first, last = history.iloc[0], history.tail(10).mean(numeric_only=True)
show(
    lab.explore.loss_curves(history, smooth=3),
    f"Four panels over {len(history)} steps. The contrastive term goes from {first['contrastive']:.1f} to "
    f"{last['contrastive']:.1f}, the spread-out term from {first['spread_out']:.2f} to {last['spread_out']:.2f}, the "
    f"distance to the teacher from {first['matching']:.2f} to {last['matching']:.2f}.",
)

# %%
widths = [int(name.split("/")[1]) for name in history if name.startswith("contrastive/")]
sides = [name for name in history if name.startswith("matching/")]
choices = recipe.batch_size
compare = [  # term, value to compare with, when a model has it
    (f"contrastive/{widths[0]}", np.log(choices), "all cosines are equal"),
    ("spread_out", 2 * len(widths), "all texts have one direction"),
    ("spread_out", sum(2 / width for width in widths), "directions are random"),
    ("matching", len(sides) * 2**0.5, "unrelated to the teacher"),
    ("matching", 0.0, "the teacher's own vectors"),
]
rows = [(name, first[name], last[name], value, when) for name, value, when in compare]
right = np.exp(-last[f"contrastive/{widths[0]}"])
say(
    f"**{len(history)} steps**, {history['tokens'].sum():,.0f} tokens. At the end the right function, among {choices}, got a "
    f"typical probability of **{right:.0%}**; knowing nothing is {1 / choices:.1%}."
)
Table(pd.DataFrame(rows, columns=["term", "first step", "last ten", "compare with", "which is the value if"]))

# %% [markdown]
# ## 6. Ask your own model
#
# The two questions of section 2 again, and a third. Compare with what the teacher found, and expect the right
# neighbourhood more often than the right door, and now and then neither, the more often the fewer steps fitted into two
# minutes.

# %%
student = run.model
student.max_seq_length = 128  # twice what it was trained on; more would only cost time
warnings.filterwarnings("ignore", message=".*longer than 128 tokens")  # meant, see the line above
student_vectors = student.encode_document(functions)  # (n, 256)


def ask(question):
    """Search with the student."""
    return found(question, student.encode_query([question])[0], student_vectors)


ask("How do I draw a circle?")

# %%
ask("What is the middle value of a list of numbers?")

# %%
ask("Write a message to a log file")

# %% [markdown]
# ## 7. How good is it, really?
#
# A few good finds prove nothing, and a few bad ones neither. So here is the test announced above, the same for all:
#
# - [**BM25**](../docs/glossary.md#bm25) compares words and knows nothing of meaning. It is the floor that an embedding
#   model should be held to, and a high one here: sentences and code share many words.
# - the **untrained** student has the same architecture and tokenizer, with random weights everywhere. That is not quite
#   blind chance: the same word piece gets the same random vector, so shared words count a little;
# - **before step 1** is the student with its dictionary from the teacher, before it learnt anything;
# - the **student** is yours;
# - the **teacher** is larger, and learnt from a billion pairs.
#
# *Recall@10* is the share of questions whose function is among the first ten found. *MRR@10* takes 1 for a first place,
# 1/2 for a second, 1/3 for a third, 0 beyond the tenth, and averages. *nDCG@10* is the same idea with a gentler discount:
# 1 / log₂(place + 1), so 1, 0.63, 0.5 and so on.

# %%
begin = run.start
begin.max_seq_length, begin.name = 128, "before step 1"
student.name = "student"
scores = lab.evaluate(
    student, baselines=["untrained", begin, "bm25", teacher], limit=n_questions, show_progress_bar=False
)
scores["model"] = scores["model"].replace(
    {"student untrained": "untrained", teacher.name: "teacher", "bm25": "BM25"}
)
order = ["untrained", "before step 1", "student", "BM25", "teacher"]
table = scores.pivot_table(index="model", columns="metric", values="value").loc[order]
Table(table[["recall@1", "recall@10", "MRR@10", "nDCG@10"]], digits=3)

# %%
recall = table["recall@10"]
margin = (scores["high"] - scores["low"])[scores["metric"] == "recall@10"].max() / 2
show(
    lab.explore.score_bars(
        scores.set_index("model").loc[order].reset_index(),
        metrics=["recall@10", "MRR@10", "nDCG@10"],
        title="Who finds the right function?",
        subtitle=f"{n_questions} questions, {n_candidates} candidates, from packages that no student was trained on",
    ),
    "Three bar charts with a bar for each searcher. Recall at 10: "
    + ", ".join(f"{name} {value:.2f}" for name, value in recall.items())
    + ".",
)

# %%
ahead = recall["student"] - recall["BM25"]
guess.reveal(
    float(round(100 * recall["student"])),
    f"Give or take {100 * margin:.0f}: that is the 95% interval with so few questions. Random weights reach "
    f"{recall['untrained']:.0%}, the teacher's word pieces alone {recall['before step 1']:.0%}, keyword search "
    f"{recall['BM25']:.0%}, the teacher {recall['teacher']:.0%}. "
    + (
        "So two minutes are enough to pass keyword search."
        if ahead > margin
        else "Keyword search and your model are level, within what so few questions can tell."
        if ahead > -margin
        else "Two minutes are not enough to pass keyword search. Honest, and usual: it takes more data and more time."
    ),
)

# %% [markdown]
# ### Exercise 3: MRR by hand

# %%
mrr = lab.explore.exercise("start_here/mrr_by_hand")
mrr

# %%
mrr.check(...)

# %% [markdown]
# ## 8. The map, before and after
#
# Each point is a held-out function, marked by its package. Nobody told the model the packages; functions of one package
# just tend to be about the same things. The map is a plane laid through the 256 dimensions where the points spread most
# (PCA). Much is lost on the way, and above each map stands how much: the share of true nearest neighbours that it keeps.
# Look at the axes as well: the two maps have scales of their own.

# %%
shown = [i for i, package in enumerate(packages) if package in largest.index][: sized(500, 60)]
before = begin.encode_document([functions[i] for i in shown])  # (500, 256)
after = student_vectors[shown]
planes = [lab.geometry.pca_plane(vectors).transform(vectors) for vectors in (before, after)]
kept = [lab.geometry.neighbours_kept(*each, k=10)[0] for each in zip((before, after), planes)]
show(
    lab.explore.before_after_map(
        *planes,
        [packages[i] for i in shown],
        [held_out[i]["anchor"] for i in shown],
        titles=("before step 1", "after training"),
        kept=kept,
        title="Functions of packages never seen in training",
        axes=("first principal direction", "second principal direction"),
    ),
    f"Two scatter plots of {len(shown)} functions, marked by package, before and after training. The maps keep "
    f"{kept[0]:.0%} and {kept[1]:.0%} of the true nearest neighbours.",
)


# %%
def same_package(vectors):
    """Share of functions whose nearest other function, in the full space, is of the same package."""
    _, ids = lab.geometry.nearest(vectors, vectors, 1, exclude_self=True)
    return np.mean([packages[shown[i]] == packages[shown[j]] for i, j in enumerate(ids[:, 0])])


rows = {"before step 1": before, "after training": after, "teacher": teacher_vectors[shown]}
health = pd.DataFrame({name: lab.geometry.report(vectors) for name, vectors in rows.items()}).T
health.insert(0, "nearest is of the same package", [same_package(vectors) for vectors in rows.values()])
Table(health.rename(columns=lambda name: name.replace("_", " ")).iloc[:, :5])
of_one, together = (
    health.loc[["before step 1", "after training"], name]
    for name in ("nearest is of the same package", "mean_cosine")
)
say(
    f"Training moved the mean cosine of two functions from {together.iloc[0]:.2f} to {together.iloc[1]:.2f}. The nearest function is "
    f"of the same package in {of_one.iloc[0]:.0%} of the cases before and {of_one.iloc[1]:.0%} after: the warm start knows that "
    "much from its dictionary, and a search asks for more than the right package."
)

# %% [markdown]
# The table does not depend on the drawing. *Mean cosine* is near 1 where all texts have one direction; *uniformity* is 0
# there and lower where they spread; *isoscore* and *effective rank* say how evenly, and how many, directions are used.
# [Notebook 01](01_embeddings_and_their_geometry.ipynb) explains all four, and how to read such maps, and how not to.
#
# ### Exercise 4: change one thing
#
# Choose one row, write your prediction down, change it in section 5 (data: section 1), run the notebook from there, and
# compare the scores. About five minutes each, the last one a quarter of an hour; there is no wrong prediction.
#
# | Change | Ask yourself |
# |---|---|
# | `batch_size=8` | the exam gets easier: does the loss fall, and does the search get better? |
# | `weights={"spread_out": 0}` | which curves, and which columns of the last table, notice? |
# | `weights={"matching": 0}` | what is lost when the teacher only gives the dictionary? |
# | `warm_start=False` | how far do two minutes go from noise? |
# | `limit=500` pairs in section 1 | the same time on fewer pairs: loss and search, do they agree? |
# | `minutes=10` and `limit=15_000` | is it time or data that was missing? |

# %%
change = lab.explore.predict("What I change, and what happens to Recall@10:", ...)
change

# %% [markdown]
# ## Summary
#
# - An embedding model learns from pairs, here a sentence and the code it describes; the rest of the batch are the wrong
#   answers.
# - The recipe adds three terms: find your own (contrastive), do not crowd (spread-out), agree with the teacher (embedding
#   matching).
# - A first loss value can nearly be predicted before training: about the logarithm of the number of choices, where all answers
#   look alike to the model.
# - A search is judged on data that it was not trained on, beside random weights, keyword search and a stronger model, all
#   with the same questions.
#
# ## Where next
#
# - [01_embeddings_and_their_geometry](01_embeddings_and_their_geometry.ipynb): what "near" means in such a space, and how
#   to see that one is ill.
# - [03_contrastive_learning](03_contrastive_learning.ipynb), [04_distillation](04_distillation.ipynb) and
#   [05_spread_out](05_spread_out.ipynb) take the three terms one at a time.
# - The run is kept: `lab.load_run("runs/00_start_here")` opens it with its history, snapshots and model. The folder that
#   `run.model.save_pretrained("my-model")` writes opens in `SentenceTransformer("my-model")` as well.

# %%
clock.report()
