"""What many tests share: a tiny model, tiny texts, a teacher that needs no download."""

import itertools
import os

import pytest
from fake_teacher import FakeTeacher

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


@pytest.fixture
def no_own_terms(monkeypatch):
    """No loss term of one's own is registered; what the test registers is gone after it."""
    from egemma_lab.losses import own_terms

    monkeypatch.setattr(own_terms, "_REGISTERED", {})


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


@pytest.fixture
def fake_teacher():
    """A teacher of width 48 with the interface of `egemma_lab.model.Teacher`."""
    return FakeTeacher()
