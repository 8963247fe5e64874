"""Small measurements that show what a model really does, whatever its configuration says."""

import torch

from egemma_lab.model.encode import evaluating


def first_token_moves(model):
    """How far the first token's state moves when the last token changes: `(moved, noise)`.

    Both are relative to the state's largest entry. In a causal model `moved` is no more than `noise`, the
    distance between two rows that are the same; in a bidirectional one it is far above. Attention that is
    causal by accident loses a third of retrieval without any error (sentence-transformers#3725).
    """
    vocabulary = model.config.text.vocab_size
    same = torch.randint(0, vocabulary, (6,), generator=torch.Generator().manual_seed(0))
    other = same.clone()
    other[-1] = (other[-1] + vocabulary // 2) % vocabulary
    ids = torch.stack([same, other, same]).to(model.device)  # (3, 6)
    with torch.inference_mode(), evaluating(model):
        first = model.token_states(ids, torch.ones_like(ids))[:, 0].float()  # (3, h)
    scale = first.abs().max()
    moved, noise = ((first[0] - first[row]).abs().max() / scale for row in (1, 2))
    return moved.item(), noise.item()


def is_bidirectional(model):
    """Whether the first token sees the last one. Attention that adds nothing yet (`begin_silent`) cannot be wrong."""
    if not any(layer.self_attn.o_proj.weight.any() for layer in model.text_model.layers):
        return True
    moved, noise = first_token_moves(model)
    return moved > max(1e-5, 10 * noise)


def reach(model, kind):
    """How far the layers of one kind see, in tokens, measured on the first: `(left, right, length)`.

    `kind` is "sliding_attention" or "full_attention". On a text of `length` tokens, longer than the window
    where the model's positions allow it, the layer's input is changed at one end, and the farthest output
    that feels it is looked up: at the first token for `left` (how far back a query looks), at the last one
    for `right`. None where the model has no such layer.
    """
    config = model.text_model.config
    if kind not in config.layer_types:
        return None
    layer = model.text_model.layers[config.layer_types.index(kind)]
    length = min(config.max_position_embeddings, config.sliding_window + 40)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, config.vocab_size, (1, length), generator=generator).to(model.device)
    seen = {}

    def keep_call(module, args, kwargs):
        seen.setdefault("call", (args, kwargs))

    with torch.inference_mode(), evaluating(model):
        handle = layer.register_forward_pre_hook(keep_call, with_kwargs=True)
        try:
            model.token_states(ids, torch.ones_like(ids))
        finally:
            handle.remove()
        (states, *args), kwargs = seen["call"]
        noise = torch.randn(states.shape[-1], generator=generator).to(states) * states.abs().max() * 10
        rows = states.repeat(3, 1, 1)  # (3, L, h): as it was, changed at the start, changed at the end
        rows[1, 0] += noise
        rows[2, -1] += noise
        plain, start, end = (_first(layer(row[None], *args, **kwargs))[0] for row in rows)  # (L, h) each
    left = (start != plain).any(dim=-1).nonzero().max().item()
    right = length - 1 - (end != plain).any(dim=-1).nonzero().min().item()
    return left, right, length


def _first(output):
    return output[0] if isinstance(output, tuple) else output
