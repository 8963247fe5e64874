# %% [markdown]
# # Embeddings and their geometry
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/01_embeddings_and_their_geometry.ipynb)
#
# A text goes in, a point comes out, and near points mean similar things. This notebook looks at those points: where
# they can lie, what "near" means there, how to tell a healthy cloud of points from a sick one, and how much a
# picture of it may be trusted.
#
# **Afterwards you will be able to**
#
# - compute a cosine by hand, and say why it equals a dot product and a distance here;
# - measure a space: alignment, uniformity, mean cosine, isotropy, intrinsic dimension, hubs, and say which value
#   means *collapsed*;
# - say what a prompt does to the vectors, before any training has given it a meaning;
# - read a map made with PCA or UMAP together with the share of neighbours it keeps.
#
# | | |
# |---|---|
# | Time | about 1 minute on two CPU cores; the same on a T4 or an H200 (estimated) |
# | Memory | about 1 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took. On another machine the last digits differ, UMAP's maps turn and fold
# differently, and every sentence with a number in it changes along, because it is computed where it stands.

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
import numpy as np
import pandas as pd

import egemma_lab as lab
from egemma_lab import geometry
from egemma_lab.explore import Table, say, show
from egemma_lab.settings import sized

clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: near means alike
#
# We begin with 240 everyday sentences on 20 topics, written for this notebook. The model is all-MiniLM-L6-v2, a small
# open text encoder that will be our teacher in later notebooks. It was never trained on these sentences, nor told the
# topics.

# %%
table = lab.explore.topics()
texts, topics = table["text"].tolist(), np.array(table["topic"].tolist())
teacher = lab.load_teacher()
vectors = teacher.encode(texts)  # (240, 384)


def nearest(sentence, k=5):
    """The k sentences whose vectors have the largest cosine with that of `sentence`."""
    cosines = vectors @ teacher.encode([sentence])[0]  # (240, 384) @ (384,) -> (240,)
    best = np.argsort(-cosines)[:k]
    found = {"cosine": cosines[best], "topic": topics[best], "sentence": [texts[i] for i in best]}
    return Table(pd.DataFrame(found), caption=sentence)


nearest("I want to speak to people in Lisbon")

# %% [markdown]
# Lisbon stands nowhere in the texts; the first find is about Portuguese all the same. Try sentences of your own. The
# model also makes mistakes, and they are instructive:

# %%
nearest("Which pet is easy to train?", k=3)

# %% [markdown]
# How often is the nearest other sentence of the same topic?

# %%
cosines = vectors @ vectors.T  # (240, 240)
np.fill_diagonal(cosines, -1)  # nobody is their own neighbour
hit = (topics[cosines.argmax(axis=1)] == topics).mean()
chance = (np.sum(topics == topics[0]) - 1) / (len(topics) - 1)
say(
    f"For **{hit:.0%}** of the sentences the nearest other one has the same topic. "
    f"Chance alone would give {chance:.0%}."
)

# %% [markdown]
# ## 2. The unit sphere
#
# Take the two smallest vectors that are worth a calculation.

# %%
a, b = np.array([3.0, 4.0]), np.array([4.0, 3.0])
dot = a @ b  # 3·4 + 4·3
length_a, length_b = np.sqrt(a @ a), np.sqrt(b @ b)  # √(9 + 16), √(16 + 9)
cosine = dot / (length_a * length_b)
say(
    f"dot product {dot:g}, lengths {length_a:g} and {length_b:g}, "
    f"cosine {dot:g} / ({length_a:g} · {length_b:g}) = **{cosine:g}**"
)

# %% [markdown]
# The cosine looks at directions only: twice as long a vector has the same cosine with everything. So embedding
# models divide each vector by its length once and for all. All points then lie on the
# [**unit sphere**](../docs/glossary.md#unit-sphere), and from there on the cosine is just the dot product.

# %%
unit_a, unit_b = a / length_a, b / length_b
turned = [-unit_a[1], unit_a[0]]
show(
    lab.explore.circle_pairs(
        [unit_a, unit_b, turned],
        names=["a", "b", "a, turned by 90°"],
        title="Three directions",
        subtitle=f"cosine of a and b {unit_a @ unit_b:.2f}; of a and its turned copy {unit_a @ turned:.2f}",
    ),
    "The unit circle with three arrows from its centre: a and b close together with cosine "
    f"{unit_a @ unit_b:.2f}, and a turned by a right angle.",
)

