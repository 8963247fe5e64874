"""The sizes a model comes in, and fresh models of these sizes."""

import torch

from egemma_lab.model.embedding_gemma import EmbeddingGemma, EmbeddingGemmaConfig
from egemma_lab.model.token_table import begin_near_identity

# What all sizes share with google/embeddinggemma-300m (recipe: Vera et al. 2025, arXiv:2509.20354, and its
# config.json).
_GEMMA = {
    "num_key_value_heads": 1,  # multi-query attention
    "max_position_embeddings": 2048,
    "sliding_window": 512,  # as serialised: 256 to each side
}

# Every preset keeps Gemma's pattern of five sliding layers and one full one, and a last Dense as wide as the
# model: llama.cpp's Gemma embedder runs no other shape.
PRESETS = {
    "300m": {
        "text": {
            **_GEMMA,
            "vocab_size": 262_144,
            "hidden_size": 768,
            "intermediate_size": 1152,
            "num_hidden_layers": 24,
            "num_attention_heads": 3,
            "head_dim": 256,
            "query_pre_attn_scalar": 256,
        },
        "dense_width": 3072,
        "output_width": 768,
        "widths": (768, 512, 256, 128),
    },
    # at most 10M parameters: trains on a laptop
    "nano": {
        "text": {
            **_GEMMA,
            "vocab_size": 16_384,
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "head_dim": 64,
            "query_pre_attn_scalar": 64,
        },
        "dense_width": 1024,
        "output_width": 256,
        "widths": (256, 128, 64, 32),
    },
    # 15M parameters, for comparisons of size
    "double": {
        "text": {
            **_GEMMA,
            "vocab_size": 16_384,
            "hidden_size": 384,
            "intermediate_size": 768,
            "num_hidden_layers": 6,
            "num_attention_heads": 6,
            "head_dim": 64,
            "query_pre_attn_scalar": 64,
        },
        "dense_width": 1536,
        "output_width": 384,
        "widths": (384, 192, 96, 48),
    },
    # under 1M parameters: for tests
    "micro": {
        "text": {
            **_GEMMA,
            "vocab_size": 2048,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 6,
            "num_attention_heads": 2,
            "head_dim": 32,
            "query_pre_attn_scalar": 32,
        },
        "dense_width": 256,
        "output_width": 64,
        "widths": (64, 32, 16),
    },
}


def preset_config(name, vocab_size=None, pooling="mean", **text):
    """The configuration of a preset: "300m", "double", "nano" or "micro".

    `vocab_size` replaces the preset's own (default: 262,144, twice 16,384 and 2,048); a model takes its
    tokenizer's. `pooling` as in `EmbeddingGemmaConfig`. `text` replaces other fields of the text model's shape;
    ValueError for one that the preset does not name.

    >>> config = preset_config("nano", vocab_size=8192)
    >>> config.text.vocab_size, config.output_width, config.widths
    (8192, 256, (256, 128, 64, 32))
    """
    if name not in PRESETS:
        raise ValueError(f"preset={name!r} is not one of the presets {', '.join(map(repr, PRESETS))}")
    preset = PRESETS[name]
    if strange := sorted(text.keys() - preset["text"].keys()):
        raise ValueError(f"preset {name!r} has no {strange[0]!r}; its shape is {', '.join(preset['text'])}")
    if vocab_size is not None:
        text["vocab_size"] = vocab_size
    return EmbeddingGemmaConfig.from_dict({**preset, "text": {**preset["text"], **text}, "pooling": pooling})


def new_model(preset, tokenizer, seed=0, pooling="mean", **text):
    """A model with fresh weights: shape and seed alone decide them, and the tokenizer's size.

    `pooling` as in `EmbeddingGemmaConfig`: "mean", or another to compare it with. `text` as in `preset_config`: what
    differs from the preset's shape, such as intermediate_size=192.

    The global random state is left as it was. Matrices of the text model's layers are initialised as
    transformers does (normal, std 0.02; norms follow them, so their scale does not show). Two things differ:

    - The token table has std 1 / sqrt(hidden), so that a token enters the layers with mean square 1. With
      0.02 throughout, a micro model's tokens have rms 0.16 and each sublayer adds a vector of rms 1: after two
      of them the token is lost under what all tokens have in common.
    - The norms after attention and feed-forward begin at a tenth (weight -0.9, as in `warm_start`), so that
      the stack starts near the identity.

    Over 40 steps of contrastive training of a micro model on 200 pairs (mean of three seeds) the gradient's
    length in step one is 77 instead of 749, and the loss at the end 0.46 instead of 0.88. Instead of a tenth,
    1 / sqrt(2 layers) ends at 0.58; so do matrices of std 1 / sqrt(fan in).

    The two Dense layers, random in the paper as well, are (semi-)orthogonal with the second scaled by
    sqrt(fan_in / fan_out): together they keep a vector's expected length, and with no direction favoured or
    squeezed away by chance the widths start equal.

    >>> from egemma_lab.model import train_tokenizer
    >>> tokenizer = train_tokenizer(["a short text", "another short text"], vocab_size=400)
    >>> model = new_model("micro", tokenizer, seed=1)
    >>> model.encode("a text").shape
    (64,)
    """
    config = preset_config(preset, vocab_size=len(tokenizer), pooling=pooling, **text)
    return fresh_model(config, tokenizer, seed, name=preset)


def fresh_model(config, tokenizer, seed=0, **options):
    """A model of any configuration with fresh weights, as `new_model` begins them.

    `options` are those of `EmbeddingGemma`: prompts, default_prompt_name, name.
    """
    with torch.random.fork_rng(devices=[]):  # the CPU's state alone: nothing is drawn on another device
        torch.default_generator.manual_seed(seed)
        model = EmbeddingGemma(config, tokenizer, **options)
        for layer in (model.dense_up, model.dense_down):
            _orthogonal(layer.weight, gain=max(1.0, layer.in_features / layer.out_features) ** 0.5)
        _start_near_identity(model.text_model)
    return model.eval()


@torch.no_grad()
def _orthogonal(weight, gain):
    """`nn.init.orthogonal_`, but factorised in float64, as the last bit of a float32 QR depends on the threads."""
    rows, columns = weight.shape
    drawn = torch.empty(rows, columns).normal_().double()
    q, r = torch.linalg.qr(drawn.T if rows < columns else drawn)
    q = q * r.diagonal().sign()
    weight.copy_(gain * (q.T if rows < columns else q))


@torch.no_grad()
def _start_near_identity(text_model):
    """Tokens of mean square 1 and layers that add little to them; the reasons stand in `new_model`."""
    config = text_model.config
    text_model.embed_tokens.weight.mul_(config.hidden_size**-0.5 / config.initializer_range)
    begin_near_identity(text_model)
