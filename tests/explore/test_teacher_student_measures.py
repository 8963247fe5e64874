import time

import numpy as np
import pytest
from films import unit
from scipy.stats import rankdata, spearmanr

from egemma_lab.explore.teacher_student_measures import (
    correlation,
    cosine_density,
    deviations,
    pair_cosines,
    pairs_of,
    ranks,
    recall,
    search_table,
    turn_towards,
)

ROLES = ["query", "document", "query", "document", "document"]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_every_pair_of_a_kind_once():
    asked = {
        "all": [{i, j} for i in range(5) for j in range(i)],
        "two documents": [{1, 3}, {1, 4}, {3, 4}],
        "two queries": [{0, 2}],
        "query and document": [{q, d} for q in (0, 2) for d in (1, 3, 4)],
    }
    for kind, pairs in asked.items():
        found = [set(pair) for pair in pairs_of(ROLES, kind).tolist()]
        assert len(found) == len(pairs)
        assert all(pair in found for pair in pairs)
    assert pairs_of(["query", "document"], "two queries").shape == (0, 2)
    with pytest.raises(ValueError, match="kind='both' is not one of all"):
        pairs_of(ROLES, "both")


@pytest.mark.parametrize("kind", ["all", "query and document"])
def test_of_too_many_pairs_some_are_drawn(kind):
    pairs = pairs_of(ROLES * 200, kind, most=1000)
    assert 950 < len(pairs) <= 1000
    assert (pairs[:, 0] != pairs[:, 1]).all()
    roles = np.array(ROLES * 200)
    if kind != "all":
        assert set(roles[pairs[:, 0]]) == {"query"}
        assert set(roles[pairs[:, 1]]) == {"document"}
    assert np.array_equal(pairs, pairs_of(ROLES * 200, kind, most=1000))
    assert not np.array_equal(pairs, pairs_of(ROLES * 200, kind, most=1000, seed=1))


def test_cosines_of_few_and_of_many_texts():
    few, many = unit(normal(50, 6)), unit(normal(2500, 6))
    for vectors in (few, many):
        pairs = pairs_of(["document"] * len(vectors), most=500)
        expected = [float(vectors[i] @ vectors[j]) for i, j in pairs]
        assert pair_cosines(vectors, pairs) == pytest.approx(expected, abs=1e-6)


def test_twenty_thousand_texts_stay_fluid():
    vectors = unit(normal(20_000, 64))
    pairs = pairs_of(["document"] * 20_000)
    began = time.process_time()
    pair_cosines(vectors, pairs)
    assert time.process_time() - began < 1
    assert len(pairs) > 199_000


def test_ranks_and_their_correlation_are_scipys():
    values = normal(300).round(1)  # with many ties
    others = values + normal(300, seed=1)
    assert np.array_equal(ranks(values), rankdata(values))
    assert correlation(ranks(values), ranks(others)) == pytest.approx(spearmanr(values, others)[0])
    assert correlation(values, -values) == pytest.approx(-1)
    assert np.isnan(correlation(ranks(np.ones(5)), ranks(values[:5])))
    assert np.isnan(correlation([1, 2], [1, 2]))


def test_density_in_plain_loops_and_nothing_is_lost():
    teacher, student = normal(400) * 0.5, normal(400, seed=1) * 0.5
    edges = np.linspace(-1, 1, 9)
    expected = np.zeros((8, 8), dtype=int)
    for t, s in zip(teacher, student):
        cell = [min(7, max(0, int((value + 1) / 0.25))) for value in (s, t)]
        expected[tuple(cell)] += 1
    assert np.array_equal(cosine_density(teacher, student, edges), expected)
    assert cosine_density([5.0], [-5.0], edges).sum() == 1


def test_a_turned_space_is_turned_back():
    student = unit(normal(60, 5))
    wide = np.concatenate([student, np.zeros((60, 3))], axis=1)
    rotation = np.linalg.qr(normal(8, 8, seed=2))[0]
    turn = turn_towards(wide @ rotation, student)
    assert turn.shape == (8, 5)
    assert np.allclose(turn.T @ turn, np.eye(5))
    assert np.allclose(wide @ rotation @ turn, student)
    with pytest.raises(ValueError, match=r"teacher has shape \(60, 5\) and student \(60, 8\)"):
        turn_towards(student, wide)


def test_deviations_by_hand():
    assert deviations([[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [-1.0, 0.0]]) == pytest.approx([2**0.5, 2.0])


def test_recall_by_hand():
    documents = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    queries = np.array([[1.0, 0.1], [0.0, 1.0], [1.0, 0.0]])
    found = recall(queries, documents, [{0, 2}, {2}, set()], 2)  # first two: 0, 1 and 2, 1
    assert found[:2].tolist() == [0.5, 1.0]
    assert np.isnan(found[2])


def test_the_table_of_who_finds_what():
    # the student's queries lie where the teacher has them, its documents lie nowhere near
    targets = unit(normal(8, 4))
    targets[4:] = targets[:4]
    student = targets.copy()
    student[4:] = -targets[[5, 6, 7, 4]]
    table = search_table(student, targets, targets, [0, 1, 2, 3], [4, 5, 6, 7], [{4}, {5}, {6}, {7}], k=1)
    by = table.set_index(["queries by", "documents by"])
    assert by.loc[("student", "teacher"), "recall@1"] == by.loc[("teacher", "teacher"), "first is right"] == 1
    assert by.loc[("student", "student"), "recall@1"] < 1
    assert by.loc[("student", "teacher"), "±"] == 0
    hits = recall(student[:4], student[4:], [{0}, {1}, {2}, {3}], 1)
    assert by.loc[("student", "student"), "recall@1"] == hits.mean()
    assert by.loc[("student", "student"), "±"] == pytest.approx(1.96 * hits.std(ddof=1) / 2)
