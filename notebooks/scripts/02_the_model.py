# %% [markdown]
# # The model: from a Gemma 3 decoder to a bidirectional encoder
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/02_the_model.ipynb)
#
# EmbeddingGemma ([arXiv:2509.20354](https://arxiv.org/abs/2509.20354)) is a language model that was taught to read
# instead of to write. This notebook takes one apart, the laboratory's small `nano`, and puts it together again by hand,
# until your own few functions give the library's numbers.
#
# **Afterwards you will be able to**
#
# - write a Gemma 3 layer from memory, each of its parts checked on a tensor that fits on a line;
# - say which token may look at which, and name the error that turns an encoder into a decoder without a word;
# - say what the mean, the two Dense layers and a prompt add to a vector, as exact shares and not as an impression;
# - explain how a decoder becomes an encoder, what that bought in the paper, and what a few minutes here can show of it.
#
# | | |
# |---|---|
# | Time | about 2 minutes on two CPU cores; about 2 on a T4 or an H200 (estimated) |
# | Memory | about 2 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took; a busy machine takes longer. It helps to have seen [notebook
# 00](00_start_here.ipynb); cosines and the unit sphere are explained in [01](01_embeddings_and_their_geometry.ipynb).

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
import torch
import torch.nn.functional as F

import egemma_lab as lab
from egemma_lab.explore import Table, say, show
from egemma_lab.settings import sized

for chatty in ("torchao", "torch.utils._pytree"):  # where it is installed, it announces what it lacks
    logging.getLogger(chatty).setLevel(logging.ERROR)
clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: the same weights, read in four ways
#
# The [nano](../docs/glossary.md#nano) has EmbeddingGemma's architecture in nearly nine million parameters, and it is
# bundled with the package. It searches 800 short texts, forty on each of twenty topics. A question goes in, the texts
# with the largest cosine come out.

# %%
nano = lab.load_model("nano").requires_grad_(False)  # to be looked at, not trained
corpus, questions = lab.explore.topic_corpus(), lab.explore.topic_queries()
corpus = corpus.groupby("topic").head(sized(40, 6))  # all of it, but for a quick run
texts, topics = corpus["text"].tolist(), corpus["topic"].to_numpy()


def found(question, k=3):
    """The k texts nearest to a question."""
    cosines = nano.encode_document(texts) @ nano.encode_query(question)  # (800, d) @ (d,) -> (800,)
    best = np.argsort(-cosines)[:k]
    return Table(
        pd.DataFrame({"cosine": cosines[best], "topic": topics[best], "text": [texts[i] for i in best]}),
        question,
    )


found("How much should I put aside for retirement, and when should I begin?")

# %% [markdown]
# Now three slips, each of them made in real projects, none of them answered by an error message:
#
# - [**causal**](../docs/glossary.md#causal-mask): a token sees only what stands before it, as in the language model that
#   such an encoder is made from. Some versions of transformers read EmbeddingGemma so
#   ([sentence-transformers#3725](https://github.com/huggingface/sentence-transformers/issues/3725));
# - [**no Dense layers**](../docs/glossary.md#dense-layers): the last two matrices are left out, as in some conversions
#   ([llama.cpp#16367](https://github.com/ggml-org/llama.cpp/issues/16367));
# - [**no prompts**](../docs/glossary.md#prompt): the few words before each text that say what the vector is for are
#   forgotten ([mteb#3188](https://github.com/embeddings-benchmark/mteb/issues/3188)).
#
# Not one weight is changed. What happens to the vectors, and what to the search?

# %%
guess = lab.explore.predict(
    "Which slip turns the vectors farthest away from those of the model as built: `causal`, `no Dense layers` or `no prompts`?",
    ...,
)
guess

# %%
from egemma_lab.model import pad_batch, token_budget_batches
from egemma_lab.train import CausalDecoder

decoder_of_nano = CausalDecoder(nano).eval().requires_grad_(False)  # the same weights behind a causal mask


def embed(texts, prompt="", causal=False, dense=True):
    """The model in six lines; what each of them does is the subject of this notebook."""
    ids_of = nano.tokenize(texts, prompt)
    vectors = torch.empty(len(texts), nano.config.output_width)
    for batch in token_budget_batches([len(ids) for ids in ids_of], token_budget=2048):
        ids, real = pad_batch([ids_of[i] for i in batch])  # (B, L), (B, L): 1 on tokens, 0 on padding
        if causal:
            states = decoder_of_nano.text_model(ids, attention_mask=real, use_cache=False).last_hidden_state
        else:
            states = nano.token_states(ids, real)  # (B, L, h)
        pooled = nano.pool(states, real)  # (B, h), the mean over the real tokens
        vectors[batch] = F.normalize(pooled @ nano.merged_dense().T if dense else pooled, dim=-1)  # (B, d)
    return vectors.numpy()


assert np.allclose(embed(texts[:20]), nano.encode(texts[:20]), atol=1e-5)

# %%
row_of = {name: row for row, name in enumerate(corpus["id"])}
readings = {"as built": {}, "causal": {"causal": True}, "no Dense layers": {"dense": False}, "no prompts": {}}
rows, as_built = {}, None
for name, options in readings.items():
    ask, answer = ("", "") if name == "no prompts" else (nano.prompts["query"], nano.prompts["document"])
    asked = embed(questions["query"].tolist(), ask, **options)  # (40, d)
    read = embed(texts, answer, **options)  # (800, d)
    as_built = read if as_built is None else as_built
    first_ten = np.argsort(-(asked @ read.T), axis=1)[:, :10]
    hits = [any(row_of.get(i) in ten for i in right) for ten, right in zip(first_ten, questions["relevant"])]
    among = read @ read.T - 2 * np.eye(len(read))  # nobody is their own neighbour
    rows[name] = {
        "cosine to as built": np.sum(read * as_built, axis=1).mean(),
        "nearest text has the same topic": (topics[among.argmax(axis=1)] == topics).mean(),
        "a right text among the first ten": np.mean(hits),
    }
