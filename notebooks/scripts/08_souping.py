# %% [markdown]
# # Souping: many models, one average
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/08_souping.ipynb)
#
# Train one model several times, a little differently each time. Do not choose the best: take the average of their
# weights. The average has the size of one model, costs as much to run as one, and is often better than each. That
# is a [soup](../docs/glossary.md#soup), and a late step in the making of EmbeddingGemma
# ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354), section 2.3). This notebook cooks some, and some that nobody
# should eat.
#
# **Afterwards you will be able to**
#
# - average models, plainly and greedily, and say with an interval what that gained;
# - look at the loss along the straight line between two models, and tell from it whether they may be averaged;
# - say why two models that compute exactly the same can have a useless average;
# - search for a good mixture of training data with draws from a Dirichlet distribution and Bayesian optimisation, and
#   keep the search from fooling you.
#
# | | |
# |---|---|
# | Time | about 5 minutes on two CPU cores, about 1 on a T4 or an H200 (estimated) |
# | Memory | about 2 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took; a busy machine takes longer. It helps to have seen notebook
# [00](00_start_here.ipynb); prompts and cosines are explained in [01](01_embeddings_and_their_geometry.ipynb), words
# that are linked in the [glossary](../docs/glossary.md), symbols in [notation](../docs/notation.md). Every sentence
# with a measured number is computed where it stands, so on another machine it may say something slightly different.

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
from collections import Counter

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

import egemma_lab as lab
from egemma_lab.explore import Table, say, show
from egemma_lab.settings import sized

clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: three specialists and their average
#
# 800 sentences on twenty topics come with the package. From each sentence we make three pairs, as if they came from three
# data sets:
#
# - **topics**: the sentence, and the name of its topic. To learn this is to forget what is special about a sentence;
# - **halves**: its first half, and its second. What could come next?
# - **keywords**: its three rarest words, and the sentence. To learn this is to look at single words.
#
# They are meant to pull a model in different directions, as the parts of a [mixture](../docs/glossary.md#mixture) of
# training data do. Twelve topics are there to learn from, four to **choose** by (the [development
# set](../docs/glossary.md#development-set)), and four to **judge** by, which nothing is chosen on.

# %%
corpus = lab.explore.topic_corpus()
topics = np.random.default_rng(0).permutation(corpus["topic"].unique())
parts = {"learn": topics[:12], "choose": topics[12:16], "judge": topics[16:]}
kinds = ["topics", "halves", "keywords"]


def words(text):
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()


frequency = Counter(word for text in corpus["text"] for word in set(words(text)))


