import math
import sys

import numpy as np
import pytest
import torch

from egemma_lab.geometry import nearest
from egemma_lab.quantize import (
    calibrate,
    dequantize_vectors,
    quantize_vectors,
    recall_against_exact,
    search,
)

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")
N, Q, D = 300, 7, 24


def unit_rows(n, d, seed):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def corpus():
    rows = unit_rows(N, D, 0)
    rows[50:60] = rows[40:50]  # ten vectors that are there twice
    return rows


@pytest.fixture(scope="module")
def queries(corpus):
    return np.concatenate([unit_rows(Q - 2, D, 1), corpus[[55, 41]]])


def by_hand(queries, corpus, k, precision, rescore, finer=None):
    """Plain loops over what the definition says, ties by the lower id."""
    told, found = held(corpus, precision), []
    for query in queries:
        signs = [1 if value > 0 else -1 for value in query]
        scored = []
        for row, vector in enumerate(corpus):
            if "binary" in precision:
                agreed = sum(sign == (1 if value > 0 else -1) for sign, value in zip(signs, vector))
                score = 2 * agreed / D - 1
            else:
                score = exact(query, told[row])
            scored.append((-np.float32(score), row))
        if rescore:
            candidates = [row for _, row in sorted(scored)[: k * rescore]]
            finest = held(corpus, finer or precision)
            scored = [(-np.float32(exact(query, finest[row])), row) for row in candidates]
        found.append(sorted(scored)[:k])
    return np.array([[-s for s, _ in row] for row in found]), np.array([[i for _, i in row] for row in found])


def exact(a, b):
    return math.fsum(float(x) * float(y) for x, y in zip(a, b))


def held(corpus, precision):
    ranges = calibrate(corpus)
    return dequantize_vectors(quantize_vectors(corpus, precision, ranges), precision, ranges, D)


class TestAgainstPlainLoops:
    @pytest.mark.parametrize("rescore", [0, 1, 4])
    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_scores_and_ids(self, queries, corpus, precision, rescore):
        scores, ids = search(queries, corpus, 11, precision, rescore)
        expected = by_hand(queries, corpus, 11, precision, rescore if "binary" in precision else 0)
        assert scores.dtype == np.float32
        assert ids.dtype == np.int64
        assert np.array_equal(ids, expected[1])
        assert np.allclose(scores, expected[0], atol=1e-6)

    @pytest.mark.parametrize(
        ("precision", "finer"), [("binary", "int8"), ("binary", "float32"), ("int8", "float32")]
    )
    def test_a_second_look_at_finer_vectors(self, queries, corpus, precision, finer):
        found = search(queries, corpus, 5, precision, 3, rescore_precision=finer)
        expected = by_hand(queries, corpus, 5, precision, 3, finer)
        assert np.array_equal(found[1], expected[1])
        assert np.allclose(found[0], expected[0], atol=1e-6)

    def test_floats_are_the_exact_search(self, queries, corpus):
        scores, ids = search(queries, corpus, 20, "float32")
        true_scores, true_ids = nearest(queries, corpus, 20)
        assert np.array_equal(ids, true_ids)
        assert np.allclose(scores, true_scores, atol=1e-6)


class TestTies:
    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_a_collapsed_corpus_comes_in_its_own_order(self, precision):
        same = np.repeat(unit_rows(1, 40, 0), 500, axis=0)
        ranges = np.array([[-1.0], [1.0]]).repeat(40, axis=1)
        _, ids = search(unit_rows(30, 40, 1), same, 10, precision, ranges=ranges)
        assert (ids == np.arange(10)).all()

    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_one_query_finds_what_it_finds_among_many(self, queries, corpus, precision):
        # the library multiplies small and large batches in different ways
        many = np.concatenate([queries] * 8)
        scores, ids = search(many, corpus, 13, precision)
        for row in range(Q):
            alone = search(queries[row], corpus, 13, precision)
            assert alone[0].shape == (13,)
            assert np.array_equal(alone[1], ids[row])
            assert np.array_equal(alone[0], scores[row])

    @pytest.mark.parametrize("k", [1, 2, 3])
    def test_the_last_place_goes_to_the_lower_id(self, corpus, k):
        query = corpus[55]  # the same as 45
        _, ids = search(query, corpus, k, "int8")
        assert ids[:2].tolist() == [45, 55][:k]


