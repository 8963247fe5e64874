"""The words of a vocabulary: what a tokenizer for general text should hold, where the texts at hand are not general."""

import re
from collections import Counter

_LETTERS = re.compile(r"[A-Za-z]+")
_MARKS = ("▁", "Ġ")  # for the space before a word: SentencePiece's and byte-level vocabularies
_OFFSET = 300  # of the ranks: the first few hundred words differ little in what they are worth


def vocabulary_words(tokenizer):
    """The whole English words of three letters and more in a tokenizer's vocabulary, in its order.

    Vocabularies are in the order of frequency or of merges, so frequent words come first. WordPiece marks what is no
    beginning of a word ("##ing"), SentencePiece and byte-level BPE what is one.

    >>> from egemma_lab.model import load_teacher
    >>> words = load_teacher().words
    >>> len(words), words[:3], "phone" in words
    (21358, ['the', 'and', 'was'], True)
    """
    pieces = [piece for piece, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    marked = [piece[1:] for piece in pieces if piece.startswith(_MARKS)]
    words = marked or [piece for piece in pieces if not piece.startswith("##")]
    special = set(tokenizer.all_special_tokens)
    return [
        word
        for word in dict.fromkeys(words)
        if len(word) > 2 and _LETTERS.fullmatch(word) and word not in special
    ]


def words_as_texts(words, texts, share):
    """Texts made of `words` alone, `share` times as many words in all as there are in `texts`.

    The word of rank r comes in proportion to 1 / (r + 300), and at least twice. It is written as `texts` mostly write
    it: a vocabulary in lower case says "london".

    >>> words_as_texts(["london", "red"], ["London is red. London!"], share=2)
    [' London London London London', ' red red red red']
    """
    counts = Counter(word for text in texts for word in _LETTERS.findall(text))
    wanted = share * counts.total() / sum(1 / (rank + _OFFSET) for rank in range(len(words)))
    return [
        f" {_as_written(word, counts)}" * max(2, round(wanted / (rank + _OFFSET)))
        for rank, word in enumerate(words)
    ]


def _as_written(word, counts):
    title = word.capitalize()
    return title if counts[title] > counts[word] else word
