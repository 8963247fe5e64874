"""Another tokenizer for a trained model: the rows of its token table carried over, those of new pieces fitted."""

import dataclasses

import numpy as np
import torch

from egemma_lab.model.presets import fresh_model
from egemma_lab.model.token_table import mark_within, text_pieces

RIDGE = 0.3  # penalty of the fit, small: thousands of rows against 386 columns
LETTERS = 4  # of a word that the fit is made on, at least
FEWEST = 32  # words the fit is made on


def change_tokenizer(model, tokenizer, teacher):
    """A copy of a trained model that reads with another tokenizer.

    Parameters: `model`, an EmbeddingGemma with a tokenizer of its own; `tokenizer`, the new one; `teacher`, a
    `Teacher`. Layers and Dense are the model's. A piece that both tokenizers have keeps its row, also where one marks
    the beginnings of words ("▁in") and the other what does not begin one ("##in"). For a new one a linear
    map from the teacher's vector of the piece to the row, fitted by ridge regression on the whole words that both
    have, says what the row would be; it is brought to the mean length of those words' rows. The bundled nano's
    rows are predicted so with cosine 0.79 (words held out from the fit). ValueError where the tokenizers share too few
    words for the fit, or the model has none.

    >>> from egemma_lab.model import load_model, load_teacher
    >>> model = load_model("nano")
    >>> same = change_tokenizer(model, model.tokenizer, load_teacher())
    >>> bool((same.encode("a word") == model.encode("a word")).all())
    True
    """
    if model.tokenizer is None:
        raise ValueError(
            "this model has no tokenizer, so nothing says what its rows mean; give it as `tokenizer=`"
        )
    config = dataclasses.replace(model.config, text=_resized(model.config.text, len(tokenizer)))
    changed = fresh_model(
        config,
        tokenizer,
        prompts=dict(model.prompts),
        default_prompt_name=model.default_prompt_name,
        name=model.name,
    )
    weights = {k: v for k, v in model.state_dict().items() if not k.endswith("embed_tokens.weight")}
    changed.load_state_dict(weights, strict=False)
    known = {meaning: index for index, meaning in piece_meanings(model.tokenizer).items()}
    meanings = piece_meanings(tokenizer)
    old, new = (each.text_model.embed_tokens.weight for each in (model, changed))
    with torch.no_grad():
        for index, meaning in meanings.items():
            if meaning in known:
                new[index] = old[known[meaning]]
        ids, rows = _fitted_rows(tokenizer, meanings, known, old.detach().double().cpu().numpy(), teacher)
        new[ids] = torch.from_numpy(rows).to(new)
    return changed


def piece_meanings(tokenizer):
    """{id: (text, whether a word begins with it)}, alike for tokenizers that mark what begins a word and what does not.

    In WordPiece a sign begins no word; one marked as within a word, and special tokens, are their names. No two pieces
    of a tokenizer mean the same.
    """
    within = mark_within(tokenizer)
    found = {}
    for piece, index in tokenizer.get_vocab().items():
        if not within:
            found[index] = piece.removeprefix("▁"), piece.startswith("▁")
        elif piece.removeprefix(within).isalnum():
            found[index] = piece.removeprefix(within), not piece.startswith(within)
        else:
            found[index] = piece, False
    return found


def _fitted_rows(tokenizer, meanings, known, table, teacher):
    """Ids (m,) and rows (m, h) of the pieces that are texts and stand in `known` (meaning -> row of `table`) not."""
    ids, texts = text_pieces(tokenizer)
    pieces = [meanings[index] for index in ids.tolist()]
    fresh = np.array([piece not in known for piece in pieces])
    if not fresh.any():
        return ids[:0], table[:0]
    begins = np.array([begins for _, begins in pieces])
    words = ~fresh & begins & np.array([len(text) >= LETTERS for text in texts])
    if words.sum() < FEWEST:
        raise ValueError(
            f"the tokenizers share {words.sum()} words of {LETTERS} letters and more; the rows of new pieces are "
            f"fitted on such words, at least {FEWEST} of them. Train the new tokenizer on text like the old one's, or "
            "begin with warm_start"
        )
    vectors = teacher.encode(texts, role="document").astype(np.float64)  # (n, D)
    features = np.column_stack([vectors, np.ones(len(vectors)), begins])  # (n, D + 2)
    learnt = table[[known[piece] for piece, take in zip(pieces, words) if take]]  # (words, h)
    rows = features[fresh] @ _ridge(features[words], learnt)  # (m, h)
    length = np.linalg.norm(learnt, axis=1).mean()
    return ids[torch.from_numpy(fresh)], rows * length / np.linalg.norm(rows, axis=1, keepdims=True)


def _ridge(features, rows):
    """The (D, h) matrix W that minimises |features W - rows|^2 + RIDGE |W|^2."""
    gram = features.T @ features + RIDGE * np.eye(features.shape[1])
    return np.linalg.solve(gram, features.T @ rows)


def _resized(text, vocab_size):
    return type(text)(**{**text.to_dict(), "vocab_size": vocab_size})
