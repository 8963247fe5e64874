"""Mixtures: what as_mixture takes, what is refused, and a fingerprint of the content alone."""

import subprocess
import sys

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from egemma_lab.data import Mixture, Source, as_mixture, load_pairs

A = [("q1", "p1"), ("q2", "p2")]
B = [("q3", "p3")]


def fingerprint(pairs):
    return as_mixture(pairs).fingerprint


def test_what_as_mixture_takes(tmp_path):
    path = tmp_path / "my.pairs.jsonl"
    path.write_text('{"anchor": "q1", "positive": "p1"}')
    a, b = load_pairs(A), load_pairs(B)
    mixture = Mixture([Source("one", a)])
    assert as_mixture(mixture) is mixture
    cases = [
        (a, ["data"], [1.0]),
        (A, ["data"], [1.0]),
        (pd.DataFrame(A, columns=["anchor", "positive"]), ["data"], [1.0]),
        (path, ["my.pairs"], [1.0]),
        (str(path), ["my.pairs"], [1.0]),
        (Source("one", a), ["one"], [1.0]),
        ([Source("one", a, 3), Source("two", b)], ["one", "two"], [0.75, 0.25]),
        ([(a, 3), (b, 1.0)], ["data-0", "data-1"], [0.75, 0.25]),
        ([(str(path), 1), (b, 1)], ["my.pairs", "data-1"], [0.5, 0.5]),
        ([a, b], ["data-0", "data-1"], [0.5, 0.5]),
        ({"x": a, "y": B}, ["x", "y"], [0.5, 0.5]),
        ({"x": (A, 1), "y": (b, 4)}, ["x", "y"], [0.2, 0.8]),
        ({"x": Source("other", a, 3, "STS", "STS")}, ["x"], [1.0]),
        (datasets.DatasetDict(train=a), ["data"], [1.0]),
    ]
    for given, names, shares in cases:
        mixture = as_mixture(given)
        assert mixture.names == names
        assert mixture.shares.tolist() == shares
        assert len(mixture) == sum(len(source) for source in mixture)
    assert as_mixture({"x": Source("other", a, 3, "STS", None)})["x"].anchor_prompt == "STS"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Mixture([]), ValueError, "at least one source"),
        (lambda: as_mixture({}), ValueError, "at least one source"),
        (lambda: Mixture(["python-docs"]), TypeError, "holds Sources, not a str"),
        (
            lambda: as_mixture([("a/x.jsonl", 1), ("b/y.jsonl", 1)]),
            FileNotFoundError,
            "x.jsonl does not exist",
        ),
        (
            lambda: Mixture([Source("x", load_pairs(A)), Source("x", load_pairs(B))]),
            ValueError,
            r"two sources are called 'x'",
        ),
        (lambda: Source("", load_pairs(A)), ValueError, "name is a text"),
        (lambda: Source("x", A), TypeError, "pass it through load_pairs"),
        (
            lambda: Source("x", datasets.Dataset.from_dict({"text": ["a"]})),
            TypeError,
            r"has columns \['text'\]",
        ),
        (lambda: Source("x", load_pairs(A), weight=0), ValueError, r"weight=0 is not above 0"),
        (lambda: Source("x", load_pairs(A), weight=-1.0), ValueError, r"leave a source out"),
        (lambda: Source("x", load_pairs(A), weight=float("nan")), ValueError, r"weight=nan"),
        (lambda: Source("x", load_pairs(A), weight=float("inf")), ValueError, r"weight=inf"),
        (lambda: Source("x", load_pairs(A), weight="1"), TypeError, r"weight='1' is not a number"),
        (lambda: Source("x", load_pairs(A), weight=True), TypeError, r"weight=True"),
        (lambda: as_mixture({"x": []}), ValueError, "no pairs"),
        (
            lambda: as_mixture(Source("x", datasets.Dataset.from_dict({"anchor": [], "positive": []}))),
            ValueError,
            "'x' has no pairs",
        ),
        (lambda: as_mixture({"x": A})["y"], KeyError, "no source 'y'; there are 'x'"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_rows_without_text_that_went_past_load_pairs():
    source = Source("x", datasets.Dataset.from_dict({"anchor": ["a", None], "positive": ["b", "c"]}))
    with pytest.raises(ValueError, match=r"'x' has rows without anchor"):
        Mixture([source]).fingerprint  # noqa: B018


def test_fingerprint_depends_on_content_alone(tmp_path):
    rows = [
        {"anchor": f"q{i}\0ü", "positive": f"p{i}" * (1 + i % 7), "negative": "n" * i} for i in range(1, 300)
    ]
    reference = fingerprint(rows)
    table = pa.Table.from_pylist(rows)
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7, 200), table.slice(207)])
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = datasets.Dataset(table.take(order))
    same = [
        datasets.Dataset(pieces),
        datasets.Dataset(pa.concat_tables([table, table])).select(range(299, 598))
        if len(rows) == 299
        else None,
        shuffled.select(np.argsort(order)),
        datasets.Dataset(table.add_column(0, "extra", [list(range(len(rows)))])),
        datasets.Dataset(table).cast_column("anchor", datasets.Value("large_string")),
    ]
    assert [fingerprint(pairs) for pairs in same] == [reference] * len(same)


def test_fingerprint_sees_every_change():
    base = {"x": (A, 1)}
    source = load_pairs(A)
    different = [
        base,
        {"y": (A, 1)},
        {"x": (A, 2)},
        {"x": (A[::-1], 1)},
        {"x": ([("q1", "p1"), ("q2", "p2 ")], 1)},
        {"x": ([("q1p", "1"), ("q2", "p2")], 1)},  # the same characters, cut elsewhere
        {"x": ([("q1q", "p1"), ("2", "p2")], 1)},
        {"x": ([("p1", "q1"), ("p2", "q2")], 1)},
        {"x": ([(*row, "n") for row in A], 1)},
        {"x": (A, 1), "y": (B, 1)},
        {"y": (B, 1), "x": (A, 1)},
        {"x": Source("x", source, 1, anchor_prompt="STS")},
        {"x": Source("x", source, 1, positive_prompt=None)},
    ]
    assert len({fingerprint(pairs) for pairs in different}) == len(different)


def test_fingerprint_is_the_same_in_another_process():
    code = f"from egemma_lab.data import as_mixture; print(as_mixture({{'x': ({A!r}, 1)}}).fingerprint)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == fingerprint({"x": (A, 1)})
