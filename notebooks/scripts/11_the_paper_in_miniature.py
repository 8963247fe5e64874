# %% [markdown]
# # The paper in miniature
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/11_the_paper_in_miniature.ipynb)
#
# EmbeddingGemma ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)) says which of its choices mattered: what the model
# began as, how a text's tokens become one vector, whether several models are averaged. It says so at 300 million
# parameters and after hundreds of billions of tokens. Here these comparisons are repeated, and some that others published,
# with models of the [nano](../docs/glossary.md#nano)'s architecture and size (eight million parameters; their tokenizer was an
# earlier nano's, 16,371 pieces of its own) and a few minutes a training, with several seeds, and with an honest word on what so
# little can show.
#
# **Afterwards you will be able to**
#
# - read a difference together with its interval, and say what it could *not* have seen;
# - compare two trainings on equal seeds and equal questions, and say why nothing else will do;
# - correct for having looked at many arms at once;
# - run one of these experiments yourself, or one of your own, in twenty lines of YAML;
# - try a loss term that nobody has tried, beside the paper's, on equal terms.
#
# | | |
# |---|---|
# | Time | about 6 minutes on two CPU cores, most of it your own experiments; the same on a T4 or an H200 (all estimated) |
# | Memory | about 1 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took; a busy machine takes longer. The figures are drawn from the results that
# come with the lab (`experiments/*/results.json`); nothing in them is typed in. What is compared is the subject of the
# notebooks before this one; words are explained in the [glossary](../docs/glossary.md), symbols in
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
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go

import egemma_lab as lab
from egemma_lab.experiments import (
    comparisons,
    experiment_names,
    find_experiment,
    scores,
    shipped_results,
    verdicts,
)
from egemma_lab.experiments.statistics import holm, paired
from egemma_lab.explore import Table, say, show
from egemma_lab.explore.style import INK, OKABE_ITO, QUIET, styled
from egemma_lab.settings import sized

clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: what was published, and what a small machine finds
#
# Each line is one comparison that somebody published, and the same comparison here. "Found" is the difference in
# [nDCG@10](../docs/glossary.md#ndcg10) on held-out questions, in points of 100, with its 95%
# [interval](../docs/glossary.md#confidence-interval). "Published" is in points of another benchmark, after other trainings,
# so its size cannot be compared with ours; a lone + says that a gain was stated without a number. A **verdict** is therefore
# about the sign alone.
#
# Before you look: of the comparisons whose sign was published, which share will show the same sign here, surely enough to
# be told from chance?

# %%
guess = lab.explore.predict("Which share of the published signs will be found again, between 0 and 1?", ...)
guess

# %%
results, missing = {}, []
for name in experiment_names():
    try:
        results[name] = shipped_results(name)
    except FileNotFoundError:
        missing.append(name)
if missing:
    say(f"Results of these experiments do not come with this version: {', '.join(missing)}.")

tables = [verdicts(each).assign(experiment=name) for name, each in results.items() if each["published"]]
table = pd.concat(tables, ignore_index=True)

WORDS = {  # for how an experiment looks at its models, where its own name for it says too little
    "full none prompts": "no prompts",
    "full wrong prompts": "wrong prompts",
    "full binary": "in bits",
    "half": "half width",
    "quarter": "quarter width",
    "eighth": "eighth width",
}


def in_words(view, views):
    """A way of looking at a model, told apart from the other `views` of its experiment."""
    plain = "right prompts" if any(other.endswith("prompts") for other in views) else "full width"
    return plain if view == "full" else WORDS.get(view, view)


def compared(row):
    """A published comparison in words: two arms, or one arm seen in two ways."""
    at, start = (in_words(view, (row["at"], row["from"])) for view in (row["at"], row["from"]))
    if row["of"] == row["over"]:
        return f"{row['of']}: {at} over {start}"
    return f"{row['of']} over {row['over']}" + ("" if row["at"] == "full" else f" ({at})")


def points(value):
    """A difference in points of 100, with its sign; a published one may be a sign alone."""
    return value if isinstance(value, str) else f"{value:+.1f}"


