"""The stretches of a text that two tokenizers both see: what one model says of a word, the other can be asked to match.

Two tokenizers cut the same text differently ("embed|ding|s" and "em|bed|dings"). Between two places where both of them
end a token lies a stretch that each covers with whole tokens of its own: mostly a word, sometimes a piece of one,
sometimes two words. These are the finest parts of a text over which states of both models can be averaged and compared.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class TextTokens:
    """The tokens of one text: `ids` (L,), and `ends` (L,), the character of the text after each token's last.

    0 in `ends` stands for tokens that are not of the text: prompt, BOS, EOS, [CLS].
    """

    ids: np.ndarray
    ends: np.ndarray

    def __len__(self):
        return len(self.ids)


def tokens_with_ends(backend, texts, prompt="", max_length=None, last=None):
    """`TextTokens` of prompt + text, one a text, from a `tokenizers.Tokenizer` without truncation or padding.

    Characters are counted from the text's beginning, without the prompt. `max_length` cuts longer ones; then `last`,
    an id such as EOS, takes the last place.
    """
    found = []
    for encoding in backend.encode_batch([prompt + text for text in texts]):
        ids = np.array(encoding.ids, dtype=np.int64)
        ends = np.array([end for _, end in encoding.offsets], dtype=np.int64) - len(prompt)
        ends = np.where(np.array(encoding.special_tokens_mask, dtype=bool), 0, np.maximum(ends, 0))
        if max_length is not None and len(ids) > max_length:
            ids, ends = ids[:max_length], ends[:max_length]
            if last is not None:
                ids[-1], ends[-1] = last, 0
        found.append(TextTokens(ids, ends))
    return found


def shared_words(ends, other_ends):
    """Which stretch each token belongs to: two int64 arrays like the given ones, and how many stretches there are.

    `ends`, `other_ends`: as in `TextTokens`, of the same text. Stretches are numbered from 0 on in the text's order; -1
    stands for tokens outside: special ones, the prompt's, and what follows the last place where both end a token.

    >>> embeddings, the_other = [0, 5, 8, 9, 0], [2, 5, 9]
    >>> [part if isinstance(part, int) else part.tolist() for part in shared_words(embeddings, the_other)]
    [[-1, 0, 1, 1, -1], [0, 0, 1], 2]
    """
    ends, other_ends = np.asarray(ends), np.asarray(other_ends)
    common = np.intersect1d(ends[ends > 0], other_ends[other_ends > 0])
    return _stretch(ends, common), _stretch(other_ends, common), len(common)


def _stretch(ends, common):
    stretch = np.searchsorted(common, ends)  # the first common end at or after the token's own
    return np.where((ends > 0) & (stretch < len(common)), stretch, -1)
