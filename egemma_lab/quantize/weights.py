"""Fake quantization: a model that computes with rounded weights, and learns as if they were not rounded."""

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.optim.optimizer import register_optimizer_step_post_hook

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
    quantized.register_forward_pre_hook(_round_all)
    quantized.name, quantized.weight_format = f"{model.name} {format}", format
    return quantized


def without_rounding(model):
    """A copy of a fake-quantized model with the weights that lie under its rounded ones."""
    plain = copy.deepcopy(model)
    for module in list(plain.modules()):
        if parametrize.is_parametrized(module):
            # not `remove_parametrizations`: it changes the class, which the model that was copied shares
            original = module.parametrizations.weight.original
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module.parametrizations
            module.weight = original
    plain._forward_pre_hooks.clear()
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
    counts as a change is what autograd counts as one, and any optimizer's step; writing through `weight.data` is
    neither.
    """

    steps = 0  # of all optimizers: fused ones change weights and autograd's version of them does not

    def __init__(self, scheme):
        super().__init__()
        self.scheme = scheme
        self.rounded, self._of, self._state = None, None, None  # the last result; which weight it is of

    def forward(self, weight):
        if not torch.compiler.is_compiling():
            self.round(weight)
        return _StraightThrough.apply(weight, self.rounded) if torch.is_grad_enabled() else self.rounded

    def round(self, weight):
        """See to it that `rounded` is that of the weight as it is now."""
        state = weight.data_ptr(), weight._version, Rounding.steps
        if state != self._state:
            with torch.inference_mode(False), torch.no_grad():  # later calls may want gradients
                self._of = weight.detach()  # held, so that no other weight comes to lie at its address
                self.rounded = round_weight(self._of, self.scheme)
            self._state = state

    def __deepcopy__(self, memo):
        return type(self)(self.scheme)

    def extra_repr(self):
        return self.scheme


def _count_step(*_):
    Rounding.steps += 1


register_optimizer_step_post_hook(_count_step)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, rounded):
        return rounded.view_as(rounded)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


@torch.compiler.disable
def _round_all(model, _):
    """Before each forward pass: compiled code reads `Rounding.rounded`, and rounding stays out of its graph.

    There it would be compiled anew for every matrix, which takes minutes and saves nothing.
    """
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            module.parametrizations.weight[0].round(module.parametrizations.weight.original)
