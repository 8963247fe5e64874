"""A student's tokenizer that cuts words as its teacher does: of the teacher's WordPiece vocabulary what is needed."""

import json

from tokenizers import Tokenizer

from egemma_lab.model.tokenizer import SPECIAL_TOKENS, common_characters, with_special_tokens
from egemma_lab.model.tokenizing import check_texts, clean_text


def teacher_tokenizer(tokenizer, texts, vocab_size=None):
    """A `PreTrainedTokenizerFast` with the pieces of a WordPiece `tokenizer`, a teacher's, that `texts` can need.

    A student that sees the pieces its teacher sees need not learn how the teacher spells a rare word: with such pieces,
    19,000 of them, the mean of a text's rows comes much nearer to MiniLM than with as many BPE tokens.
    Left out are special tokens, unused places, and pieces with a character that is neither ASCII nor among the most
    frequent of the texts, those that make up 99.95% of them. A word that cannot be spelt becomes one "<unk>".

    Parameters: `tokenizer`, a fast tokenizer of transformers; `texts`, strings; `vocab_size`, the most tokens (default
    None: all that are left). The teacher's order stays, in which frequent pieces come first: with few thousand tokens
    single letters may be missing, and words with them become "<unk>". Padding, EOS, BOS and "<unk>" are Gemma's and
    have its ids; the normalizer (lower case) and the split into words are the teacher's. "<bos>" and the other special
    tokens are ordinary text where a user writes them. ValueError for a tokenizer that is no WordPiece, where there is
    no text or no room; TypeError names a text that is not a string.

    >>> from egemma_lab.model import load_teacher
    >>> tokenizer = load_teacher().student_tokenizer(["Any small letters, and a few: abcdefghijklmnopqrstuvwxyz."])
    >>> tokenizer.tokenize("Embeddings, small"), tokenizer("small").input_ids[0]
    (['em', '##bed', '##ding', '##s', ',', 'small'], 2)
    """
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    model, normalizer = rules["model"], tokenizer.backend_tokenizer.normalizer
    if model["type"] != "WordPiece":
        raise ValueError(
            f"the teacher's tokenizer is {model['type']}, and pieces are taken over from WordPiece alone; "
            "train one with train_tokenizer"
        )
    least = len(SPECIAL_TOKENS) + 1
    if vocab_size is not None and vocab_size < least:
        raise ValueError(f"vocab_size={vocab_size} must be at least {least}: special tokens and one piece")
    texts = [clean_text(text) for text in check_texts(texts)]
    if not any(texts):
        raise ValueError("teacher_tokenizer needs text to see which characters are in use, got none")
    if normalizer is not None:
        texts = [normalizer.normalize_str(text) for text in texts]
    prefix = model["continuing_subword_prefix"]
    kept = _needed_pieces(model["vocab"], prefix, common_characters(texts))
    tokens = [*SPECIAL_TOKENS, *kept][:vocab_size]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    cut = {
        **rules,
        "model": {**model, "vocab": vocabulary, "unk_token": SPECIAL_TOKENS[3]},
        "decoder": {"type": "WordPiece", "prefix": prefix, "cleanup": True},
        "added_tokens": [],
        **dict.fromkeys(("post_processor", "truncation", "padding")),
    }
    return with_special_tokens(Tokenizer.from_str(json.dumps(cut)), vocabulary)


def _needed_pieces(vocab, prefix, characters):
    """The pieces, in the vocabulary's order, that are letters and digits or one sign, all of them in use.

    A sign is a word of its own: one marked as within a word ("##!") never occurs.
    """
    found = []
    for piece in sorted(vocab, key=vocab.get):
        text = piece.removeprefix(prefix)
        if (len(piece) == 1 or text.isalnum()) and characters >= set(text):
            found.append(piece)
    return found
