import math

import numpy as np
import pytest
import torch

from egemma_lab.data.words import words
from egemma_lab.evaluate.bm25 import K1, B, bm25_search
from egemma_lab.evaluate.retrieval import METRICS, measure, search, tie_order, top


def mean(values):
    return sum(values.values()) / len(values)


def test_measures_by_hand():
    qrels = {"first": {"a": 1}, "third": {"a": 1}, "graded": {"a": 2, "b": 1, "c": 0}, "nothing": {"a": 1}}
    run = {
        "first": {"a": 0.9, "b": 0.8, "c": 0.1},
        "third": {"b": 0.9, "c": 0.8, "a": 0.7},
        "graded": {"b": 3.0, "c": 2.0, "a": 1.0},
    }
    found = measure(qrels, run)
    assert tuple(found) == METRICS
    assert found["MRR@10"] == pytest.approx({"first": 1, "third": 1 / 3, "graded": 1, "nothing": 0})
    assert found["recall@1"] == pytest.approx({"first": 1, "third": 0, "graded": 1 / 2, "nothing": 0})
    assert found["recall@10"] == pytest.approx({"first": 1, "third": 1, "graded": 1, "nothing": 0})
    graded = (1 / math.log2(2) + 2 / math.log2(4)) / (2 / math.log2(2) + 1 / math.log2(3))
    assert found["nDCG@10"] == pytest.approx(
        {"first": 1, "third": 1 / math.log2(4), "graded": graded, "nothing": 0}
    )


def plain_measures(judged, ranking):
    gains = [judged.get(name, 0) for name in ranking]
    best = sorted(judged.values(), reverse=True)
    answers = sum(relevance > 0 for relevance in judged.values())
    dcg = [sum(gain / math.log2(rank + 2) for rank, gain in enumerate(row[:10])) for row in (gains, best)]
    hits = [rank for rank, gain in enumerate(gains) if gain > 0]
    found = {f"recall@{k}": sum(rank < k for rank in hits) / answers for k in (1, 10, 100)}
    found["MRR@10"] = 1 / (hits[0] + 1) if hits and hits[0] < 10 else 0.0
    return found | {"nDCG@10": dcg[0] / dcg[1]}


def test_measures_agree_with_plain_loops():
    rng = np.random.default_rng(0)
    names = [f"d{number}" for number in range(150)]
    qrels, run = {}, {}
    for query in map(str, range(30)):
        judged = rng.choice(names, size=rng.integers(1, 20), replace=False)
        qrels[query] = {str(name): int(rng.integers(0, 3)) for name in judged} | {"d0": 1}
        run[query] = {
            str(name): float(rng.standard_normal()) for name in rng.choice(names, size=120, replace=False)
        }
    found = measure(qrels, run)
    for query, scores in run.items():
        expected = plain_measures(qrels[query], sorted(scores, key=scores.get, reverse=True)[:100])
        for metric, value in expected.items():
            assert found[metric][query] == pytest.approx(value, abs=1e-6), (metric, query)


def test_equal_scores_get_what_chance_gives():
    ids = [f"module.{number}:function" for number in range(1000)]
    same = np.ones((len(ids), 4), dtype=np.float32) / 2
    rankings = search(same, same, ids)
    found = measure({name: {name: 1} for name in ids}, dict(zip(ids, rankings)))
    assert mean(found["recall@100"]) == pytest.approx(0.1)
    assert mean(found["recall@1"]) == pytest.approx(0.001)
    assert mean(found["MRR@10"]) < 0.005


@pytest.mark.parametrize("reverse", [False, True])
def test_ties_do_not_depend_on_the_order_of_the_corpus(reverse):
    ids = ["a", "b", "c", "d", "e"]
    vectors = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0.8, 0.6]], dtype=np.float32)
    step = -1 if reverse else 1
    [ranking] = search(vectors[:1], vectors[::step], ids[::step], depth=2)
    assert list(ranking) == [ids[index] for index in tie_order(ids) if ids[index] in "abd"][:2]


def test_top_is_exact_and_leftmost_among_equals():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 6, (50, 40), generator=generator).float()
    values, columns = top(scores, 7)
    for row in range(50):
        expected = sorted(range(40), key=lambda column, row=row: (-scores[row, column], column))[:7]
        assert columns[row].tolist() == expected
        assert values[row].tolist() == scores[row, expected].tolist()
    assert top(scores, 100)[1].shape == (50, 40)
    assert top(scores[:, :0], 5)[0].shape == (50, 0)


def test_search_agrees_with_a_plain_loop():
    rng = np.random.default_rng(1)
    queries, documents = (rng.standard_normal((n, 16)).astype(np.float32) for n in (20, 300))
    ids = [str(number) for number in range(300)]
    for query, ranking in zip(queries, search(queries, documents, ids, depth=10)):
        scores = {name: float(query @ document) for name, document in zip(ids, documents)}
        assert list(ranking) == sorted(ids, key=scores.get, reverse=True)[:10]
        assert ranking == pytest.approx({name: scores[name] for name in ranking}, rel=1e-5)


def test_bm25_agrees_with_the_formula():
    documents = [
        "def read_csv(path): read the table",
        "the cat reads a book",
        "close the table",
        "a dog",
        "the dog and the cat and the dog",
        "",
    ]
    ids = [f"d{number}" for number in range(len(documents))]
    queries = ["the cat and the dog", "readCsv", "unknownword", "", "Table TABLE"]
    bags = [words(document) for document in documents]
    mean_length = sum(map(len, bags)) / len(bags)
    for query, ranking in zip(queries, bm25_search(queries, documents, ids)):
        expected = {}
        for name, bag in zip(ids, bags):
            score = 0.0
            for word in words(query):
                df = sum(word in other for other in bags)
                idf = math.log(1 + (len(bags) - df + 0.5) / (df + 0.5))
                tf = bag.count(word)
                score += idf * tf / (tf + K1 * (1 - B + B * len(bag) / mean_length))
            if score > 0:
                expected[name] = score
        assert ranking == pytest.approx(expected, rel=1e-5)
        assert list(ranking) == sorted(ranking, key=lambda name: -ranking[name])


def test_words_meet_across_spellings():
    assert words("getHTTPResponse_code2") == ["get", "http", "response", "code", "2", "gethttpresponse_code2"]
    assert words("Größe der Übung, café") == ["größe", "der", "übung", "café"]
    assert set(words("parse the csv")) <= set(words("def parse_csv(the): ..."))
    assert words("") == []
