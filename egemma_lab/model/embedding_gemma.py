"""EmbeddingGemma: a bidirectional Gemma 3 text model, mean pooling, two linear layers, unit length."""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Gemma3TextConfig, Gemma3TextModel

from egemma_lab.model import in_place
from egemma_lab.model.attention_masks import attention_masks
from egemma_lab.model.encode import Encoder
from egemma_lab.model.pooling import POOLINGS, AttentionPooling, first_pool, last_pool, mean_pool
from egemma_lab.model.prompts import PROMPTS

FLOAT16_REFUSED = (
    "float16 cannot hold this model's activations: they come near 8e5, float16 ends at 65,504, and the "
    "vectors turn into NaN. Use bfloat16, or float32 where there is no bfloat16"
)


@dataclass
class EmbeddingGemmaConfig:
    """The shape of a model.

    `text`: the text model's own configuration; `dense_width`: what the first Dense layer widens to (4 x
    hidden); `output_width`: length of a vector; `widths`: the Matryoshka widths, descending;
    `max_seq_length`: tokens a text is cut at, prompt, BOS and EOS counted; `pooling`: "mean" as the released model,
    or "first", "last", "attention", to compare with it (pooling.py).

    A trap stands in `text`: with bidirectional attention transformers turns the serialised window (512) into
    an exclusive bound to each side (512 // 2 + 1 = 257) when the object is made. Copies must therefore go
    through `to_dict`, which turns it back, or `copy.deepcopy`, which does not make it anew; never through its
    attributes.
    """

    text: Gemma3TextConfig
    dense_width: int
    output_width: int
    widths: tuple
    max_seq_length: int = 2048
    pooling: str = "mean"

    def __post_init__(self):
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling={self.pooling!r} is not one of {', '.join(POOLINGS)}")
        self.widths = tuple(self.widths)
        if not self.text.use_bidirectional_attention:
            raise ValueError(
                "the text model's use_bidirectional_attention is false: it would attend causally"
            )
        descending = sorted(set(self.widths), reverse=True)
        if (
            list(self.widths) != descending
            or not descending
            or descending[0] > self.output_width
            or descending[-1] < 1
        ):
            raise ValueError(
                f"widths={self.widths} must descend and lie between 1 and output_width={self.output_width}"
            )
        if not 3 <= self.max_seq_length <= self.text.max_position_embeddings:
            raise ValueError(
                f"max_seq_length={self.max_seq_length} must lie between 3 (BOS, one token, EOS) "
                f"and max_position_embeddings={self.text.max_position_embeddings}"
            )

    @classmethod
    def from_dict(cls, values):
        """From plain values; `values["text"]` is for Gemma3TextConfig, with the window as serialised."""
        text = Gemma3TextConfig(**{"use_bidirectional_attention": True, **values["text"]})
        return cls(**{**values, "text": text})

    def to_dict(self):
        """Plain values, the window as serialised: `from_dict` makes an equal configuration of them."""
        return {
            "text": self.text.to_dict(),
            "dense_width": self.dense_width,
            "output_width": self.output_width,
            "widths": list(self.widths),
            "max_seq_length": self.max_seq_length,
            "pooling": self.pooling,
        }


