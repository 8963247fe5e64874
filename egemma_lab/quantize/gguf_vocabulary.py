"""A tokenizer as llama.cpp knows it: tokens, scores and types instead of merges and rules."""

import json
import re

_BYTE = re.compile("<0x[0-9A-F]{2}>")
_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
# Gemma's own tokenizer splits at spaces, of which the normalizer left none.
_SPLITS = (
    None,
    {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
)


def vocabulary_problems(tokenizer):
    """What in a tokenizer llama.cpp has no place for, in words; [] for Gemma's and those trained here."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    model = rules["model"]
    problems = []
    if model["type"] != "BPE" or not model.get("byte_fallback"):
        problems.append(f"its tokenizer is {model['type']} without byte fallback, expected BPE with it")
    if rules["normalizer"] != _SPACES:
        problems.append("its tokenizer's normalizer is not the one that makes ▁ of spaces")
    if rules["pre_tokenizer"] not in _SPLITS:
        problems.append("its tokenizer splits texts before it merges")
    return problems


def vocabulary(tokenizer, size):
    """Tokens (str), scores (float) and types (gguf.TokenType) of ids 0 to size - 1.

    llama.cpp merges by score as SentencePiece does, so a token's score is minus the rank of its first merge (see
    `train_tokenizer` for why that is enough). Rows of the token table beyond the tokenizer become unused tokens.

    Where special tokens in a user's text are plain text (`split_special_tokens`), they get a name with a space in it:
    llama.cpp finds special tokens by their names, some of them ("<eos>") whatever their type, and no text spells one
    with a space, because spaces become "▁" first. Their ids are what is used, and they keep those.
    """
    from gguf import TokenType

    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    ids, added = rules["model"]["vocab"], {token["content"]: token for token in rules["added_tokens"]}
    ids = {**ids, **{content: token["id"] for content, token in added.items()}}
    ranks = {}
    for rank, (left, right) in enumerate(rules["model"]["merges"]):
        ranks.setdefault(left + right, rank)

    names = [f"(none {index})" for index in range(size)]
    scores, types = [0.0] * size, [TokenType.UNUSED] * size
    for token, index in ids.items():
        special = token in added and added[token]["special"]
        hidden = special and tokenizer.split_special_tokens
        names[index] = f"{token} (by id only)" if hidden else token
        scores[index] = -float(ranks.get(token, 0))
        if special:
            types[index] = TokenType.NORMAL if hidden else TokenType.CONTROL
        elif token in added:
            types[index] = TokenType.USER_DEFINED
        else:
            types[index] = TokenType.BYTE if _BYTE.fullmatch(token) else TokenType.NORMAL
    return names, scores, types