slips = pd.DataFrame(rows).T
same = (np.sum(topics == topics[0]) - 1) / (len(topics) - 1)
Table(
    slips,
    caption=f"{len(texts)} texts, the same topic by chance: {same:.2f}; {len(questions)} questions, so that one of them "
    f"counts {1 / len(questions):.3f}",
    digits=3,
)

# %%
cosine, topic = slips["cosine to as built"], slips["nearest text has the same topic"]
searched = slips["a right text among the first ten"]
worst = cosine.idxmin()
guess.reveal(
    worst,
    f"Without the Dense layers a vector has a mean cosine of {cosine['no Dense layers']:.2f} to the one it should be: a vector "
    "of the right length that points somewhere else. Among themselves such vectors still search, though worse "
    f"({topic['no Dense layers']:.0%} of the texts find their topic, {topic['as built']:.0%} as built), and no error says why. The "
    f"causal mask moves each vector less ({cosine['causal']:.2f}) and leaves {topic['causal']:.0%}; forgetting the prompts, on both "
    f"sides, {topic['no prompts']:.0%}. Of {len(questions)} questions, a right text is among the first ten for "
    + ", ".join(f"{round(share * len(questions))} ({name})" for name, share in searched.items())
    + ": a loss of a question or two nobody notices, in a search or in a test.",
)

# %% [markdown]
# ## 2. The plan of the house
#
# The paper's Equation 1 is the whole model: E(t, x) = f(g(P(M(t ⊕ x)))). A prompt t is put before a text x; the
# transformer M gives each token a state; P takes the mean of the states; g and f are two linear layers, one up and one
# down. Then the released model brings the vector to length 1, which the equation leaves out. (All letters of the course
# are in the [notation](../docs/notation.md).) In the order in which a text passes:
#
# text → tokens → **token table** → **layers** of attention and feed-forward → **final norm** → mean → **Dense up** →
# **Dense down** → length 1
#
# The bold ones hold weights. How many? The large model below is built without any memory for its weights (PyTorch's
# *meta* device), just to be counted.

# %%
from egemma_lab.model import EmbeddingGemma, preset_config

with torch.device("meta"):
    large = EmbeddingGemma(preset_config("300m"))


def counted(model):
    """Number of weights in each part."""
    parts = {
        "token table": model.text_model.embed_tokens,
        "layers": model.text_model.layers,
        "final norm": model.text_model.norm,
        "Dense up": model.dense_up,
        "Dense down": model.dense_down,
    }
    numbers = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    return numbers | {"together": sum(numbers.values())}


shape = nano.config.text
plan = pd.DataFrame({"nano": counted(nano), "EmbeddingGemma 300M": counted(large)})
without_dense = (
    plan["EmbeddingGemma 300M"]["together"] - plan["EmbeddingGemma 300M"][["Dense up", "Dense down"]].sum()
)
say(
    f"The paper's Table 6 gives the large model 578 MB. Two bytes for each weight outside the Dense layers are "
    f"{2 * without_dense / 2**20:.1f} · 2²⁰ bytes: the count agrees. The nano has {shape.num_hidden_layers} layers of width "
    f"{shape.hidden_size}, the large model {large.config.text.num_hidden_layers} of width {large.config.text.hidden_size}; most of "
    "both is the table of tokens."
)
Table(plan.map(lambda number: f"{number:,}"))

# %% [markdown]
# ## 3. From text to numbers
#
# The nano's tokenizer writes everything in lower case and cuts it into pieces; `##` marks one that goes on within a
# word. It puts `<bos>` (begin) before and `<eos>` (end) behind. The prompt is part of the text from here on: nothing
# marks it.

# %%
question = "How do plants drink water from the soil?"
prompt = nano.prompts["query"]
[ids] = nano.tokenize([question], prompt)
print(repr(prompt + question), "\n")
print("  ".join(nano.tokenizer.convert_ids_to_tokens(ids)), "\n")
print("  ".join(nano.tokenizer.tokenize("Photosynthesis needs chlorophyll.")))  # rarer words

# %% [markdown]
# Each piece has a number, and that number a row in the token table. Gemma multiplies the row by the root of the width.
# One line by hand, and the library's:

# %%
table = nano.text_model.embed_tokens.weight  # (V, h)
tokens = torch.tensor(ids)  # (L,)
start = table[tokens] * shape.hidden_size**0.5  # (L, h)
library = nano.text_model.embed_tokens(tokens)
say(
    f"A table of {tuple(table.shape)} numbers; {len(ids)} tokens become {tuple(start.shape)} numbers, times "
    f"√{shape.hidden_size} = {shape.hidden_size**0.5:g}. Largest difference from the library: {(start - library).abs().max():.0e}."
)

# %% [markdown]
# ## 4. A layer by hand
#
# A layer takes one vector a token and gives one vector a token. It has two halves. **Attention** lets tokens take from
# each other; the **feed-forward** network works on each token alone. Each half is fed through a norm, and its result goes
# through another norm before it is *added* to what was there. Four parts, then, to be built: the norm, rotary positions,
# attention, and the gated feed-forward network.
#
# ### 4.1 RMSNorm
#
# Divide a vector by its root mean square, then multiply each number by 1 + w, w being learned. Gemma stores w and not the
# factor, so that a stored 0 means "leave it".


# %%
def rms_norm(x, weight, eps=1e-6):
    """x / √(mean of x²) · (1 + weight), over the last axis."""
    return x / torch.sqrt((x**2).mean(dim=-1, keepdim=True) + eps) * (1 + weight)


x = torch.tensor([3.0, 4.0])
by_hand = np.array([3, 4]) / np.sqrt((9 + 16) / 2)
say(
    f"`rms_norm([3, 4], 0)` gives {np.round(rms_norm(x, torch.zeros(2)).numpy(), 4)}; by hand {np.round(by_hand, 4)}."
)

# %% [markdown]
# #### Exercise 1

