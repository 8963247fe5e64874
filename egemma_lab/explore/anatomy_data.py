"""One text through a model, step by step: who looks at whom, and what each token adds to the vector."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from egemma_lab.model.encode import evaluating
from egemma_lab.model.tokenizing import clean_text

KINDS = ("text", "prompt", "ends")  # of tokens; the ends are BOS and EOS


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What `dissect` found. L tokens, n layers of H heads each, vectors of width d.

    tokens: the L pieces as the tokenizer writes them ("▁" is a space); kinds: of each one of `KINDS`; places: of
    each, how many characters of the text end with it (0 or less in a prompt).
    layer_types: "sliding_attention" or "full_attention", n of them; allowed (n, L, L): may the row's token look at
    the column's? attention (n, H, L, L): how much of its values it takes from there, each row's sum is 1.
    parts (L, d): what each token's state adds to the vector before it is brought to unit length.
    two_steps (d,): the unit vector through both Dense layers, one after the other, as the model computes it; `vector`
    goes through their product and differs from it by rounding alone.
    """

    tokens: list
    kinds: list
    places: list
    layer_types: list
    allowed: np.ndarray
    attention: np.ndarray
    parts: np.ndarray
    two_steps: np.ndarray = None

    @property
    def vector(self):
        """The text's unit vector, (d,): what `encode` gives where the masks are the model's own."""
        whole = self.parts.sum(axis=0)
        return whole / np.linalg.norm(whole)

    @property
    def shares(self):
        """Each token's share of the squared length of the vector v before normalisation, part . v / v . v: (L,).

        They sum to 1. Below 0: the token pulls the other way, and without it v would be longer.
        """
        whole = self.parts.sum(axis=0)
        return self.parts @ whole / (whole @ whole)

    def share_of(self, kind):
        """Shares of all tokens of one kind together.

        >>> Anatomy(["a", "b"], ["text", "ends"], [1, 0], [], None, None, np.eye(2)).share_of("ends")
        0.5
        """
        return float(sum(share for share, k in zip(self.shares, self.kinds) if k == kind))

    def head(self, layer, head=None):
        """(L, L) weights of a layer and head, both counted from 1; None: the mean over the layer's heads."""
        heads = self.attention[_counted("layer", layer, len(self.attention))]
        return heads.mean(axis=0) if head is None else heads[_counted("head", head, len(heads))]

    def distance(self, layer, head=None):
        """How many tokens away a head looks, on average over all tokens and their weights."""
        weights, place = self.head(layer, head), np.arange(len(self.tokens))
        return float((weights * np.abs(place[:, None] - place)).sum() / len(place))