class TestWhatIsTaken:
    @pytest.mark.parametrize("precision", PRECISIONS[1:])
    def test_codes_instead_of_vectors(self, queries, corpus, precision):
        ranges = calibrate(corpus)
        codes = quantize_vectors(corpus, precision, ranges)
        expected = search(queries, corpus, 9, precision)
        apart = np.repeat(codes, 2, axis=0)[::2]  # not in one piece of memory
        for given, learnt in [
            (codes, ranges),
            (apart, ranges),
            (torch.from_numpy(codes), torch.from_numpy(ranges)),
        ]:
            found = search(torch.from_numpy(queries), given, 9, precision, ranges=learnt)
            assert all(np.array_equal(a, b) for a, b in zip(found, expected))

    def test_bfloat16_tensors(self, queries, corpus):
        half = [torch.from_numpy(rows).bfloat16() for rows in (queries, corpus)]
        expected = search(*(rows.float() for rows in half), 5, "int8")
        assert np.array_equal(search(*half, 5, "int8")[1], expected[1])

    def test_vectors_that_were_only_cut(self, queries, corpus):
        for precision in PRECISIONS:
            cut = [
                rows[:, :16] / np.linalg.norm(rows[:, :16], axis=1, keepdims=True)
                for rows in (queries, corpus)
            ]
            found = search(queries[:, :16], corpus[:, :16], 5, precision)
            expected = search(*cut, 5, precision)
            assert np.array_equal(found[1], expected[1])
            assert np.allclose(found[0], expected[0], atol=1e-6)

    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_more_than_there_are(self, queries, corpus, precision):
        scores, ids = search(queries, corpus[:5], 50, precision)
        assert scores.shape == ids.shape == (Q, 5)
        assert (np.sort(ids) == np.arange(5)).all()

    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_nothing_to_search_or_nobody_who_asks(self, queries, corpus, precision):
        assert search(queries, corpus[:0], 3, precision)[1].shape == (Q, 0)
        assert search(queries[:0], corpus, 3, precision)[0].shape == (0, 3)


class TestRefusals:
    def test_widths_that_differ(self, queries, corpus):
        for precision in PRECISIONS:
            with pytest.raises(ValueError, match="queries of width 16 for a corpus of width 24: cut both"):
                search(queries[:, :16], corpus, 3, precision)

    @pytest.mark.parametrize(("k", "rescore"), [(0, 4), (3, -1), (2.5, 4)])
    def test_numbers_that_make_no_sense(self, queries, corpus, k, rescore):
        with pytest.raises(ValueError, match=f"k={k}, rescore={rescore}: k must be at least 1"):
            search(queries, corpus, k, rescore=rescore)

    def test_rows_without_direction(self, queries, corpus):
        broken = corpus.copy()
        broken[[3, 9]] = 0
        with pytest.raises(ValueError, match="vectors have 2 rows of zeros, first row 3"):
            search(queries, broken, 3)
        with pytest.raises(ValueError, match="queries hold NaN"):
            search(queries * np.nan, corpus, 3)
        with pytest.raises(ValueError, match=r"vectors of shape \(24,\): expected \(n, d\)"):
            search(queries, corpus[0], 3)

    def test_codes_that_do_not_fit(self, queries, corpus):
        codes = quantize_vectors(corpus, "int8")
        with pytest.raises(ValueError, match="int8 codes mean nothing without the ranges"):
            search(queries, codes, 3, "int8")
        with pytest.raises(ValueError, match="codes of type int8: those of precision 'ubinary' are uint8"):
            search(queries, codes, 3, "ubinary")
        with pytest.raises(ValueError, match="needs the float vectors of the corpus, and codes were given"):
            search(queries, codes, 3, "int8", ranges=calibrate(corpus), rescore_precision="float32")

    def test_a_second_look_that_is_no_finer(self, queries, corpus):
        with pytest.raises(ValueError, match="rescore_precision='binary' is no finer than precision='int8'"):
            search(queries, corpus, 3, "int8", rescore_precision="binary")

    def test_a_missing_library_is_named_with_what_brings_it(self, queries, corpus, monkeypatch):
        monkeypatch.setitem(sys.modules, "faiss", None)
        with pytest.raises(ImportError, match=r"pip install 'egemma-lab\[export\]'"):
            search(queries, corpus, 3)


class TestRecall:
    def test_counts_what_is_found_again(self, queries, corpus):
        mean, kept = recall_against_exact(queries, corpus, 10, "binary", 0)
        _, true = nearest(queries, corpus, 10)
        _, found = search(queries, corpus, 10, "binary", 0)
        expected = [len(set(a) & set(b)) / 10 for a, b in zip(true.tolist(), found.tolist())]
        assert kept.tolist() == pytest.approx(expected)
        assert mean == pytest.approx(np.mean(expected))
        assert 0 < mean < 1

    def test_a_finer_look_finds_more_and_floats_find_all(self, queries, corpus):
        found = [
            recall_against_exact(queries, corpus, 10, "binary", 4, rescore_precision=finer)[0]
            for finer in (None, "int8", "float32")
        ]
        assert recall_against_exact(queries, corpus, 10, "binary", 0)[0] < found[1] <= found[2]
        assert found[0] < found[2]
        assert recall_against_exact(queries, corpus, 10, "float32")[0] == 1

    def test_the_truth_is_at_full_width(self, queries, corpus):
        cut, _ = recall_against_exact(queries, corpus, 10, "float32", width=8)
        assert cut < 1
        assert recall_against_exact(queries, corpus, 10, "float32", width=D)[0] == 1

    def test_an_empty_corpus(self, queries, corpus):
        with pytest.raises(ValueError, match="an empty corpus has no nearest"):
            recall_against_exact(queries, corpus[:0])
