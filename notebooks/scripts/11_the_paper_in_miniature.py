# %% [markdown]
# # The paper in miniature
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/11_the_paper_in_miniature.ipynb)
#
# EmbeddingGemma ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)) says which of its choices mattered: what the model
# began as, how a text's tokens become one vector, whether several models are averaged. It says so at 300 million
# parameters and after hundreds of billions of tokens. Here each of these comparisons is repeated with eight million
# parameters in a minute or two, with several seeds, and with an honest word on what so little can show.
#
# **Afterwards you will be able to**
#
# - read a difference together with its interval, and say what it could *not* have seen;
# - compare two trainings on equal seeds and equal questions, and say why nothing else will do;
# - correct for having looked at many arms at once;
# - run one of these experiments yourself, or one of your own, in twenty lines of YAML.
#
# | | |
# |---|---|
# | Time | about 2 minutes on two CPU cores, most of it your own experiment; the same on a T4 or an H200 (estimated) |
# | Memory | about 1 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The figures are drawn from the results that come with the lab (`experiments/*/results.json`); nothing in them is typed in.
# The terms themselves are the subject of the notebooks before this one.

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

import egemma_lab as lab
from egemma_lab.experiments import comparisons, experiment_names, find_experiment, shipped_results, verdicts
from egemma_lab.experiments.statistics import holm, paired
from egemma_lab.explore import Table, say, show
from egemma_lab.settings import sized

clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: what was published, and what a small machine finds
#
# Each line is one comparison that somebody published, and the same comparison here. "Found" is the difference in nDCG@10
# on held-out questions, in points of 100, with its 95% interval. A **verdict** is about the sign alone.
#
# Before you look: of the comparisons whose sign was published, which share will show the same sign here, surely enough to
# be told from chance?

# %%
guess = lab.explore.predict("Which share of the published signs will be found again, between 0 and 1?", ...)
guess

# %%
results = {}
for name in experiment_names():
    try:
        results[name] = shipped_results(name)
    except FileNotFoundError as missing:
        say(f"*{name}*: {missing}")

tables = [verdicts(each).assign(experiment=name) for name, each in results.items() if each["published"]]
table = pd.concat(tables, ignore_index=True)


def points(value):
    """A difference in points of 100, with its sign; a published one may be a sign alone."""
    return value if isinstance(value, str) else f"{value:+.1f}"