# %%
norm_exercise = lab.explore.exercise("the_model/rms_norm_by_hand")
norm_exercise

# %%
norm_exercise.check(...)

# %% [markdown]
# ### 4.2 Rotary positions
#
# Attention compares vectors with dot products, and a dot product does not know who stands where. So before they are
# compared, the vectors are **turned**: the numbers are taken in pairs, and each pair is turned by an angle that grows
# with the token's place. Two vectors at the places 5 and 3 are then turned by angles that differ as much as those of 12
# and 10: the dot product depends on the *distance* only.


# %%
def rotate(x, base):
    """Turn number i together with number i + size/2, by place · base^(-2i/size): (…, L, size) -> the same shape."""
    size = x.shape[-1]
    frequency = base ** (-torch.arange(0, size, 2) / size)  # (size/2,), radians a token
    angle = torch.arange(x.shape[-2])[:, None] * frequency  # (L, size/2)
    a, b = x[..., : size // 2], x[..., size // 2 :]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], dim=-1)


same = torch.tensor([[1.0, 0.0]]).expand(6, 2)  # one vector at six places
turned = rotate(same, base=10_000)
show(
    lab.explore.circle_pairs(
        turned.numpy(),
        names=[f"place {i}" for i in range(6)],
        title="One vector at six places",
        subtitle="a pair of numbers is turned by one radian a token; pairs further on by less",
    ),
    "The unit circle with six arrows, the same vector at the places 0 to 5, each turned one radian further.",
)
torch.manual_seed(0)
q, k = torch.randn(1, 8).expand(13, 8), torch.randn(1, 8).expand(13, 8)  # two other vectors, at every place
dots = rotate(q, 10_000) @ rotate(k, 10_000).T  # (13, 13)
say(
    f"Dot product of the places 5 and 3: {dots[5, 3]:.4f}; of 12 and 10: {dots[12, 10]:.4f}; of 5 and 4: {dots[5, 4]:.4f}."
)

# %% [markdown]
# Fast pairs tell near places apart, slow ones far places. How slow, the **base** decides, and Gemma 3 has two: 10,000 in
# its *sliding* layers, which look at their neighbourhood only, and 1,000,000 in its *full* layers, which look everywhere.

# %%
turns = lab.explore.predict(
    "How many tokens long is one full turn of the slowest pair in a full layer?", ..., unit="tokens"
)
turns

# %%
pair = np.arange(shape.head_dim // 2)
bases = {kind.partition("_")[0]: each["rope_theta"] for kind, each in shape.rope_parameters.items()}
periods = {
    kind: 2 * np.pi * base ** (2 * pair / shape.head_dim) for kind, base in bases.items()
}  # tokens a turn
some = pair[[0, 8, 16, 24, -1]]
Table(
    pd.DataFrame(
        {
            f"{kind} layers, base {bases[kind]:,.0f}": [f"{periods[kind][i]:,.0f}" for i in some]
            for kind in ("sliding", "full")
        },
        index=[f"pair {i + 1} of {len(pair)}" for i in some],
    ),
    caption="Tokens to one full turn",
)

# %%
longest = shape.max_position_embeddings
slow = {kind: (period > longest).sum() for kind, period in periods.items()}
turns.reveal(
    f"{periods['full'][-1]:,.0f}",
    f"No text is that long: the model reads {longest:,} tokens. In full layers {slow['full']} of {len(pair)} pairs do not come "
    "round once in the longest text; they compare contents almost wherever two tokens stand. In sliding layers it is "
    f"{slow['sliding']}, which does no harm where nobody looks far.",
)

# %% [markdown]
# ### 4.3 Attention
#
# Each token asks (its **query**, which has nothing to do with the query of a search), each offers itself (its **key**),
# and what is taken is the other's **value**. All three are the token's vector times a learned matrix. The weights are the
# softmax of query · key: all positive, together 1. On numbers small enough for the head: scores 0 and log 3 weigh 1 : 3,
# so from the values 0 and 4 comes 3.

# %%
weights = torch.tensor([1.0, 3.0]).log().softmax(dim=0)  # the scores are log 1 = 0 and log 3
say(f"weights {[round(float(w), 4) for w in weights]}, taken {weights @ torch.tensor([0.0, 4.0]):.4f}")

# %% [markdown]
# Four things to know about attention in Gemma 3. Queries and keys pass an RMSNorm first, which bounds their dot
# products. Both are turned by rotary positions. Attention runs several times side by side (*heads*): each head asks
# with queries of its own, but in EmbeddingGemma and in the nano all share **one** set of keys and values (*multi-query
# attention*; the larger Gemma 3 share one among a few heads): fewer weights, and for a decoder less to keep in memory.
# And the scores are divided by a number that the configuration names (`query_pre_attn_scalar`, its root).


# %%
def attention(x, part, base, may):
    """Every token takes from those it may look at: (L, h), bool (L, L) -> (L, h)."""
    size = part.head_dim
    q = (x @ part.q_proj.weight.T).unflatten(-1, (-1, size)).transpose(0, 1)  # (heads, L, size)
    k, v = x @ part.k_proj.weight.T, x @ part.v_proj.weight.T  # (L, size) each: one for all heads
    q, k = rotate(rms_norm(q, part.q_norm.weight), base), rotate(rms_norm(k, part.k_norm.weight), base)
    scores = q @ k.T / shape.query_pre_attn_scalar**0.5  # (heads, L, L)
    weights = scores.masked_fill(~may, -torch.inf).softmax(dim=-1)
    taken = (weights @ v).transpose(0, 1).flatten(start_dim=1)  # (L, heads · size)
    return taken @ part.o_proj.weight.T


first = nano.text_model.layers[0].self_attn
say(
    f"In a layer of the nano {shape.num_attention_heads} heads ask with {first.q_proj.weight.numel():,} weights; the keys they "
    f"share have {first.k_proj.weight.numel():,}, and the values as many."
)

# %% [markdown]
# ### 4.4 The gated feed-forward network
#
# *GeGLU*: two matrices widen each token's vector; one of the two results passes GELU, a bent line that lets positive
# numbers through and nearly stops negative ones, and multiplies the other: a gate. A third matrix leads back.


# %%
def feed_forward(x, part):
    """down(gelu(gate(x)) · up(x)), each token alone: (L, h) -> (L, h)."""
    gate = F.gelu(x @ part.gate_proj.weight.T, approximate="tanh")
    return (gate * (x @ part.up_proj.weight.T)) @ part.down_proj.weight.T


numbers = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])
Table(
    pd.DataFrame(
        {"gate(x)": numbers.numpy(), "lets through this factor": F.gelu(numbers, approximate="tanh").numpy()}
    ),
    digits=3,
)