overview = pd.DataFrame(
    {
        "experiment": table["experiment"],
        "compared": table.apply(compared, axis=1),
        "published": table["published"].map(points),
        "found": (100 * table["found"]).map(points),
        "from": (100 * table["low"]).map(points),
        "to": (100 * table["high"]).map(points),
        "verdict": table["verdict"],
    }
)
Table(overview, "What was published, and what was found here with its 95% interval")

# %%
counts = table["verdict"].value_counts()
same = counts.get("same sign", 0)
guess.reveal(
    round(same / len(table), 2),
    f"Of {len(table)} comparisons {same} show the published sign, {counts.get('the other sign', 0)} the other one, and in "
    f"{counts.get('no difference to be seen', 0)} no difference is to be seen.",
)

# %% [markdown]
# The same as a picture. Where a number was published, a cross marks it:

# %%
VERDICTS = {
    "same sign": (OKABE_ITO["green"], "circle"),
    "the other sign": (OKABE_ITO["vermillion"], "square"),
    "no difference to be seen": (QUIET, "circle-open"),
}


def beside_the_published(table):
    """A line a comparison: what was found, with its interval, in the colour of its verdict; a cross for the published."""
    places = len(table) - 1 - np.arange(len(table))  # the first on top
    fig = go.Figure()
    for verdict, (colour, symbol) in VERDICTS.items():
        at = (table["verdict"] == verdict).to_numpy()
        rows = 100 * table.loc[at, ["found", "low", "high"]]
        if at.any():
            fig.add_scatter(
                x=rows["found"],
                y=places[at],
                mode="markers",
                name=verdict,
                marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": rows["high"] - rows["found"],
                    "arrayminus": rows["found"] - rows["low"],
                    "color": colour,
                },
                text=overview.loc[at, "compared"],
                hovertemplate="%{text}: %{x:+.1f}<extra></extra>",
            )
    numbers = np.array([not isinstance(value, str) for value in table["published"]])
    if numbers.any():
        fig.add_scatter(
            x=table.loc[numbers, "published"].astype(float),
            y=places[numbers],
            mode="markers",
            name="published",
            marker={"color": INK, "symbol": "x-thin", "size": 9, "line": {"width": 2, "color": INK}},
            hovertemplate="published: %{x:+.1f}<extra></extra>",
        )
    fig.add_vline(0, line={"color": QUIET, "width": 1})
    for number, (name, rows) in enumerate(table.groupby("experiment", sort=False)):
        last, first = places[rows.index[-1]], places[rows.index[0]]
        if number % 2:
            fig.add_hrect(last - 0.5, first + 0.5, fillcolor=QUIET, opacity=0.08, line_width=0)
        fig.add_annotation(
            x=1.01, xref="paper", xanchor="left", y=(first + last) / 2, text=name, showarrow=False
        )
    styled(fig, "Published and found", x="difference (points of 100)", height=230 + 27 * len(table))
    fig.update_yaxes(tickvals=places, ticktext=overview["compared"], range=[-0.6, len(table) - 0.4])
    fig.update_layout(legend={"orientation": "h", "yref": "container", "y": 0.01, "x": 0}, margin={"r": 110})
    return fig


show(
    beside_the_published(table),
    f"{len(table)} comparisons, a line each, with what was found, its interval and what was published: "
    + "; ".join(f"{verdict}: {counts.get(verdict, 0)}" for verdict in VERDICTS)
    + ".",
)

# %% [markdown]
# "No difference to be seen" is not "no difference". How large an effect could have been seen is a number, and each figure
# of section 5 shows it as a grey band. First, where such numbers come from. (What each published number was measured on
# stands in [docs/results.md](../docs/results.md).)
#
# ## 2. One factor, all else equal
#
# An experiment is a file: a question, what all arms share (most of it in the file that `base` names), and for each **arm**,
# each of the trainings compared, the little that differs. One arm is the **baseline**, from which the others are told. This
# is the whole file of the question whether the [spread-out loss](../docs/glossary.md#spread-out-loss) helps:

# %%
print(Path(lab.experiments.shipped.experiments_folder(), "spread-out", "config.yaml").read_text())

# %% [markdown]
# The arms of one seed begin with the same weights and see the same texts in the same order. That is a claim, so let us
# look: where do the full recipes of two arms differ?

