# %% [markdown]
# # Spread out: using the whole space
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/05_spread_out.ipynb)
#
# A model may get every answer right in floats and lose them when its vectors are stored in bits or searched
# approximately. EmbeddingGemma ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)) adds a term against that: different
# texts should not point the same way. This notebook takes the term, the [spread-out
# loss](../docs/glossary.md#spread-out-loss), apart, and asks of each promise whether it holds here.
#
# **Afterwards you will be able to**
#
# - compute the spread-out loss by hand, and say which value means collapsed, random, and as good as can be;
# - derive the Welch bound, and see free vectors reach it;
# - say what the second moment sees that the mean cosine does not, and the other way round;
# - predict when bits and approximate search will hurt, and mend a space without training.
#
# | | |
# |---|---|
# | Time | about 1 minute on two CPU cores; the same on a T4 or an H200 (estimated) |
# | Memory | about 1 GB |
# | Needs | nothing but this machine: no token, no GPU, no download (in Colab, `%pip install faiss-cpu` before section 6) |
#
# The last cell prints what it really took; a busy machine takes longer. The metrics of a space are introduced in
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

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch

import egemma_lab as lab
from egemma_lab import geometry
from egemma_lab.explore import Table, say, show
from egemma_lab.explore.style import COLOURS, DASHES, SYMBOLS, styled
from egemma_lab.quantize import calibrate, dequantize_vectors, quantize_vectors
from egemma_lab.settings import sized

clock = lab.explore.start()
clock


# %%
def lines(x, curves, title, *, x_title, y_title, subtitle=None):
    """A figure with one line for each entry of curves, {name: values}; colour, dash and mark tell them apart."""
    figure = go.Figure()
    for (name, values), colour, dash, symbol in zip(curves.items(), COLOURS, DASHES, SYMBOLS):
        figure.add_scatter(
            x=list(x),
            y=list(values),
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 8},
        )
    return styled(figure, title, subtitle, x=x_title, y=y_title)


def unit(vectors):
    """Each row divided by its length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# %% [markdown]
# ## 1. Result first: a cone is harmless until it is stored
#
# Take the vectors that all-MiniLM-L6-v2 gives to 800 short texts, and add the same vector to all of them: the cloud
# closes to a cone, as spaces do that nobody spread out. In floats most neighbours stay neighbours, since a common part is
# common to all (not every one: bringing the sums back to length 1 shrinks some texts more than others). Now keep one byte
# a number, or one bit ([int8 and binary vectors](../docs/glossary.md#int8-binary-vectors)). How many of the ten nearest
# neighbours (in floats, in that same space) are found?

# %%
guess = lab.explore.predict(
    "A common vector twice as long as the texts' own parts is added. Which share of the ten nearest neighbours does one bit a number still "
    "find?",
    ...,
)
guess

# %%
teacher = lab.load_teacher()
corpus, questions = lab.explore.topic_corpus(), lab.explore.topic_queries()
corpus = corpus.groupby("topic", sort=False).head(sized(40, 12)).reset_index(drop=True)
vectors = teacher.encode(corpus["text"].tolist(), show_progress_bar=False)  # (800, 384)
common = unit(np.random.default_rng(0).standard_normal((1, vectors.shape[1]))).astype(np.float32)


def cone(strength):
    """The texts' vectors with a common vector of this length added, back on the sphere."""
    return unit(vectors + strength * common).astype(np.float32)


def as_stored(space, precision):
    """The vectors that are left of a space that is kept in bytes ("int8") or bits ("binary")."""
    ranges = calibrate(space) if precision == "int8" else None
    codes = quantize_vectors(space, precision, ranges)
    return dequantize_vectors(codes, precision, ranges, width=space.shape[1])


def survive(space, precision):
    """Share of each text's ten nearest neighbours in floats that are still among its ten nearest when stored so."""
    return geometry.neighbours_kept(space, as_stored(space, precision), k=10)[0]


strengths = [0, 0.5, 1, 1.5, 2, 3, 4]
cones = {strength: cone(strength) for strength in strengths}
kept = {name: [survive(space, name) for space in cones.values()] for name in ("int8", "binary")}
same_order = [geometry.neighbours_kept(vectors, space, k=10)[0] for space in cones.values()]
show(
    lines(
        strengths,
        {
            "floats, against no cone": same_order,
            "one byte a number, against floats": kept["int8"],
            "one bit a number, against floats": kept["binary"],
        },
        "The same texts in narrower and narrower cones",
        subtitle=f"{len(vectors)} texts, {vectors.shape[1]} numbers each",
        x_title="length of the common vector (each text's own part: 1)",
        y_title="share of ten neighbours kept",
    ),
    "Three curves over the length of the common vector. Floats and bytes stay high, bits fall from "
    f"{kept['binary'][0]:.0%} to {kept['binary'][-1]:.0%}.",
)