def make_pairs(part, per_topic):
    """{kind: [(query, right answer), ...]} of the first sentences of each topic of a part."""
    rows = corpus[corpus["topic"].isin(parts[part])].groupby("topic").head(per_topic)
    pairs = {kind: [] for kind in kinds}
    for text, topic in zip(rows["text"], rows["topic"]):
        split = text.split()
        rare = sorted(dict.fromkeys(words(text)), key=lambda word: (frequency[word], word))[:3]
        pairs["topics"].append((text, topic))
        pairs["halves"].append((" ".join(split[: len(split) // 2]), " ".join(split[len(split) // 2 :])))
        pairs["keywords"].append((" ".join(sorted(rare)), text))
    return pairs


learn = make_pairs("learn", 40)
Table(pd.DataFrame([(kind, *learn[kind][0]) for kind in kinds], columns=["source", "query", "right answer"]))

# %% [markdown]
# An exam: each query ranks all the right answers of its kind (for topics, all twenty names), and gets 1 / the rank of its
# own: 1 where it stands first, ½ where it is second. The mean of that is the
# [mean reciprocal rank](../docs/glossary.md#mean-reciprocal-rank). Beside it stands the loss, the same as in training: the
# cross-entropy of the softmax over the answers, in nats (a logarithm with base e; to guess among n answers costs ln n).

# %%
TEMPERATURE = 0.05


def make_exam(part, per_topic):
    """{kind: (queries, candidates, position of each query's right candidate)}."""
    exam = {}
    for kind, pairs in make_pairs(part, per_topic).items():
        candidates = list(topics) if kind == "topics" else list(dict.fromkeys(answer for _, answer in pairs))
        position = {answer: i for i, answer in enumerate(candidates)}
        exam[kind] = [query for query, _ in pairs], candidates, np.array([position[a] for _, a in pairs])
    return exam


def cosines(model, exam):
    """{kind: (n, m) cosines of its n queries with its m candidates}."""
    quiet = {"show_progress_bar": False}
    return {
        kind: model.encode_query(queries, **quiet) @ model.encode_document(candidates, **quiet).T
        for kind, (queries, candidates, _) in exam.items()
    }


def reciprocal_ranks(found, exam):
    """{kind: {query: 1 / rank of its right answer}}."""
    scores = {}
    for kind, (_, _, right) in exam.items():
        own = found[kind][np.arange(len(right)), right]  # (n,)
        scores[kind] = dict(enumerate(1 / ((found[kind] > own[:, None]).sum(axis=1) + 1)))
    return scores


def means(scores):
    """{kind: mean}, and their mean over the kinds."""
    each = {kind: float(np.mean(list(values.values()))) for kind, values in scores.items()}
    return each | {"mean": float(np.mean(list(each.values())))}


def loss_of(found, exam):
    """Mean over the kinds of the cross-entropy, in nats."""
    each = [
        F.cross_entropy(torch.as_tensor(found[kind]) / TEMPERATURE, torch.as_tensor(right))
        for kind, (_, _, right) in exam.items()
    ]
    return float(torch.stack(each).mean())


choose, judge = (make_exam(part, sized(20, 4)) for part in ("choose", "judge"))

# %% [markdown]
# Now the finetunings. All begin with the bundled nano; they differ in nothing but the **mixture**: the share of the steps
# that each source gets. Three specialists get eight tenths of one source each.

# %%
start = lab.load_model("nano")
recipe = lab.Recipe(
    steps=sized(24, 1),
    batch_size=sized(12, 6),  # twelve topics: no right answer may stand in a batch twice
    learning_rate=5e-4,
    warmup=0.2,
    max_tokens=48,
    temperature=TEMPERATURE,
    weights={"matching": 0},  # no teacher: pairs alone
    snapshot_every=0,
    seed=0,
)


def finetune(model, mixture, name, recipe=recipe):
    """A finetuned copy of `model`; `mixture` is {kind: share of the steps}."""
    sources = {kind: (learn[kind], share) for kind, share in mixture.items()}
    with tempfile.TemporaryDirectory() as folder:
        run = lab.train(copy.deepcopy(model), sources, recipe=recipe, output=folder, show_progress_bar=False)
        trained = run.model
    trained.name = name
    return trained


mixtures = {f"mostly {kind}": {each: 0.8 if each == kind else 0.1 for each in kinds} for kind in kinds}
specialists = {name: finetune(start, mixture, name) for name, mixture in mixtures.items()}

# %% [markdown]
# And now the soup: every weight of the new model is the mean of that weight in the three. No training, no data.

# %%
plain = lab.soup(specialists.values())

# %%
guess = lab.explore.predict(
    "Averaged over the three kinds, on topics that nobody has seen: where does the soup's mean reciprocal rank lie? "
    "`below all three`, `between` them, or `above all three`?",
    ...,
)
guess

# %%
found = {
    name: cosines(model, judge)
    for name, model in {"start (nano)": start, **specialists, "plain soup": plain}.items()
}
ranks = {name: reciprocal_ranks(each, judge) for name, each in found.items()}
table = pd.DataFrame({name: means(each) for name, each in ranks.items()}).T
table["loss (nats)"] = [loss_of(each, judge) for each in found.values()]
Table(
    table,
    "Mean reciprocal rank on four topics never trained on, by kind of pair; the loss beside it",
    digits=3,
)

# %%
own, soup_mean = table.loc[list(specialists), "mean"], table.loc["plain soup", "mean"]
gain = lab.train.soup_gain([ranks[name] for name in specialists], ranks["plain soup"])
guess.reveal(
    "below all three"
    if soup_mean < own.min()
    else "above all three"
    if soup_mean > own.max()
    else "between them",
    f"The soup has {soup_mean:.3f}, the three have {own.min():.3f} to {own.max():.3f}. Against the mean of its "
    f"ingredients that is {gain['gain']:+.3f}, with a 95% interval over the {gain['n']} queries of {gain['low']:+.3f} "
    f"to {gain['high']:+.3f}"
    + (
        ", which leaves 0 out."
        if gain["low"] > 0 or gain["high"] < 0
        else ": 0 lies in it, so nothing is shown."
    )
    + f" The loss is {table.loc[list(specialists), 'loss (nats)'].mean():.3f} on their average and "
    f"{table.loc['plain soup', 'loss (nats)']:.3f} for the soup.",
)

# %% [markdown]
# Two things to keep apart. Against the *mean* of the ingredients a soup of relatives should not lose where the loss is a bowl
# around them, as the next section says; on topics that nobody was trained on it need not be one, and these were trained so
# briefly that there is little to win (section 7): a specialist need not even be best at its own kind of pair, as the other
# specialists' rows show. Against the *best* of them it may or may not win, and whoever knows the best one beforehand has to
# have measured all of them on data that resembles what comes later.
#
# ## 2. Why an average can be better: the bowl
#
# Two weights, and a loss θ₁² + θ₂² whose bottom lies at (0, 0). One model has made an error in the first weight, another in
# the second:

# %%
one, other = np.array([1.0, 0.0]), np.array([0.0, 1.0])
middle = (one + other) / 2


def bowl(theta):
    return float(np.sum(theta**2))


say(
    f"losses {bowl(one):g} and {bowl(other):g}; the average is at ({middle[0]:g}, {middle[1]:g}) and has the loss "
    f"{middle[0]:g}² + {middle[1]:g}² = **{bowl(middle):g}**"
)

# %% [markdown]
# Each model has one error of 1 and loses 1. Their average has two errors of ½, and in a bowl half the error costs a quarter:
# twice ¼. In general, with the soup of k models
# (Wortsman et al. 2022, [arXiv:2203.05482](https://arxiv.org/abs/2203.05482), the uniform soup)
#
# $$\bar\theta = \frac1k \sum_{i=1}^k \theta_i ,$$
#
# and a loss $L$ that has the same curvature $H$ (the matrix of second derivatives) everywhere between the models,
#
# $$L(\bar\theta) \;=\; \frac1k\sum_i L(\theta_i) \;-\; \frac{1}{2k}\sum_i (\theta_i-\bar\theta)^\top H\,(\theta_i-\bar\theta).$$
#
# The soup gains the second term: **how far apart the ingredients lie, seen through the curvature**. In a bowl $H$ has no
# negative direction, so it is a gain and never a loss. In the example $H$ is twice the identity:

# %%
deviations = np.stack([one - middle, other - middle])  # (k, d)
second_term = 0.5 * np.mean([d @ (2 * np.eye(2)) @ d for d in deviations])
say(
    f"mean of the losses {(bowl(one) + bowl(other)) / 2:g}, second term {second_term:g}, difference "
    f"**{(bowl(one) + bowl(other)) / 2 - second_term:g}**, the soup's loss"
)

# %% [markdown]
# ### Exercise 1: a soup in a bowl

# %%
in_a_bowl = lab.explore.exercise("souping/soup_in_a_bowl")
in_a_bowl

# %%
in_a_bowl.check(...)

# %% [markdown]
# ### Exercise 2: four in a soup

# %%
four = lab.explore.exercise("souping/four_in_a_soup")
four

# %%
four.check(...)

# %% [markdown]
# ## 3. When it can fail: twins
#
# The formula holds where the models lie in one bowl, and nothing makes sure that they do. Here is the smallest network with
# two neurons,
# f(x) = v₁ relu(w₁x) + v₂ relu(w₂x). With w = v = (1, −1) it returns x. Now its **twin**: the same two neurons in the other
# order. It computes the same for every x, since a sum does not ask for an order. What does their average compute?

# %%
guess = lab.explore.predict("w and v of the network and its twin are averaged. What is f(3) then?", ...)
guess


# %%
def network(x, w, v):
    return float(np.sum(v * np.maximum(0, w * x)))


w = v = np.array([1.0, -1.0])
w_twin, v_twin = w[::-1], v[::-1]
say(
    f"the network {network(3, w, v):g}, its twin {network(3, w_twin, v_twin):g}, the average of their weights "
    f"**{network(3, (w + w_twin) / 2, (v + v_twin) / 2):g}**"
)

# %%
guess.reveal(
    network(3, (w + w_twin) / 2, (v + v_twin) / 2),
    "The averaged neurons have the weight 0: each was averaged with one that does another job. The two models are "
    "equally good, their functions are equal, and their average is nothing.",
)

# %% [markdown]
# The nano has twins too, more than could be counted: the neurons of each layer's MLP may stand in any order, and so may the
# four heads of its attention. We put them into another one.


# %%
def twin_of(model, seed=0):
    """A model that computes the same, its neurons and attention heads in another order."""
    twin, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    twin.name = "twin"
    width = twin.config.text.head_dim
    for layer in twin.text_model.layers:
        mlp, attention = layer.mlp, layer.self_attn
        neurons = torch.randperm(mlp.down_proj.in_features, generator=generator)
        heads = torch.arange(attention.o_proj.in_features).view(-1, width).roll(1, dims=0).flatten()
        for linear, order in (
            (mlp.gate_proj, neurons),
            (mlp.up_proj, neurons),
            (attention.q_proj, heads),
        ):
            linear.weight.data = linear.weight.data[order]  # rows: what goes out
        for linear, order in ((mlp.down_proj, neurons), (attention.o_proj, heads)):
            linear.weight.data = linear.weight.data[:, order]  # columns: what comes in
    return twin


twin = twin_of(start)
texts = [text for text, _ in learn["topics"]]
difference = np.abs(start.encode(texts[:50]) - twin.encode(texts[:50])).max()
say(f"The largest difference between a number of the nano's vectors and of its twin's: **{difference:.0e}**.")

# %% [markdown]
# `lab.soup` looks for such strangers before it averages: it takes the cosines between the layers' matrices, or, of runs on
# disk, the record of what they were started from.

# %%
try:
    lab.soup([start, twin])
except ValueError as refusal:
    say(f"Refused: {refusal}")

# %% [markdown]
# ## 4. The loss along a line
#
# Whether two models lie in one bowl can be seen. Walk in a straight line from the weights of the one to those of the other,
# (1 − t) θ₁ + t θ₂, and measure at every stop. The halfway stop is their soup. The package's own function for it is short:

# %%
print(inspect.getsource(lab.train.along_the_line).partition('"""')[0].rstrip())
print("    ...")
print(inspect.getsource(lab.train.along_the_line).rpartition('"""')[2].strip("\n"))

# %% [markdown]
# Two lines: from one specialist to another, who began with the same weights, and from the nano to its twin. Before you look:

# %%
guess = lab.explore.predict(
    "Halfway between the nano and its twin, which computes the same: is the model `as good`, `somewhat worse`, or "
    "`near guessing`?",
    ...,
)
guess

# %%
stops = sized(9, 3)
exam = make_exam("choose", sized(12, 4))


def held_out_loss(model):
    return loss_of(cosines(model, exam), exam)


guessing = float(np.mean([np.log(len(candidates)) for _, candidates, _ in exam.values()]))
first, second = specialists["mostly topics"], specialists["mostly keywords"]
lines = {
    "from one specialist to another (one start)": lab.train.along_the_line(
        first, second, held_out_loss, stops
    ),
    "from the nano to its twin (same function)": lab.train.along_the_line(start, twin, held_out_loss, stops),
}
same, strangers = lines.values()
show(
    lab.explore.line_between(
        lines,
        title="The loss on the line between two models",
        subtitle="nano, on topics never trained on; both ends are good models",
        level=(guessing, f"guessing: {guessing:.2f}"),
    ),
    f"Two curves over the share of the second model. Between two finetunings of one start the loss goes from "
    f"{same['score'].iloc[0]:.2f} over {same['score'].iloc[len(same) // 2]:.2f} halfway to "
    f"{same['score'].iloc[-1]:.2f}; between the nano and its twin from {strangers['score'].iloc[0]:.2f} over "
    f"{strangers['score'].iloc[len(strangers) // 2]:.2f} to {strangers['score'].iloc[-1]:.2f}. Guessing lies at {guessing:.2f}.",
)


# %%
def barrier(line):
    """How far the line rises above the straight connection of its ends, at most, in nats; below 0: it sags."""
    ends = np.interp(line["share"], [0, 1], line["score"].iloc[[0, -1]])
    return float((line["score"] - ends).iloc[1:-1].max())


halfway = strangers["score"].iloc[len(strangers) // 2]
share = (halfway - strangers["score"].iloc[0]) / (guessing - strangers["score"].iloc[0])
guess.reveal(
    "near guessing" if share > 0.7 else "somewhat worse" if share > 0.1 else "as good",
    f"The loss halfway is {halfway:.2f} nats, where the nano has {strangers['score'].iloc[0]:.2f} and guessing "
    f"{guessing:.2f}"
    + (f": {share:.0%} of the way to knowing nothing. " if share > 0 else ": no worse than the nano itself. ")
    + "The order of neurons and heads is all that differs.",
)

# %% [markdown]
# In the run stored here the line to the twin shows hardly a hill, a few hundredths of a nat where guessing lies two
# nats higher: the nano withstands the averaging of its neurons and heads. What both twins hold in the same order (the
# token table, keys and values, norms, the Dense layers) seems to carry these short texts; that was not tested. So the
# toy of section 3 shows what *can* happen, and a line has to be measured.
#
# The height of the hill between two models is called the [barrier](../docs/glossary.md#barrier) (Frankle et al. 2020,
# [arXiv:1912.05671](https://arxiv.org/abs/1912.05671), who measured when finetunings of one start stop having one). For models
# trained from different random starts the usual explanation is that of twins: each has found an order of its own for
# its neurons. Undo the order, and much of the barrier goes away
# ([arXiv:2209.04836](https://arxiv.org/abs/2209.04836)). Here are two of that kind, trained live: `micro` models, far smaller
# than the nano, which begin with the random numbers of seeds 0 and 1 and then see the same batches. And two siblings, which
# begin with the trained model of seed 0 and then see different mixtures.

# %%
from egemma_lab.model import new_model, train_tokenizer

tokenizer = train_tokenizer(corpus["text"].tolist(), vocab_size=sized(2048, 600))
long = recipe.replace(steps=sized(120, 2), learning_rate=3e-3)
short = recipe.replace(steps=sized(30, 1), learning_rate=1e-3)
even = dict.fromkeys(kinds, 1.0)
raised = [finetune(new_model("micro", tokenizer, seed=seed), even, f"seed {seed}", long) for seed in (0, 1)]
siblings = [finetune(raised[0], mixtures[f"mostly {kind}"], kind, short) for kind in ("topics", "keywords")]

learnt = make_exam("learn", sized(8, 2))  # what they were trained on: a model this small has learnt no more


def learnt_loss(model):
    return loss_of(cosines(model, learnt), learnt)


micro_lines = {
    "two siblings (one start)": lab.train.along_the_line(*siblings, learnt_loss, stops),
    "two seeds (different starts)": lab.train.along_the_line(*raised, learnt_loss, stops),
}
micro_guessing = float(np.mean([np.log(len(candidates)) for _, candidates, _ in learnt.values()]))
kin, unrelated = micro_lines.values()
show(
    lab.explore.line_between(
        micro_lines,
        title="Siblings and strangers",
        subtitle="micro models, on sentences they were trained on",
        level=(micro_guessing, f"guessing: {micro_guessing:.2f}"),
    ),
    f"Two curves. Between two siblings the loss goes from {kin['score'].iloc[0]:.2f} over "
    f"{kin['score'].iloc[len(kin) // 2]:.2f} to {kin['score'].iloc[-1]:.2f}; between models of two seeds from "
    f"{unrelated['score'].iloc[0]:.2f} up to {unrelated['score'].max():.2f} and down to "
    f"{unrelated['score'].iloc[-1]:.2f}.",
)

# %%
heights = {name: barrier(line) for name, line in (lines | micro_lines).items()}
Table(
    pd.DataFrame({"barrier (nats)": heights}),
    "Highest point above the straight connection of the ends; below 0 the line sags, and souping gains",
    digits=3,
)

# %% [markdown]
# ## 5. Where the ingredients come from: mixtures
#
# EmbeddingGemma's ingredients differ in their mixture of data. A mixture of k sources is a point whose k shares are not
# negative and sum to 1; for three sources these points fill a triangle. The corners are the specialists, the middle is
# the uniform mixture.
#
# The standard way to draw such points is the **Dirichlet distribution**. Its one number, the concentration α, says where:
# at α = 1 all points of the triangle are equally probable, above 1 they gather in the middle, below 1 they flee to edges
# and corners, where a source or two have it all. Move it:


# %%
def drawn(alpha=1.0):
    """200 mixtures drawn with the concentration alpha."""
    shares = np.random.default_rng(0).dirichlet([alpha] * 3, 200)
    rows = pd.DataFrame(shares, columns=[f"weight/{kind}" for kind in kinds]).assign(kind="dirichlet")
    return lab.explore.mixture_triangle(
        rows,
        title=f"200 mixtures from a Dirichlet distribution, α = {alpha:g}",
        subtitle=f"the largest of the three shares is {shares.max(axis=1).mean():.0%} on average",
    )


slider = lab.explore.move(
    drawn,
    "A triangle with 200 points spread evenly over it: mixtures of topics, halves and keywords, concentration 1.",
    alpha=(1.0, 0.1, 10.0, 0.1),
)

# %% [markdown]
# Nobody wants a source to vanish altogether, for what it was good for may not be in the development set. So the search keeps
# every share above a **floor**.
#
# ### Exercise 3: a share above the floor

# %%
floor = lab.explore.exercise("souping/share_above_a_floor")
floor

# %%
floor.check(...)

# %% [markdown]
# ### From drawing to searching
#
# Each trial is a whole finetuning, so trials are few and should be chosen with care. **Bayesian optimisation** fits a
# Gaussian process to the trials so far, a smooth guess at the score between them: for every mixture it says what score μ it
# expects and how unsure it is, σ. The next trial is where the **expected improvement** over the best score b so far is largest
# (Jones, Schonlau and Welch 1998, Eq. 15, [doi:10.1023/A:1008306431147](https://doi.org/10.1023/A:1008306431147)):
#
# $$\mathrm{EI} = \sigma\,\bigl(z\,\Phi(z) + \varphi(z)\bigr), \qquad z = \frac{\mu - b}{\sigma}$$
#
# with the normal distribution's density φ and its integral Φ. Two mixtures to try it on: A is expected to reach exactly
# the best score, but the process knows little about it; B is expected a little better and is nearly sure.

# %%
from scipy.stats import norm


def expected_improvement(mu, sigma, best):
    z = (mu - best) / sigma
    return sigma * (z * norm.cdf(z) + norm.pdf(z))


a = expected_improvement(mu=0.70, sigma=0.05, best=0.70)
b = expected_improvement(mu=0.71, sigma=0.005, best=0.70)
say(
    f"A: z = 0, so EI = σ φ(0) = 0.05 · {norm.pdf(0):.3f} = **{a:.4f}**. B: **{b:.4f}**. The search tries "
    f"{'A: it is worth more to look where one may be surprised' if a > b else 'B'}."
)

# %% [markdown]
# How much better than drawing is it? On a made-up score, whose best mixture we know, a search costs nothing. Each search
# has the same number of trials: one that only draws, and one that draws four and optimises from then on.

# %%
goal = {"topics": 0.2, "halves": 0.55, "keywords": 0.25}
trials = sized(16, 8)


def made_up(weights):
    """1 at the goal, falling with the squared distance of the shares' square roots (Hellinger's)."""
    return 1 - sum((weights[kind] ** 0.5 - goal[kind] ** 0.5) ** 2 for kind in kinds)


def searched(initial, seed):
    search = lab.train.MixtureSearch(kinds, seed=seed, initial=initial)
    for _ in range(trials):
        weights = search.ask()
        search.tell(weights, made_up(weights))
    return search


seeds = range(sized(8, 2))
drawing = [searched(initial=trials, seed=seed) for seed in seeds]
optimising = [searched(initial=4, seed=seed) for seed in seeds]
short_of = {
    name: [1 - search.best()[0]["score"] for search in searches]
    for name, searches in {"drawing alone": drawing, "with optimisation": optimising}.items()
}
show(
    lab.explore.mixture_triangle(
        optimising[0].table(),
        title="One search of a made-up score",
        subtitle="the best mixture is 20% topics, 55% halves, 25% keywords; larger points scored higher",
    ),
    f"A triangle with {trials} points: the uniform mixture in the middle, four drawn ones scattered, and those of the "
    "optimisation, most of them near the best mixture towards the corner of halves.",
)
Table(
    pd.DataFrame(
        {name: [np.median(v), np.max(v)] for name, v in short_of.items()}, index=["median", "worst"]
    ).T,
    f"How far the best of {trials} trials stays below the highest score, over {len(seeds)} seeds",
    digits=5,
)

# %% [markdown]
# A made-up score is smooth and has no noise. Here is the real thing: every trial finetunes the nano and sits the exam on the
# topics to choose by. Few trials of seconds each, where EmbeddingGemma's were finetunings of a large model; the procedure is
# the same. (`lab.train.search_mixtures` does it for long trials, in a folder, and goes on where it was stopped.)

# %%
search = lab.train.MixtureSearch(kinds, seed=0, initial=3, floor=0.05)
cooked = []
for number in range(sized(6, 3)):
    weights = search.ask()
    model = finetune(start, weights, f"trial {number}")
    search.tell(weights, means(reciprocal_ranks(cosines(model, choose), choose))["mean"])
    cooked.append(model)
history = search.table()
show(
    lab.explore.mixture_triangle(
        history,
        title="The search, each point a finetuning",
        subtitle="larger points scored higher on the exam",
    ),
    f"A triangle with {len(history)} points, one a finetuning of the nano; the best scored "
    f"{history['score'].max():.3f}, the worst {history['score'].min():.3f}.",
)
Table(history, "The trials", digits=3)

# %%
scored = [reciprocal_ranks(cosines(model, choose), choose) for model in cooked]
worst, *_, top = sorted(scored, key=lambda each: means(each)["mean"])
apart = lab.train.soup_gain([worst], top)
say(
    f"The best and the worst trial differ by **{apart['gain']:.3f}**, with a 95% interval over the {apart['n']} queries, which "
    f"both answered, of {apart['low']:+.3f} to {apart['high']:+.3f}"
    + (
        ": 0 lies in it, so the order of these mixtures is not to be trusted."
        if apart["low"] <= 0
        else f". And yet: the two were picked from {len(scored)} *because* they lie furthest apart, which no interval of a single "
        "pair knows of."
    )
    + " What such a choice does to a score is the next exercise."
)

# %% [markdown]
# ### Exercise 4: the luck of the best

# %%
luck = lab.explore.exercise("souping/luck_of_the_best")
luck

# %%
luck.check(...)

# %% [markdown]
# ## 6. Plain and greedy
#
# The paper's soup is **plain**: the unweighted mean of the finetunings, one a mixture. The **greedy** soup
# (Wortsman et al. 2022, Recipe 1) sorts the models by their score on the development set and lets each join only if the
# average does not get worse. It asks for more measuring, and is safe against a spoilt ingredient.
#
# ### Exercise 5: greedy by hand

# %%
by_hand = lab.explore.exercise("souping/greedy_by_hand")
by_hand

# %%
by_hand.check(...)

# %% [markdown]
# The same with the search's models and the development exam:


# %%
def development_score(model):
    return means(reciprocal_ranks(cosines(model, choose), choose))["mean"]


greedy, report = lab.train.greedy_soup(cooked, development_score)
Table(
    report.drop(columns="position"), "Greedy: in the order of their own scores, each tried in turn", digits=4
)

# %% [markdown]
# Choosing is over; now the judging, on the four topics kept for it. The best single model is the one the development exam
# chose, as anybody would have done.

# %%
best = cooked[search.best()[0]["number"]]
everything = lab.soup(cooked)
plates = {"best single": best, f"plain soup of {len(cooked)}": everything, greedy.name: greedy}
judged = {name: reciprocal_ranks(cosines(model, judge), judge) for name, model in plates.items()}
ingredients = [reciprocal_ranks(cosines(model, judge), judge) for model in cooked]
rows = {"mean of the ingredients": {"mean": np.mean([means(each)["mean"] for each in ingredients])}}
for name, scores in judged.items():
    compared = lab.train.soup_gain(ingredients, scores)
    rows[name] = {
        "mean": compared["soup"],
        "gain over the mean": f"{compared['gain']:+.4f} ({compared['low']:+.4f} to {compared['high']:+.4f})",
    }
Table(
    pd.DataFrame(rows).T.fillna(""),
    "Mean reciprocal rank on the topics to judge by, and what it is above the ingredients' mean (95% interval over "
    "queries)",
    digits=4,
)

# %% [markdown]
# ## 7. When souping helps, and when not
#
# The formula of section 2 says what the gain depends on: how far apart the ingredients lie. We can move them without any
# training. Stretch each specialist's difference from the start by a factor s: at s = 0 all three are the nano, at 1 they
# are what they were trained to be, beyond 1 they have gone too far. If the nano sat in a perfect bowl, the gain of the
# soup, in loss, would grow like s².

# %%
guess = lab.explore.predict(
    "The specialists are stretched to twice their distance from the start. By which factor does the gain of their "
    "soup grow?",
    ...,
)
guess


# %%
def stretched(model, factor):
    """start + factor · (model − start), as a model."""
    moved = copy.deepcopy(start)
    with torch.no_grad():
        for weight, target in zip(moved.parameters(), model.parameters()):
            weight.add_(target - weight, alpha=factor)
    return moved


factors = sized([0.5, 1.0, 2.0, 3.0], [1.0, 2.0])
rows = []
for factor in factors:
    moved = [stretched(model, factor) for model in specialists.values()]
    alone = [held_out_loss(model) for model in moved]
    together = held_out_loss(lab.soup(moved))
    rows.append((factor, np.mean(alone), min(alone), together, np.mean(alone) - together))
columns = [
    "stretched by",
    "mean loss of the three",
    "best of the three",
    "loss of the soup",
    "gain over the mean",
]
stretch = pd.DataFrame(rows, columns=columns)
at_one = stretch.loc[stretch["stretched by"] == 1, "gain over the mean"].iloc[0]
stretch["gain in a perfect bowl"] = at_one * stretch["stretched by"] ** 2
Table(stretch, "Losses in nats, on the topics to choose by", digits=4)

# %%
at_two = stretch.loc[stretch["stretched by"] == 2].iloc[0]
grown = at_two["gain over the mean"] / at_one
(near, far), (less, more) = (stretch[name].iloc[-2:] for name in ("stretched by", "gain over the mean"))
guess.reveal(
    grown if at_one > 0 else "no gain that could grow",
    f"From {at_one:.4f} to {at_two['gain over the mean']:.4f} nats; a perfect bowl would give a factor of 4. The first of the "
    f"two is so small that its factor says little; from {near:g} to {far:g} times the distance the gain goes from {less:.4f} to "
    f"{more:.4f}, and a bowl would multiply it by {(far / near) ** 2:.2f}. "
    + "Look at the other columns too: what it is a gain *over* goes from "
    f"{stretch['mean loss of the three'].iloc[0]:.3f} to {stretch['mean loss of the three'].iloc[-1]:.3f}. Ingredients "
    "should differ as much as they can *while each is still good*.",
)

# %% [markdown]
# So souping helps where the ingredients
#
# - **share a start** and have not left its valley: otherwise the average may be noise, and only the line between them tells
#   (section 4);
# - **err differently**: models that differ in nothing gain nothing, and what they all get wrong stays wrong;
# - **are about equally good**: in a plain soup a bad one counts as much as a good one. Greedy sorts it out, at the price of a
#   development set.
#
# What else could one do with three models? Ask all of them, and average their cosines: an **ensemble**. It needs no shared
# start, for it never looks at weights, but it costs three models' memory and time for every text, for ever. A soup is an
# attempt to get that for the price of one. Did this one?

# %%
together = {
    kind: np.mean([found[name][kind] for name in specialists], axis=0) for kind in kinds
}  # (n, m), the mean of three models' cosines
compare = {
    "mean of the three": {"mean": own.mean(), "models to run": 1},
    "plain soup": {"mean": soup_mean, "models to run": 1},
    "ensemble": {"mean": means(reciprocal_ranks(together, judge))["mean"], "models to run": len(specialists)},
}
Table(pd.DataFrame(compare).T.astype({"models to run": int}), "On the topics to judge by", digits=4)

# %%
ahead = lab.train.soup_gain([ranks["plain soup"]], reciprocal_ranks(together, judge))
say(
    f"The ensemble is {ahead['gain']:+.4f} beside the soup ({ahead['low']:+.4f} to {ahead['high']:+.4f} over the queries)"
    + (
        ": one cannot be told from the other, so the soup costs a third and loses nothing that is seen here."
        if ahead["low"] <= 0 <= ahead["high"]
        else ": the soup has not got all of it."
        if ahead["gain"] > 0
        else ": the soup is even better."
    )
)

# %% [markdown]
# ## 8. Which texts change their neighbours?
#
# A score hides what happens to single texts. The explorer looks at 240 sentences and asks of each: which of its ten
# nearest does it lose from one model to another ([neighbour flip](../docs/glossary.md#neighbour-flip))? Begin with the step
# from the start to one specialist, then choose the soup: did it move less? On the right you see whether the margin, how
# clearly a neighbour was one before, told which would be lost.

# %%
sentences = lab.explore.topics(per_topic=sized(12, 4))["text"].tolist()


def vectors_of(model):
    return model.encode_document(sentences, show_progress_bar=False)


before = vectors_of(start)
changes = {name: vectors_of(model) for name, model in {**specialists, "plain soup": plain}.items()}
flips = lab.explore.flips(before, changes, sentences, k=sized(10, 5))
flips

# %%
from egemma_lab.explore.flips_data import find_flips

k = sized(10, 5)
lost = {name: find_flips(before, after).lost(k).mean() for name, after in changes.items()}
say(
    f"Of its {k} nearest, a sentence loses on average "
    + ", ".join(f"{count:.1f} ({name})" for name, count in lost.items())
    + ". "
    + (
        "The soup stays nearer to the start than each specialist: their errors have cancelled in part, and so have "
        "their opinions."
        if lost["plain soup"] < min(lost[name] for name in specialists)
        else "The soup does not stay nearer to the start than every specialist does."
    )
)

# %% [markdown]
# ## 9. What the paper found, and what we found
#
# EmbeddingGemma's Table 4 compares the soup with three of its ingredients, each the finetuning on one mixture, on the
# multilingual MTEB: mean over tasks.

# %%
paper = {"mixture 1": 60.4, "mixture 2": 60.4, "mixture 3": 60.1, "soup": 61.2}
ours = dict(zip(["mixture 1", "mixture 2", "mixture 3", "soup"], [*own, soup_mean]))
beside = pd.DataFrame({"the paper, MTEB mean of tasks": paper, "here, mean reciprocal rank": ours})
Table(beside, "mixtures here: mostly topics, halves, keywords", digits=3)

# %%
margin = {column: beside.loc["soup", column] - beside[column].iloc[:3].mean() for column in beside}
paper_margin, our_margin = margin.values()
say(
    f"In the paper the soup is {paper_margin:.1f} points above the mean of the three, and above each. Here it is "
    f"{abs(100 * our_margin):.1f} points of 100 {'above' if our_margin > 0 else 'below'} the mean of its three, "
    + ("and above each" if soup_mean > own.max() else "and not above the best of them")
    + ". The paper's ingredients were finetuned on billions of tokens, ours for seconds, on one seed and "
    f"{gain['n']} queries of made-up tasks; "
    + (
        "the interval of ours has 0 in it, so there is not even a direction to compare."
        if gain["low"] <= 0 <= gain["high"]
        else "the direction may be compared, the size may not."
    )
)

# %% [markdown]
# The laboratory also has an experiment with several data sets and seeds for it, `egemma-lab experiment souping`. Where its
# results have come with your version, they are drawn here. A line is one mixture's model, its place the difference from the
# soup (to the left: the soup is better), with a 95% interval; filled marks can be told from zero, and an effect inside the
# grey band may have been missed ([11](11_the_paper_in_miniature.ipynb)).

# %%
from egemma_lab.experiments import shipped_results

try:
    results = shipped_results("souping")
except FileNotFoundError as missing:
    say(f"Not there yet: {missing}")
else:
    show(lab.explore.experiment_figure(results), lab.explore.describe_experiment(results))

# %% [markdown]
# And the model that is already in your hands? Its recipe (`experiments/nano/recipe.yaml`) ends nearly as the paper's
# does: three mixtures from one start, sixty steps each, and their soup, the greedy one where the paper takes the plain
# one. The three ended within 0.0006 of each other on the development score (0.780); the soup took two of them and gained
# 0.0005 over the mean of all (−0.0001 to +0.0012): nothing that can be told from chance. The record stands in
# `egemma_lab/assets/nano/README.md`.
#
# ## Summary
#
# - A soup averages weights. It costs one model to run and no data to make.
# - In one bowl it is better than the mean of its ingredients, by as much as they differ, seen through the curvature.
# - Models from different starts need not share a bowl: in the run stored here the loss rose between two seeds of a micro model,
#   and not between siblings. Neurons in another order can be enough to ruin an average; the nano's twin withstood it. The
#   line tells.
# - Good ingredients are different and equally good; different mixtures of data make such ones.
# - The Dirichlet distribution draws mixtures, Bayesian optimisation spends few trials well, and the best of many trials owes
#   something to luck: choose on one set, judge on another.
#
# ## Where next
#
# [00](00_start_here.ipynb) trains a model on your own Python; two runs of it with different `seed` and `output` begin with
# different weights, and `lab.soup` will say so. Begin the second with the first one's `run.folder / "start"` and it will
# not. [01](01_embeddings_and_their_geometry.ipynb) has the measures with which the spaces of a soup and of its ingredients
# can be compared.

# %%
clock.report()
