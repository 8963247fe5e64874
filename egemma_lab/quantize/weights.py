"""Fake quantization: a model that computes with rounded weights, and learns as if they were not rounded."""

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize

from egemma_lab.quantize.formats import check_matrix, round_weight, scheme_of


def fake_quantize(model, format):
    """A copy of a model that computes with its weights rounded: what it would give once packed.

    Parameters: `model`, an EmbeddingGemma, left as it is; `format`, "int8_block", "int4_block", "mixed_channel"
    (int4 a channel, int8 in the attention, as EmbeddingGemma's mixed variant) or "ternary"; the arithmetic of each
    is described in `pack`. All matrices are rounded, norms are not.

    Wherever the copy's `weight` is read stands the rounded matrix, bit for bit that of the packed file: `encode`,
    evaluation and `save_pretrained` all see it. The unrounded one goes on underneath as the parameter that is
    trained, and gets the rounded one's gradient as if rounding were the identity (the straight-through estimator,
    Bengio et al. 2013, arXiv:1308.3432). To train one, prefer `Recipe(fake_quantize=format)` on the plain model.

    The copy's name ends in the format, which also stands in its `weight_format`. ValueError for an unknown format,
    for a model that is fake-quantized already, and for one whose matrices do not divide into the format's blocks.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> model = new_model("micro", train_tokenizer(["a text", "another text"], vocab_size=400))
    >>> rounded = fake_quantize(model, "int4_block")
    >>> rounded.name, float(rounded.encode("a text") @ model.encode("a text")) > 0.9
    ('micro int4_block', True)
    >>> len(rounded.dense_up.weight[0, :32].unique()) <= 16
    True
    """
    if weight_format(model) is not None:
        raise ValueError(f"{model.name!r} computes with rounded weights already ({weight_format(model)})")
    schemes = matrix_schemes(model, format)
    quantized = copy.deepcopy(model)
    for name, scheme in schemes.items():
        module = quantized.get_submodule(name.removesuffix(".weight"))
        parametrize.register_parametrization(module, "weight", Rounding(scheme))
    quantized.name, quantized.weight_format = f"{model.name} {format}", format
    return quantized


def without_rounding(model):
    """A copy of a fake-quantized model with the weights that lie under its rounded ones."""
    plain = copy.deepcopy(model)
    for module in list(plain.modules()):
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
    plain.name, plain.weight_format = model.name.removesuffix(f" {model.weight_format}"), None
    return plain


def weight_format(model):
    """The format that `fake_quantize` gave a model, or None."""
    return getattr(model, "weight_format", None)


def matrix_schemes(model, format):
    """The tensors of a model that a format rounds: {name: scheme}; ValueError where one does not go into it."""
    schemes = {}
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            schemes[name] = scheme_of(format, name)
            check_matrix(weight, schemes[name], name)
    return schemes


class Rounding(nn.Module):
    """A parametrization: the weight goes in, its rounded form comes out, the gradient goes past.

    While the weight does not change it is rounded once: in evaluation, and for all micro-batches of a step. What
    counts as a change is what autograd counts as one, which writing through `weight.data` is not.
    """

    def __init__(self, scheme):
        super().__init__()
        self.scheme = scheme
        self._last = None  # (the weight that was rounded, its version, its rounded form)

    def forward(self, weight):
        rounded = self._rounded(weight.detach())
        return _StraightThrough.apply(weight, rounded) if torch.is_grad_enabled() else rounded

    def _rounded(self, weight):
        if torch.compiler.is_compiling():  # there it is part of the graph, and fused
            return round_weight(weight, self.scheme)
        if self._last is None or not self._is_last(weight):
            with torch.inference_mode(False), torch.no_grad():  # for later calls that do want gradients
                self._last = weight, weight._version, round_weight(weight, self.scheme)
        return self._last[2]

    def _is_last(self, weight):
        last, version, _ = self._last  # while `last` is held no other weight can come to lie at its address
        return weight.data_ptr() == last.data_ptr() and weight._version == version

    def __deepcopy__(self, memo):
        return type(self)(self.scheme)

    def extra_repr(self):
        return self.scheme


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, rounded):
        return rounded.view_as(rounded)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None