# %%
experiment = find_experiment("spread-out")


def differences(one, other, path=""):
    """Places where two nested settings differ."""
    if isinstance(one, dict):
        for key in one:
            yield from differences(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list):
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differences(a, b, f"{path}/{number}")
    elif one != other:
        yield path, one, other


recipes = [vars(experiment.recipe(arm, seed=0, scale="small")[0]) for arm in ("with", "without")]
places = list(differences(*recipes))
Table(pd.DataFrame(places, columns=["where", "with", "without"]), "All differences of two arms")

# %% [markdown]
# ## 3. Equal seeds, equal questions
#
# A **seed** is the number from which a training's random draws follow: the order of the texts and the fresh weights. Some
# orders are luckier than others. If both arms had the same luck, it cancels. Small numbers first: two arms, three seeds, the
# scores of four questions each.

# %%
arm_a = {
    0: {"set": np.array([1.0, 0.6, 0.0, 1.0])},
    1: {"set": np.array([1.0, 1.0, 0.4, 1.0])},
    2: {"set": np.array([0.6, 0.5, 0.0, 0.9])},
}
arm_b = {
    0: {"set": np.array([0.9, 0.5, 0.0, 1.0])},
    1: {"set": np.array([1.0, 0.8, 0.4, 0.9])},
    2: {"set": np.array([0.5, 0.5, 0.0, 0.7])},
}
by_seed = [float((arm_a[seed]["set"] - arm_b[seed]["set"]).mean()) for seed in arm_a]
found = paired(arm_a, arm_b)
of_a, of_b = ([f"{arm[seed]['set'].mean():.3f}" for seed in arm] for arm in (arm_a, arm_b))
say(
    f"Scores of A by seed: {', '.join(of_a)}; of B: {', '.join(of_b)}. They differ more from seed to seed than A from B. "
    f"The differences on equal seeds: {', '.join(f'{d:+.3f}' for d in by_seed)}, mean **{np.mean(by_seed):+.3f}**, which is "
    f"what the package computes: {found['difference']:+.3f}, with a 95% interval from {found['low']:+.3f} to "
    f"{found['high']:+.3f}."
)

# %% [markdown]
# The interval comes from a **bootstrap**: draw the questions anew, with replacement, within each set and the same ones
# for all seeds, because they are the same; take the difference, the mean over the seeds; add by how much as many drawn
# seeds deviate from that mean (stretched a little, as three are few); two thousand times. 95% of what comes out lies in
# the interval. All of it:

# %%
print(inspect.getsource(paired))

# %% [markdown]
# ### Exercise 1: why pairs

# %%
why_pairs = lab.explore.exercise("miniature/why_pairs")
why_pairs

# %%
why_pairs.check(...)

# %% [markdown]
# ## 4. Looking at many arms at once
#
# Let us make arms that differ in nothing but luck, and see how often one of them looks different. Each trial below has ten
# arms with the very same true score; an arm "differs" where its p value is below 0.05. (The p value of a difference: the
# chance of one at least as large if there were none in truth. `paired` reads it off the same two thousand draws.)

# %%
alarm = lab.explore.predict(
    "In which share of the trials will at least one of ten equal arms look different?", ...
)
alarm

# %%
rng = np.random.default_rng(0)
trials = sized(40, 6)


def equal_arm():
    """Three seeds and sixty questions of an arm that is as good as the baseline."""
    return {seed: {"set": rng.normal(0, 0.3, 60) + rng.normal(0, 0.01)} for seed in range(3)}


fooled = {"as they are": 0, "corrected (Holm)": 0}
for _ in range(trials):
    baseline = equal_arm()
    p = [paired(equal_arm(), baseline)["p"] for _ in range(10)]
    fooled["as they are"] += min(p) < 0.05
    fooled["corrected (Holm)"] += min(holm(p)) < 0.05
shares = {name: count / trials for name, count in fooled.items()}
alarm.reveal(
    round(shares["as they are"], 2),
    f"Corrected for their number it is {shares['corrected (Holm)']:.0%} of {trials} trials. Ten independent tests at 5% would "
    f"be fooled in {1 - 0.95**10:.0%}; here all ten share one baseline, so that they err together, and a bootstrap over three "
    "seeds, stretched, is on the careful side.",
)