# %% [markdown]
# On the sphere the distance says the same thing as the cosine: ‖a − b‖² = ‖a‖² + ‖b‖² − 2 a·b = 2 − 2 cos, both lengths
# being 1. Sorting by either gives the same neighbours. Check it, on the small vectors and on all 240 sentences (this and
# all other symbols of the course are in the [notation](../docs/notation.md)):

# %%
squared = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)  # (240, 240)
difference = np.abs(squared - (2 - 2 * vectors @ vectors.T)).max()
say(
    f"‖a − b‖² = {np.sum((unit_a - unit_b) ** 2):.4f}, and 2 − 2 cos = {2 - 2 * unit_a @ unit_b:.4f}. "
    f"Over all pairs of sentences the two differ by at most {difference:.1e}."
)

# %% [markdown]
# ### Exercise 1: a cosine by hand

# %%
cosine_by_hand = lab.explore.exercise("geometry/cosine_by_hand")
cosine_by_hand

# %%
cosine_by_hand.check(...)

# %% [markdown]
# ## 3. Most directions are unrelated
#
# On a circle two random directions are often close. On a sphere with many dimensions they hardly ever are. Before
# you see it, write down a guess:

# %%
guess = lab.explore.predict(
    f"Take pairs of random directions in {vectors.shape[1]} dimensions. Between −x and x lie two thirds "
    "of their cosines. What is x?",
    ...,
)
guess

# %%
rng = np.random.default_rng(0)


def random_directions(n, width):
    """n directions drawn evenly from the unit sphere in `width` dimensions."""
    normal = rng.standard_normal((n, width))
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


n = sized(20_000, 2_000)
drawn = {
    width: (random_directions(n, width) * random_directions(n, width)).sum(axis=1)
    for width in (2, 8, 32, vectors.shape[1])
}
show(
    lab.explore.similarity_histogram(
        {f"{width} dimensions": values for width, values in drawn.items()},
        title="Cosines of random directions",
        subtitle="the more dimensions, the nearer to a right angle",
    ),
    "Four histograms of cosines between random directions. In 2 dimensions all cosines occur, most often "
    f"near −1 and 1; with 8, 32 and {vectors.shape[1]} dimensions they gather more and more tightly around 0.",
)
spreads = {"dimensions d": list(drawn), "standard deviation": [v.std() for v in drawn.values()]}
Table(pd.DataFrame(spreads | {"1/√d": [width**-0.5 for width in drawn]}), digits=4)

# %%
guess.reveal(
    float(np.quantile(np.abs(drawn[vectors.shape[1]]), 2 / 3)),
    "The cosines of random directions have the standard deviation 1/√d. A model therefore has room for "
    "very many texts that have nothing to do with each other, and a cosine that looks small may mean a lot.",
)

# %% [markdown]
# The sentences are not random directions. Here are the cosines of three kinds of pairs: the same thing said twice
# (ten pairs, right below), two sentences of one topic, two sentences of different topics.

