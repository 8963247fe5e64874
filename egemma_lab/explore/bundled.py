"""Small texts that come with the package, for maps and exercises."""

import json
from importlib import resources


def topics():
    """A table of short everyday texts, each with its topic: columns `topic` and `text`.

    Twenty topics of twelve texts, written for this laboratory. Texts of one topic share few words, so that
    what brings them together on a map is mostly their meaning.

    >>> table = topics()
    >>> table["topic"].nunique(), list(table.columns)
    (20, ['topic', 'text'])
    """
    import pandas as pd

    file = resources.files("egemma_lab").joinpath("assets", "topics.jsonl")
    return pd.DataFrame([json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()])
