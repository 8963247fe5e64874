"""A tokenizer for models made here: byte-fallback BPE, trained on their own text, in Gemma's format."""

import json
from collections import Counter
from itertools import chain

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from egemma_lab.model.tokenizing import check_texts, clean_text

SPECIAL_TOKENS = ("<pad>", "<eos>", "<bos>", "<unk>")  # ids 0 to 3, as Gemma's
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SPACE = "▁"  # what a space becomes, as in Gemma's tokenizer
_ASCII = [_SPACE, "\n", "\t", *map(chr, range(33, 127))]  # always single tokens, never bytes

# Runs of 2 to 16 spaces are tokens, as in Gemma's vocabulary: indentation. Doubling goes first, the rest
# builds on it.
_RUNS = [(k, k) for k in (1, 2, 4, 8)] + [(k, rest) for k in (2, 4, 8) for rest in range(1, k)]

# Merges are learnt inside these pieces only: runs of spaces, a word with the space before it (camelCase
# split), single digits, line breaks, other signs with the space before them. So no token spans two words, no
# digits stick together, and no token can be spelt like a special token or a byte token.
_PIECES = r"▁{2,}|▁?\p{Lu}*[\p{L}\p{M}&&[^\p{Lu}]]+|▁?\p{Lu}+|\p{N}|\n+|▁?[^\p{L}\p{M}\p{N}\n▁]+|▁"
_LONGEST = 16  # characters in a token: a ruler of dashes earns no place in a small vocabulary
_COVERAGE = 0.9995  # share of all characters that get a token of their own, SentencePiece's default
_SMALLEST = len(SPECIAL_TOKENS) + len(_BYTES) + len(_ASCII) + len(_RUNS)


def train_tokenizer(texts, vocab_size=8192):
    """Train a tokenizer on `texts`: a `PreTrainedTokenizerFast`, to be saved and loaded as any other.

    As Gemma's it adds BOS and EOS, turns spaces into "▁" and adds none of its own, and falls back to bytes
    for rare characters: any text is encoded, and decoded to itself (except "▁", which comes back as a space).
    "<bos>" and the other special tokens are ordinary text where a user writes them.

    Parameters: `texts`, strings; `vocab_size`, the most tokens, 256 byte tokens counted (default 8,192: with
    twice as many, half of a nano model's weights would be token embeddings). Small texts give fewer. The same
    texts give the same tokenizer. ValueError where there is no text or no room; TypeError names a text that
    is not a string.

    The merges hold every split of a token into two others in the order of its rank, as transformers writes
    them for Gemma: BPE by merges and SentencePiece's BPE by scores (score = -rank; what llama.cpp runs) then
    agree.

    >>> tokenizer = train_tokenizer(["red planet", "the red star", "a star and a planet"], vocab_size=400)
    >>> tokenizer("red star").input_ids[0], tokenizer.decode(tokenizer("<bos> é").input_ids[1:-1])
    (2, '<bos> é')
    """
    texts = [clean_text(text) for text in check_texts(texts)]
    if not any(texts):
        raise ValueError("train_tokenizer needs text to learn from, got none")
    if vocab_size < _SMALLEST:
        raise ValueError(
            f"vocab_size={vocab_size} must be at least {_SMALLEST}: "
            "special tokens, 256 bytes, ASCII and runs of spaces"
        )
    alphabet = list(common_characters(texts, most=len(_ASCII) + (vocab_size - _SMALLEST) // 2))
    learnt = _learn_tokens(texts, alphabet, vocab_size - _SMALLEST + len(_ASCII))
    runs = [_SPACE * (left + right) for left, right in _RUNS]
    tokens = list(dict.fromkeys(chain(SPECIAL_TOKENS, _BYTES, alphabet, runs, learnt)))
    vocabulary = {token: index for index, token in enumerate(tokens)}
    ranked = tokens[len(SPECIAL_TOKENS) + len(_BYTES) + len(alphabet) :]
    return _assemble(vocabulary, _all_merges(ranked, vocabulary))


def common_characters(texts, most=None):
    """ASCII with "▁" for the space, then the most frequent characters of `texts`: a dict's keys, in that order.

    They end where 99.95% of all characters are covered, or at `most` (None: no limit).
    """
    counts = Counter()
    for text in texts:
        counts.update(text)
    wanted = _COVERAGE * counts.total()
    alphabet = dict.fromkeys(_ASCII)
    covered = sum(counts.pop(" " if character == _SPACE else character, 0) for character in alphabet)
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= wanted or (most is not None and len(alphabet) >= most):
            break
        alphabet[character] = None
        covered += count
    return alphabet.keys()


def _learn_tokens(texts, alphabet, vocab_size):
    """The tokens of two and more characters, in the order in which BPE finds them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", _SPACE)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECES), "isolated")
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),  # no other character: those are bytes
        max_token_length=_LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [left + right for left, right in merges]


def _all_merges(ranked, vocabulary):
    return [
        (token[:cut], token[cut:])
        for token in ranked
        for cut in range(1, len(token))
        if token[:cut] in vocabulary and token[cut:] in vocabulary
    ]


def _assemble(vocabulary, merges):
    unk = SPECIAL_TOKENS[3]
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token=unk, fuse_unk=True, byte_fallback=True))
    backend.normalizer = normalizers.Replace(" ", _SPACE)
    backend.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return with_special_tokens(backend, vocabulary)


def with_special_tokens(backend, vocabulary):
    """A `tokenizers.Tokenizer` as a `PreTrainedTokenizerFast` with Gemma's special tokens, BOS and EOS around a text.

    `vocabulary`: token -> id, SPECIAL_TOKENS among them.
    """
    from transformers import PreTrainedTokenizerFast

    pad, eos, bos, unk = SPECIAL_TOKENS
    backend.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS]
    )
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {bos}:1 $B:1 {eos}:1",
        special_tokens=[(token, vocabulary[token]) for token in (bos, eos)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=pad,
        eos_token=eos,
        bos_token=bos,
        unk_token=unk,
        add_bos_token=True,
        add_eos_token=True,
        split_special_tokens=True,  # a user's "<bos>" is text
        clean_up_tokenization_spaces=False,
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
    )