# %%
said_twice = [
    ("The train was half an hour late.", "Our train arrived thirty minutes behind schedule."),
    ("She repaired the leaking tap herself.", "She fixed the dripping faucet on her own."),
    ("It rained all weekend.", "The whole weekend was wet."),
    ("The keeper saved the penalty.", "The goalkeeper stopped the spot kick."),
    ("I cannot sleep when it is hot.", "Hot nights keep me awake."),
    ("The program crashed on an empty list.", "An empty list made the software fail."),
    ("He puts money aside every month.", "Each month he saves a little."),
    ("The dog is scared of thunder.", "Thunderstorms frighten the dog."),
    (
        "We saw Jupiter's moons through the telescope.",
        "Through a telescope the moons of Jupiter could be seen.",
    ),
    ("Water the plants in the evening.", "Give the plants water after sunset."),
]
said = teacher.encode([first for first, _ in said_twice])  # (10, 384)
again = teacher.encode([second for _, second in said_twice])  # (10, 384)
upper = np.triu_indices(len(texts), k=1)  # each pair once
same_topic = topics[upper[0]] == topics[upper[1]]
pair_cosines = (vectors @ vectors.T)[upper]
groups = {
    "said twice": (said * again).sum(axis=1),
    "same topic": pair_cosines[same_topic],
    "different topics": pair_cosines[~same_topic],
}
show(
    lab.explore.similarity_histogram(
        groups,
        title="Cosines of real sentences",
        bins=40,
        subtitle=f"{teacher.name}, {vectors.shape[1]} dimensions",
    ),
    "Three histograms of cosines. "
    + ", ".join(f"{name}: mean {values.mean():.2f}" for name, values in groups.items())
    + ". The first stands well apart, the other two overlap.",
)
apart, same, twice = (groups[name].mean() for name in ("different topics", "same topic", "said twice"))
say(
    f"Sentences of different topics have a mean cosine of {apart:.2f}, not 0: "
    f"{apart * vectors.shape[1] ** 0.5:.1f} times the standard deviation of random directions. "
    f"Sentences of one topic have {same:.2f}, a sentence and its paraphrase {twice:.2f}. No cosine means "
    '"similar" in every model; what counts is how far the groups lie apart.'
)

# %% [markdown]
# ## 4. Two wishes: alignment and uniformity
#
# Wang and Isola ([arXiv:2005.10242](https://arxiv.org/abs/2005.10242)) put what a good space needs into two numbers,
# both better when **lower**:
#
# - [**alignment**](../docs/glossary.md#alignment), the mean of ‖x − y‖² over *positive pairs*, an anchor and its
#   positive: texts that belong together should lie together. 0 is perfect, 2 is what unrelated directions have.
# - [**uniformity**](../docs/glossary.md#uniformity), the logarithm of the mean of exp(−2 ‖x − y‖²) over all pairs: the
#   points should use the whole sphere. 0 is the worst: all points are one.
#
# Each alone is easy to cheat. One point for all texts has perfect alignment; random points have perfect uniformity.
# Move the two sliders: *spread* says over how much of the circle the anchors are distributed, *noise* how far each
# positive lies from its anchor.

# %%
start_angles = np.random.default_rng(1).uniform(-0.5, 0.5, 24)  # in turns, -1/2 to 1/2
offsets = np.random.default_rng(2).standard_normal(24)


def on_circle(turns):
    """Points of the unit circle at these angles, given in turns."""
    return np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1)  # (n, 2)


def pairs_on_circle(spread, noise):
    """24 anchors over this share of the circle, and positives this many turns away from them."""
    return on_circle(spread * start_angles), on_circle(spread * start_angles + noise * offsets)


def circle(spread=1.0, noise=0.02):
    """The figure: pairs on the circle, and how aligned and uniform they are."""
    anchors, positives = pairs_on_circle(spread, noise)
    return lab.explore.circle_pairs(
        anchors,
        positives,
        title="24 pairs on the unit circle",
        subtitle=f"alignment {geometry.alignment(anchors, positives):.3f} (0 is best), "
        f"uniformity {geometry.uniformity(anchors):.2f} (0 is worst)",
    )


sliders = lab.explore.move(
    circle,
    "24 pairs spread over the whole unit circle, each positive close to its anchor.",
    spread=(1.0, 0.0, 1.0, 0.05),
    noise=(0.02, 0.0, 0.5, 0.02),
)

# %% [markdown]
# Four corners of that space of possibilities, for readers without a running kernel and for comparison. How low uniformity
# can go depends on the number of dimensions: on a circle hardly lower than for *healthy* here, in hundreds of dimensions
# nearly to −4.

# %%
corners = pd.DataFrame(
    [("healthy", 1.0, 0.02), ("collapsed", 0.0, 0.0), ("crowded", 0.15, 0.02), ("scattered", 1.0, 0.5)],
    columns=["space", "spread", "noise"],
)
measured = [pairs_on_circle(*row) for row in corners[["spread", "noise"]].to_numpy()]
corners["alignment"] = [geometry.alignment(*pairs) for pairs in measured]
corners["uniformity"] = [geometry.uniformity(anchors) for anchors, _ in measured]
Table(corners)