# %% [markdown]
# **Holm's correction** sorts the p values of all k comparisons, multiplies the smallest by k, the next by k − 1, and so on
# to 1 for the largest, and lets none fall below the one before it
# (Holm 1979, [jstor.org/stable/4615733](https://www.jstor.org/stable/4615733)). Every p value in the figures and tables of
# this notebook is corrected so. The figures count all arms of an experiment and all ways of looking at them, the verdicts only
# what was published of it: so a verdict can be sure where the mark in the figure is hollow. Over the experiments nothing is
# corrected: of the verdicts in section 1, one in twenty would be sure though there were nothing to see.
#
# ### Exercise 2: false alarms

# %%
false_alarms = lab.explore.exercise("miniature/false_alarms")
false_alarms

# %%
false_alarms.check(...)

# %% [markdown]
# ### Exercise 3: Holm by hand

# %%
holm_by_hand = lab.explore.exercise("miniature/holm_by_hand")
holm_by_hand

# %%
holm_by_hand.check(...)

# %% [markdown]
# ## 5. The experiments
#
# How to read the figures: a line is an arm, its place the difference from the baseline in points of nDCG@10; small marks are
# single seeds, the bar is the 95% interval. **Filled** means told from zero after correction, hollow means not. (An interval
# may leave zero out and its mark stay hollow: it is the interval of one comparison, and the correction counts them all.) An
# effect inside its grey band would have been missed more often than once in five times, so it may well be there.
#
# Below each figure stand the published comparisons of its experiment, where there are any, with their verdicts.


# %%
all_comparisons = {name: comparisons(each) for name, each in results.items()}


def seen(name, view="full"):
    """The figure of one experiment, its models seen in one way, and what it says."""
    if name not in results:
        say(
            f"No results of *{name}* come with this version. They are made by `egemma-lab experiment {name}`."
        )
        return
    each, frame = results[name], all_comparisons[name]
    first = frame[(frame["of"] == "score") & (frame["view"] == view)]
    sure = first[first["p_corrected"] < 0.05]
    told = "; ".join(
        f"**{row['arm']}** {100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
        for row in sure.to_dict("records")
    )
    show(
        lab.explore.experiment_figure(each, view=view),
        lab.explore.describe_experiment(each, view=None if view == "full" else view),
        scale=1.5,
    )
    published = [
        f"- {compared(row)}: published {points(row['published'])}; found {points(100 * row['found'])} "
        f"({points(100 * row['low'])} to {points(100 * row['high'])}), *{row['verdict']}*"
        for row in table[table["experiment"] == name].to_dict("records")
    ]
    say(
        f"Baseline **{each['baseline']}**, {len(each['seeds'])} seeds. "
        + (f"Told from it, in points: {told}." if told else "No arm can be told from it.")
        + f" An effect of {100 * first['detectable'].min():.1f} to {100 * first['detectable'].max():.1f} points, depending on the "
        "arm, would be seen four times in five; a smaller one less often.\n\n" + "\n".join(published)
    )


def seen_in_all_ways(name):
    """The scores of an experiment's arms, one column for each way of looking at the models."""
    if name not in results:
        return None
    mean = scores(results[name]).pivot_table(index="arm", columns="view", values="score", sort=False)
    mean = (100 * mean).rename(columns=lambda view: in_words(view, mean.columns))
    return Table(mean, "nDCG@10 in points of 100, mean over the seeds", digits=1)


# %% [markdown]
# ### What the model begins as
#
# The paper's strongest ablation: an encoder made from an encoder-decoder (60.4 points on the multilingual MTEB, mean of tasks)
# against the decoder as it is (59.7) and against random weights (45.2). Notebook [02](02_the_model.ipynb) shows how one is
# made of the other. Here the decoder and the encoder-decoder themselves are trained for a minute or so only, so that they can
# bring little; a fourth start, the token table as the teacher sees it
# ([warm start](../docs/glossary.md#warm-start)), is this laboratory's own.

# %%
seen("initialisation")