# %%
at_two = strengths.index(2)
guess.reveal(
    kept["binary"][at_two],
    f"Without a cone it is {kept['binary'][0]:.0%}. A byte keeps {kept['int8'][at_two]:.0%}, since its range follows each number; a bit says "
    f"only on which side of 0 a number lies, and the common part puts {np.mean(np.abs(cones[2].mean(axis=0)) > cones[2].std(axis=0)):.0%} of the "
    "numbers on one side for most texts. The information is there, and the storage looks past it.",
)

# %% [markdown]
# So it pays to train against cones. How?
#
# ## 2. The loss, by hand
#
# For the queries q of a batch of B rows, and likewise for its positives p (all vectors have length 1;
# [notation](../docs/notation.md)):
#
# $$L_S = \frac{1}{B(B-1)} \sum_{i \ne j} (q_i^\top q_j)^2 \;+\; \frac{1}{B(B-1)} \sum_{i \ne j} (p_i^\top p_j)^2 .$$
#
# It is the second moment of the global orthogonal regulariser ([arXiv:1708.06320](https://arxiv.org/abs/1708.06320)).
# Four little clouds to know by heart:

# %%
from egemma_lab.losses import spread_out_loss

generator = torch.Generator().manual_seed(0)
clouds = {
    "four equal vectors": torch.tensor([[0.6, 0.8]]).repeat(4, 1),
    "two pairs of opposites": torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]),
    "at right angles": torch.eye(4),
    "2,000 random, 64 wide": torch.nn.functional.normalize(torch.randn(2000, 64, generator=generator), dim=1),
}
rows = []
for name, cloud in clouds.items():
    products = (cloud @ cloud.T).numpy()
    others = ~np.eye(len(cloud), dtype=bool)
    by_hand = np.mean(products[others] ** 2)
    rows.append((name, by_hand, float(spread_out_loss(cloud)), products[others].mean()))
Table(pd.DataFrame(rows, columns=["cloud", "by hand, one side", "package", "mean cosine"]), digits=4)

# %% [markdown]
# 1 is [collapsed](../docs/glossary.md#collapse), 0 is all at right angles, and random directions give 1/d, here 1/64.
# Opposite vectors count like equal ones: the loss wants right angles.
#
# ### Exercise 1: three vectors

# %%
by_hand = lab.explore.exercise("spread_out/second_moment_by_hand")
by_hand

# %%
by_hand.check(...)

# %% [markdown]
# ### Exercise 2: what random gives

# %%
random_value = lab.explore.exercise("spread_out/what_random_gives")
random_value

# %%
random_value.check(...)

# %% [markdown]
# The package's own code. It never looks at pairs: the sum of all squared dot products is the squared length of a matrix
# (the root of the sum of its squared entries, its *Frobenius norm*), and of two matrices with that length it makes the
# smaller one.

# %%
from egemma_lab.losses.spread_out import second_moment

print(inspect.getsource(second_moment))

# %% [markdown]
# ## 3. How low can it go? The Welch bound
#
# In d dimensions at most d vectors stand at right angles. With more, something is left. Let G hold all dot products of B
# unit vectors; its diagonal is all 1, so its eigenvalues add up to B. At most d of them are not 0, and a sum of squares
# with a given sum is smallest when they are all equal, B/d each: Σ (q·q)² ≥ d (B/d)² = B²/d. Take off the diagonal,
# divide by the number of pairs:
#
# $$\text{a side of } L_S \;\ge\; \frac{B - d}{d\,(B - 1)} \qquad (B > d),$$
#
# the [bound](../docs/glossary.md#welch-bound) of [Welch 1974](https://doi.org/10.1109/TIT.1974.1055219). Is it reached?
# Let free vectors move:


# %%
def spread(points, steps=300):
    """Points moved down the spread-out loss, back on the sphere after each step."""
    points = torch.nn.Parameter(points.clone())
    optimiser = torch.optim.Adam([points], lr=0.05)
    for _ in range(steps):
        loss = spread_out_loss(torch.nn.functional.normalize(points, dim=1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return torch.nn.functional.normalize(points.detach(), dim=1)


width = 4
counts = [2, 4, 5, 6, 8, 12, 16, 24]
reached = [float(spread_out_loss(spread(torch.randn(n, width, generator=generator)))) for n in counts]
welch = [max(0, (n - width) / (width * (n - 1))) for n in counts]
show(
    lines(
        counts,
        {
            "free vectors, after training": reached,
            "Welch bound": welch,
            "random: 1/d": [1 / width] * len(counts),
        },
        "Free vectors reach the Welch bound",
        subtitle=f"{width} dimensions",
        x_title="number of vectors B",
        y_title="mean squared cosine",
    ),
    "Two curves that coincide, the value reached by free vectors and the Welch bound: 0 up to 4 vectors, then rising towards the "
    "horizontal line at one quarter, the value of random directions.",
)
say(
    f"The largest difference from the bound is {max(np.abs(np.subtract(reached, welch))):.1e}. With many vectors the bound approaches "
    "1/d, what random directions have anyway: in a large batch there is little to gain beyond random."
)

# %% [markdown]
# ### Exercise 3: the bound of a large batch

# %%
bound = lab.explore.exercise("spread_out/welch_bound")
bound

# %%
bound.check(...)

# %% [markdown]
# ## 4. What it pushes, and what it leaves
#
# The slope of a squared cosine is twice the cosine: pairs at a right angle are left alone, pairs that are nearly equal or
# nearly opposite count most. But a vector on the sphere can only turn. By the angle θ the slope of cos² θ is −sin 2θ:
# strongest at 45°, and 0 for two vectors that coincide. Out of a *perfect* collapse this term alone leads nowhere. The
# original regulariser had a second term, for the mean cosine; the paper drops it, having seen that the squares bring the
# mean down as well. True? Two sick clouds, a cone and a *dumbbell* (two opposite groups, whose mean cosine is near 0 from
# the start):

# %%
guess = lab.explore.predict(
    "Which of the two clouds has the higher spread-out loss at the start, `cone` or `dumbbell`, and which of them does the mean cosine find "
    "healthy?",
    ...,
)
guess

# %%
cloud = torch.randn(sized(256, 128), 32, generator=generator)
cloud = torch.nn.functional.normalize(cloud, dim=1)
axis = torch.eye(32)[0]
halves = torch.where(torch.arange(len(cloud)) % 2 == 0, 1.0, -1.0)[:, None]
sick = {
    "cone": torch.nn.functional.normalize(0.5 * cloud + axis, dim=1),
    "dumbbell": torch.nn.functional.normalize(0.5 * cloud + halves * axis, dim=1),
}
rows = []
for name, start in sick.items():
    for when, points in (("before", start), ("after", spread(start, 100))):
        rows.append(
            {
                "cloud": f"{name}, {when}",
                "spread-out loss": float(spread_out_loss(points)),
                "mean cosine": geometry.mean_cosine(points.numpy()),
                "IsoScore": geometry.isoscore(points.numpy()),
                "effective rank": geometry.effective_rank(points.numpy()),
                "uniformity": geometry.uniformity(points.numpy()),
            }
        )
healed = pd.DataFrame(rows).set_index("cloud")
floor = (len(cloud) - 32) / (32 * (len(cloud) - 1))
Table(healed, caption=f"{len(cloud)} free vectors, 32 wide; Welch bound {floor:.3f}", digits=3)

# %%
before = healed.loc[["cone, before", "dumbbell, before"]]
guess.reveal(
    f"{before['spread-out loss'].iloc[0]:.2f} for the cone, {before['spread-out loss'].iloc[1]:.2f} for the dumbbell",
    "The squares cannot tell the two apart. The mean cosine finds the dumbbell healthy "
    f"({abs(before['mean cosine'].iloc[1]):.2f} against {before['mean cosine'].iloc[0]:.2f}). After spreading, both are at the bound, with mean "
    f"cosines of {abs(healed['mean cosine'].iloc[1]):.3f} and {abs(healed['mean cosine'].iloc[3]):.3f}: the mean went down without a term of its own.",
)

# %% [markdown]
# At the bound the second moments of all directions are equal; *where* the points lie is still free. The loss does not
# forbid clusters of opposites, for instance, and says nothing of neighbours: that is the other terms' business. A
# difference to know: sentence-transformers' `GlobalOrthogonalRegularizationLoss` stops at 1/d (its gradient is 0 below),
# the paper's term goes on to the bound.
#
# ### Exercise 4: opposites

# %%
opposite = lab.explore.exercise("spread_out/two_opposite_vectors")
opposite

# %%
opposite.check(...)

# %% [markdown]
# To push with your own hands, run `lab.explore.loss_playground("the paper's", "collapse")` in a cell of your own: points
# that are free to move, a slider for the weight of each term. Set all weights but the spread-out one to 0 and watch what
# it does alone.

# %% [markdown]
# ## 5. A space is mended without training
#
# If the illness is a common part, why not subtract it? And why not whiten, that is, give all directions the same
# variance? Both are a few lines, done after the model. (Whitening blows up the directions in which there is hardly
# anything, so only the 64 with the most variance are kept for it.) The price is asked for in a search: forty questions
# with known answers, documents in floats and in bits.

# %%
asked = teacher.encode(questions["query"].tolist(), "query")  # (40, 384)
row_of = {name: row for row, name in enumerate(corpus["id"])}
relevant = [{row_of[name] for name in wanted if name in row_of} for wanted in questions["relevant"]]


def recalls(question_vectors, documents, k=10):
    """Share of the relevant documents among the first k, for each question that has any."""
    best = np.argsort(-(question_vectors @ documents.T), axis=1)[:, :k]
    return np.array(
        [len(set(row) & wanted) / len(wanted) for row, wanted in zip(best.tolist(), relevant) if wanted]
    )


mean = vectors.mean(axis=0)
values, directions = np.linalg.eigh(np.cov(vectors.T))
top = directions[:, -64:] / np.sqrt(
    values[-64:]
)  # (384, 64): the 64 widest directions, each brought to variance 1
mended = {
    "as it is": lambda x: x,
    "cone, strength 2": lambda x: unit(x + 2 * common),
    "cone, centred again": lambda x: unit(unit(x + 2 * common) - unit(vectors + 2 * common).mean(axis=0)),
    "centred": lambda x: unit(x - mean),
    "64 directions, not whitened": lambda x: unit((x - mean) @ directions[:, -64:]),
    "whitened, 64 directions": lambda x: unit((x - mean) @ top),
}
rows, found = [], {}
for name, change in mended.items():
    documents, wanted = change(vectors).astype(np.float32), change(asked).astype(np.float32)
    found[name] = recalls(wanted, documents)
    rows.append(
        {
            "space": name,
            "mean squared cosine": float(spread_out_loss(torch.tensor(documents))),
            "mean cosine": geometry.mean_cosine(documents),
            "IsoScore": geometry.isoscore(documents),
            "recall@10, floats": found[name].mean(),
            "recall@10, bits": recalls(as_stored(wanted, "binary"), as_stored(documents, "binary")).mean(),
        }
    )
mending = pd.DataFrame(rows).set_index("space")
Table(mending, caption=f"{len(asked)} questions, {len(documents)} documents", digits=3)

# %%
cured, ill = mending.loc["cone, centred again"], mending.loc["cone, strength 2"]
whitened, plain = mending.loc["whitened, 64 directions"], mending.loc["as it is"]
changed = found["whitened, 64 directions"] - found["64 directions, not whitened"]  # question by question
error = 1.96 * changed.std(ddof=1) / len(changed) ** 0.5
say(
    f"Bits lose the cone's search: recall {ill['recall@10, bits']:.2f} instead of {plain['recall@10, bits']:.2f}. Subtracting the mean brings it back to "
    f"{cured['recall@10, bits']:.2f}. Whitening makes the space far more even (IsoScore {whitened['IsoScore']:.2f} against "
    f"{plain['IsoScore']:.2f}), and the search in floats goes from {plain['recall@10, floats']:.2f} to {whitened['recall@10, floats']:.2f}. "
    f"Part of that is the cut to 64 directions. Against the same 64 without whitening it is {changed.mean():+.3f} ± {error:.3f}, question by "
    "question: "
    + (
        "even is not the same as good, some directions deserve more room than others."
        if changed.mean() + error < 0
        else "evenness alone has brought the search nothing that forty questions can show."
    )
)

# %% [markdown]
# I-STAR ([arXiv:2305.19358](https://arxiv.org/abs/2305.19358)) reports the same of language models: lowering isotropy
# often *raises* accuracy. So the spread-out term is a tool for storage and search, with a weight to be chosen, and no aim
# in itself.
#
# ### Exercise 5: bits of a cone

# %%
bits = lab.explore.exercise("spread_out/bits_of_a_cone")
bits

# %%
bits.check(...)

# %% [markdown]
# ## 6. Approximate search
#
# The paper names a second reason: approximate search finds more when vectors are spread out. Libraries such as faiss
# ([arXiv:2401.08281](https://arxiv.org/abs/2401.08281)) do not compare a question with all vectors. **IVF** sorts them
# into cells and opens a few; **PQ** cuts each vector into pieces and keeps, for each piece, the number of the nearest of
# 256 patterns; **LSH** keeps on which side of random planes a vector lies.
#
# Our 800 texts are too few for that. So draw some thousand vectors around them, each a text's vector (its 64 principal
# directions are enough here) with some noise, and close the cone step by step. The measure: which share of the exact ten
# nearest is found?

# %%
guess = lab.explore.predict("Which of the three suffers most from a cone: `IVF`, `PQ` or `LSH`?", ...)
guess

# %%
import faiss

faiss.omp_set_num_threads(1)
rng = np.random.default_rng(1)
flat = unit(vectors @ directions[:, -64:])  # 64 numbers are enough here, and quicker
n_points = sized(8_000, 3_000)
points = flat[rng.integers(0, len(flat), n_points)] + 0.12 * rng.standard_normal((n_points, 64))
lookers = flat[rng.integers(0, len(flat), 200)] + 0.12 * rng.standard_normal((200, 64))
shift = unit(rng.standard_normal((1, 64)))


def indexes():
    """Three approximate indexes for 64 numbers a vector."""
    cells = faiss.IndexIVFFlat(faiss.IndexFlatIP(64), 64, 50, faiss.METRIC_INNER_PRODUCT)
    cells.nprobe = 4
    pieces = faiss.IndexPQ(64, 16, 8)
    pieces.pq.cp.min_points_per_centroid = 8  # it warns below 39
    pieces.pq.cp.niter = 8  # rounds of learning its patterns; 25 by default, which takes three times as long
    return {"IVF": cells, "PQ": pieces, "LSH": faiss.IndexLSH(64, 256)}


found = {}
for strength in (0, 0.5, 1, 2, 4):
    space, wanted = (unit(x + strength * shift).astype(np.float32) for x in (points, lookers))
    exact = np.argsort(-(wanted @ space.T), axis=1)[:, :10]
    for name, index in indexes().items():
        index.train(space)
        index.add(space)
        _, ids = index.search(wanted, 10)
        found.setdefault(name, {})[strength] = np.mean(
            [len(set(a) & set(b)) / 10 for a, b in zip(ids.tolist(), exact.tolist())]
        )
approximate = pd.DataFrame(found)  # a row a strength, a column an index
show(
    lines(
        approximate.index,
        {name: approximate[name] for name in approximate},
        "Approximate search in narrower and narrower cones",
        subtitle=f"{n_points:,} vectors, 64 numbers each, 200 questions",
        x_title="length of the common vector (each text's own part: 1)",
        y_title="share of the exact ten found",
    ),
    "Three curves over the length of the common vector, the share of the exact ten nearest that each index finds: "
    + "; ".join(
        f"{name} from {approximate[name].iloc[0]:.0%} to {approximate[name].iloc[-1]:.0%}"
        for name in approximate
    )
    + ".",
)

# %%
drop = (approximate.iloc[0] - approximate.iloc[-1]).sort_values()
guess.reveal(
    drop.index[-1],
    "From no cone to the narrowest, the share of exact neighbours found goes down by "
    + ", ".join(f"{100 * value:.0f} points ({name})" for name, value in drop.items())
    + ". What learns its cells and patterns from the data moves into the cone with it; what divides space without looking spends its planes "
    "on the common part.",
)

# %% [markdown]
# So whether spread-out vectors help an approximate search depends on the index: on what it learns from the data, and what
# it takes for granted.
#
# ## 7. In a training
#
# What does the term do in a real training, beside the contrastive loss, which spreads as well (its negatives push)? The
# package's experiment `spread-out` trained nano models with it (*with*), without it, and with four times its weight,
# three seeds each, from the same start, all other terms alike. It is drawn from its file of results; of the ways of
# storing that it tried, these are the two ends, floats (*full*) and bits (*full binary*).
#
# To read the picture, of bits: a line is the 95% interval of an arm's difference from *with*, over seeds and questions;
# the small strokes are single seeds. A filled mark would be unlikely by chance even though several comparisons are made
# at once (p below 0.05 after the correction for them), a hollow one would not. Inside the grey band lie differences so
# small that an experiment of this size has less than an 80% chance of seeing them.

# %%
from egemma_lab.experiments import comparisons, shipped_results

results = shipped_results("spread-out")
for arm in results["arms"].values():
    for run in arm["runs"].values():
        run["ranks"] = {view: run["ranks"][view] for view in ("full", "full binary")}
show(
    lab.explore.experiment_figure(results, view="full binary"),
    lab.explore.describe_experiment(results) + " Vectors of one bit a number.",
)

# %%
compared = comparisons(results)
compared = compared[compared["of"] == "score"]
table = compared[["arm", "view", "difference", "low", "high", "p_corrected"]].reset_index(drop=True)
points = ["difference", "low", "high"]
table[points] = 100 * table[points]
Table(
    table,
    caption=f"nDCG@10 less that of '{results['baseline']}', in points, with 95% intervals; p corrected for the comparisons made here",
)

# %%
score = compared.set_index(["arm", "view"])
sure = compared[compared["p_corrected"] < 0.05]


def in_points(arm, view):
    """A difference with its interval, in points."""
    row = 100 * score.loc[(arm, view), ["difference", "low", "high"]]
    return f"{row['difference']:+.1f} ({row['low']:+.1f} to {row['high']:+.1f})"


say(
    f"Without the term {in_points('without', 'full')} points in floats and {in_points('without', 'full binary')} in bits; with four times "
    f"its weight {in_points('fourfold', 'full')} and {in_points('fourfold', 'full binary')}. Sure after correction "
    + (
        f"{'is' if len(sure) == 1 else 'are'} {', '.join(sure['arm'] + ', ' + sure['view'])}"
        if len(sure)
        else "is none of the four"
    )
    + f". Whether bits gain more than floats this experiment cannot tell. The models took {results['arms']['with']['runs']['0']['steps']} steps: what the term does in a long training may be more or less."
)

# %% [markdown]
# And how the space itself changed in the first hour of an earlier nano's training: follow *uniformity* and *effective
# rank* while its stages pass (dashed lines part them). The spread-out loss is a part of the last two of these stages
# only; by then the matching has already spread the texts. The step at the first dashed line is no loss's doing: there
# the training with prompts begins, and the texts of this film stand behind prompts from the start.

# %%
film = lab.explore.training_replay()
film

# %% [markdown]
# ## 8. What was found elsewhere, and here

# %%
bits_lost = 100 * (kept["binary"][0] - kept["binary"][-1])
beside = pd.DataFrame(
    [
        (
            "what a cone costs",
            "the term is there for quantization and approximate search; no ablation printed (EmbeddingGemma)",
            f"neighbours found, in points: {bits_lost:.0f} in bits, "
            + ", ".join(f"{100 * value:.0f} by {name}" for name, value in drop.items()),
        ),
        (
            "floats, with the term less without",
            "+0.3 (64.50, 64.21; jina-embeddings-v5, MTEB English)",
            f"{-100 * score.loc[('without', 'full'), 'difference']:+.1f} points of nDCG@10, p = {score.loc[('without', 'full'), 'p_corrected']:.2f}",
        ),
        (
            "bits, with the term less without",
            "+1.5 (62.60, 61.13; the same)",
            f"{-100 * score.loc[('without', 'full binary'), 'difference']:+.1f} points of nDCG@10, p = {score.loc[('without', 'full binary'), 'p_corrected']:.2f}",
        ),
        (
            "isotropy and quality",
            "lower isotropy often helps (I-STAR)",
            f"IsoScore from {plain['IsoScore']:.2f} to {whitened['IsoScore']:.2f} by whitening: recall@10 from "
            f"{plain['recall@10, floats']:.2f} to {whitened['recall@10, floats']:.2f}",
        ),
    ],
    columns=["what", "published", "here"],
)
Table(beside.set_index("what"), caption="jina-embeddings-v5: arXiv:2602.15547; I-STAR: arXiv:2305.19358")

# %% [markdown]
# ## Summary
#
# - The spread-out loss is the mean squared cosine of different texts: 1 collapsed, 1/d random, at best the Welch bound.
# - It sees cones and dumbbells alike; the mean cosine sees only cones; and the squares bring the mean down too.
# - A common part costs a search in floats next to nothing, in bytes little, in bits much, and much in an index that does
#   not learn from the data.
# - Centring after the fact mends a cone. An even space is not by that a good one.
#
# ## Where next
#
# - [04_distillation](04_distillation.ipynb): what a teacher's space hands on, its evenness included.
# - [06_matryoshka](06_matryoshka.ipynb) cuts the same vectors short, [07_quantization](07_quantization.ipynb) stores them
#   in bytes and bits.

# %%
clock.report()
