"""For each function the most similar other one: near enough to be hard, not so near that it is right."""

import numpy as np

# Cosines of TF-IDF rows above which the other function may well answer the same question: overloads, backends
# and copies. Where the names agree too (`transform` of two scalers), less is enough. Set by reading samples.
CEILING, SAME_NAME_CEILING = 0.9, 0.7
_ROWS = 256  # rows of similarities held at once


def most_similar_others(functions, wanted):
    """Index of the hard negative of each function in `wanted` (indices into `functions`), or None.

    The candidates are the other functions of the same module, then, where none of those will do, those of the
    whole list (one package). A candidate is refused when its TF-IDF cosine (identifiers split into words) is
    above `CEILING` (`SAME_NAME_CEILING` for methods of the same name), when its text or anchor is the same,
    or when it is another definition of the same function: each of these would be a negative that is right.
    """
    if not wanted:
        return []
    from sklearn.feature_extraction.text import TfidfVectorizer

    from egemma_lab.data.words import words

    vectorizer = TfidfVectorizer(analyzer=words, sublinear_tf=True, dtype=np.float32)
    rows = vectorizer.fit_transform([function.text for function in functions])  # (n, vocabulary), sparse
    members = {}
    for index, function in enumerate(functions):
        members.setdefault(function.module, []).append(index)
    asked = {}
    for index in wanted:
        asked.setdefault(functions[index].module, []).append(index)

    found = {}
    for module, indices in asked.items():
        found.update(_search(functions, rows, indices, members[module]))
    without = [index for index in wanted if found[index] is None]
    found.update(_search(functions, rows, without, range(len(functions))))
    return [found[index] for index in wanted]


def _search(functions, rows, asked, candidates):
    candidates = np.asarray(candidates)
    columns = rows[candidates].T
    found = {}
    for start in range(0, len(asked), _ROWS):
        chunk = asked[start : start + _ROWS]
        similarity = (rows[chunk] @ columns).toarray()  # (chunk, candidates)
        similarity[similarity > CEILING] = -1
        for index, row in zip(chunk, similarity):
            found[index] = _best(functions, index, row, candidates)
    return found


def _best(functions, index, row, candidates):
    own = functions[index]
    while row.size and row[best := int(row.argmax())] > 0:
        other = functions[candidates[best]]
        same_name = other.name.rpartition(".")[2] == own.name.rpartition(".")[2]
        same_definition = other.name == own.name and other.module == own.module
        same_words = other.text == own.text or (own.anchor and other.key == own.key)
        if not (same_definition or same_words or (same_name and row[best] > SAME_NAME_CEILING)):
            return int(candidates[best])
        row[best] = -1
    return None
