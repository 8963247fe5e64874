"""How the models of an experiment are looked at: where in the ranking does each question find its own answer?

Held-out pairs of the training sets are searched, set by set: never the sets that models are judged on. Kept is the
rank of the right answer, one sign a question, from which everything else follows.
"""

import itertools
import warnings

import numpy as np

from egemma_lab.quantize.vectors import calibrate, dequantize_vectors, quantize_vectors

WIDTHS = {"full": 1, "half": 2, "quarter": 4, "eighth": 8}  # the model's columns divided by
SIGNS = ".123456789a"  # not among the first ten, rank 1 to 9, rank 10
GAINS = np.array([0.0, *(1 / np.log2(1 + rank) for rank in range(1, 11))])  # nDCG@10 with one right answer
# prompts in use: (of the query, of the document); "wrong" puts the document's before both
_PROMPTS = {"right": ("query", "document"), "none": (None, None), "wrong": ("document", "document")}


def measure(model, sets, settings):
    """view -> set -> ranks, as a string of `SIGNS`, one a question.

    model: an `EmbeddingGemma`; sets: name -> rows (anchor, positive), each anchor with one right answer;
    settings: `measure` of an `Experiment`. A view is named by its width and what differs from the plain one: "full",
    "quarter", "quarter int8", "full binary", "full wrong prompts". Every text is encoded once a choice of prompts.
    """
    limit, model.max_seq_length = model.max_seq_length, min(model.max_seq_length, settings["max_tokens"])
    try:
        found = {}
        for prompts in settings["prompts"]:
            vectors = {name: _encode(model, rows, *_PROMPTS[prompts]) for name, rows in sets.items()}
            for width, precision in itertools.product(settings["widths"], settings["precisions"]):
                columns = model.config.output_width // WIDTHS[width]
                view = {
                    name: ranks(*(seen(x, columns, precision) for x in both))
                    for name, both in vectors.items()
                }
                found[view_name(width, precision, prompts)] = view
        return found
    finally:
        model.max_seq_length = limit


def view_name(width, precision="float32", prompts="right"):
    """The name of a view, see `measure`.

    >>> view_name("quarter", "int8"), view_name("full", prompts="wrong")
    ('quarter int8', 'full wrong prompts')
    """
    parts = [width]
    parts += [precision] if precision != "float32" else []
    parts += [f"{prompts} prompts"] if prompts != "right" else []
    return " ".join(parts)


def _encode(model, rows, query_prompt, document_prompt):
    """Vectors of the questions and of their answers, in the same order: two arrays (n, d)."""
    sides = ((rows["anchor"][:], query_prompt), (rows["positive"][:], document_prompt))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* are longer than")  # the cut is `max_tokens`, and meant
        return [model.encode(texts, prompt_name=prompt, show_progress_bar=False) for texts, prompt in sides]


def seen(vectors, columns, precision):
    """Unit vectors (n, d) as who keeps so many columns in this precision sees them: (n, columns), unit rows.

    The ranges of int8 are learnt from these vectors themselves.
    """
    x = vectors[:, :columns] / np.linalg.norm(vectors[:, :columns], axis=1, keepdims=True)
    if precision != "float32":
        ranges = calibrate(x) if precision == "int8" else None
        x = dequantize_vectors(quantize_vectors(x, precision, ranges), precision, ranges, width=columns)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def ranks(queries, documents):
    """The rank of document i for query i, as a string of `SIGNS`: (n, d), (n, d). Ties count against it.

    >>> ranks(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[[0, 2, 1]])
    '133'
    """
    scores = queries @ documents.T  # (n, n)
    own = np.diagonal(scores)[:, None]
    rank = (scores >= own).sum(axis=1)  # the right one counts itself
    return "".join(SIGNS[r] if r <= 10 else SIGNS[0] for r in rank)


def gains(signs):
    """nDCG@10 of each question: a string of `SIGNS` -> (n,).

    >>> gains("1.a").round(3).tolist()
    [1.0, 0.0, 0.289]
    """
    return GAINS[[SIGNS.index(sign) for sign in signs]]


def held_out_sets(data, names, most):
    """name -> rows held out, at most `most` of each, anchors and positives all different.

    Sets that cannot be had are left out; ValueError where none is left.
    """
    sets = {}
    for name in names:
        if data.origin(name) is None:
            continue
        rows, anchors, positives, kept = data.held_out(name), set(), set(), []
        for i, (anchor, positive) in enumerate(zip(rows["anchor"], rows["positive"])):
            if anchor not in anchors and positive not in positives and len(kept) < most:
                anchors.add(anchor)
                positives.add(positive)
                kept.append(i)
        sets[name] = rows.select(kept)
    if not sets:
        raise ValueError(f"none of the sets {', '.join(names)} can be had: there is nothing to measure on")
    return sets
