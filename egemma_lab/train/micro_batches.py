"""From a batch of pairs to vectors: prompts, token ids one batch ahead, micro-batches by token count."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from egemma_lab.model.batching import pad_batch, token_budget_batches
from egemma_lab.model.encode import evaluating


@dataclasses.dataclass(frozen=True)
class TokenBatch:
    """One process's share of a batch, tokenised: anchors, then positives (if any), then negatives (if any)."""

    batch: object  # what the plan drew, cut to this process's rows
    ids: list  # token ids of all texts; `TextTokens` where words are matched
    sides: int  # 1 for single texts, 2 for pairs, 3 with negatives
    order: list  # micro-batches of indices into ids, longest texts first

    @property
    def tokens(self):
        """Tokens without padding."""
        return sum(map(len, self.ids))

    @property
    def micro_batches(self):
        """Lists of token ids, similar in length within a list."""
        return [[self.ids[index] for index in chunk] for chunk in self.order]

    def split(self, vectors):
        """Vectors in the micro-batches' order (sides x B, d) -> anchors, positives, negatives: (B, d) or None."""
        back = torch.as_tensor(np.argsort(np.concatenate(self.order)), device=vectors.device)
        parts = vectors[back].chunk(self.sides)
        return (*parts, None, None)[:3]


def tokenize_batch(model, batch, recipe):
    """Prompt and tokenise a batch's texts and cut them into micro-batches of at most `token_budget` tokens.

    The prompts are those that `encode_query` and `encode_document` will apply later; negatives take the
    positives'.
    """
    sides, tokenize = batch.sides, _with_ends if recipe.words else _token_ids
    ids = [i for texts, prompt in sides for i in tokenize(model, texts, prompt, recipe)]
    order = token_budget_batches([len(i) for i in ids], recipe.token_budget)
    return TokenBatch(batch=batch, ids=ids, sides=len(sides), order=order)


def encode_texts(model, texts, prompt_name, recipe):
    """Vectors of the model as it stands, cut and prompted as in training, no gradient: (n, d) float32."""
    ids = _token_ids(model, texts, prompt_name, recipe)
    order = token_budget_batches([len(i) for i in ids], recipe.token_budget)
    encode = encoder(model, "float32")
    with torch.no_grad(), evaluating(model):
        vectors = torch.cat([encode([ids[index] for index in chunk]) for chunk in order])
    return vectors[torch.as_tensor(np.argsort(np.concatenate(order)), device=vectors.device)]


def encoder(model, precision, compiled=False):
    """A function: n lists of token ids -> (n, d) unit vectors, in "float32" or under "bfloat16" autocast."""
    forward = torch.compile(model, dynamic=True) if compiled else model

    def encode(ids):
        input_ids, attention_mask = pad_batch(ids, device=model.device)
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            return forward(input_ids, attention_mask)

    return encode


def _token_ids(model, texts, prompt_name, recipe):
    return model.tokenize(list(texts), model.prompt_text(prompt_name), max_length=recipe.max_tokens)


def _with_ends(model, texts, prompt_name, recipe):
    prompt = model.prompt_text(prompt_name)
    return model.tokenize_with_ends(list(texts), prompt, max_length=recipe.max_tokens)


class Ahead:
    """`make(step)` for one step after the other, each computed in a thread while the one before is in use.

    `make` is a pure function of the step, so what comes out does not depend on who is faster.

    >>> with Ahead(lambda step: step * step, first=3) as squares:
    ...     squares.next(), squares.next()
    (9, 16)
    """

    def __init__(self, make, first):
        self._make = make
        self._step = first
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenize-ahead")
        self._upcoming = self._pool.submit(make, first)

    def next(self):
        """The result for the next step; the one after it starts computing."""
        result = self._upcoming.result()
        self._step += 1
        self._upcoming = self._pool.submit(self._make, self._step)
        return result

    def settle(self):
        """Wait until the thread is idle: a tokenizer must not serve two threads at a time."""
        self._upcoming.exception()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pool.shutdown(wait=True, cancel_futures=True)
