"""A tokenizer as llama.cpp knows it: tokens, scores and types instead of merges and rules."""

import json
import re
import unicodedata

_BYTE = re.compile("<0x[0-9A-F]{2}>")
_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
# Gemma's own tokenizer splits at spaces, of which the normalizer left none.
_SPLITS = (
    None,
    {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
)
_LOWER_CASE = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}
_STRIPPING = (None, True)  # of accents: what lower case brings with it, and what says so
_WITHIN = "##"  # before a piece within a word
_BEGINS = "▁"  # what llama.cpp has instead: before one that begins a word
_LONGEST = 100  # characters of a word that BERT's tokenizer still cuts into pieces
_MATCHING = ("normalized", "single_word", "lstrip", "rstrip")  # of an added token, beyond its letters


def vocabulary_problems(tokenizer):
    """What in a tokenizer llama.cpp has no place for, in words; [] for Gemma's and those made here."""
    rules = _rules(tokenizer)
    wordpiece = _is_wordpiece(rules)
    requirements = _wordpiece_requirements(tokenizer, rules) if wordpiece else _bpe_requirements(rules)
    return [words for met, words in requirements if not met]


def vocabulary_model(tokenizer):
    """llama.cpp's name for a vocabulary of this kind: "bert" for WordPiece, "llama" for BPE by scores."""
    return "bert" if _is_wordpiece(_rules(tokenizer)) else "llama"


def vocabulary(tokenizer, size):
    """Tokens (str), scores (float) and types (gguf.TokenType) of ids 0 to size - 1.

    BPE: llama.cpp merges by score as SentencePiece does, so a token's score is minus the rank of its first merge (see
    `train_tokenizer` for why that is enough).

    WordPiece: llama.cpp puts "▁" before each word, so "word" becomes "▁word" and "##piece" becomes "piece"; scores are
    of no use. It takes texts apart as BERT's tokenizer does, but for these, which get other ids there than here:

    - a word of more than 100 characters is cut into pieces there, and "<unk>" here;
    - a vertical tab, a form feed and U+0085 divide words there, and vanish here;
    - "▁" within a word begins another word there, and makes the word "<unk>" here;
    - marks of the categories Mc and Me (Indic vowel signs, the frame of a keycap emoji) vanish there, and make their
      word "<unk>" here;
    - `tokenizers` knows Unicode as of version 8.0: newer marks vanish there and newer punctuation divides words there,
      and both make their word "<unk>" here. U+166D, U+1885, U+1886, U+A9BD and U+111C9 have changed since.

    llama.cpp never finds a piece of marks, nor one from within a Korean syllable, of which it keeps the first letter:
    `vocabulary_problems` refuses a vocabulary that has such pieces.

    Rows of the token table beyond the tokenizer become unused tokens. Where special tokens in a user's text are plain
    text (`split_special_tokens`), they get a name with a space in it: llama.cpp finds special tokens by their names,
    some of them ("<eos>") whatever their type, and no text spells one with a space, because spaces become "▁" (BPE) or
    divide words (WordPiece) first. Their ids are what is used, and they keep those.
    """
    from gguf import TokenType

    rules = _rules(tokenizer)
    added, ranks = _added(rules), _first_merges(rules["model"])
    names = [f"(none {index})" for index in range(size)]
    scores, types = [0.0] * size, [TokenType.UNUSED] * size
    for token, index, name in _tokens(tokenizer, rules):
        names[index] = name
        scores[index] = -float(ranks.get(token, 0))
        if token not in added:
            types[index] = TokenType.BYTE if _BYTE.fullmatch(name) else TokenType.NORMAL
        elif _is_hidden(added[token], tokenizer):
            types[index] = TokenType.NORMAL
        else:
            types[index] = TokenType.CONTROL if added[token]["special"] else TokenType.USER_DEFINED
    return names, scores, types


def _bpe_requirements(rules):
    """What BPE must be: (whether it is, what is wrong otherwise)."""
    model = rules["model"]
    kind = f"its tokenizer is {model['type']} without byte fallback, expected BPE with it, or WordPiece"
    return [
        (model["type"] == "BPE" and model.get("byte_fallback"), kind),
        (rules["normalizer"] == _SPACES, "its tokenizer's normalizer is not the one that makes ▁ of spaces"),
        (rules["pre_tokenizer"] in _SPLITS, "its tokenizer splits texts before it merges"),
    ]


def _wordpiece_requirements(tokenizer, rules):
    """What WordPiece must be, in the same form."""
    model, added = rules["model"], _added(rules)
    normalizers = [{**_LOWER_CASE, "strip_accents": strip} for strip in _STRIPPING]
    names = [name for _, _, name in _tokens(tokenizer, rules)]
    unread = sorted(filter(_reads_otherwise, set("".join(model["vocab"].keys() - added.keys()))))
    searched = [token for token in added.values() if not _is_hidden(token, tokenizer)]
    odd = [token["content"] for token in searched if any(token[how] for how in _MATCHING)]
    return [
        (rules["normalizer"] in normalizers, "its tokenizer's normalizer is not BERT's with lower case"),
        (rules["pre_tokenizer"] == {"type": "BertPreTokenizer"}, "its tokenizer splits words not as BERT's"),
        (model["continuing_subword_prefix"] == _WITHIN, f"its pieces within words have no {_WITHIN}"),
        (model["max_input_chars_per_word"] >= _LONGEST, f"it cuts no words of {_LONGEST} characters"),
        (
            model["unk_token"] == tokenizer.unk_token,
            f"the unknown token of its pieces is {model['unk_token']}",
        ),
        (len(set(names)) == len(names), f"some of its tokens differ only in a {_WITHIN} or {_BEGINS}"),
        (not odd, f"its added tokens match more than their own letters ({' '.join(odd[:5])})"),
        (not unread, f"its pieces have characters that llama.cpp reads otherwise ({' '.join(unread[:5])})"),
    ]


def _reads_otherwise(character):
    """Whether llama.cpp begins a word with it or drops it: marks, and the letters within a Korean syllable."""
    mark = unicodedata.category(character).startswith("M")
    return character == _BEGINS or mark or "\u1100" <= character <= "\u11ff"


def _rules(tokenizer):
    return json.loads(tokenizer.backend_tokenizer.to_str())


def _is_wordpiece(rules):
    return rules["model"]["type"] == "WordPiece"


def _added(rules):
    return {token["content"]: token for token in rules["added_tokens"]}


def _is_hidden(added_token, tokenizer):
    """Whether a text that spells it means only its letters."""
    return added_token["special"] and tokenizer.split_special_tokens


def _first_merges(model):
    ranks = {}
    for rank, (left, right) in enumerate(model.get("merges", ())):
        ranks.setdefault(left + right, rank)
    return ranks


def _tokens(tokenizer, rules):
    """(token, id, llama.cpp's name for it) of each."""
    added = _added(rules)
    ids = {**rules["model"]["vocab"], **{content: token["id"] for content, token in added.items()}}
    for token, index in ids.items():
        if token in added:
            name = f"{token} (by id only)" if _is_hidden(added[token], tokenizer) else token
        else:
            name = _piece_name(token) if _is_wordpiece(rules) else token
        yield token, index, name


def _piece_name(piece):
    return piece.removeprefix(_WITHIN) if piece.startswith(_WITHIN) else _BEGINS + piece
