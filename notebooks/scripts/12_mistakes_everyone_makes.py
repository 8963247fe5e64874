# %% [markdown]
# # Mistakes everyone makes
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/12_mistakes_everyone_makes.ipynb)
#
# Most mistakes with embeddings raise no error. Vectors come out, they have the right shape, and a search with them finds
# something. Here eight such mistakes are made on purpose, a section each: what one writes, what one sees, what to do.
#
# **Afterwards you will be able to**
#
# - recognise eight common mistakes by what they do to vectors and to a search;
# - say which of them change *what is found*, and which only change *what a number means*;
# - write the two or three lines of a test that would have caught each.
#
# | | |
# |---|---|
# | Time | about 1 minute on two CPU cores, and on a T4 or an H200 (all estimated) |
# | Memory | about 1 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took; a busy machine takes longer. It helps to have seen
# [01](01_embeddings_and_their_geometry.ipynb) and [02](02_the_model.ipynb). Words that are linked lead to the
# [glossary](../docs/glossary.md), symbols stand in [notation](../docs/notation.md).

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

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

import egemma_lab as lab
from egemma_lab.explore import Table, say, show
from egemma_lab.losses import contrastive_loss
from egemma_lab.model import pad_batch, token_budget_batches
from egemma_lab.settings import sized
from egemma_lab.train import CausalDecoder

clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: one search, done right and done wrong
#
# The model is the bundled nano. It searches 800 short texts on twenty topics for the answers to forty questions; which
# texts answer which question is known. The score of a question is 1 divided by the place of the first right text, 0 if
# none is among the first ten; its mean over the questions is the **MRR@10**
# ([mean reciprocal rank](../docs/glossary.md#mean-reciprocal-rank)).
#
# The cell also writes the model out as a function, `embed`: tokens, states, mean, the two Dense layers, length 1. Each
# mistake below changes one of its arguments.

# %%
nano = lab.load_model("nano").requires_grad_(False)
questions = lab.explore.topic_queries()
corpus = lab.explore.topic_corpus()
asked_for = {name for relevant in questions["relevant"] for name in relevant}
# all of it; in a quick run the answers and a few texts of each topic beside them
corpus = corpus[corpus["id"].isin(asked_for) | (corpus.groupby("topic").cumcount() < sized(40, 4))]
texts, asked = corpus["text"].tolist(), questions["query"].tolist()
answers = [np.flatnonzero(corpus["id"].isin(list(relevant))) for relevant in questions["relevant"]]


def found(scores):
    """1 / place of the first right text for each question, 0 beyond the tenth: (questions, texts) -> (questions,)."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]  # (questions, 10)
    right = np.stack([np.isin(row, answer) for row, answer in zip(order, answers)])
    return np.where(right.any(axis=1), 1 / (right.argmax(axis=1) + 1), 0.0)


def compare(ways):
    """A table: each way's MRR@10, and for how many questions it finds the answer later or earlier than the first way."""
    base = next(iter(ways.values()))
    rows = {
        name: {
            "MRR@10": way.mean(),
            "worse for": int((way < base).sum()),
            "better for": int((way > base).sum()),
        }
        for name, way in ways.items()
    }
    return pd.DataFrame(rows).T.astype({"worse for": int, "better for": int})


def embed(texts, prompt="", *, model=nano.text_model, causal=False, dense=True, unit=True):
    """The model in a few lines, so that each of them can be done wrong: (n, d), float32."""
    ids_of = nano.tokenize(texts, prompt)
    vectors = torch.empty(len(texts), nano.config.output_width)
    for batch in token_budget_batches([len(ids) for ids in ids_of], token_budget=2048):
        ids, real = pad_batch([ids_of[i] for i in batch])  # (B, L), (B, L): 1 on tokens, 0 on padding
        if causal:
            states = model(ids, attention_mask=real, use_cache=False).last_hidden_state  # (B, L, h)
        else:
            states = nano.token_states(ids, real)  # (B, L, h)
        pooled = nano.pool(states, real)  # (B, h)
        vectors[batch] = pooled @ nano.merged_dense().T if dense else pooled  # (B, d)
    return (F.normalize(vectors, dim=-1) if unit else vectors).numpy()


