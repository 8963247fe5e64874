"""What many tests share: a tiny model, tiny texts, a teacher that needs no download."""

import hashlib
import itertools
import os
import re
import zlib

import numpy as np
import pytest

_PLANETS = ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune", "Pluto", "Ceres"]
_VERBS = ["orbits", "passes", "reflects", "attracts", "follows"]
_THINGS = ["the distant sun", "a cold moon", "the bright comet", "an old satellite"]
_WORKS = [
    "returns the mean of a list",
    "opens a file and reads it",
    "sorts rows by their key",
    "joins two tables",
]


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Caches of a test session live and die with it."""
    before = os.environ.get("EGEMMA_CACHE")
    os.environ["EGEMMA_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["EGEMMA_CACHE"]
    else:
        os.environ["EGEMMA_CACHE"] = before


@pytest.fixture(scope="session")
def tiny_texts():
    """200 different English sentences."""
    return [f"{a} {verb} {thing}." for a, verb, thing in itertools.product(_PLANETS, _VERBS, _THINGS)]


@pytest.fixture(scope="session")
def tiny_pairs():
    """120 rows with anchor, positive and negative; the negative has the positive's name and another body."""
    rows = []
    for planet, verb, (right, wrong) in itertools.product(_PLANETS, _VERBS[:4], [(0, 1), (1, 2), (2, 3)]):
        rows.append(
            {
                "anchor": f"What {verb} {planet} and {_WORKS[right]}?",
                "positive": f"def {verb}_{planet.lower()}(): '''{_WORKS[right]}'''",
                "negative": f"def {verb}_{planet.lower()}(): '''{_WORKS[wrong]}'''",
            }
        )
    return rows


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_texts, tiny_pairs):
    from egemma_lab.model import train_tokenizer

    return train_tokenizer(
        [*tiny_texts, *(text for row in tiny_pairs for text in row.values())], vocab_size=600
    )


@pytest.fixture(scope="session")
def make_micro(tiny_tokenizer):
    """`make_micro(seed=0)`: a fresh micro model of one's own, in evaluation mode."""
    from egemma_lab.model import new_model

    def make(seed=0):
        return new_model("micro", tiny_tokenizer, seed=seed)

    return make


@pytest.fixture(scope="session")
def micro_model(make_micro):
    """One micro model for all tests: never change its weights, mode or settings."""
    return make_micro(seed=0)


class FakeTeacher:
    """A teacher without weights: each word a fixed random direction, a text the sum of its words.

    Texts that share words are close, so there is something to learn from it.
    """

    max_seq_length = 256

    def __init__(self, width=48, kept=None, rotation=None):
        self.full_width, self.kept, self.rotation = width, kept, rotation
        self.width = width if kept is None else kept
        self.name = f"fake-{width}"
        self.fingerprint = self.name
        if kept is not None:
            turned = "" if rotation is None else hashlib.sha256(rotation.tobytes()).hexdigest()[:12]
            self.name = f"fake-{width}-cut-{kept}"
            self.fingerprint = f"{self.name}-{turned}"

    def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
        if role not in ("query", "document"):
            raise ValueError(f"role={role!r} is not one of 'query', 'document'")
        vectors = (
            np.stack([self._embed(text) for text in texts]) if len(texts) else np.zeros((0, self.full_width))
        )
        if self.rotation is not None:
            vectors = vectors @ self.rotation
        vectors = vectors[:, : self.width]
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def cut(self, width, rotation=None):
        return FakeTeacher(self.full_width, width, rotation)

    def _embed(self, text):
        words = re.findall(r"\w+", text.lower()) or [""]
        return sum(
            np.random.default_rng(zlib.crc32(word.encode())).standard_normal(self.full_width)
            for word in words
        )


@pytest.fixture
def fake_teacher():
    """A teacher of width 48 with the interface of `egemma_lab.model.Teacher`."""
    return FakeTeacher()
