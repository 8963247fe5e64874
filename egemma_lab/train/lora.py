"""LoRA: the text model's matrices stay as they are, and a product of two thin ones is learnt beside each.

W x + (alpha / r) B A x with A (r, in), B (out, r) and B = 0 at first (Hu et al. 2021, arXiv:2106.09685). peft does it;
what is here begins and ends it. Gradients and AdamW's two means are then needed for A and B alone, and for the two
Dense layers behind the pooling, which are small and are trained in full, as sentence-transformers does.
"""

import copy

import torch

from egemma_lab.train import checks

MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_PARTS = {
    "r": checks.whole(at_least=1),
    "lora_alpha": checks.number(above=0),
    "lora_dropout": checks.number(at_least=0, at_most=0.99),
    "target_modules": checks.some_of(*MATRICES),
}


def lora_settings(name, value):
    """The settings in full, as peft names them, of a rank alone or of a mapping.

    >>> lora_settings("lora", 8)["lora_alpha"], lora_settings("lora", {"r": 8, "lora_alpha": 8})["lora_alpha"]
    (16.0, 8.0)
    """
    given = value if isinstance(value, dict) else {"r": value}
    for part in given:
        if part not in _PARTS:
            raise ValueError(f"{name} has no setting {part!r}; {checks.did_you_mean(part, list(_PARTS))}")
    if "r" not in given:
        raise ValueError(f"{name}={value!r} lacks the rank: r, such as 16")
    r = _PARTS["r"](f"{name}['r']" if isinstance(value, dict) else name, given["r"])
    full = {"lora_alpha": 2 * r, "lora_dropout": 0.0, "target_modules": MATRICES, **given}
    clean = {part: check(f"{name}[{part!r}]", full[part]) for part, check in _PARTS.items()}
    return {**clean, "target_modules": list(clean["target_modules"])}


def add_adapters(model, lora, seed):
    """Put fresh adapters beside the text model's matrices, in place; only they and the Dense layers learn.

    model: an `EmbeddingGemma`; lora: what `lora_settings` returns; seed: of A, which begins at random. The model
    computes what it did, since B begins at 0. Returns the model. Raises ImportError where peft is missing.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError(
            "lora in a recipe needs the package peft: pip install 'egemma-lab[lora]'"
        ) from error

    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(seed)
        inject_adapter_in_model(LoraConfig(**lora), model.text_model)
    return model


def merged(model):
    """A copy of a model with its adapters added to the matrices they lie beside: a plain `EmbeddingGemma`."""
    plain = copy.deepcopy(model)
    text_model = plain.text_model
    adapted = [(name, part) for name, part in text_model.named_modules() if hasattr(part, "get_base_layer")]
    for name, part in adapted:
        part.merge(safe_merge=True)
        text_model.set_submodule(name, part.get_base_layer())
    del text_model.peft_config
    return plain.requires_grad_(True)