# %% [markdown]
# ### How tokens become one vector
#
# Published: mean 60.4, attention 60.2, first token 59.9, last token 59.7 (the same benchmark). Small differences after
# long training. Here the start favours the [mean](../docs/glossary.md#mean-pooling), and the attention, which begins as
# the mean: a warm token table makes sense of a text only when all its pieces are averaged.

# %%
seen("pooling")

# %% [markdown]
# ### Learning from a teacher
#
# The paper matches the teacher's vectors on questions, answers and hard negatives (Equation 5, notebook
# [04](04_distillation.ipynb)), and states that the negatives are a gain, without a number.

# %%
seen("distillation")

# %% [markdown]
# ### What the teacher is asked about
#
# LEAF ([arXiv:2509.12539](https://arxiv.org/abs/2509.12539)) matches single texts. It found that questions and documents
# together serve better than questions alone (60.7 against 46.7 on NanoMSMARCO after one epoch), and small batches better than
# large ones.

# %%
seen("teacher-data")

# %% [markdown]
# ### Spreading out
#
# Less about the score itself than about what rounding to bits costs (notebooks [05](05_spread_out.ipynb) and
# [07](07_quantization.ipynb)); jina-embeddings-v5 ([arXiv:2602.15547](https://arxiv.org/abs/2602.15547)) lost 1.9 points of
# MTEB with such a term and 3.1 without. So the figure looks at the models through bits, and the table in all ways.

# %%
seen("spread-out", view="full binary")
seen_in_all_ways("spread-out")

# %% [markdown]
# ### Hard negatives
#
# The paper weights them with α = 5 ([hardness weight](../docs/glossary.md#hardness-weight), notebook
# [03](03_contrastive_learning.ipynb)) and prints no ablation. A second factor is whether a row's negative counts for its own
# query only, as in the paper, or for the whole batch, as in most code.

# %%
seen("hardness")

# %% [markdown]
# ### How cold the softmax, how large the batch
#
# Nothing is published for this recipe: the paper prints neither. A larger batch takes fewer steps here, since the rows of all
# steps together are the same number in each arm.

# %%
seen("temperature")

# %% [markdown]
# ### Widths
#
# Published, on the English MTEB: at 512, 256 and 128 of its 768 numbers the model loses 0.5, 1.3 and 3.0 points. (256 and 128
# are a third and a sixth; they stand beside our half and quarter.) The figure
# shows the arms cut to a quarter ([Matryoshka](../docs/glossary.md#matryoshka), notebook [06](06_matryoshka.ipynb)), the table
# at every width.

# %%
seen("matryoshka", view="quarter")
seen_in_all_ways("matryoshka")

# %% [markdown]
# ### Rounded weights
#
# Published, on the multilingual MTEB: −0.2 points in int8, −0.5 in the mixed format and in int4, all three trained for
# ([QAT](../docs/glossary.md#qat)). Nothing is published about rounding alone; here both are measured, and a float32 model
# that is trained on for as many steps, so that the steps are not mistaken for the effect.

# %%
seen("quantization")

# %% [markdown]
# ### Averaging models
#
# Published: mixtures at 60.4, 60.4 and 60.1, their average at 61.2 (notebook [08](08_souping.ipynb)).

# %%
seen("souping")

# %% [markdown]
# ### Prompts
#
# One report has an nDCG@10 of 0.31 instead of 0.72 on ArguAna for EmbeddingGemma without the task's prompts
# ([mteb#3188](https://github.com/embeddings-benchmark/mteb/issues/3188)). Here there are two questions: were the prompts there
# in training (the arms), and are they there in use (the columns of the table)? In the figure all arms are *used* with the right
# prompts, also the one that was trained without.

# %%
seen("prompts")
seen_in_all_ways("prompts")

# %% [markdown]
# ### What a laptop buys per minute
#
# Equal minutes for three sizes: a smaller model takes more steps in them. Nothing is published to put beside it.

# %%
seen("model-size")

# %% [markdown]
# ## 6. Run one yourself
#
# `egemma-lab experiment spread-out` repeats one of the above, seed by seed; a call that was stopped goes on. Here is one of
# your own, small enough to wait for: does a warmer softmax learn less, for a micro model trained on docstrings of the packages
# installed here? Change the factor, the arms, the steps, and run the two cells again.