ask, answer = nano.prompts["query"], nano.prompts["document"]
q, d = embed(asked, ask), embed(texts, answer)  # (40, d), (n, d): everything done right
assert np.allclose(q, nano.encode_query(asked), atol=1e-5)
right = found(q @ d.T)
say(f"Done right, over {len(texts)} texts and {len(asked)} questions: MRR@10 **{right.mean():.3f}**.")

# %% [markdown]
# With forty questions a difference of a few hundredths is within luck; the columns *worse for* and *better for* say how many
# questions moved at all. Before going on:

# %%
guess = lab.explore.predict(
    "Which mistake hurts this search most: `no prompt`, `causal mask`, `no Dense layers`, `unnormalised` or `cut to 32`?",
    ...,
)
guess

# %% [markdown]
# ## 2. No prompt, and the wrong prompt on both sides
#
# **What one writes**: `model.encode(texts)` for everything. The model was trained with a [prompt](../docs/glossary.md#prompt)
# before each text, one for questions and one for documents, and a plain `encode` puts none there.

# %%
similarity = nano.prompts["STS"]
prompts = {
    "as trained": (ask, answer),
    "no prompt": ("", ""),
    "no prompt before questions": ("", answer),
    "query prompt on both sides": (ask, ask),
    "similarity prompt on both sides": (similarity, similarity),
    "the two exchanged": (answer, ask),
}
made = {
    prompt: (embed(asked, prompt), embed(texts, prompt))
    for prompt in {p for two in prompts.values() for p in two}
}
by_prompt = {name: found(made[first][0] @ made[second][1].T) for name, (first, second) in prompts.items()}
prompt_table = compare(by_prompt)
prompt_table["cosine of a text to itself as trained"] = [
    np.sum(made[second][1] * d, axis=1).mean() for _, second in prompts.values()
]
Table(prompt_table, caption="prompt of the questions, prompt of the texts", digits=3)

# %%
lost = prompt_table["MRR@10"] - right.mean()
worst = lost.drop("as trained").idxmin()
nearest = prompt_table["cosine of a text to itself as trained"].drop("as trained")
say(
    f"Each of these searches works, so that nobody would notice. The largest difference is {lost[worst]:+.3f} (*{worst}*), where "
    f"{prompt_table['worse for'][worst]} questions get worse and {prompt_table['better for'][worst]} better. "
    + (
        "That is a real loss."
        if lost[worst] < -0.1
        else "That is a small loss beside the others in this notebook; whether it is luck, the two columns say better than the "
        "mean: do many more questions get worse than better? The nano has learnt to give a text nearly the same vector "
        f"behind any prompt: it keeps a cosine of {nearest.min():.3f} or more to itself."
    )
)

# %% [markdown]
# So the nano shows little of the damage; it shows why nobody notices it. Other models need their prompts more: for
# EmbeddingGemma itself somebody measured an nDCG@10 of 0.31 on ArguAna where 0.72 is published, and the prompts of the
# task were what was missing ([mteb#3188](https://github.com/embeddings-benchmark/mteb/issues/3188)).
# [02_the_model](02_the_model.ipynb) looks at what a prompt does inside.
#
# **What to do**: `encode_query` for what asks, `encode_document` for what is found, and the similarity prompt on both sides
# only where two texts of one kind are compared. **Test**: the vector of a text with prompt differs from the one without.
#
# ## 3. Truncation without normalising
#
# **What one writes**: `vectors[:, :64] @ ...`. A prefix of a unit vector is shorter than 1, and each text's has another
# length ([truncation](../docs/glossary.md#truncation)). Two vectors small enough for paper:

# %%
first, second = np.array([0.5, 0.5, 0.5, 0.5]), np.array([0.1, 0.7, 0.1, 0.7])
cut_dot = first[:2] @ second[:2]
cut_cosine = cut_dot / (np.linalg.norm(first[:2]) * np.linalg.norm(second[:2]))
say(
    f"Whole: cosine {first @ second:.2f}. Cut to two numbers, the plain product says {cut_dot:.2f}; the cosine of the prefixes is "
    f"{cut_cosine:.2f}. The product measured mostly that the prefixes are short ({np.linalg.norm(first[:2]):.2f} and "
    f"{np.linalg.norm(second[:2]):.2f})."
)

# %%
rows, ways = {}, {"full width": right}
for width in nano.widths[1:]:
    short_q, short_d = q[:, :width], d[:, :width]
    lengths = np.linalg.norm(short_d, axis=1)
    scores = short_q @ short_d.T
    normalised = scores / (np.linalg.norm(short_q, axis=1)[:, None] * lengths)
    ways |= {f"{width}, cut only": found(scores), f"{width}, cut and normalised": found(normalised)}
    rows[width] = {
        "shortest": lengths.min(),
        "longest": lengths.max(),
        "best score, cut only": scores.max(axis=1).mean(),
        "best score, normalised": normalised.max(axis=1).mean(),
    }
lengths_table = pd.DataFrame(rows).T.rename_axis("width")
Table(lengths_table, caption="lengths of the texts' prefixes, and the mean score of the best text")

# %%
Table(compare(ways), digits=3)

# %%
narrow = lengths_table.iloc[-1]
cut, mended = (
    np.mean([ways[f"{width}, {how}"] for width in nano.widths[1:]])
    for how in ("cut only", "cut and normalised")
)
say(
    f"At width {lengths_table.index[-1]} the prefixes have lengths from {narrow['shortest']:.2f} to {narrow['longest']:.2f}, and every "
    f"threshold is off: the best text's mean score is {narrow['best score, cut only']:.2f} instead of "
    f"{narrow['best score, normalised']:.2f}. The order suffers less: over the {len(nano.widths) - 1} widths the mean MRR@10 is "
    f"{cut:.3f} cut only and {mended:.3f} normalised, with forty questions "
    + ("no clear difference." if abs(cut - mended) < 0.05 else "a clear difference.")
    + " Width by width, cut only and normalised: "
    + ", ".join(
        f"{width} {ways[f'{width}, cut only'].mean():.3f} and {ways[f'{width}, cut and normalised'].mean():.3f}"
        for width in nano.widths[1:]
    )
    + ". That is how the mistake survives: the ranking looks plausible, and only who looks at the scores sees it."
)

# %% [markdown]
# **What to do**: `encode(..., truncate_dim=64)` cuts and normalises. By hand: cut, divide by the length, then compare.
# **Test**: every row has length 1 after cutting.
#
# ### Exercise 1

# %%
cut_exercise = lab.explore.exercise("mistakes/cut_and_compare")
cut_exercise

# %%
cut_exercise.check(...)

# %% [markdown]
# ## 4. Dot products of unnormalised vectors
#
# **What one writes**: the model without its last step, or another library's pooled output, put into an index that ranks by
# dot product. Then a long vector is a good answer to everything. (`embed(..., unit=False)`; on the
# [unit sphere](../docs/glossary.md#unit-sphere) dot product and cosine are the same.)