# %% [markdown]
# ### 4.5 Put together
#
# Norm, half, norm, add; and again. The second norm of each half is what most models leave out: it decides how much a half
# may add, whatever comes out of it.


# %%
def layer_by_hand(x, layer, base, may):
    """One Gemma 3 layer: (L, h), bool (L, L) -> (L, h)."""
    taken = attention(rms_norm(x, layer.input_layernorm.weight), layer.self_attn, base, may)
    x = x + rms_norm(taken, layer.post_attention_layernorm.weight)
    worked = feed_forward(rms_norm(x, layer.pre_feedforward_layernorm.weight), layer.mlp)
    return x + rms_norm(worked, layer.post_feedforward_layernorm.weight)


# %% [markdown]
# The test: each layer of the nano, with its real weights, gets the same input from the library and from us. The text is
# longer than a sliding layer can see (`window` is explained in the next section), so that nothing is easy.

# %%
long_text = " ".join(texts[:60])
ids, real = pad_batch(nano.tokenize([long_text]))
place = torch.arange(ids.shape[1])
may_look = {
    "full_attention": torch.ones(len(place), len(place), dtype=torch.bool),
    "sliding_attention": (place[:, None] - place).abs() < shape.sliding_window,
}
inputs, outputs = [], []  # of each layer, as the library computes them


def keep(layer, given, result):
    """Called by PyTorch after each layer."""
    inputs.append(given[0][0])  # (L, h)
    outputs.append(result[0])  # (L, h)


hooks = [layer.register_forward_hook(keep) for layer in nano.text_model.layers]
states = nano.token_states(ids, real)[0]  # (L, h)
for hook in hooks:
    hook.remove()

rows = []
for number, (layer, given, expected) in enumerate(zip(nano.text_model.layers, inputs, outputs), start=1):
    kind = layer.self_attn.layer_type
    mine = layer_by_hand(given, layer, shape.rope_parameters[kind]["rope_theta"], may_look[kind])
    apart, largest = (mine - expected).abs().max().item(), expected.abs().max().item()
    added = (expected - given).norm(dim=-1) / given.norm(dim=-1)
    rows.append((number, kind.partition("_")[0], largest, f"{apart / largest:.0e}", f"{added.mean():.0%}"))
    assert apart < 1e-5 * largest
Table(
    pd.DataFrame(
        rows,
        columns=["layer", "kind", "largest entry", "difference, as a share of it", "added to what came in"],
    ),
    caption=f"A text of {len(place)} tokens",
)

# %% [markdown]
# Equal to within rounding, in layers of both kinds. The last column says how much a layer adds, as a share of the length
# of the vectors that came in; the second norms decide it.
#
# Six layers one behind the other, one more norm, the mean, two matrices, length 1: that is all. The vector by hand beside
# `encode`:

# %%
x = nano.text_model.embed_tokens.weight[ids[0]] * shape.hidden_size**0.5  # (L, h)
for layer in nano.text_model.layers:
    kind = layer.self_attn.layer_type
    x = layer_by_hand(x, layer, shape.rope_parameters[kind]["rope_theta"], may_look[kind])
x = rms_norm(x, nano.text_model.norm.weight)  # (L, h)
vector = x.mean(dim=0) @ nano.dense_up.weight.T @ nano.dense_down.weight.T  # (d,)
vector = vector / vector.norm()
difference = np.abs(vector.numpy() - nano.encode(long_text)).max()
assert difference < 1e-5
say(f"By hand and by `encode`: **{len(vector)} numbers, the largest difference is {difference:.0e}**.")

# %% [markdown]
# ## 5. Who may look at whom
#
# A language model that writes may not look ahead: while it says a word it does not know the next. Its mask is **causal**.
# A reader has the whole text before them, and the mask is
# [**bidirectional**](../docs/glossary.md#bidirectional-attention). In *sliding* layers (five of six, in all Gemma 3
# models) a token looks at a [**window**](../docs/glossary.md#sliding-window) around it only, which keeps long texts
# cheap. Below, the window is 2 to each side, so that it fits on the page.

# %%
words = ["<bos>", "Roots", "drink", "what", "the", "rain", "brings", "<eos>"]
rank = np.arange(len(words))
back = rank[:, None] - rank  # how far before the row's token the column's stands
show(
    lab.explore.mask_figure(
        {
            "causal": back >= 0,
            "bidirectional": np.ones_like(back, dtype=bool),
            "bidirectional, window 2": np.abs(back) <= 2,
        },
        words,
    ),
    "Three grids of eight words by eight words. Causal: dots on and below the diagonal. Bidirectional: dots everywhere. With a "
    "window of 2: a band of dots along the diagonal.",
)

# %% [markdown]
# The package makes its masks in one short function. `window` is an exclusive bound, and padding is never looked at:

# %%
from egemma_lab.model.attention_masks import attention_masks

print(inspect.getsource(attention_masks))

# %% [markdown]
# Whether a model really looks both ways is a thing to measure, not to believe. Change the **last** word of a sentence.
# Can the state of the **first** token notice?

# %%
guess = lab.explore.predict(
    "The last word changes. Does the first token's state: in the encoder? in the decoder?", ...
)
guess