# %%
warmer = lab.explore.predict(
    "By how many points of nDCG@10 is a temperature of 1 better than 0.05? (Negative: worse.)", ...
)
warmer

# %%
shared = f"""
preset: micro
data:
  python: {{mined: python-docs, hold_out: 300}}
texts: [python]
tokenizer: {{vocab_size: 2000, texts: 2000}}
start: {{kind: random}}
development: {{sets: [python], queries: {sized(300, 30)}}}
stages:
  train:
    sources: [{{of: python, limit: 4000}}]
    recipe: {{batch_size: 32, learning_rate: 3e-3, max_tokens: 32, weights: {{matching: 0}}, snapshot_every: 0}}
scales:
  here: {{stages: {{train: {{recipe: {{steps: {sized(80, 3)}}}}}}}}}
"""
warmth = """
name: own
question: Does a warmer softmax learn less?
factor: temperature
baseline: cold
arms:
  cold: {}
  warm: {stages: {train: {recipe: {temperature: 1.0}}}}
"""
folder = Path(tempfile.mkdtemp())


def run_mine(config):
    """The results of an experiment written here, two seeds an arm; what was done before is not done again."""
    (folder / "config.yaml").write_text(config + shared)
    return lab.experiments.run_experiment(
        folder / "config.yaml", scale="here", seeds=2, output=folder, show_progress_bar=False
    )


own = run_mine(warmth)
show(lab.explore.experiment_figure(own), lab.explore.describe_experiment(own), scale=1.4)

# %%
difference = comparisons(own).iloc[0]
warmer.reveal(
    round(100 * difference["difference"], 1),
    f"Its interval goes from {100 * difference['low']:+.1f} to {100 * difference['high']:+.1f}"
    + (", so neither better nor worse can be told" if difference["low"] <= 0 <= difference["high"] else "")
    + f"; an effect below {100 * difference['detectable']:.1f} points this little experiment would more often than once in five "
    "times have missed.",
)

# %% [markdown]
# ## 7. A loss term of your own
#
# A temperature is a number. An idea of your own is a function. This one is KoLeo
# ([arXiv:1806.03198](https://arxiv.org/abs/1806.03198)): where the spread-out loss looks at all pairs of a batch, it pushes
# each text from its *nearest* neighbour alone, by minus the logarithm of their distance.


# %%
@lab.losses.register_term(every_width=True)
def koleo(vectors):
    """Minus the mean logarithm of the distance to the nearest other text, of queries and of positives."""
    total = 0.0
    for x in (vectors.query, vectors.positive):  # (B, d), unit vectors
        nearest = (x @ x.T).fill_diagonal_(-1).amax(dim=1)  # (B,)
        total = total - (2 - 2 * nearest).clamp(min=1e-6).sqrt().log().mean()
    return total


# %% [markdown]
# See what it wants before any model stands in its way. In the playground ([03](03_contrastive_learning.ipynb)) every registered
# term has a slider; here left KoLeo alone, right the spread-out loss alone has moved the points for 160 steps. What do both do with pairs that belong
# together, and with two copies of one text?

# %%
from egemma_lab.explore.playground import Settings
from egemma_lab.explore.playground_figure import playground_figure
from egemma_lab.explore.playground_sides import advance, begin, describe_both

alone = {"contrastive": 0.0, "matching": 0.0}
pair = Settings(spread_out=0.0, own_terms={"koleo": 1.0}, **alone), Settings(spread_out=1.0, **alone)
sides = [begin(settings) for settings in pair]
for _ in range(16):
    sides = [advance(side, 10) for side in sides]
show(playground_figure(sides), describe_both(sides), scale=1.2)
# lab.explore.loss_playground(*pair)  # the same to play with: take away the first sign of this line

