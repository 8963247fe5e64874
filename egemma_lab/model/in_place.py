"""The text model's forward pass on a CPU where no gradient is wanted: the same numbers in fewer passes over memory.

At the nano's shape transformers' modules spend half of their time beside the matrix products: a norm is six new
tensors, a rotation four, the tanh form of GELU is one slow kernel, keys and values are copied for every head. What is
here writes over what it no longer needs, and multiplies the one key of several heads with all their queries at once.
It reads the modules' own weights, so there is nothing to keep in step with them; `serves` says when it may stand in.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Gemma3TextModel
from transformers.activations import ACT2FN
from transformers.models.gemma3 import modeling_gemma3 as gemma

from egemma_lab.model.attention_masks import additive

# Texts of so many tokens have their attention by plain products; longer ones by torch's fused kernel, which keeps no
# (L, L) scores. So do those in a window narrower than they are.
PLAIN = 256
_SLOPE = math.sqrt(2 / math.pi)  # of the tanh form of GELU
# transformers leaves hooks behind where somebody has once asked for attentions or hidden states; they do nothing until
# the next time somebody asks.
_IDLE_HOOKS = "transformers.utils.output_capturing"
_PARTS = {
    Gemma3TextModel,
    nn.ModuleList,
    gemma.Gemma3DecoderLayer,
    gemma.Gemma3Attention,
    gemma.Gemma3MLP,
    gemma.Gemma3RMSNorm,
    gemma.Gemma3RotaryEmbedding,
    gemma.Gemma3TextScaledWordEmbedding,
    nn.Linear,
    type(ACT2FN["gelu_pytorch_tanh"]),
}


def serves(text_model):
    """Whether `token_states` gives what the module gives: on a CPU, in float32, without gradients, of plain parts.

    Parts that somebody has wrapped, replaced or hooked (adapters, a probe) keep transformers' own pass, and so does
    whatever records the computation: torch.compile, an export. A parametrized weight (fake quantization) is a weight.
    """
    config = text_model.config
    return (
        not torch.is_grad_enabled()
        and not text_model.training
        and text_model.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and config._attn_implementation == "sdpa"
        and config.hidden_activation == "gelu_pytorch_tanh"
        and config.attn_logit_softcapping is None
        and not any(layer.self_attn.is_causal for layer in text_model.layers)
        and text_model.dtype == torch.float32
        and _is_plain(text_model)
    )


def _is_plain(module):
    """Whether a module and all below it are of `_PARTS` and nobody listens, what makes a weight left aside."""
    parts = module._modules
    kind = type(module).__base__ if "parametrizations" in parts else type(module)
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return (
        kind in _PARTS
        and "forward" not in vars(module)
        and all(hook.__module__ == _IDLE_HOOKS for hook in hooks)
        and all(_is_plain(part) for name, part in parts.items() if name != "parametrizations")
    )


def token_states(text_model, input_ids, masks):
    """Last hidden states, final norm applied: (B, L) -> (B, L, h); see `serves`. `masks` of `attention_masks`."""
    config = text_model.config
    length = input_ids.shape[1]
    if length <= PLAIN:
        masks = {kind: additive(mask) for kind, mask in masks.items()}
    states = text_model.embed_tokens(input_ids)  # (B, L, h)
    positions = torch.arange(length)[None]
    rotations = {
        kind: [table[0] for table in text_model.rotary_emb(states, positions, kind)]  # cosines, sines: (L, D)
        for kind in set(config.layer_types)
    }
    for layer, kind in zip(text_model.layers, config.layer_types):
        moved = _attention(
            layer.self_attn, _normed(states, layer.input_layernorm), masks[kind], *rotations[kind]
        )
        _add_normed(states, moved, layer.post_attention_layernorm)
        moved = _feed_forward(layer.mlp, _normed(states, layer.pre_feedforward_layernorm))
        _add_normed(states, moved, layer.post_feedforward_layernorm)
    return text_model.norm(states)


def _attention(attention, x, mask, cosines, sines):
    """(B, L, h) -> (B, L, h), of H heads that share K keys and values, each of D numbers."""
    size = attention.head_dim
    batch, length, _ = x.shape
    queries, keys, values = (
        F.linear(x, part.weight, part.bias).view(batch, length, -1, size)
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    queries = _rotated(queries, attention.q_norm, cosines, sines, attention.scaling)  # (B, H, L, D)
    keys, values = _rotated(keys, attention.k_norm, cosines, sines), values.transpose(1, 2)  # (B, K, L, D)
    if length > PLAIN or (mask is not None and mask.shape[-2] > 1):
        seen = F.scaled_dot_product_attention(queries, keys, values, mask, scale=1.0, enable_gqa=True)
    else:
        grouped = queries.reshape(batch, keys.shape[1], -1, size)  # (B, K, H/K x L, D)
        scores = grouped @ keys.transpose(-1, -2)  # (B, K, H/K x L, L)
        if mask is not None:
            scores += mask
        seen = (scores.softmax(-1) @ values).view(queries.shape)
    joined = seen.transpose(1, 2).reshape(batch, length, -1)  # (B, L, H x D)
    return F.linear(joined, attention.o_proj.weight, attention.o_proj.bias)


def _rotated(heads, norm, cosines, sines, scale=1.0):
    """Norm, then the rotary position code: (B, L, H, D) -> (B, H, L, D).

    (a, b) becomes (a cos - b sin, b cos + a sin) over the two halves; norm's weight and scale are in the tables.
    """
    heads.mul_(_inverse_rms(heads, norm.eps))
    batch, length, count, size = heads.shape
    half = size // 2
    a, b = heads[..., :half], heads[..., half:]
    weight_a, weight_b = ((1 + norm.weight) * scale).split(half)
    cosine_a, cosine_b = (table[:, None] for table in cosines.split(half, dim=-1))  # (L, 1, D/2)
    sine_a, sine_b = (table[:, None] for table in sines.split(half, dim=-1))
    turned = heads.new_empty(batch, count, length, size)
    into_a, into_b = turned.transpose(1, 2).split(half, dim=-1)
    torch.mul(a, weight_a * cosine_a, out=into_a).addcmul_(b, weight_b * sine_a, value=-1)
    torch.mul(b, weight_b * cosine_b, out=into_b).addcmul_(a, weight_a * sine_b)
    return turned


def _feed_forward(mlp, x):
    """down(gelu(gate x) * up x), GELU in its tanh form: (B, L, h) -> (B, L, h)."""
    gate, up = F.linear(x, mlp.gate_proj.weight), F.linear(x, mlp.up_proj.weight)  # (B, L, i)
    inner = gate * gate
    inner.mul_(0.044715 * _SLOPE).add_(_SLOPE).mul_(gate).tanh_()
    gate.addcmul_(gate, inner).mul_(up)  # twice the GELU: the half is taken below, where rows are shorter
    return F.linear(gate, mlp.down_proj.weight).mul_(0.5)


def _normed(x, norm):
    return (x * _inverse_rms(x, norm.eps)).mul_(1 + norm.weight)


def _add_normed(x, moved, norm):
    """x += norm(moved), which is lost."""
    x.addcmul_(moved.mul_(_inverse_rms(moved, norm.eps)), 1 + norm.weight)


def _inverse_rms(x, eps):
    """1 / sqrt(mean of squares + eps) over the last axis, which stays with length 1."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