# %% [markdown]
# ### Exercise 2: alignment at a right angle

# %%
right_angle = lab.explore.exercise("geometry/alignment_at_a_right_angle")
right_angle

# %%
right_angle.check(...)

# %% [markdown]
# And the real space? The pairs said twice give its alignment, the 240 sentences its uniformity.

# %%
even = geometry.uniformity(random_directions(*vectors.shape))
say(
    f"Alignment **{geometry.alignment(said, again):.2f}** (unrelated texts: 2), uniformity "
    f"**{geometry.uniformity(vectors):.2f}** (as many random directions: {even:.2f}; all in one point: 0)."
)

# %% [markdown]
# ## 5. The cone: anisotropy
#
# Spaces have a typical illness, [anisotropy](../docs/glossary.md#anisotropy): all vectors share one direction, so that
# they form a narrow cone. Everything is then similar to everything. The picture takes random directions, adds the same
# vector to each, and puts them back on the sphere. Move the slider to see the cone close.

# %%
cloud = random_directions(400, 32)
axis = np.zeros(32)
axis[0] = 1.0


def cone(common=1.0):
    """Random directions with a common vector added, back on the sphere, (400, 32)."""
    moved = cloud + common * axis
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def cone_figure(common=1.0):
    """Cosines of all pairs of such a cone."""
    points = cone(common)
    values = (points @ points.T)[np.triu_indices(len(points), k=1)]
    numbers = (
        f"common part {common:.1f} · mean cosine {geometry.mean_cosine(points):.2f} "
        f"· IsoScore {geometry.isoscore(points):.2f}"
    )
    title = "Random directions plus one common vector"
    return lab.explore.similarity_histogram({"all pairs": values}, title=title, subtitle=numbers)


cone_slider = lab.explore.move(
    cone_figure,
    "Histogram of the cosines in a cone: with a common part of length 1 they gather around one half, not 0.",
    common=(1.0, 0.0, 4.0, 0.2),
)

# %% [markdown]
# The mean cosine sees the cone. Does it see every illness? Two more clouds: one squeezed into 3 of its 32
# directions (a *pancake*), and one of two opposite clusters (a *dumbbell*). *Principal directions* are the cloud's own
# axes: the one along which it is widest, then the widest at a right angle to that, and so on. **IsoScore**
# ([arXiv:2108.07344](https://arxiv.org/abs/2108.07344)) compares the variances along them, around the cloud's centre: 1
# means all alike, 0 means that one direction has all the variance. The **effective rank**
# ([Roy and Vetterli 2007](https://ieeexplore.ieee.org/document/7098875)) says how many directions are in use: e to the
# power of the entropy of their shares of the variance, 10 for ten equal ones.
#
# Before you run the cell: which of the two, mean cosine or IsoScore, will notice the dumbbell?

# %%
guess = lab.explore.predict(
    "Which of the two notices the dumbbell: `mean cosine`, `IsoScore`, both, or none?", ...
)
guess


# %%
def on_sphere(points):
    """Each row divided by its length."""
    return points / np.linalg.norm(points, axis=1, keepdims=True)


halves = np.where(np.arange(len(cloud)) % 2, 1.0, -1.0)[:, None]  # (400, 1)
spaces = {
    "even": cloud,
    "cone": cone(2.0),
    "pancake": on_sphere(cloud * np.where(np.arange(32) < 3, 1.0, 0.05)),
    "dumbbell": on_sphere(0.2 * cloud + halves * axis),
}


def health(points):
    """The four numbers that this section is about."""
    return {
        "mean cosine": geometry.mean_cosine(points),
        "uniformity": geometry.uniformity(points),
        "IsoScore": geometry.isoscore(points),
        "effective rank": geometry.effective_rank(points),
    }


illnesses = pd.DataFrame({name: health(points) for name, points in spaces.items()}).T
Table(illnesses)