# %% [markdown]
# KoLeo fills the circle. The spread-out loss is content with two heaps at right angles: the mean squared cosine cannot fall
# below about a half in two dimensions, and two heaps reach that as well as a full circle does (the Welch bound of
# [05](05_spread_out.ipynb)). Nobody holds the pairs together, so neither term is a loss by itself: they belong beside one
# that attracts. And KoLeo drives copies of one text apart, because the nearest other text may be the same one; the
# contrastive loss masks those ([false negatives](../docs/glossary.md#false-negative)), this function does not.
#
# `register_term` gives it a name, and `own_terms: {koleo: 0.1}` in a recipe its weight. From there it is treated as the
# paper's three: summed over the widths (`every_width`), a column in the history, exact under the gradient cache and on
# several GPUs, known again by its source when a run goes on. `vectors` holds the whole batch: `query`, `positive`,
# `negative`, and what the teacher says of them (None where there is none). On the command line, `--terms FILE.py` runs the
# file that registers it.
#
# Three arms: the spread-out loss as it is, KoLeo in its place, and neither. The first is the *cold* arm from above, so it is
# not trained again. Your guess?

# %%
spreading = lab.explore.predict(
    "By how many points of nDCG@10 is KoLeo, in place of the spread-out loss, better? (Negative: worse.)", ...
)
spreading

# %%
spread = """
name: own-term
question: Which way of spreading out helps a search?
factor: the term that spreads vectors out
baseline: spread-out
arms:
  spread-out: {}
  KoLeo: {stages: {train: {recipe: {weights: {spread_out: 0}, own_terms: {koleo: 0.1}}}}}
  neither: {stages: {train: {recipe: {weights: {spread_out: 0}}}}}
"""
mine = run_mine(spread)
show(lab.explore.experiment_figure(mine), lab.explore.describe_experiment(mine), scale=1.4)

# %%
found = comparisons(mine).set_index("arm")
spreading.reveal(
    round(100 * found.loc["KoLeo", "difference"], 1),
    " ".join(
        f"**{arm}** beside the spread-out loss: {100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
        + (", not told from zero." if row["p_corrected"] >= 0.05 else ".")
        for arm, row in found.iterrows()
    )
    + " Eighty steps of a tiny model decide nothing about KoLeo; what you have is the comparison, ready for `nano`, more steps "
    "and more seeds.",
)

# %% [markdown]
# Before you believe an experiment of your own, ask it four things. Was it one factor? Were the seeds and questions equal?
# How many arms did you look at? And how large an effect could it have seen?
#
# ### Exercise 4: how many seeds

# %%
more_seeds = lab.explore.exercise("miniature/more_seeds")
more_seeds

# %%
more_seeds.check(...)

# %% [markdown]
# ## What the paper found, and what we found
#
# Most of the paper's differences are around one point, after trainings that no laptop can repeat. Few seeds and minutes of
# training see four times in five what is larger than this:

# %%
bands = pd.DataFrame(
    [
        {
            "experiment": name,
            "largest difference": 100 * frame["difference"].abs().max(),
            "could have seen": 100 * frame["detectable"].median(),
            "arms told from the baseline": int((frame["p_corrected"] < 0.05).sum()),
            "arms": len(frame),
        }
        for name, frame in (
            (name, frame.query("of == 'score' and view == 'full'")) for name, frame in all_comparisons.items()
        )
    ]
)
Table(
    bands,
    "Points of nDCG@10, whole vectors with their prompts; could have seen: the smallest effect found in 80 of 100 repetitions",
    digits=1,
)

# %% [markdown]
# Where the verdict is "no difference to be seen" and the published effect is smaller than what could have been seen,
# nothing is said against the paper; where it is larger, as for the random start, a minute of training is another thing
# than the paper's: run the experiment at `--scale full` on a GPU. Where it is "the other sign", the reason is a
# question worth an evening: a minute of training rewards other things than a month.
#
# ## Summary
#
# - A difference without an interval is an anecdote; an interval without a correction for many looks is a lottery.
# - Equal seeds and equal questions take the luck out of a comparison.
# - What could have been seen is part of the result. "Nothing found" and "nothing there" are different sentences.
# - The same code that gave these figures runs at `micro`, `small` and `full` scale, and takes your own question.
#
# ## Where next
#
# [00_start_here](00_start_here.ipynb) if you came here first. The pages of all experiments, with every number, lie beside
# their configurations in the folder `experiments`, and [docs/results.md](../docs/results.md) has all verdicts in one table.

# %%
clock.report()
