"""The vectors of a corpus as they are stored: in floats, bytes or bits, searched exactly as they are."""

from contextlib import contextmanager, nullcontext

import numpy as np

from egemma_lab.model.vector_codes import RANGED, check_ranges, check_vectors
from egemma_lab.quantize.vectors import (
    as_bits,
    as_numpy,
    bytes_per_vector,
    calibrate,
    check_codes,
    dequantize_vectors,
    quantize_vectors,
)

UNSIGNED = {"int8": "uint8", "binary": "ubinary"}  # held without the offset: the same information
NOISE = 1e-5  # more than float32 sums of one inner product differ by
BATCH = 20  # queries from which a matrix product pays
CELLS = 1 << 22  # numbers brought back to float64 at once: 32 MB


class CodedVectors:
    """n vectors of one width and precision. `of` makes them; `nearest` and `score` compare float queries with them.

    `codes`: (n, d) float32 or uint8, or (n, ceil(d / 8)) uint8; `ranges`, (2, d), for bytes. Scores are cosines of
    the queries with the vectors that the codes stand for, as near as the codes come to them. Floats and bytes are
    searched by faiss (a flat search, and its 8-bit scalar quantizer, told our ranges: it reads our codes as
    `dequantize_vectors` does, and leaves the query in floats, where a product of whole numbers would need one range
    for all dimensions and round the query too); bits by Hamming distance, which for sign vectors is the angle.
    """

    def __init__(self, codes, precision, width, ranges=None):
        self.precision, self.width, self.ranges = precision, width, ranges
        self.codes = codes
        self._bytes_index = None

    @classmethod
    def of(cls, vectors, precision, ranges=None, width=None):
        """From float vectors (n, d), brought to unit length and quantized; or from codes, taken as they are.

        Codes need the ranges they were made with (int8, uint8), and `width`, d, where bits are no multiple of 8.
        """
        array = as_numpy(vectors)
        if array.dtype.kind != "f":
            return cls._of_codes(array, precision, ranges, width)
        rows = unit_rows(array)
        if precision not in RANGED or len(rows) == 0:
            ranges = None
        else:
            ranges = calibrate(rows) if ranges is None else check_ranges(as_numpy(ranges), rows.shape[1])
        codes = quantize_vectors(rows, UNSIGNED.get(precision, precision), ranges)
        return cls(codes, precision, rows.shape[1], ranges)

    @classmethod
    def _of_codes(cls, codes, precision, ranges, width):
        check_codes(codes, precision, width)
        if codes.ndim != 2:
            raise ValueError(f"codes of shape {codes.shape}: expected (n, columns), one row a vector")
        if precision not in RANGED or len(codes) == 0:
            ranges = None
        elif ranges is None:
            raise ValueError(
                f"{precision} codes mean nothing without the ranges they were made with: pass ranges="
            )
        else:
            ranges = check_ranges(as_numpy(ranges), codes.shape[1])
        if width is None:
            width = codes.shape[1] * (8 if "binary" in precision else 1)
        plain = as_bits(codes) if precision in UNSIGNED else codes
        return cls(np.ascontiguousarray(plain), precision, width, ranges)

    def __len__(self):
        return len(self.codes)

    @property
    def nbytes(self):
        """Bytes of all codes."""
        return len(self) * bytes_per_vector(self.width, self.precision)

    def as_quantized(self):
        """The codes as `quantize_vectors` makes them, signed where the precision is."""
        return (self.codes ^ np.uint8(0x80)).view(np.int8) if self.precision in UNSIGNED else self.codes

    def vectors(self, ids):
        """The vectors that the codes of these rows stand for: ids (...) -> (..., d) float32."""
        stored = UNSIGNED.get(self.precision, self.precision)
        return dequantize_vectors(self.codes[ids], stored, self.ranges, self.width)

    def score(self, queries, ids):
        """Inner products of queries (q, d) with the vectors of rows ids (q, c): (q, c) float32.

        Summed in float64, so that equal vectors tie exactly wherever they stand.
        """
        scores = np.empty(ids.shape, dtype=np.float32)
        step = max(1, CELLS // max(1, ids.shape[1] * self.width))
        for start in range(0, len(queries), step):
            block = slice(start, start + step)
            told = self.vectors(ids[block]).astype(np.float64)  # (b, c, d)
            scores[block] = np.einsum("bd,bcd->bc", queries[block].astype(np.float64), told)
        return scores

    def nearest(self, queries, k):
        """The k best rows for each unit query, best first, ties by the lower id: scores (q, k) float32, ids (q, k).

        Fewer columns where there are fewer rows. Bits are compared with the query's bits, 1 - 2 / d for each that
        differs: the cosine of the two sign vectors.
        """
        k = min(k, len(self))
        if k == 0 or len(queries) == 0:
            return np.zeros((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)
        if self.precision in ("binary", "ubinary"):
            asked = quantize_vectors(queries, "ubinary")
            # the variant that counts: among equal distances it keeps the first rows, in their order
            distances, ids = faiss().knn_hamming(asked, self.codes, k, variant="mc")
            return (1 - 2 / self.width * distances).astype(np.float32), ids
        scores, ids = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        rows, depth = np.arange(len(queries)), k + 1
        while len(rows):  # until it is clear which vectors tie for the last place
            depth = min(depth, len(self))
            rough, found = self._search(queries[rows], depth)
            clear = (rough[:, k - 1] - rough[:, -1] > NOISE) | (depth == len(self))
            settled = rows[clear]
            scores[settled], ids[settled] = best(self.score(queries[settled], found[clear]), found[clear], k)
            rows, depth = rows[~clear], 4 * depth
        return scores, ids

    def _search(self, queries, k):
        """What faiss finds: scores to about 1e-6, ties in any order."""
        if self.precision == "float32":
            with matrix_products() if len(queries) >= BATCH else nullcontext():
                return faiss().knn(queries, self.codes, k, metric=faiss().METRIC_INNER_PRODUCT)
        if self._bytes_index is None:
            self._bytes_index = _bytes_index(self.codes, self.ranges)
        return self._bytes_index.search(queries, k)


def _bytes_index(codes, ranges):
    """faiss's 8-bit scalar quantizer over our codes: its training replaced by our ranges."""
    kind = faiss().ScalarQuantizer
    index = faiss().IndexScalarQuantizer(codes.shape[1], kind.QT_8bit, faiss().METRIC_INNER_PRODUCT)
    learnt = np.concatenate([ranges[0], ranges[1] - ranges[0]])  # smallest value and extent of each dimension
    faiss().copy_array_to_vector(learnt.astype(np.float32), index.sq.trained)
    index.is_trained = True
    index.add_sa_codes(codes)
    return index


@contextmanager
def matrix_products():
    """Inside, faiss compares a batch of queries by one matrix product, as it did before it waited for 128,000 of them.

    Seven times as fast for 64 queries among 100,000 vectors on one core (faiss 1.15); slower for a few.
    """
    settings = faiss().cvar
    before = settings.distance_compute_blas_threshold
    settings.distance_compute_blas_threshold = BATCH
    try:
        yield
    finally:
        settings.distance_compute_blas_threshold = before


def best(scores, ids, k):
    """The k best of each row, best first, ties by the lower id: (q, c), (q, c) -> (q, k), (q, k)."""
    order = np.lexsort((ids, -scores))[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)


def unit_rows(vectors, name="vectors"):
    """Rows at length 1, (n, d) float32, those that have it untouched; ValueError for a row of zeros or no rows (n, d).

    So vectors that were only cut can be given as they are: cut, then normalised, always.
    """
    rows = check_vectors(as_numpy(vectors), name)
    if rows.ndim != 2:
        raise ValueError(f"{name} of shape {rows.shape}: expected (n, d), one row a vector")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    zero = np.flatnonzero(lengths == 0)
    if len(zero):
        raise ValueError(
            f"{name} have {len(zero)} rows of zeros, first row {zero[0]}: they have no direction"
        )
    lengths[np.abs(lengths - 1) < 1e-6] = 1
    return np.ascontiguousarray(rows / lengths, dtype=np.float32)


def faiss():
    """The library, or ImportError with the command that brings it."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError("searching codes needs faiss: pip install 'egemma-lab[export]'") from error
    return faiss