# %%
sick, cured = illnesses.loc["dumbbell"], illnesses.loc["even"]
guess.reveal(
    "IsoScore",
    "The two halves of the dumbbell cancel in the mean: its mean cosine lies "
    f"{abs(sick['mean cosine'] - cured['mean cosine']):.2f} from that of the even cloud, while its IsoScore is "
    f"{sick['IsoScore']:.2f} instead of {cured['IsoScore']:.2f}. With the cone it is the other way round: mean "
    f"cosine {illnesses.loc['cone', 'mean cosine']:.2f}, but IsoScore {illnesses.loc['cone', 'IsoScore']:.2f}, "
    "since it looks at the cloud from its own centre. One number is never enough.",
)

# %% [markdown]
# ### Exercise 3: a mean cosine by hand

# %%
cross = lab.explore.exercise("geometry/mean_cosine_by_hand")
cross

# %%
cross.check(...)

# %% [markdown]
# The real space, beside as many random directions of the same width. The curve shows how much of the squared length of
# all vectors lies along each principal direction, their mean not taken off. So few points cannot look even in so many
# dimensions: random directions would give a flat curve and an IsoScore of 1 only if there were far more of them. That
# is why they stand beside the real space.

# %%
random_space = random_directions(*vectors.shape)
show(
    lab.explore.spectrum(
        {"all-MiniLM-L6-v2": vectors, "random directions": random_space},
        title="Squared length over directions: a real space and an even one",
        subtitle=f"{len(vectors)} vectors show at most {len(vectors)} directions",
    ),
    "Two falling curves on a logarithmic scale, share of the second moment over principal directions. The "
    "real space starts higher and falls faster than random directions.",
)
Table(pd.DataFrame({"the sentences": health(vectors), "random directions": health(random_space)}).T)

# %% [markdown]
# ## 6. What a prompt does
#
# EmbeddingGemma ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)), the model whose recipe this course follows, wants
# a [prompt](../docs/glossary.md#prompt): a few words before each text that say what the vector is for, and different ones
# for a question and for a document. Here are three of them. What do they do to the vectors of a model that was never
# trained with prompts, such as our teacher? This shows the raw effect, before training has given the words a meaning.

# %%
chosen = ("query", "document", "Clustering")
prompts = {"no prompt": ""} | {name: lab.model.PROMPTS[name] for name in chosen}
for name, prompt in prompts.items():
    print(f"{name:10} {prompt!r}")

# %%
guess = lab.explore.predict(
    "The same prompt is put before all 240 sentences. Will their mean cosine rise, fall, or stay?", ...
)
guess

# %%
prompted = {name: teacher.encode([prompt + text for text in texts]) for name, prompt in prompts.items()}
rows = {}
for name, moved in prompted.items():
    shift = moved - vectors  # (240, 384): where each vector went
    shared = np.sum(shift.mean(axis=0) ** 2) / max(np.mean(np.sum(shift**2, axis=1)), 1e-12)
    rows[name] = {
        "mean cosine": geometry.mean_cosine(moved),
        "cosine to itself without prompt": np.mean(np.sum(moved * vectors, axis=1)),
        "share of the move that all make together": shared,
        "share of neighbours kept": geometry.neighbours_kept(vectors, moved, k=10)[0],
    }
effects = pd.DataFrame(rows).T
Table(effects)

# %%
show(
    lab.explore.similarity_histogram(
        {name: (moved @ moved.T)[upper] for name, moved in prompted.items()},
        title="The same sentences after different prompts",
        bins=50,
        subtitle="cosines of all pairs, both with the same prompt",
    ),
    "Four histograms of cosines. Every prompt moves the whole distribution to the right: "
    + ", ".join(f"{name} mean {effects.loc[name, 'mean cosine']:.2f}" for name in prompts)
    + ".",
)
plain, means = effects["mean cosine"].iloc[0], effects["mean cosine"].iloc[1:]
guess.reveal(
    "rise" if means.min() > plain else "fall" if means.max() < plain else "both",
    f"From {plain:.2f} to between {means.min():.2f} and {means.max():.2f}. The vector is a mean over the tokens, "
    "the prompt's among them, and those are the same in every text: all points move the same way, into a cone.",
)

# %% [markdown]
# If a vector is a mean over tokens, a short text should move more than a long one. Does it? And how much of the old
# order comes back when the common move is simply subtracted?

