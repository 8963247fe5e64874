"""From whatever a user hands over to lists of token ids."""


def check_texts(texts, name="texts"):
    """The texts as a list, or TypeError naming the first that is not a string.

    >>> check_texts(["a", 2])
    Traceback (most recent call last):
    TypeError: texts[1] is int 2, expected str
    """
    if isinstance(texts, (str, bytes)) or not hasattr(texts, "__iter__"):
        raise TypeError(f"{name} is {type(texts).__name__}, expected a list of str")
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{index}] is {type(text).__name__} {_shorten(text)}, expected str")
    return texts


def _shorten(value, longest=40):
    shown = repr(value)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def clean_text(text):
    r"""The text as valid Unicode: surrogate pairs joined, lone surrogates replaced by U+FFFD.

    Lone surrogates come out of damaged JSON and file names; no tokenizer takes them.

    >>> clean_text("a\ud83d\ude00b\ud800c")
    'a😀b\ufffdc'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def token_ids(tokenizer, texts, max_length):
    """Token ids of each text, BOS and EOS included: `(ids, indices of the texts that were cut)`.

    A text of more than `max_length` tokens is cut there, its EOS kept as the last one.
    """
    backend = whole_texts(tokenizer)
    ids = [encoding.ids for encoding in backend.encode_batch_fast([clean_text(text) for text in texts])]
    cut = [index for index, row in enumerate(ids) if len(row) > max_length]
    for index in cut:
        ids[index] = cut_ids(ids[index], max_length, tokenizer.eos_token_id)
    return ids, cut


def whole_texts(tokenizer):
    """The `tokenizers.Tokenizer` behind a fast tokenizer, neither cutting nor padding."""
    backend = tokenizer.backend_tokenizer
    if backend.truncation is not None:  # left behind by some earlier call of the tokenizer
        backend.no_truncation()
    if backend.padding is not None:
        backend.no_padding()
    if backend.encode_special_tokens != tokenizer.split_special_tokens:
        backend.encode_special_tokens = tokenizer.split_special_tokens
    return backend


def cut_ids(ids, max_length, eos_id):
    """The first `max_length` ids; EOS stays last where it was last.

    >>> cut_ids([2, 7, 8, 9, 1], 4, eos_id=1)
    [2, 7, 8, 1]
    """
    if len(ids) <= max_length or ids[-1] != eos_id:
        return ids[:max_length]
    return [*ids[: max_length - 1], eos_id]
