"""Word matching: pull what the student says of every word to what the teacher says of it."""

import torch

from ._vectors import in_full_precision
from .matching import embedding_matching_loss


def word_means(states, words, count):
    """Mean state of each word: (T, h) states of tokens, (T,) word of each token or -1 for none -> (count, h).

    Every word from 0 to count - 1 needs a token. Differentiable in `states`.

    >>> states = torch.tensor([[1.0], [3.0], [10.0], [99.0]])
    >>> word_means(states, torch.tensor([0, 0, 1, -1]), 2).tolist()
    [[2.0], [10.0]]
    """
    inside = words >= 0
    words = words[inside]
    tokens = torch.bincount(words, minlength=count)  # (count,)
    sums = states.new_zeros(count, states.shape[1]).index_add(0, words, states[inside])
    return sums / tokens[:, None]


@in_full_precision
def word_matching_loss(student, student_words, teacher, teacher_words, count, distance="l2"):
    """Mean over words of the distance between the student's and the teacher's unit vectors of a word.

    A model that pools by the mean says something of every token: the vector that its token would give alone, were it
    the whole mean. Averaged over the tokens of a word, these vectors of two models with different tokenizers can be
    compared. A text of twenty words then teaches twenty things instead of one, at the cost of the same forward pass.

    Args:
        student: (T, d), what the student's last layers make of each token of a batch; student_words: (T,) int64,
            which word each token belongs to, -1 for tokens outside all words (`egemma_lab.model.shared_words`).
        teacher: (U, d) and teacher_words: (U,), likewise; no gradient flows into them.
        count: number of words, each with at least one token on both sides.
        distance: as in `embedding_matching_loss`.

    Returns a scalar in float32 or better, 0 for count = 0. ValueError for an unknown distance or another width.

    Source: not in the EmbeddingGemma paper, whose teacher is matched text by text. Matching hidden states token by
    token is TinyBERT's (arXiv 1909.10351), here over words, since the two tokenizers differ.

    >>> states = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    >>> word_matching_loss(states, torch.tensor([0, 1, -1]), states[:2], torch.tensor([0, 1]), 2).item()
    0.0
    """
    if count == 0:
        return student.sum() * 0.0
    student = word_means(student, student_words, count)
    teacher = word_means(teacher.detach(), teacher_words, count)
    unit = torch.nn.functional.normalize
    return embedding_matching_loss(unit(student, dim=1), unit(teacher, dim=1), distance)