# %%
two_ends = ["The seeds were washed by the rain", "The seeds were washed by the tide"]
pair, real = pad_batch(nano.tokenize(two_ends))
encoder_states = nano.token_states(pair, real)  # (2, L, h)
decoder_states = decoder_of_nano.text_model(pair, attention_mask=real, use_cache=False).last_hidden_state
moved = {
    name: [(both[0, i] - both[1, i]).norm().item() / both[0, i].norm().item() for i in range(pair.shape[1])]
    for name, both in (("encoder", encoder_states), ("decoder", decoder_states))
}
assert max(moved["decoder"][:-2]) < 1e-5 < moved["encoder"][0]
pieces = nano.tokenizer.convert_ids_to_tokens(pair[0].tolist())
Table(
    pd.DataFrame(moved, index=pieces).T,
    caption="How far each token's state moves, as a share of its length",
    digits=3,
)

# %%
guess.reveal(
    "in the encoder yes, in the decoder no",
    f"Behind the bidirectional mask the first state moves by {moved['encoder'][0]:.1%} of its length. Behind the causal one all "
    "states before the change stay as they were. `lab.doctor(model)` measures this on any model, and more.",
)

# %% [markdown]
# ### The window, and a trap in it
#
# The configuration file of the real EmbeddingGemma says `sliding_window: 512`. It means 512 in all: 256 to each side. For
# a bidirectional model transformers therefore turns the number into an exclusive bound, 512 // 2 + 1, **when the object
# is made**. Whoever makes a new object from the attributes of an old one does it again:

# %%
from transformers import Gemma3TextConfig

window, sizes = 512, []
for _ in range(3):
    copy = Gemma3TextConfig(sliding_window=window, use_bidirectional_attention=True)
    window = copy.sliding_window
    sizes.append(window)
stored = nano.config.text.to_dict()["sliding_window"]
say(
    f"Made once, copied by attributes twice: the bound goes {' → '.join(map(str, sizes))}. Copied through `to_dict`, which turns it "
    f"back, it stays: the nano keeps {nano.config.text.sliding_window} in memory and stores {stored}."
)

# %% [markdown]
# Before transformers 5.16 every save and reload halved the window so
# ([transformers#47940](https://github.com/huggingface/transformers/issues/47940)), and no short text could tell. So we
# measure it too, on a text that is long enough: change the input of a layer at one end, and look how far it is felt.

# %%
from egemma_lab.model.proofs import reach

for kind in ("sliding_attention", "full_attention"):
    left, right, length = reach(nano, kind)
    say(
        f"`{kind}`: a change is felt {left} tokens to the left and {right} to the right, in a text of {length} tokens."
    )

# %% [markdown]
# #### Exercise 2

# %%
window_exercise = lab.explore.exercise("the_model/window_of_a_middle_token")
window_exercise

# %%
window_exercise.check(...)

# %% [markdown]
# ## 6. One vector for many: the mean
#
# After the last norm each token has a state. The mean of all states stands for the text, the prompt's tokens included
# ([mean pooling](../docs/glossary.md#mean-pooling)). Padding,
# which only fills up a batch, is left out.
#
# #### Exercise 3

# %%
mean_exercise = lab.explore.exercise("the_model/a_mean_with_padding")
mean_exercise

# %%
mean_exercise.check(...)

# %% [markdown]
# There are other ways: take the first state, or the last, or let attention choose the weights. The paper tried them, each
# with the same training, on MTEB's multilingual tasks. (Trying them on the finished nano would be unfair to them: it was
# trained for the mean.)

# %%
poolings = [("mean", 60.4), ("attention", 60.2), ("first token", 59.9), ("last token", 59.7)]
Table(
    pd.DataFrame(poolings, columns=["pooling", "mean of tasks"]),
    caption="EmbeddingGemma's pooling ablation, from the paper",
    digits=1,
)

# %% [markdown]
# A mean has a gift for the curious: it can be taken apart. What follows it is linear until the final division by the
# length, so the vector before that division is a **sum of one part a token**. A token's *share* is its part's dot product
# with the whole, over the whole's squared length: shares sum to 1, and a negative one pulls the other way. That is exact.
# What it does not say is where a state has its contents from, for attention has mixed the tokens before.

# %%
look = lab.explore.dissect(nano, question)
shares = pd.DataFrame({"token": look.tokens, "share": look.shares})
say(
    f"The parts sum to what `encode` gives: largest difference {np.abs(look.vector - nano.encode(question)).max():.0e}. "
    f"The {len(look.tokens)} shares sum to {look.shares.sum():.6f}."
)
Table(shares.T.set_axis(look.tokens, axis=1).loc[["share"]].astype(float), caption=question)

# %%
average = 1 / len(look.tokens)
above = shares[shares["share"] > average].sort_values("share", ascending=False)
say(
    f"If all counted alike each would have {average:.0%}. Above that: "
    + ", ".join(f"{token.removeprefix('##')} ({share:.0%})" for token, share in above.itertuples(index=False))
    + f"; together {above['share'].sum():.0%}. Nobody told the mean to weigh words. The states do it by their length and direction."
)

# %% [markdown]
# ## 7. Two matrices that are one
#
# The paper widens the pooled vector fourfold and narrows it again, without a bias or a bend between. Two linear maps, one
# after the other, are one: W = W_down · W_up. `model.merged_dense()` is that matrix.

# %%
pooled = states.mean(dim=0)  # (h,), of the long text
wide = nano.dense_up.weight @ pooled  # (4h,)
two = nano.dense_down.weight @ wide  # (d,)
one = nano.merged_dense() @ pooled  # (d,)
count = nano.dense_up.weight.numel() + nano.dense_down.weight.numel()
say(
    f"{tuple(pooled.shape)} → {tuple(wide.shape)} → {tuple(two.shape)}, or at once: the largest difference is "
    f"{((two - one).abs().max() / one.abs().max()):.0e} of the largest number. {count:,} weights in two matrices, "
    f"{nano.merged_dense().numel():,} in one."
)

