"""A student that begins near its teacher: its token table is what the teacher says of each piece."""

import re

import numpy as np
import torch

from egemma_lab.model.rotation import pca_rotation

POST_NORM = -0.9  # a layer then adds a tenth of what it would: the stack begins near the identity
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def warm_start(model, teacher):
    """Set fresh weights so that the student's vectors begin as means of the teacher's vectors of its pieces.

    Parameters: `model`, an EmbeddingGemma with fresh weights (changed in place); `teacher`, a `Teacher` at
    least as wide as the model's hidden states and output. Returns the model. ValueError for a narrower one.

    1. The teacher encodes every piece of the tokenizer as a text of its own (V short texts: seconds).
    2. The second moment's leading directions turn these vectors into rows as wide as the hidden states; each
       row gets unit root mean square, so that the embedding scale and the final norm leave it as it is.
    3. The two Dense layers together undo that turn, up to the columns that the student keeps of the teacher.
    4. The norms after attention and feed-forward start at a tenth, so that the layers begin near the
       identity and learn what the mean of pieces lacks: order and context.

    Pieces without a text of their own (special tokens, single bytes) keep their random rows, scaled alike.

    >>> from egemma_lab.model import load_teacher, new_model, train_tokenizer
    >>> texts = ["a cat on the mat", "the price of bread went up", "bread and butter"] * 2
    >>> model = new_model("micro", train_tokenizer(texts, vocab_size=400))
    >>> model = warm_start(model, load_teacher())
    >>> near, far = model.similarity(model.encode(["the cat"]), model.encode(["a cat", "the price"]))[0]
    >>> bool(near > far)
    True
    """
    hidden, width = model.config.text.hidden_size, model.config.output_width
    if teacher.width < max(hidden, width):
        raise ValueError(
            f"teacher {teacher.name!r} is {teacher.width} wide; a warm start needs one at least as wide as "
            f"the model's hidden states ({hidden}) and its output ({width})"
        )
    ids, texts = text_pieces(model.tokenizer)
    vectors = teacher.encode(texts, role="document")  # (n, D)
    turn = pca_rotation(vectors)[:, :hidden]  # (D, h), orthonormal columns
    with torch.no_grad():
        table = model.text_model.embed_tokens.weight  # (V, h)
        rows = torch.from_numpy(vectors @ turn).to(table)  # (n, h)
        # the model multiplies the table by sqrt(h): a row of length 1 enters the layers with unit mean square
        table.div_(table.norm(dim=1, keepdim=True).clamp(min=1e-12))
        table[ids] = torch.nn.functional.normalize(rows, dim=1)
        set_dense_product(model, torch.from_numpy(np.ascontiguousarray(turn[:width])))  # (d, h)
    begin_near_identity(model.text_model)
    return model


def text_pieces(tokenizer):
    """Ids (n,) and texts of the pieces that are texts: no special tokens, no single bytes, no bare spaces."""
    special = set(tokenizer.all_special_ids)
    within = mark_within(tokenizer)
    found = {}
    for piece, index in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
        text = piece.removeprefix(within).replace("▁", " ").strip()
        if index not in special and text and not _BYTE.fullmatch(piece):
            found[index] = text
    return torch.tensor(list(found)), list(found.values())


def mark_within(tokenizer):
    """What pieces within a word begin with: WordPiece's "##"; "" for others, who may have a token that looks so."""
    return getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None) or ""


@torch.no_grad()
def begin_near_identity(text_model, post_norm=POST_NORM):
    """Layers that add to their input only the share 1 + `post_norm` of what they would."""
    for layer in text_model.layers:
        layer.post_attention_layernorm.weight.fill_(post_norm)
        layer.post_feedforward_layernorm.weight.fill_(post_norm)


@torch.no_grad()
def begin_silent(text_model):
    """Layers that add nothing until they have learnt something: the last matrix of both branches zero, the norms behind
    them as in `begin_near_identity`. (Such a norm makes any branch as loud as its weight says; the norm of nothing is
    nothing.)"""
    begin_near_identity(text_model)
    for layer in text_model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()


@torch.no_grad()
def set_dense_product(model, matrix):
    """Give the Dense layers this product, dense_down @ dense_up = matrix (d, h), both of like scale."""
    u, s, vh = torch.linalg.svd(matrix.float().cpu(), full_matrices=False)  # (d, r), (r,), (r, h)
    for layer in (model.dense_up, model.dense_down):
        layer.weight.zero_()
    root = s.sqrt()
    rank = len(s)
    middle = torch.linalg.qr(
        torch.randn(model.config.dense_width, rank, generator=torch.Generator().manual_seed(0))
    )[0]
    model.dense_up.weight.copy_(middle @ (root[:, None] * vh))  # (4h, h)
    model.dense_down.weight.copy_((u * root) @ middle.T)  # (d, 4h)
