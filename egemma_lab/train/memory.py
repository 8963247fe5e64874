"""What a training holds in memory, counted before there is a machine for it: weights, gradients, means, activations.

Fake tensors have a shape and a type and no numbers, so that the real model's forward pass is counted in seconds on any
machine. `peak_bytes` measures the same of a step that is really taken.
"""

import weakref
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from egemma_lab.train.lora import lora_settings

HEADROOM = 0.9  # share of a device's memory to plan with: the rest is the driver's, and holes between tensors


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a training of one shape holds on one device; made by `training_memory`.

    Whatever the batch: `weights` and `gradients`, `optimizer` (AdamW's two means), `copies` (autocast's matrices in
    bfloat16). For each text of `tokens` tokens: `text`, `checkpointed` (the same with gradient checkpointing), `layer`
    (what one layer keeps while it is computed again).
    """

    tokens: int
    weights: float
    gradients: float
    optimizer: float
    copies: float
    text: float
    checkpointed: float
    layer: float

    @property
    def fixed(self):
        return self.weights + self.gradients + self.optimizer + self.copies

    def total(self, texts, *, micro=None, checkpointing=False, gradient_cache=False):
        """Bytes of a step of `texts` texts (two a pair), all together at its fullest.

        micro: texts of one micro-batch; None: as many as `Recipe.token_budget`, 2,048 tokens, holds. With
        `gradient_cache` only one of them is kept at a time; with `checkpointing` one layer of one is.
        """
        micro = min(texts, max(1, 2048 // self.tokens) if micro is None else micro)
        kept = micro if gradient_cache else texts
        if checkpointing:
            return self.fixed + kept * self.checkpointed + micro * self.layer
        return self.fixed + kept * self.text

    def fits(self, memory, *, headroom=HEADROOM, **ways):
        """Texts a step that `memory` bytes hold; with the gradient cache infinite, where one micro-batch fits.

        ways: as in `total`.

        >>> from egemma_lab.model import preset_config
        >>> small = training_memory(preset_config("micro"), tokens=64)
        >>> small.total(small.fits(1e9)) <= 0.9e9 < small.total(small.fits(1e9) + 1)
        True
        """
        free = headroom * memory
        micro = ways.get("micro") or max(1, 2048 // self.tokens)
        if ways.get("gradient_cache"):
            return float("inf") if self.total(micro, **ways) <= free else 0
        each = self.checkpointed if ways.get("checkpointing") else self.text
        spare = free - self.fixed - (micro * self.layer if ways.get("checkpointing") else 0)
        return max(0, int(spare // each))


def training_memory(config, tokens=128, *, precision="float32", lora=None):
    """A `TrainingMemory` of a shape, for texts of `tokens` tokens.

    config: an `EmbeddingGemmaConfig`, such as `preset_config("300m")` or a model's; precision: "float32" or
    "bfloat16" (autocast: weights, gradients and means stay float32); lora: as in `Recipe`, a rank or a mapping.

    Not counted, since they are small beside the rest or not always there: the loss (4 B² bytes a width and side), a
    teacher's weights, and the 4 bytes a gradient for which several processes sum them in one piece.

    >>> from egemma_lab.model import preset_config
    >>> full = training_memory(preset_config("micro"), tokens=32)
    >>> full.optimizer == 2 * full.weights, training_memory(preset_config("micro"), 32, lora=4).weights > full.weights
    (True, True)
    """
    from egemma_lab.model import EmbeddingGemma

    with FakeTensorMode():
        model = EmbeddingGemma(config)
        adapters = 0 if lora is None else _as_if_adapted(model, lora_settings("lora", lora))
        few, many = (kept_bytes(model, texts, tokens, precision) for texts in (4, 8))
    layers, width = config.text.num_hidden_layers, config.text.hidden_size
    text = (many - few) / 4
    learning = adapters + sum(
        p.numel()
        for name, p in model.named_parameters()
        if lora is None or not name.startswith("text_model.")
    )
    return TrainingMemory(
        tokens=tokens,
        weights=4 * (adapters + sum(p.numel() for p in model.parameters())),
        gradients=4 * learning,
        optimizer=8 * learning,
        copies=few - 4 * text,
        text=text,
        checkpointed=4 * tokens * width * (layers + 2),  # what goes into each layer
        layer=text / layers,
    )


def _as_if_adapted(model, lora):
    """Let of the text model's weights only those learn that have adapters; returns the adapters' number of weights.

    Norms then keep nothing for gradients of their own, and an adapter keeps what its matrix would have kept.
    """
    model.text_model.requires_grad_(False)
    weights = 0
    for name, part in model.text_model.named_modules():
        if name.rpartition(".")[2] in lora["target_modules"]:
            part.requires_grad_(True)
            weights += lora["r"] * (part.in_features + part.out_features)
    return weights


def kept_bytes(model, texts, tokens, precision):
    """Bytes that a forward pass over `texts` texts of `tokens` tokens keeps for the backward pass."""
    own = {p.untyped_storage()._cdata for p in model.parameters()}  # the weights are counted elsewhere
    kept = {}  # storage's address -> storage, held, so that no second one takes its place; shared ones count once

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    ids = torch.ones(texts, tokens, dtype=torch.long, device=model.device)
    masks = {"full_attention": None, "sliding_attention": None}  # no padding, and no text beyond the window
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            states = model.text_model(
                ids, attention_mask=masks, use_cache=False
            ).last_hidden_state  # (B, L, h)
        model.dense_down(model.dense_up(model.pool(states, torch.ones_like(ids)).float()))  # (B, d)
    return sum(storage.nbytes() for storage in kept.values())


def peak_bytes(step, device="cpu"):
    """The most bytes alive at any moment of `step()`, beyond those alive before it."""
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    with _Alive() as alive:
        step()
    return alive.peak


class _Alive(TorchDispatchMode):
    """While it is entered: bytes of the tensors made and still alive (`now`), and the most there were (`peak`)."""

    def __init__(self):
        super().__init__()
        self.now, self.peak, self.known = 0, 0, set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(result):
            if storage._cdata not in given | self.known:  # neither a view of what was there, nor counted
                self.known.add(storage._cdata)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._released, storage._cdata, storage.nbytes())
        return result

    def _released(self, key, size):
        self.known.discard(key)
        self.now -= size


def _storages(tree):
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