# %%
raw_q, raw_d = embed(asked, ask, unit=False), embed(texts, answer, unit=False)
raw_scores = raw_q @ raw_d.T
lengths = np.linalg.norm(raw_d, axis=1)
longest = np.argsort(-lengths)[: len(texts) // 10]  # the tenth of the texts with the longest vectors
share = {
    "cosine": np.isin(np.argsort(-(q @ d.T), axis=1)[:, :10], longest).mean(),
    "dot product, unnormalised": np.isin(np.argsort(-raw_scores, axis=1)[:, :10], longest).mean(),
}
unnormalised = {"cosine": right, "dot product, unnormalised": found(raw_scores)}
raw_table = compare(unnormalised)
raw_table["results from the longest tenth"] = share
Table(raw_table, digits=3)

# %%
say(
    f"The texts' vectors have lengths from {lengths.min():.1f} to {lengths.max():.1f} "
    f"({lengths.std() / lengths.mean():.0%} of their mean is their standard deviation). A tenth of the texts would fill a tenth of "
    f"the results; by dot product they fill {share['dot product, unnormalised']:.0%}, by cosine {share['cosine']:.0%}."
)

# %% [markdown]
# A question's own length does not matter, for it multiplies all its scores alike. So normalising the questions alone mends
# nothing: it is the lengths of the texts that spoil the order.
#
# **What to do**: normalise once, when the vectors are made, and let the index assume it. **Test**:
# `np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)`.
#
# ## 5. The causal mask
#
# **What one does**: loads the weights with a library that takes them for a language model's. A token then sees only what
# stands before it, behind a [causal mask](../docs/glossary.md#causal-mask). With one version of transformers that happened
# to EmbeddingGemma without a word: an nDCG@20 of 0.24 instead of 0.39 in the report
# [sentence-transformers#3725](https://github.com/huggingface/sentence-transformers/issues/3725).

# %%
decoder = CausalDecoder(nano).eval().requires_grad_(False).text_model  # the same weights behind a causal mask
causal_q = embed(asked, ask, model=decoder, causal=True)
causal_d = embed(texts, answer, model=decoder, causal=True)
masks = {
    "bidirectional": right,
    "causal": found(causal_q @ causal_d.T),
    "causal question, right index": found(causal_q @ d.T),
}
mask_table = compare(masks)
mask_table["cosine to the right vectors"] = [
    1.0,
    np.sum(causal_d * d, axis=1).mean(),
    np.sum(causal_q * q, axis=1).mean(),
]
Table(mask_table, digits=3)

# %% [markdown]
# A search still comes out of it, so the mistake passes every test that only asks whether something sensible is found. In this
# nano the mask does no harm that forty questions show: most of what it knows lies in its token table, so it hardly matters what a
# token may see ([04](04_distillation.ipynb), section 6.3). EmbeddingGemma is not like that, as the report says.
#
# **What to do**: ask the model, not its configuration. **Test**: change the last word of a text and look at the first token;
# in an encoder it moves, behind a causal mask it cannot.

# %%
one, other = (torch.tensor(nano.tokenize([text])) for text in ("roots take up water", "roots take up salt"))
real = torch.ones_like(one)
moved = {
    "bidirectional": (nano.token_states(one, real) - nano.token_states(other, real))[0, 0].norm().item(),
    "causal": (decoder(one).last_hidden_state - decoder(other).last_hidden_state)[0, 0].norm().item(),
}
say(", ".join(f"{name}: the first token moves by **{far:.3g}**" for name, far in moved.items()) + ".")

# %% [markdown]
# `lab.doctor(model)`, on the command line `egemma-lab doctor MODEL`, measures this and the other slips of a loaded model:

# %%
lab.doctor(nano)

# %% [markdown]
# ## 6. Dropped Dense layers
#
# **What one does**: converts the transformer, and leaves the two small matrices behind it, the
# [Dense layers](../docs/glossary.md#dense-layers), in their folders
# ([llama.cpp#16367](https://github.com/ggml-org/llama.cpp/pull/16367) put them into a converter that had none).

# %%
bare_q, bare_d = embed(asked, ask, dense=False), embed(texts, answer, dense=False)
dense = {
    "with Dense": right,
    "without": found(bare_q @ bare_d.T),
    "question without, index with": found(bare_q @ d.T),
}
dense_table = compare(dense)
dense_table["cosine to the right vectors"] = [
    1.0,
    np.sum(bare_d * d, axis=1).mean(),
    np.sum(bare_q * q, axis=1).mean(),
]
Table(dense_table, digits=3)

# %%
say(
    f"The cosine to the right vectors is {dense_table['cosine to the right vectors'].iloc[1]:.2f}: the vectors live in another space. "
    f"Among themselves they still search (MRR@10 {dense_table['MRR@10'].iloc[1]:.3f}); against an index of the whole model they "
    f"give {dense_table['MRR@10'].iloc[2]:.3f}, and a random order gives about "
    f"{found(np.random.default_rng(0).random((len(asked), len(texts)))).mean():.3f}."
)

# %% [markdown]
# **What to do**: compare a converted model with the original before using it; `lab.quantize.export` does so before it keeps a
# file. **Test**: on ten texts the cosines lie above 0.999. A search that "looks right" is no test.
#
# Five of the mistakes, side by side, and the answer to the question of section 1:

# %%
all_ways = {
    "no prompt": by_prompt["no prompt"].mean(),
    "causal mask": masks["causal"].mean(),
    "no Dense layers": dense["without"].mean(),
    "unnormalised": unnormalised["dot product, unnormalised"].mean(),
    "cut to 32": ways["32, cut only"].mean(),
}
worst_way = min(all_ways, key=all_ways.get)
cut_right = ways["32, cut and normalised"].mean()
bars = pd.DataFrame(
    [("done right", "MRR@10", right.mean())]
    + [(name, "MRR@10", value) for name, value in all_ways.items()]
    + [("32, done right", "MRR@10", cut_right)],
    columns=["model", "metric", "value"],
)
show(
    lab.explore.score_bars(
        bars, title="One search, seven ways", subtitle=f"{len(asked)} questions, {len(texts)} texts"
    ),
    "Seven bars of MRR@10: " + ", ".join(f"{name} {value:.2f}" for name, _, value in bars.to_numpy()) + ".",
)

# %%
next_worst = min(all_ways.keys() - {worst_way}, key=all_ways.get)
guess.reveal(
    worst_way,
    f"Its MRR@10 is {all_ways[worst_way]:.3f} beside {right.mean():.3f}. None of the five raised an error. "
    f"Cut to 32 and normalised, as it should be, it is {cut_right:.3f}: what that bar loses it loses by the cut, not by the mistake. "
    f"(`{next_worst}` is at {all_ways[next_worst]:.3f}: of forty questions a few hundredths may be luck.) Worse than "
    f"all of them was a mixture: questions without the Dense layers, an index with them, {dense['question without, index with'].mean():.3f}.",
)

# %% [markdown]
# ## 7. Numbers that do not fit: float16
#
# **What one writes**: `model.half()`, to save memory. The largest number of float16 is 65,504, and activations near 8·10⁵
# were seen in EmbeddingGemma ([unslothai/unsloth#4014](https://github.com/unslothai/unsloth/issues/4014)): an
# [overflow](../docs/glossary.md#overflow). The lab refuses:

# %%
try:
    nano.half()
except TypeError as refused:
    say(f"TypeError: {refused}")

# %% [markdown]
# Go around the refusal and compute the nano in float16 all the same. The nano is small, and so are its activations. But
# they need not be. Each layer adds something to a running sum, and a norm stands before whatever reads that sum; so a model
# in which everything that is added is *s* times as large computes the same function. The cell makes such twins (the token
# table, and the norms after attention and feed-forward, times *s*) and runs them in float32 and in float16.

# %%
sample = nano.tokenize(texts[: sized(16, 4)], answer)
ids, real = pad_batch(sample)


def twin(scale):
    """The nano's text model with a running sum `scale` times as large; in exact numbers the same function."""
    text_model = copy.deepcopy(nano.text_model)
    text_model.embed_tokens.weight.mul_(scale)
    for layer in text_model.layers:
        for norm in (layer.post_attention_layernorm, layer.post_feedforward_layernorm):
            norm.weight.copy_((1 + norm.weight) * scale - 1)  # Gemma's norms multiply by 1 + weight
    return text_model


def largest_and_vectors(text_model):
    """The largest activation of any layer, and the vectors (B, d): unit rows, or NaN."""
    sizes = []
    hooks = [
        each.register_forward_hook(
            lambda *seen: sizes.append(
                seen[2][0].abs().max().item() if isinstance(seen[2], tuple) else seen[2].abs().max().item()
            )
        )
        for each in text_model.layers
    ]
    states = text_model(ids, attention_mask=real, use_cache=False).last_hidden_state.float()
    for hook in hooks:
        hook.remove()
    return max(sizes), F.normalize(nano.pool(states, real) @ nano.merged_dense().T, dim=-1)


_, exact = largest_and_vectors(nano.text_model)
rows = {}
for scale in (1, 2**6, 2**12, 2**16):
    size, wide = largest_and_vectors(twin(scale))
    _, half = largest_and_vectors(twin(scale).half())
    rows[f"{scale:,}"] = {
        "largest activation, float32": f"{size:,.0f}",
        "cosine to the nano, float32": f"{(wide * exact).sum(dim=1).mean():.6f}",
        "cosine to the nano, float16": f"{(half * exact).sum(dim=1).mean():.6f}",
        "vectors with NaN, float16": f"{half.isnan().any(dim=1).float().mean():.0%}",
    }
float_table = pd.DataFrame(rows).T.rename_axis("s")
Table(float_table)

# %% [markdown]
# At *s* = 1 float16 does no harm here, so a test on a small model proves nothing. Once a sum passes 65,504 it becomes
# infinity, the next norm makes NaN of it, and every vector is lost. float32 does not mind, and neither would bfloat16,
# which has float32's range.
#
# **What to do**: bfloat16 where the hardware multiplies it, float32 elsewhere (`Recipe(precision="auto")`). **Test**: no NaN,
# on the real model and on long texts.
#
# ### Exercise 2

# %%
overflow_exercise = lab.explore.exercise("mistakes/a_square_too_large")
overflow_exercise

# %%
overflow_exercise.check(...)

# %% [markdown]
# ## 8. A batch of one
#
# **What one writes**: `batch_size=1` with many accumulated steps, because memory is short. The contrastive loss asks which of
# the batch's positives belongs to the query. With one row there is one to choose from.

# %%
pairs_q = torch.from_numpy(q)
pairs_p = torch.from_numpy(d[[relevant[0] for relevant in answers]])  # one answer to each question
rows = {}
for size in (1, 2, 5, 10, 40):
    given = pairs_q.clone().requires_grad_(True)
    parts = [contrastive_loss(given[i : i + size], pairs_p[i : i + size]) for i in range(0, 40, size)]
    loss = torch.stack(parts).mean()
    loss.backward()
    rows[size] = {
        "steps accumulated": len(parts),
        "loss": loss.item(),
        "length of the gradient": given.grad.norm().item(),
    }
batch_table = pd.DataFrame(rows).T.rename_axis("batch").astype({"steps accumulated": int})
Table(batch_table, caption="the same forty pairs, in batches of different size")

# %%
say(
    f"A batch of one has loss {batch_table['loss'].iloc[0]:g} and gradient {batch_table['length of the gradient'].iloc[0]:g}: it learns "
    f"nothing, and the log shows a perfect loss. Forty pairs as eight batches of five have loss {batch_table['loss'][5]:.3f}, as one "
    f"batch of forty {batch_table['loss'][40]:.3f}: accumulating gradients does not make a batch larger, and losses of different "
    "batch sizes cannot be compared."
)

# %% [markdown]
# The recipe refuses a batch of one:

# %%
try:
    lab.Recipe(steps=10, batch_size=1)
except ValueError as refused:
    say(f"ValueError: {refused}")

# %% [markdown]
# **What to do**: the [gradient cache](../docs/glossary.md#gradient-cache), `Recipe(gradient_cache=True)`, computes a large
# batch exactly in the memory of a small one. **Test**: the loss of the very first step is well above 0 (near the logarithm
# of the batch size, if the model knows nothing yet); 0 there is an exam with one answer.
#
# ### Exercise 3

# %%
accumulation_exercise = lab.explore.exercise("mistakes/accumulated_batches")
accumulation_exercise

# %%
accumulation_exercise.check(...)

# %% [markdown]
# ## 9. Test data in training
#
# **What one does**: trains on all pairs there are, and measures on some of them
# ([test set](../docs/glossary.md#test-set)). To see it quickly, nothing is trained but one
# square matrix behind the frozen nano (an *adapter*). It learns twenty of the forty questions with their answers; the other
# twenty it never sees.

# %%
generator = np.random.default_rng(0)
order = generator.permutation(len(asked))
seen, unseen = np.sort(order[:20]), np.sort(order[20:])
steps = sized(200, 60)
matrix = torch.eye(q.shape[1], requires_grad=True)  # (d, d): at the start the nano as it is
optimizer = torch.optim.Adam([matrix], lr=3e-3)
every_q, every_d = torch.from_numpy(q), torch.from_numpy(d)
for _ in range(steps):
    optimizer.zero_grad()
    loss = contrastive_loss(every_q[seen] @ matrix, pairs_p[seen] @ matrix)
    loss.backward()
    optimizer.step()
with torch.no_grad():
    after = found((F.normalize(every_q @ matrix) @ F.normalize(every_d @ matrix).T).numpy())
leak = pd.DataFrame(
    {
        "before": [right[seen].mean(), right[unseen].mean()],
        "after": [after[seen].mean(), after[unseen].mean()],
    },
    index=["the twenty it was trained on", "the twenty it never saw"],
)
leak["gain"] = leak["after"] - leak["before"]
Table(leak, caption=f"MRR@10 before and after {steps} steps")

# %%
gained, honest = leak["gain"]
say(
    f"Measured on its own training questions the adapter gains {gained:+.3f}; on questions it never saw, {honest:+.3f}. The first "
    "number measures memory. Only the second says whether the training was worth anything"
    + (": here it was not." if honest <= 0 else ", and with twenty questions it is uncertain too.")
)

# %% [markdown]
# **What to do**: split before anything is mined, and split by *source* (package, document, user), not by row: rows of one
# source repeat each other. Notebook [09](09_train_on_a_gpu.ipynb) sets a whole package aside. **Test**: look for test texts
# in the training set, also for nearly equal ones:

# %%
twins = (d @ d.T)[np.triu_indices(len(texts), k=1)]
say(
    f"In this corpus the closest two texts have cosine {twins.max():.3f}; {int((twins > 0.95).sum())} pairs lie above 0.95. In "
    "collected data look at such pairs by hand: each may join a training row to a test row."
)

# %% [markdown]
# ### Exercise 4

# %%
leak_exercise = lab.explore.exercise("mistakes/a_leak")
leak_exercise

# %%
leak_exercise.check(...)

# %% [markdown]
# ## 10. See for yourself
#
# The same search twice, as it should be and without prompts. With the notebook running you can type questions of your own;
# arrows say how many ranks a text has moved, counted also beyond the ten that are shown.

# %%
from egemma_lab.explore import SearchSetting

lab.explore.search(
    nano, settings=[SearchSetting("as trained", nano), SearchSetting("no prompts", nano, prompts=False)]
)

# %% [markdown]
# ## Summary
#
# | mistake | sign | what to do |
# |---|---|---|
# | no prompt, wrong prompt | scores below the published ones | `encode_query`, `encode_document` |
# | cut without normalising | lengths below 1, thresholds off | `truncate_dim=...` |
# | unnormalised dot products | long vectors crowd the results | check that lengths are 1 |
# | causal mask | the first token ignores the last word | `lab.doctor(model)` |
# | dropped Dense layers | cosine to the original far from 1 | compare ten vectors after converting |
# | float16 | NaN, once a sum passes 65,504 | bfloat16 or float32 |
# | a batch of one | a loss of exactly 0 | gradient cache |
# | test data in training | a gain that no new question confirms | split by source, before mining |
#
# What the paper has to say about them ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)): prompts are part of its model
# (Equation 1), the loss compares by cosine (Equation 2), at every width, and its denominator is a sum over the batch. The
# rest stands in the reports linked above.
#
# ## Where next
#
# - [02_the_model](02_the_model.ipynb) takes masks, prompts and Dense layers apart.
# - [01_embeddings_and_their_geometry](01_embeddings_and_their_geometry.ipynb) shows what length and angle mean.
# - [00_start_here](00_start_here.ipynb) trains on packages that its test never sees.

# %%
clock.report()
