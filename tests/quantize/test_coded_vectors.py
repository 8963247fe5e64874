import numpy as np
import pytest

from egemma_lab.quantize import calibrate, dequantize_vectors, quantize_vectors
from egemma_lab.quantize.coded_vectors import CodedVectors, unit_rows

D = 32


@pytest.fixture(scope="module")
def rows():
    return unit_rows(np.random.default_rng(0).normal(size=(200, D)))


def test_ties_do_not_hang_on_what_the_library_makes_of_them(rows, monkeypatch):
    # each vector forty times: the last place is always tied, and rough scores order the equals at random
    stored = CodedVectors.of(np.tile(rows[:20], (40, 1)), "float32")

    def rough(self, queries, k):
        noise = np.random.default_rng(1).uniform(-1e-6, 1e-6, size=(len(queries), len(self)))
        scores = queries @ self.codes.T + noise
        found = np.argsort(-scores, axis=1)[:, :k]
        return np.take_along_axis(scores, found, axis=1), found

    monkeypatch.setattr(CodedVectors, "_search", rough)
    scores, ids = stored.nearest(rows[20:30], 50)
    expected = np.argsort(-(rows[20:30].astype(float) @ rows[:20].T), axis=1)[:, :2]
    assert np.array_equal(ids[:, :40], expected[:, :1] + 20 * np.arange(40))
    assert np.array_equal(ids[:, 40:], expected[:, 1:] + 20 * np.arange(10))
    assert (scores[:, :40] == scores[:, :1]).all()


def test_the_library_reads_bytes_as_we_do(rows):
    ranges = calibrate(rows[:50])  # some values lie outside
    stored = CodedVectors.of(rows, "int8", ranges)
    rough, ids = stored._search(rows[:7], 9)
    told = dequantize_vectors(quantize_vectors(rows, "int8", ranges), "int8", ranges)
    assert np.allclose(rough, np.take_along_axis(rows[:7] @ told.T, ids, axis=1), atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_vectors_and_bytes(rows, precision):
    stored = CodedVectors.of(rows, precision)
    codes = quantize_vectors(rows, precision)
    assert stored.nbytes == codes.nbytes == stored.codes.nbytes
    told = dequantize_vectors(codes, precision, calibrate(rows))
    assert np.array_equal(stored.vectors(np.array([[3, 4], [9, 3]])), told[[[3, 4], [9, 3]]])


def test_scores_are_the_same_in_small_blocks(rows, monkeypatch):
    stored = CodedVectors.of(rows, "int8")
    ids = np.arange(200)[None].repeat(10, axis=0)
    whole = stored.score(rows[:10], ids)
    monkeypatch.setattr("egemma_lab.quantize.coded_vectors.CELLS", 3 * 200 * D)
    assert np.array_equal(stored.score(rows[:10], ids), whole)
    assert np.allclose(whole, rows[:10] @ stored.vectors(np.arange(200)).T, atol=1e-6)


def test_unit_rows_leave_alone_what_has_length_one(rows):
    assert np.array_equal(unit_rows(rows), rows)
    assert np.allclose(np.linalg.norm(unit_rows(rows[:, :7] * 3), axis=1), 1)
    assert unit_rows(rows.astype(np.float64)).dtype == np.float32