# %% [markdown]
# #### Exercise 4

# %%
dense_exercise = lab.explore.exercise("the_model/one_matrix_for_two")
dense_exercise

# %%
dense_exercise.check(...)

# %% [markdown]
# Why then two? We found no reason in the paper. What can be said: after training the pair can always be replaced by the
# product, so at inference the second matrix buys nothing; while training, steps on two factors are not steps on their
# product. And the equality is one of real numbers: round each matrix to four bits, and the product of the rounded is not
# the rounded product.
#
# The whole way from states to vector in the package's own code, the paper's Equation 1 from right to left:

# %%
print(inspect.getsource(EmbeddingGemma.forward))

# %% [markdown]
# ## 8. What a prompt adds
#
# A prompt acts twice. Its tokens are in the mean, with parts of their own; and the text's tokens look at them, so that
# their states change. Both can be told apart.

# %%
look_behind = lab.explore.dissect(nano, question, "query")
in_prompt = look_behind.kinds.count("prompt")
guess = lab.explore.predict(
    f"Behind the query prompt the question has {len(look_behind.tokens)} tokens, {in_prompt} of them the prompt's "
    f"({in_prompt / len(look_behind.tokens):.0%}). What share of the squared length do they have, in percent?",
    ...,
    unit="%",
)
guess

# %%
names = ("query", "document", "STS")
effects = {name: [] for name in names}
sample = texts[:: sized(20, 200)]
for text in sample:
    plain = lab.explore.dissect(nano, text)
    for name in names:
        behind = lab.explore.dissect(nano, text, name)
        share_of_tokens = behind.kinds.count("prompt") / len(behind.tokens)
        effects[name].append(
            {"prompt's share of tokens": share_of_tokens} | lab.explore.prompt_effect(plain, behind)
        )
means = pd.DataFrame({nano.prompts[name]: pd.DataFrame(rows).mean() for name, rows in effects.items()}).T
columns = {
    "prompt's share of tokens": "prompt: share of tokens",
    "share": "prompt: share of squared length",
    "cosine": "cosine with and without prompt",
    "cosine of the text's part": "the same, prompt's tokens left out of the mean",
}
Table(means[list(columns)].rename(columns=columns), caption=f"Means over {len(sample)} texts", digits=3)

# %%
tokens, whole, part = means.loc[prompt, ["prompt's share of tokens", "cosine", "cosine of the text's part"]]
guess.reveal(
    100 * look_behind.share_of("prompt"),
    f"Over {len(sample)} texts the query prompt is {tokens:.0%} of the tokens and {means.loc[prompt, 'share']:.1%} of the "
    "squared length. The last two columns tell how it acts. With the prompt the vector has a cosine of "
    f"{whole:.3f} to the one without; leaving the prompt's tokens out of the mean makes that {part:.3f}. "
    + (
        "Both are next to nothing in this model, too little to say which of them does more. "
        if 1 - min(whole, part) < 0.02
        else "So most of what the prompt does, it does by being looked at. "
        if 1 - part > (1 - whole) / 2
        else "So most of what the prompt does, its own tokens do in the mean. "
    )
    + "(A negative share: these tokens pull slightly the other way.) Do not conclude that prompts do not matter: this is a small model after a short training. The report linked in "
    "section 1 is about the real one.",
)

# %% [markdown]
# ## 9. Under glass
#
# Everything at once, for a text of your own. Left: one head's attention; the row is the token that looks. Right: each
# token's share. Diamonds are the shares without the prompt.

# %%
lab.explore.anatomy(nano, question, prompt_name="query", layer=2, head=1)

# %% [markdown]
# Three things to try:
#
# 1. **Go through the layers** with the head at *mean*. Which token is looked at most in each? Often it is `<bos>`, `<eos>` or a
#    sign of punctuation: a head that has nothing to take must still spend its weights on something, for they sum to 1; such a
#    place is called a *sink*.
# 2. **Make the mask causal.** What happens to the cosine in the line of words? Then make the window smaller, 1 token to each
#    side: much smaller than any Gemma's, and only one layer still sees the whole text. If little happens, look again at the
#    last column of the table in 4.5: how much do the layers add at all?
# 3. **Negate**: "plants drink water" and "plants do not drink water". Which tokens' shares change, and by how much?
#
# And do not read too much into it. A weight says where a head takes from, not how much that matters in the end: different
# weights can lead to the same result ([arXiv:1902.10186](https://arxiv.org/abs/1902.10186)).
#
# For readers without a kernel, the same text behind causal masks, in the last layer:

# %%
causal = lab.explore.dissect(nano, question, "query", causal=True)
without = lab.explore.dissect(nano, question, causal=True)
show(
    lab.explore.anatomy_figure(causal, layer=6, without=without),
    "Attention in the last layer behind a causal mask: everything above the diagonal is grey. Bars at the right: shares of the "
    f"vector, those of the prompt together {causal.share_of('prompt'):.1%}, instead of {look_behind.share_of('prompt'):.1%} when "
    "all see all.",
)

# %%
say(
    f"Behind a causal mask the prompt's tokens hold {causal.share_of('prompt'):.1%} of the squared length, instead of "
    f"{look_behind.share_of('prompt'):.1%}, and the vector has a cosine of "
    f"{float(look_behind.vector @ causal.vector):.3f} to the one without a mask. They stand first and cannot look at the text any "
    "more: the states of the first tokens are the same for every text. In this nano that changes little, since its layers add "
    "little (section 4.5); a model whose layers do most of the work is hurt far more, unless it was trained behind such a mask."
)