def dissect(model, text, prompt_name=None, causal=False, reach=None, *, max_tokens=None):
    """Run one text through the model with its attention weights kept, under the model's masks or others.

    Parameters
    ----------
    model : an `EmbeddingGemma` that pools by the mean. It is left as it was: weights, mode, kind of attention.
    text : a string.
    prompt_name : a key of `model.prompts`; None (the default): no prompt.
    causal : each token sees itself and what stands before it, as in the decoder that the model was made from.
        Default False, as the model is used.
    reach : tokens that sliding layers see to each side (to the left alone when causal), 0 or more. None: the
        model's own, for a stored window of 512 that is 256 to each side, and 511 back when causal. So for texts of
        up to 257 tokens the model's own window hides nothing.
    max_tokens : where the text is cut, its ends and prompt counted; None: at `model.max_seq_length`, as in `encode`.

    Returns an `Anatomy`. The sum over tokens is exact: pooling is their mean and both Dense layers are linear
    (arXiv:2509.20354, Eq. 1), so part i of the vector is W h_i / L with W = `model.merged_dense()`. What cannot be
    told apart that way is where a state h_i has its contents from: attention has mixed the tokens before.
    ValueError for another pooling, an unknown prompt, a reach below 0.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> model = new_model("micro", train_tokenizer(["red planet", "a red star"], vocab_size=400))
    >>> found = dissect(model, "star", causal=True)
    >>> found.tokens, found.attention.shape
    (['<bos>', 's', 't', 'a', 'r', '<eos>'], (6, 2, 6, 6))
    >>> found.head(1, 1)[0].tolist()  # nothing stands before the first
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}, expected one string")
    if model.config.pooling != "mean":
        raise ValueError(
            f"this model's pooling is {model.config.pooling!r}: only a mean falls into one part a token; take a "
            "model with pooling 'mean'"
        )
    prompt = model.prompt_text(prompt_name)
    [ids] = model.tokenize([text], prompt, max_tokens)
    kinds, places = _kinds(model.tokenizer, ids, prompt, text)
    config = model.text_model.config
    seen = _allowed(len(ids), config.sliding_window, causal, reach)
    masks = {}
    for kind, may in seen.items():
        mask = torch.where(torch.from_numpy(may), 0.0, torch.finfo(torch.float32).min)  # added to the scores
        masks[kind] = mask[None, None].to(model.device)  # (1, 1, L, L)
    with torch.inference_mode(), evaluating(model), _eager(config):
        inputs = torch.tensor([ids], device=model.device)  # (1, L)
        out = model.text_model(
            input_ids=inputs, attention_mask=masks, use_cache=False, output_attentions=True
        )
        states = out.last_hidden_state[0].float()  # (L, h)
        parts = states @ model.merged_dense().T / len(states)  # (L, d)
        pooled = states.mean(dim=0).to(model.dense_up.weight.dtype)
        two_steps = F.normalize(model.dense_down(model.dense_up(pooled)).float(), dim=0)  # (d,)
    return Anatomy(
        tokens=model.tokenizer.convert_ids_to_tokens(ids),
        kinds=kinds,
        places=places,
        layer_types=list(config.layer_types),
        allowed=np.stack([seen[kind] for kind in config.layer_types]),
        attention=torch.cat(out.attentions).float().cpu().numpy(),
        parts=parts.double().cpu().numpy(),
        two_steps=two_steps.cpu().numpy(),
    )


def prompt_effect(without, behind):
    """What a prompt did to a text's vector, from the `Anatomy` of the text without one and behind it.

    Returns {"cosine": of both vectors, "share": of the prompt's tokens in the squared length (before
    normalisation), "cosine of the text's part": of the vector without prompt and of what remains of the other
    when the prompt's tokens are left out of the mean}. Where the last is near 1 the prompt only adds a vector of
    its own; where it is low it has changed, through attention, the states of the text's own tokens.
    """
    remains = behind.parts[[kind != "prompt" for kind in behind.kinds]].sum(axis=0)
    return {
        "cosine": float(without.vector @ behind.vector),
        "share": behind.share_of("prompt"),
        "cosine of the text's part": float(without.vector @ remains / np.linalg.norm(remains)),
    }


def matched_shares(one, other):
    """Of each token of `one`, the share of the same token in `other`, NaN where it has none: (L,).

    Tokens are the same where they are of one kind and end at the same character: "Red" and, behind a prompt, "▁Red".
    """
    share = dict(zip(_keys(other), other.shares))
    return np.array([share.get(key, np.nan) for key in _keys(one)])


def _keys(anatomy):
    seen = Counter()
    for key in zip(anatomy.kinds, anatomy.places):
        seen[key] += 1  # the bytes of a rare character end at the same place
        yield (*key, seen[key])


def _kinds(tokenizer, ids, prompt, text):
    """Kind of each token, and where in the text it ends; a token that reaches from the prompt into the text is text."""
    begins = len(clean_text(prompt))
    offsets = tokenizer.backend_tokenizer.encode(clean_text(prompt + text)).offsets
    special = set(tokenizer.all_special_ids)
    kinds, places = [], []
    for i, token in enumerate(ids):
        ends = token in special
        place = (i > 0) if ends else offsets[i][1] - begins
        kinds.append("ends" if ends else "text" if place > 0 else "prompt")
        places.append(int(place))
    return kinds, places


def _allowed(length, window, causal, reach):
    """{kind of layer: bool (L, L)}. `window`: as transformers keeps it when bidirectional, an exclusive bound."""
    if reach is not None and reach < 0:
        raise ValueError(
            f"reach={reach} is below 0; give the tokens a sliding layer sees to each side, or None"
        )
    if reach is None:
        stored = 2 * (window - 1)
        reach = stored - 1 if causal else window - 1
    place = np.arange(length)
    back = place[:, None] - place  # (L, L), how far before the row's token the column's stands
    full = back >= 0 if causal else np.ones((length, length), dtype=bool)
    return {"full_attention": full, "sliding_attention": full & (np.abs(back) <= reach)}


@contextmanager
def _eager(config):
    """Attention computed step by step inside, the only kind that gives its weights; afterwards as before."""
    before = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = before


def _counted(name, number, most):
    if number not in range(1, most + 1):
        raise ValueError(f"{name}={number} is not one of 1 to {most}")
    return number - 1
