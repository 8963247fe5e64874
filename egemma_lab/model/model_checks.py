"""The checks of `doctor`: each measures one thing of a model and returns (right, found, expected)."""

import torch
import torch.nn.functional as F

from egemma_lab.model.batching import pad_batch
from egemma_lab.model.embedding_gemma import FLOAT16_REFUSED, EmbeddingGemmaConfig
from egemma_lab.model.proofs import first_token_moves, is_bidirectional, reach

_TEXT = "Mars is called the red planet because of the iron oxide on its surface."
_LONGER = " ".join([_TEXT, "Venus is hotter than Mercury, although it is farther from the Sun."] * 3)


def bidirectional(model):
    moved, noise = first_token_moves(model)
    found = f"last token moves the first by {moved:.0%} (noise {noise:.0%})"
    return is_bidirectional(model), found, "more than noise (causal: 0%)"


def window(model):
    measured = reach(model, "sliding_attention")
    stored = model.config.to_dict()["text"]["sliding_window"]
    if measured is None:
        return True, "no sliding layers", "as configured"
    left, right, length = measured
    expected = min(stored // 2, length - 1)
    found = f"{left} tokens back, {right} ahead, of {length}"
    return left == right == expected, found, f"{expected} each way (stored {stored})"


def full_layers(model):
    measured = reach(model, "full_attention")
    if measured is None:
        return True, "no full layers", "as configured"
    left, right, length = measured
    found = f"{left} tokens back, {right} ahead, of {length}"
    return left == right == length - 1, found, f"{length - 1} each way"


def window_kept(model):
    config, stored = model.config, []
    for _ in range(3):
        stored.append(config.to_dict()["text"]["sliding_window"])
        config = EmbeddingGemmaConfig.from_dict(config.to_dict())
    return len(set(stored)) == 1, " -> ".join(map(str, stored)), "the same at every save"


def special_tokens(model):
    ids = model.tokenize([_TEXT])[0]
    found = f"first {ids[0]}, last {ids[-1]}, padding {model.tokenizer.pad_token_id}"
    expected = "first 2, last 1, padding 0"
    return found == expected, found, expected


def query_prompt(model):
    return _prompt(model, "query", model.encode_query)


def document_prompt(model):
    return _prompt(model, "document", model.encode_document)


def _prompt(model, name, encode):
    """The vector of the method against that of the prompt written out, and of the text alone."""
    prompt = model.prompts.get(name)
    if not prompt:
        return False, f"no text for {name!r} in prompts", "a prompt before every text"
    by_method = torch.from_numpy(encode([_TEXT]))  # (1, d)
    written, bare = _embed(model, [prompt + _TEXT]), _embed(model, [_TEXT])
    return _close_and_far(model, _gap(by_method, written), "the prompt written out", _gap(written, bare))


def dense_layers(model):
    """The vector against one computed here from the token states: mean, both matrices, unit length."""
    config = model.config
    for layer, inside, outside in (
        (model.dense_up, config.text.hidden_size, config.dense_width),
        (model.dense_down, config.dense_width, config.output_width),
    ):
        if tuple(layer.weight.shape) != (outside, inside) or layer.bias is not None:
            return False, str(layer), f"a matrix {inside} -> {outside}, no bias"
    ids, mask = _batch(model, [_TEXT, _LONGER])
    pooled = model.pool(model.token_states(ids, mask), mask)  # (B, h)
    up, down = model.dense_up.weight.float(), model.dense_down.weight.float()
    expected = F.normalize(pooled @ up.T @ down.T, dim=-1)  # (B, d)
    undone = F.normalize(pooled, dim=-1)
    effect = _gap(undone, expected) if undone.shape == expected.shape else float("inf")
    return _close_and_far(model, _gap(model(ids, mask), expected), "both applied", effect)


def unit_length(model):
    narrow = model.widths[-1]
    cut = torch.from_numpy(model.encode([_TEXT], truncate_dim=narrow))  # (1, narrow)
    lengths = torch.cat([_embed(model, [_TEXT, _LONGER, "a"]).norm(dim=-1), cut.norm(dim=-1)])
    worst = (lengths - 1).abs().max().item()
    return worst <= 1e-5, f"off by {worst:.1g}, whole and cut to {narrow}", "at most 1e-05"


def padding(model):
    texts = ["a", _TEXT, _LONGER]
    gap = _gap(torch.cat([_embed(model, [text]) for text in texts]), _embed(model, texts))
    limit = _tolerance(model)
    return gap <= limit, f"{gap:.1g} between alone and in a batch", f"at most {limit:.0e}, no NaN"


def dtype(model):
    largest = []

    def look(module, args, output):
        largest.append((output[0] if isinstance(output, tuple) else output).abs().max().item())

    handles = [layer.register_forward_hook(look) for layer in model.text_model.layers]
    try:
        finite = bool(_embed(model, [_TEXT, _LONGER]).isfinite().all())
    finally:
        for handle in handles:
            handle.remove()
    found = f"{str(model.dtype).removeprefix('torch.')}, activations up to {max(largest):.3g}"
    right = finite and model.dtype in (torch.float32, torch.bfloat16)
    return right, found, "float32 or bfloat16, finite"


def float16(model):
    expected = "refused: it overflows"
    with torch.autocast(model.device.type, dtype=torch.float16):
        try:
            _embed(model, [_TEXT])
        except TypeError as error:
            return str(error) == FLOAT16_REFUSED, "refused", expected
    return False, "accepted", expected


CHECKS = {
    "attention is bidirectional": bidirectional,
    "sliding layers see their window": window,
    "full layers see everything": full_layers,
    "the window survives saving": window_kept,
    "BOS and EOS are added": special_tokens,
    "the query prompt is applied": query_prompt,
    "the document prompt is applied": document_prompt,
    "both Dense layers are applied": dense_layers,
    "vectors have unit length": unit_length,
    "padding changes no vector": padding,
    "the dtype is safe": dtype,
    "float16 is refused": float16,
}


def _close_and_far(model, gap, what, effect):
    """Right where the vector is the one with the thing done, and doing it makes a difference."""
    limit = _tolerance(model)
    found = f"{gap:.1g} from {what}, {effect:.1g} from none"
    return gap <= limit and effect > max(1e-3, 10 * gap), found, f"at most {limit:.0e}, far more"


def _batch(model, texts):
    return pad_batch(model.tokenize(texts), device=model.device)


def _embed(model, texts):
    """Vectors of texts as they stand, past `encode`: (n, d) on the CPU."""
    return model(*_batch(model, texts)).float().cpu()


def _gap(a, b):
    """The largest distance between rows: NaN where there is one, and then no comparison holds."""
    return (a.cpu() - b.cpu()).norm(dim=-1).max().item()


def _tolerance(model):
    """How far rounding may move a unit vector: batches are added up in another order."""
    return 1e-4 if model.dtype == torch.float32 else 0.1