# %%
moved = prompted["query"]
words = np.array([len(text.split()) for text in texts])
distance = np.linalg.norm(moved - vectors, axis=1)
back = on_sphere(moved - (moved - vectors).mean(axis=0))
restored, _ = geometry.neighbours_kept(vectors, back, k=10)
say(
    "The correlation of a sentence's length with the distance it moved is "
    f"**{np.corrcoef(words, distance)[0, 1]:.2f}** (−1 would mean: the shorter, the farther; attention mixes the "
    "prompt's words into all others, which blurs it). Subtracting the common move brings the mean cosine back to "
    f"{geometry.mean_cosine(back):.2f}, and the share of neighbours kept from "
    f"{effects.loc['query', 'share of neighbours kept']:.0%} to **{restored:.0%}**. A part of the new order was only "
    "the common move; the rest is what the prompt did to each sentence in its own way."
)

# %% [markdown]
# What if one side has another prompt than the other? For each pair of prompts: how often is the nearest other sentence
# of the same topic, and what is the mean cosine across?


# %%
def same_topic_found(questions, documents):
    """Share of sentences whose nearest other one, across two encodings of all, has their topic."""
    across = questions @ documents.T - 2 * np.eye(len(documents))
    return (topics[across.argmax(axis=1)] == topics).mean()


mixed = [
    (one, other, same_topic_found(prompted[one], prompted[other]), np.mean(prompted[one] @ prompted[other].T))
    for one, other in (
        ("no prompt", "no prompt"),
        ("query", "query"),
        ("query", "document"),
        ("query", "no prompt"),
    )
]
Table(pd.DataFrame(mixed, columns=["questions with", "documents with", "same topic found", "mean cosine"]))

# %% [markdown]
# With another prompt on the other side the cosines are lower than with the query prompt on both, but lower for all
# documents about alike, so that their order nearly stays. For a model that never learnt from prompts they are noise
# that mostly cancels. A model trained with them has put meaning there: the prompt says which kind of nearness is asked
# for, and leaving it out is an error that users of such models report again and again
# ([mteb#3188](https://github.com/embeddings-benchmark/mteb/issues/3188),
# [sentence-transformers#2945](https://github.com/huggingface/sentence-transformers/issues/2945)). That is why
# `encode_query` and `encode_document` of this package put the prompts there by themselves.
#
# ## 7. Maps, and how far to trust them
#
# Nobody sees 384 dimensions, so we draw two ([projections](../docs/glossary.md#projection-pca-umap)). **PCA** looks at
# the cloud from the side where it is widest: a shadow, straight and repeatable. **UMAP**
# ([arXiv:1802.03426](https://arxiv.org/abs/1802.03426)) bends the space so that neighbours stay neighbours, as well as it
# can; distances between groups and the sizes of groups mean nothing in it.
#
# A map can be asked how true it is: of each text's ten nearest neighbours in the real space, how many are still among
# its ten nearest on the map?

# %%
guess = lab.explore.predict(
    "Which share of the true ten nearest neighbours will a PCA map of these sentences keep? And UMAP?", ...
)
guess

# %%
pca_map = geometry.pca_plane(vectors).transform(vectors)  # (240, 2)
umap_map = geometry.project_umap(vectors, seed=0)  # (240, 2)
pca_kept, _ = geometry.neighbours_kept(vectors, pca_map, k=10)
umap_kept, umap_kept_each = geometry.neighbours_kept(vectors, umap_map, k=10)
shown = ["cooking", "astronomy", "programming", "football", "dogs", "train travel", "birdwatching", "energy"]
show(
    lab.explore.before_after_map(
        pca_map,
        umap_map,
        topics,
        texts,
        titles=("PCA", "UMAP"),
        kept=(pca_kept, umap_kept),
        highlight=shown,
        title="The same 240 sentences on two maps",
        axes=("first coordinate", "second coordinate"),
    ),
    "Two scatter plots of the 240 sentences with eight topics marked. On the PCA map the topics overlap in the "
    f"middle, it keeps {pca_kept:.0%} of the true neighbours; on the UMAP map most topics form islands, it keeps "
    f"{umap_kept:.0%}.",
)

