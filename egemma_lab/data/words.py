"""Words of a text or a piece of code: what TF-IDF and BM25 count."""

import re
from functools import lru_cache

_TOKEN = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")


def words(text):
    """Lower-case words of `text`; an identifier gives its parts and, after them, itself.

    Queries are written in plain words and code in `snake_case` and `camelCase`: only the parts can meet. No
    stemming and no stop words, so that it is the same for every language.

    >>> words("Parse HTTPHeader with load_json2.")
    ['parse', 'http', 'header', 'httpheader', 'with', 'load', 'json', '2', 'load_json2']
    """
    found = []
    for token in _TOKEN.findall(text):
        found += _split(token)
    return found


@lru_cache(maxsize=1 << 16)
def _split(token):
    whole = token.lower()
    if token.isalpha() and (token.islower() or token[1:].islower()):
        return (whole,)
    parts = [part.lower() for part in _PART.findall(token)]
    return tuple(parts) if parts == [whole] else (*parts, whole)
