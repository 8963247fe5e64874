"""docs/index.md: its code runs as it stands, from top to bottom, and finds what the package's search finds."""

import re
from pathlib import Path

import numpy as np
import pytest

from egemma_lab.quantize import search

PAGE = Path(__file__).resolve().parents[2] / "docs" / "index.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def after(tmp_path_factory):
    """`after(words)`: what the names hold after the one block that has these words."""
    values, states = {}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        for block in BLOCKS:
            exec(compile(block, str(PAGE), "exec"), values)
            states.append(dict(values))

    def state(words):
        (found,) = [number for number, block in enumerate(BLOCKS) if words in block]
        return states[found]

    return state


@pytest.mark.parametrize(
    ("words", "name", "precision"),
    [
        ("-queries @ documents.T", "best", "float32"),
        ("-queries @ told.T", "best", "int8"),
        ("bitwise_count", "best", "binary"),
        ("IndexFlatIP", "ids", "float32"),
        ("IndexScalarQuantizer", "ids", "int8"),
    ],
)
def test_every_way_finds_what_search_finds(after, words, name, precision):
    state = after(words)
    scores, ids = search(state["queries"], state["documents"], 2, precision)
    assert np.array_equal(state[name], ids)
    if name == "ids":
        assert np.allclose(state["scores"], scores, atol=1e-6)


def test_the_index_object(after):
    state = after("Index.load")
    model, questions = state["model"], ["why does dough grow in the bowl?", "what keeps the moon up?"]
    corpus = model.encode_document(state["texts"], truncate_dim=128)
    scores, ids = search(model.encode_query(questions, truncate_dim=128), corpus, 2)
    assert np.array_equal(state["ids"], ids)
    assert np.array_equal(state["index"].search(questions, 2)[0], scores)


def test_distances_of_bits(after):
    state = after("IndexBinaryFlat")
    assert np.array_equal(state["distances"], np.sort(state["different"], axis=1))