class EmbeddingGemma(Encoder, nn.Module):
    """E(t, x) = f(g(P(M_n(t + x)))), then unit length (Vera et al. 2025, arXiv:2509.20354, Eq. 1).

    M_n is transformers' `Gemma3TextModel` with bidirectional attention, P the mean over tokens, g and f
    linear maps h -> 4h -> d without bias or activation (`dense_up`, `dense_down`). Make one with `new_model`
    (fresh weights) or `load_model`; `encode`, `encode_query` and `encode_document` are the ways in for text.

    Parameters: `config`, an EmbeddingGemmaConfig; `tokenizer`, a Hugging Face fast tokenizer that adds BOS
    and EOS (None: a model that takes token ids only); `prompts`, name -> prompt (default: EmbeddingGemma's
    own); `default_prompt_name`, the prompt `encode` applies when none is named (default None: no prompt, as
    the released model); `name`, for tables and logs.
    """

    def __init__(
        self, config, tokenizer=None, *, prompts=None, default_prompt_name=None, name="EmbeddingGemma"
    ):
        super().__init__()
        self.config = copy.deepcopy(config)  # the text model writes into it, and models must not share that
        self.config.text._attn_implementation = "sdpa"
        self.text_model = Gemma3TextModel(self.config.text)
        hidden = self.config.text.hidden_size
        if self.config.pooling == "attention":
            self.attention_pooling = AttentionPooling(hidden)
        self.dense_up = nn.Linear(hidden, self.config.dense_width, bias=False)
        self.dense_down = nn.Linear(self.config.dense_width, self.config.output_width, bias=False)
        self.tokenizer = tokenizer
        self.prompts = dict(PROMPTS if prompts is None else prompts)
        self.default_prompt_name = default_prompt_name
        self.name = name
        self.max_seq_length = self.config.max_seq_length

    def token_states(self, input_ids, attention_mask):
        """Last hidden states of all tokens, final norm applied: (B, L), (B, L) -> (B, L, h)."""
        self._refuse_float16()
        text_config = self.text_model.config
        masks = attention_masks(attention_mask, text_config.sliding_window, text_config._attn_implementation)
        if in_place.serves(self.text_model):
            return in_place.token_states(self.text_model, input_ids, masks)
        return self.text_model(input_ids=input_ids, attention_mask=masks, use_cache=False).last_hidden_state

    def forward(self, input_ids, attention_mask):
        """Unit vectors in float32: (B, L), (B, L) -> (B, d).

        Pooling, Dense layers and normalisation leave autocast: they cost next to nothing, and in bfloat16 a
        mean over hundreds of tokens loses the digits that close neighbours differ in.
        """
        states = self.token_states(input_ids, attention_mask)  # (B, L, h)
        with torch.autocast(device_type=states.device.type, enabled=False):
            return self.project(self.pool(states, attention_mask))

    def pool(self, states, attention_mask):
        """One vector a text, as `config.pooling` says: (B, L, h), (B, L) -> (B, h), float32."""
        if self.config.pooling == "attention":
            return self.attention_pooling(states, attention_mask)
        by_name = {"mean": mean_pool, "first": first_pool, "last": last_pool}
        return by_name[self.config.pooling](states, attention_mask)

    def project(self, pooled):
        """Both Dense layers and normalisation: (B, h) -> (B, d), unit rows in float32."""
        widened = self.dense_up(pooled.to(self.dense_up.weight.dtype))  # (B, 4h)
        return F.normalize(self.dense_down(widened).float(), dim=-1)  # (B, d)

    def merged_dense(self):
        """The one matrix that both Dense layers amount to, dense_down @ dense_up: (d, h), float32."""
        return self.dense_down.weight.float() @ self.dense_up.weight.float()

    @property
    def widths(self):
        """Matryoshka widths, descending."""
        return self.config.widths

    @property
    def device(self):
        return self.dense_up.weight.device

    @property
    def dtype(self):
        return self.text_model.dtype

    def gradient_checkpointing_enable(self):
        """Recompute activations in the backward pass instead of keeping them: less memory, more time."""
        _renamed(self.text_model, "checkpointing_enable")({"use_reentrant": False})

    def gradient_checkpointing_disable(self):
        _renamed(self.text_model, "checkpointing_disable")()

    def save_pretrained(self, folder, merged_dense=False):
        """Write the sentence-transformers layout: `SentenceTransformer(folder)` gives the same vectors.

        `merged_dense`: both Dense layers as one matrix, smaller, which `load_model` does not open.
        """
        from egemma_lab.model.folder import save_model

        return save_model(self, folder, merged_dense=merged_dense)

    def half(self):
        raise TypeError(FLOAT16_REFUSED)

    def _refuse_float16(self):
        kind = self.device.type
        autocast = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16
        if autocast or self.dtype == torch.float16:
            raise TypeError(FLOAT16_REFUSED)


def _renamed(text_model, name):
    """During its version 5 transformers renamed gradient_checkpointing_... to activation_checkpointing_..."""
    return getattr(text_model, f"activation_{name}", None) or getattr(text_model, f"gradient_{name}")