overview = pd.DataFrame(
    {
        "experiment": table["experiment"],
        "compared": table["of"] + " over " + table["over"],
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
# "No difference to be seen" is not "no difference". How large an effect could have been seen is a number, and each figure
# below shows it as a grey band. First, where such numbers come from.
#
# ## 2. One factor, all else equal
#
# An experiment is a file: a question, what all arms share, and for each arm the little that differs.

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
# A seed draws the order of the texts and the fresh weights, and some orders are luckier than others. If both arms had the
# same luck, it cancels. Small numbers first: two arms, three seeds, four questions each.

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
# The interval comes from a **bootstrap**: draw the seeds anew, with replacement, and within each set the questions as well
# (the same ones for all seeds, because they are the same), compute the difference, two thousand times; 95% of what comes out
# lies in the interval. All of it:

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
# arms with the very same true score; an arm "differs" where its p value is below 0.05.

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
# Every p value in the figures and tables of this notebook is corrected so.
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
# single seeds, the bar is the 95% interval. **Filled** means told from zero after correction, hollow means not. The grey
# band is what this experiment could not have seen with a chance of 80%: an effect that lies inside it may well be there.


# %%
def seen(name):
    """The figure of one experiment, and what it says."""
    if name not in results:
        say(
            f"No results of *{name}* come with this version. They are made by `egemma-lab experiment {name}`."
        )
        return
    each = results[name]
    frame = comparisons(each)
    first = frame[(frame["of"] == "score") & (frame["view"] == frame["view"].iloc[0])]
    sure = first[first["p_corrected"] < 0.05]
    told = "; ".join(
        f"**{row['arm']}** {100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
        for row in sure.to_dict("records")
    )
    show(lab.explore.experiment_figure(each), lab.explore.describe_experiment(each))
    say(
        f"Baseline **{each['baseline']}**, {len(each['seeds'])} seeds. "
        + (f"Told from it, in points: {told}." if told else "No arm can be told from it.")
        + f" Effects below about {100 * first['detectable'].median():.1f} points could not have been seen."
    )


# %% [markdown]
# ### What the model begins as
#
# The paper's strongest ablation: an encoder made from an encoder-decoder (60.4 points on its multilingual benchmark) against
# the decoder as it is (59.7) and against random weights (45.2). Here the decoder and the encoder-decoder themselves are
# trained for a minute only, so that they can bring little; a fourth start, the token table as the teacher sees it, is this
# laboratory's own.

# %%
seen("initialisation")

# %% [markdown]
# ### How tokens become one vector
#
# Published: mean 60.4, attention 60.2, first token 59.9, last token 59.7. Small differences after long training.

# %%
seen("pooling")

# %% [markdown]
# ### Learning from a teacher
#
# The paper matches the teacher's vectors on questions, answers and hard negatives, and states a gain without a number.

# %%
seen("distillation")

# %% [markdown]
# ### What the teacher is asked about
#
# LEAF ([arXiv:2509.12539](https://arxiv.org/abs/2509.12539)) matches single texts, and found that a mixture of questions and
# documents serves better than questions alone.

# %%
seen("teacher-data")

# %% [markdown]
# ### Spreading out
#
# Less about the score itself than about what rounding to bits costs; jina-embeddings-v5
# ([arXiv:2602.15547](https://arxiv.org/abs/2602.15547)) lost 1.9 points with such a term and 3.1 without.

# %%
seen("spread-out")

# %% [markdown]
# ### Hard negatives
#
# The paper weights them with α = 5.

# %%
seen("hardness")

# %% [markdown]
# ### How cold the softmax, how large the batch
#
# Nothing is published for this recipe.

# %%
seen("temperature")

# %% [markdown]
# ### Widths
#
# Published: at 512, 256 and 128 numbers the model loses 0.5, 1.3 and 3.0 points of 768. The figure shows the score at full
# width; what the cut costs each arm stands in `comparisons(results["matryoshka"])` and on the experiment's page.

# %%
seen("matryoshka")

# %% [markdown]
# ### Rounded weights
#
# Published: −0.2 to −0.4 points for the formats that were trained for.

# %%
seen("quantization")

# %% [markdown]
# ### Averaging models
#
# Published: mixtures at 60.4, 60.4 and 60.1, their average at 61.2.

# %%
seen("souping")

# %% [markdown]
# ### Prompts
#
# Reports of users go from no effect to half the score.

# %%
seen("prompts")

# %% [markdown]
# ### What a laptop buys per minute
#
# Equal minutes for three sizes: a smaller model takes more steps in them.

# %%
seen("model-size")

# %% [markdown]
# ## 6. Run one yourself
#
# `egemma-lab experiment spread-out` repeats one of the above, seed by seed; a call that was stopped goes on. Here is one of
# your own, small enough to wait for: does a warmer softmax learn less, for a micro model on the Python that is installed
# here? Change the factor, the arms, the steps, and run the two cells again.

# %%
warmer = lab.explore.predict(
    "By how many points of nDCG@10 is a temperature of 1 better than 0.05? (Negative: worse.)", ...
)
warmer

# %%
config = f"""
name: own
question: Does a warmer softmax learn less?
factor: temperature
baseline: cold
arms:
  cold: {{}}
  warm: {{stages: {{train: {{recipe: {{temperature: 1.0}}}}}}}}

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
folder = Path(tempfile.mkdtemp())
(folder / "config.yaml").write_text(config)
own = lab.experiments.run_experiment(
    folder / "config.yaml", scale="here", seeds=2, output=folder, show_progress_bar=False
)
show(lab.explore.experiment_figure(own), lab.explore.describe_experiment(own))

# %%
difference = comparisons(own).iloc[0]
warmer.reveal(
    round(100 * difference["difference"], 1),
    f"Its interval goes from {100 * difference['low']:+.1f} to {100 * difference['high']:+.1f}; effects below "
    f"{100 * difference['detectable']:.1f} points this little experiment could not have seen.",
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
# The paper's differences come from models a thousand times more expensive, and most of them are around one point. Few seeds
# and minutes of training see only what is larger than that:

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
            (name, comparisons(each).query("of == 'score'").drop_duplicates("arm"))
            for name, each in results.items()
        )
    ]
)
Table(
    bands,
    "Points of nDCG@10 at the plain view; the smallest effect that could have been seen with a chance of 80%",
)

# %% [markdown]
# Where the verdict is "no difference to be seen", believe the paper, or run the experiment at `--scale full` on a GPU. Where
# it is "the other sign", the reason is a question worth an evening: a minute of training rewards other things than a month.
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
# their configurations in the folder `experiments`, and `docs/results.md` has all verdicts in one table.

# %%
clock.report()