# %% [markdown]
# ## 10. Where the weights come from
#
# EmbeddingGemma's layers were not trained from noise. They begin as those of a **decoder**, Gemma 3, which had learned to
# say the next token of any text. Then they were **adapted**: the decoder became both halves of an encoder-decoder that
# repairs damaged texts (in the manner of T5Gemma, [arXiv:2504.06225](https://arxiv.org/abs/2504.06225)), and the encoder
# half was kept. Only then came the training with pairs, which begins in
# [03_contrastive_learning](03_contrastive_learning.ipynb).
#
# (The nano took a short cut: its token table began as what its teacher says of each piece and was then fitted to the teacher's
# vectors of whole texts, as if there were no layers, which began near zero. That is why they add so little in 4.5. So what
# follows is done with a smaller model still, `micro`, from the beginning.)
#
# ### 10.1 A decoder
#
# The text is the Python installed on this machine, docstrings and code, as in notebook 00.

# %%
from egemma_lab.model import new_model, train_tokenizer
from egemma_lab.train import LanguageRecipe, adapt_to_encoder, to_embedding_model, train_decoder

pairs = lab.data.load_pairs("python-docs", columns={"negative": None}, limit=sized(4000, 200))
written = [*pairs["anchor"], *pairs["positive"]]
tokenizer = train_tokenizer(written, vocab_size=sized(2048, 500))
blocks = {"batch_blocks": sized(8, 2), "block_tokens": sized(128, 96)}
recipe = LanguageRecipe(steps=sized(120, 2), learning_rate=3e-3, evaluate_every=sized(30, 1), **blocks)
decoder = train_decoder(
    "micro",
    written,
    tokenizer=tokenizer,
    recipe=recipe,
    output="runs/02_decoder",
    resume=False,
    show_progress_bar=False,
)
measured = decoder.history[["step", "held_out/bits_per_byte", "held_out/perplexity"]].dropna()
say(
    f"{sum(p.numel() for p in decoder.model.text_model.parameters()):,} weights, {decoder.history['tokens'].sum():,} tokens. "
    "*Bits per byte* says how well texts that were set aside are predicted: 8 is knowing nothing, each bit less halves the "
    "number of equally likely guesses for a byte. *Perplexity* says the same of a token: among how many it seems to choose."
)
Table(measured.rename(columns=lambda name: name.removeprefix("held_out/").replace("_", " ")), digits=2)

# %%
said_next = decoder.language_model.eval().requires_grad_(False)


def goes_on(beginning, k=5):
    """The k likeliest next tokens."""
    ids = torch.tensor([tokenizer(beginning).input_ids[:-1]])  # without <eos>: the text is not over
    best = said_next(ids)[0, -1].softmax(dim=-1).topk(k)
    return [f"{tokenizer.convert_ids_to_tokens(int(i))} {p:.0%}" for p, i in zip(best.values, best.indices)]


Table(
    pd.DataFrame(
        {text: goes_on(text) for text in ("Return the", "def get", "for i in", "if not")}, index=range(1, 6)
    )
)

# %% [markdown]
# It has learned which tokens are frequent, that what was just there often comes again, and a little of what follows
# what. More is not to be had in a minute.
#
# ### 10.2 Damaged texts
#
# To predict the next token one need not look ahead. To repair a text one must read all of it, before and behind the
# damage. That is why the adaptation is done with **denoising**, in the mixture called UL2
# ([arXiv:2205.05131](https://arxiv.org/abs/2205.05131)): spans of the text are taken out, a *sentinel* is left in place
# of each, and the decoder must say what stood there. Short spans train knowledge of words (R); long spans, or half of the text,
# train understanding (X); a text cut in two trains going on (S).

# %%
from egemma_lab.train import denoising

[source_ids] = tokenizer(
    [
        "The old gardener waters the roots in the evening. In the heat of the day most of the water would dry before it "
        "reaches them, and cold drops burn nothing, whatever people say."
    ]
).input_ids
source_ids = source_ids[1:-1]
plain = tokenizer.convert_ids_to_tokens


def legible(ids, sentinels):
    """Ids as text, the i-th sentinel as <i>."""
    number = {int(sentinel): f" <{i}>" for i, sentinel in enumerate(sentinels)}
    return "".join(number.get(int(i)) or plain(int(i)).replace("▁", " ") for i in ids).strip()


modes, sentinels = denoising.reserved_ids(tokenizer)
rows = []
for name in ("short", "dense", "prefix"):
    kind = denoising.DENOISERS[name]
    hidden = denoising.span_mask(len(source_ids), kind, np.random.default_rng(3))
    given, wanted = denoising.corrupt(source_ids, hidden, sentinels, mode=modes[kind.mode], eos=1)
    assert denoising.restore(given, wanted, sentinels).tolist() == list(source_ids)  # nothing is lost
    rows.append((f"{name} ({kind.mode})", legible(given[1:], sentinels), legible(wanted, sentinels)))
Table(pd.DataFrame(rows, columns=["denoiser", "the encoder reads", "the decoder must say"]))

# %% [markdown]
# The code that damages a text is short enough to read:

# %%
print(inspect.getsource(denoising.corrupt))

# %% [markdown]
# #### Exercise 5

# %%
damage_exercise = lab.explore.exercise("the_model/what_the_decoder_must_say")
damage_exercise

# %%
damage_exercise.check(...)

# %% [markdown]
# ### 10.3 The adaptation
#
# Encoder and decoder both begin as the decoder above, weight for weight. In the encoder only the mask is exchanged, from
# causal to bidirectional. The decoder's layers look at their own tokens so far *and* at the encoder's states (one
# attention for both, as in T5Gemma 2, [arXiv:2512.14856](https://arxiv.org/abs/2512.14856); the first T5Gemma, which the
# paper follows, has a second attention for the encoder's states). Afterwards the decoder is thrown away.

# %%
adapted = adapt_to_encoder(
    decoder,
    written,
    recipe=recipe.replace(learning_rate=1e-3),
    output="runs/02_adaptation",
    resume=False,
    show_progress_bar=False,
)
repairs = adapted.history[["step", "held_out/loss", "held_out/perplexity"]].dropna()
Table(
    repairs.rename(columns=lambda name: name.removeprefix("held_out/")),
    caption="Saying what is missing in texts set aside: nats a token, and among how many tokens it seems to choose",
)