# %%
guess.reveal(
    f"{pca_kept:.0%} (PCA) and {umap_kept:.0%} (UMAP)",
    "Whatever you see on such a map is a hint, to be checked in the full space. On UMAP's map, "
    f"{np.mean(umap_kept_each < 0.3):.0%} of the sentences keep fewer than three of their ten neighbours.",
)

# %% [markdown]
# ### Exercise 4: how bad can a map be?

# %%
chance_level = lab.explore.exercise("geometry/a_map_by_chance")
chance_level

# %%
chance_level.check(...)

# %% [markdown]
# ## 8. Hubs, and how many dimensions are in use
#
# In spaces of many dimensions some points turn up among the neighbours of very many others:
# [**hubs**](../docs/glossary.md#hub)
# ([Radovanović, Nanopoulos and Ivanović 2010](https://www.jmlr.org/papers/v11/radovanovic10a.html)). A search
# returns them to all kinds of questions. Others are nobody's neighbour and are never found. The hubness of a space is
# the skewness of the count "how often am I among the ten nearest of another": 0 where everyone is found alike.

# %%
counts = np.bincount(np.argsort(-cosines, axis=1)[:, :10].ravel(), minlength=len(texts))  # (240,)
hub = counts.argmax()
say(
    f"Hubness **{geometry.hubness(vectors, k=10):.2f}** (random directions: {geometry.hubness(random_space, k=10):.2f}). "
    f"Everyone is among the ten nearest of 10 others on average; the greatest hub is among those of **{counts[hub]}**: "
    f"*{texts[hub]}* ({topics[hub]}). The loneliest sentence is among those of {counts.min()}."
)

# %% [markdown]
# And how many numbers would it take to say where a point lies? The **intrinsic dimension** asks how fast the number of
# neighbours grows with the distance, which is a matter of the cloud's own shape and not of the width of the space it lies
# in.

# %%
ring = on_circle(np.random.default_rng(3).uniform(0, 1, 240)) @ random_directions(2, 384)
dimension = {
    "a circle, tilted": geometry.intrinsic_dimension(ring),
    "the sentences": geometry.intrinsic_dimension(vectors),
    "random directions": geometry.intrinsic_dimension(random_space),
}
Table(pd.Series(dimension, name="intrinsic dimension").to_frame(), digits=1)

# %% [markdown]
# All three lie in 384 dimensions. For the random directions the estimate is too low, because 240 points are far too few
# to see them all. For the sentences it is lower still: they do not fill the space they lie in. This is one reason why
# vectors can be cut short without losing much; [06_matryoshka](06_matryoshka.ipynb) does it.

# %% [markdown]
# ## 9. One table for any space
#
# `geometry.report` measures all of this at once. It is what the next notebooks watch while a model trains.

# %%
report = geometry.report(vectors, pairs=(said, again))
Table(pd.Series(report, name="all-MiniLM-L6-v2").to_frame(), caption="The 240 sentences, and ten said twice")

# %% [markdown]
# ## Summary
#
# - Vectors of length 1: cosine, dot product and distance say the same, and one multiplication searches.
# - In many dimensions unrelated means *nearly orthogonal*; what a cosine means, a model's own distribution tells.
# - Alignment asks whether pairs are close, uniformity whether the sphere is used. Each alone can be cheated.
# - The mean cosine sees a cone, IsoScore sees unequal directions; neither sees both.
# - More than half of what a prompt did to this model's vectors was one move, the same for all texts. What else a prompt
#   means, training decides: use the prompts that were trained.
# - A map is a hint. It comes with the share of neighbours it keeps, or it is decoration.
#
# ## Where next
#
# - [00_start_here](00_start_here.ipynb) trains a model on your own Python in two minutes; its spread-out loss is this
#   notebook's uniformity in another form. To see that, take its `run.snapshots.embeddings` and follow `geometry.report`
#   from snapshot to snapshot.
# - [05_spread_out](05_spread_out.ipynb) asks what evenness is good for.
# - [02_the_model](02_the_model.ipynb) opens the machine that makes the vectors.

# %%
clock.report()