# %% [markdown]
# ### 10.4 What it buys: three starts, the same training
#
# Three embedding models of the same shape, with the same two Dense layers, that begin with different layers: random ones,
# those of the decoder (read both ways from now on), those of the adapted encoder. Each then gets the same short training
# with pairs (a docstring's sentence and its function, contrastive loss), and searches packages that none of them saw.

# %%
guess = lab.explore.predict("In which order will the three starts end: random, decoder, adapted?", ...)
guess

# %%
starts = {
    "random": new_model("micro", tokenizer, seed=0),
    "decoder": to_embedding_model(decoder, seed=0),
    "adapted": to_embedding_model(adapted, seed=0),
}
pair_recipe = lab.Recipe(
    steps=sized(60, 2),
    batch_size=sized(32, 8),
    max_tokens=32,
    learning_rate=2e-3,
    weights={"matching": 0},
    seed=0,
)
trained = {}
for name, model in starts.items():
    run = lab.train(
        model, pairs, recipe=pair_recipe, output=f"runs/02_from_{name}", resume=False, show_progress_bar=False
    )
    trained[name] = run.model
    trained[name].name, trained[name].max_seq_length = name, 64

# %%
import warnings

warnings.filterwarnings("ignore", message=".*longer than 64 tokens")  # a function's beginning is enough here
n_questions = sized(300, 20)
each = lab.evaluate(
    trained["adapted"],
    baselines=[trained["decoder"], trained["random"]],
    limit=n_questions,
    per_query=True,
    show_progress_bar=False,
)
scores = each.groupby(["model", "metric"], as_index=False)["value"].mean()
order = ["random", "decoder", "adapted"]
show(
    lab.explore.score_bars(
        scores.set_index("model").loc[order].reset_index(),
        metrics=["recall@10", "nDCG@10"],
        title="Three starts after the same short training",
        subtitle=f"{n_questions} questions, {5 * n_questions} candidates, packages never seen",
    ),
    "Two bar charts with a bar for each start: "
    + ", ".join(
        f"{name} {scores[(scores['model'] == name) & (scores['metric'] == 'recall@10')]['value'].item():.2f}"
        for name in order
    )
    + " recall at 10.",
)

# %%
compared = pd.concat(
    [
        lab.evaluate.compare(
            each, metrics=["nDCG@10"]
        ),  # the first model of the table with each of the others
        lab.evaluate.compare(each[each["model"] != "adapted"], metrics=["nDCG@10"]),
    ]
)
Table(
    compared[["a", "b", "difference", "low", "high", "better"]].reset_index(drop=True),
    caption="nDCG@10, paired over the questions, with 95% intervals",
    digits=3,
)

# %%
value = scores[scores["metric"] == "nDCG@10"].set_index("model")["value"]
better = {(row.a, row.b): row.better for row in compared.itertuples()}


def verdict(a, b):
    """What these questions say about two starts, in words."""
    winner = better[a, b]
    return (
        f"{a} and {b} cannot be told apart"
        if winner == "undecided"
        else f"{winner} beats {b if winner == a else a}"
    )


versus = [verdict("decoder", "random"), verdict("adapted", "random"), verdict("adapted", "decoder")]
guess.reveal(
    " < ".join(value.sort_values().index),
    "That is the order of the bars. By the intervals: " + "; ".join(versus) + ".",
)

# %% [markdown]
# The intervals are about other questions, not about other runs: each start was trained once. And two things are not
# equal, here as in the paper: the adapted start has read more text than the decoder, and the random one none.
#
# ## 11. What the paper found, and what we found
#
# The paper's figures are means over the tasks of MTEB (multilingual, v2), after its whole training from each start.

# %%
starts_compared = pd.DataFrame(
    [
        ("encoder of an encoder-decoder, adapted with UL2", 60.4, f"{value['adapted']:.3f}"),
        ("decoder, Gemma 3 as it is", 59.7, f"{value['decoder']:.3f}"),
        ("random weights", 45.2, f"{value['random']:.3f}"),
    ],
    columns=["start", "paper: MTEB, mean of tasks", "here: nDCG@10"],
)
Table(
    starts_compared,
    caption="Two tests on two scales: compare the order and the distances, not the numbers",
    digits=1,
)

# %%
say(
    "In the paper a start from language is worth about 15 points over random weights, and the adaptation 0.7 points over the "
    f"plain decoder. Here, after minutes: {'; '.join(versus)}. Where nothing can be told apart, that is no finding against the "
    "paper: its models read about 2.1 trillion tokens from the adaptation on, "
    f"our adaptation read {adapted.history['tokens'].sum():,}. The package's experiment `initialisation` asks the same question "
    "with more seeds and more steps."
)

# %% [markdown]
# ## Summary
#
# - A Gemma 3 layer is a norm, attention, a norm, an addition; a norm, a gated network, a norm, an addition. Your
#   functions gave the library's numbers.
# - A mask makes an encoder or a decoder of the same weights. Nothing complains when it is the wrong one: measure it.
# - The stored window of 512 is 256 to each side, and copies by attributes halve it.
# - Mean and Dense layers are linear, so each token's share of a vector is exact. The two Dense layers are one matrix, and
#   leaving them out gives vectors of another space.
# - A prompt is in the mean, and it changes the states of the text. In the nano both are small.
# - In the paper the decoder's weights are worth most and the adaptation adds a little; both need more than minutes to be
#   seen.
#
# ## Where next
#
# - Take your own model apart: `lab.explore.dissect(lab.load_model(...), text)` works with every model of this
#   architecture.
# - [00_start_here](00_start_here.ipynb) trains such a model with pairs and a teacher;
#   [01_embeddings_and_their_geometry](01_embeddings_and_their_geometry.ipynb) measures the space it makes.
# - [03_contrastive_learning](03_contrastive_learning.ipynb) is about the training itself.
# - The runs are kept: `lab.train.LanguageRun("runs/02_decoder")` opens the decoder, and training goes on from either.

# %%
clock.report()
