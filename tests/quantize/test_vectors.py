import math

import numpy as np
import pytest
import torch
from sentence_transformers.util import quantize_embeddings

from egemma_lab.quantize import calibrate, dequantize_vectors, quantize_vectors
from egemma_lab.quantize.vectors import bytes_per_vector

PRECISIONS = ("int8", "uint8", "binary", "ubinary")


def unit_rows(n, d, seed=0, dtype="float32"):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(dtype)


@pytest.fixture(scope="module")
def vectors():
    rows = unit_rows(200, 51)
    rows[:, 3] = 0.125  # a dimension in which all are equal
    rows[:5, 4] = [0.0, -0.0, 1e-30, -1e-30, 1.0]  # what is above 0, what is not
    return rows


class TestCodes:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    @pytest.mark.parametrize("precision", [*PRECISIONS, "float32"])
    def test_are_those_of_sentence_transformers(self, vectors, precision, dtype):
        vectors = vectors.astype(dtype)
        learnt = calibrate(vectors[:100])
        for rows, ranges in [(vectors, None), (vectors, learnt), (vectors[0], learnt), (vectors[:0], None)]:
            expected = quantize_embeddings(rows, precision, ranges=ranges)
            codes = quantize_vectors(rows, precision, ranges)
            assert codes.dtype == expected.dtype
            assert np.array_equal(codes, expected)

    def test_ranges_are_those_of_a_calibration_set(self, vectors):
        calibration = vectors[:100]
        expected = quantize_embeddings(vectors, "int8", calibration_embeddings=calibration)
        assert np.array_equal(quantize_vectors(vectors, "int8", calibrate(calibration)), expected)

    def test_by_hand(self):
        ranges = np.array([[-1.0, 0.0], [1.0, 0.51]], dtype=np.float32)
        rows = np.array([[-2.0, 0.0], [0.0, 0.501], [3.0, 0.51]], dtype=np.float32)  # buckets: 2/255, 0.002
        assert quantize_vectors(rows, "uint8", ranges).tolist() == [[0, 0], [127, 250], [255, 255]]
        assert quantize_vectors(rows, "int8", ranges)[:, 0].tolist() == [-128, -1, 127]
        signs = np.array([1, -1, 0, 2, -3, 4, 5, -6, 7.0])
        assert quantize_vectors(signs, "ubinary").tolist() == [0b10010110, 0b10000000]
        assert quantize_vectors(signs, "binary").tolist() == [0b10010110 - 128, 0]

    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_tensors_give_tensors(self, vectors, precision):
        tensor = torch.tensor(vectors, requires_grad=True)
        codes = quantize_vectors(tensor, precision)
        assert np.array_equal(codes.numpy(), quantize_vectors(vectors, precision))
        ranges = calibrate(tensor)
        assert np.array_equal(ranges.numpy(), calibrate(vectors))
        back = dequantize_vectors(codes, precision, ranges, width=51)
        assert isinstance(back, torch.Tensor)
        assert np.array_equal(back, dequantize_vectors(codes.numpy(), precision, ranges.numpy(), width=51))

    def test_bfloat16_tensors(self, vectors):
        half = torch.tensor(vectors).bfloat16()
        assert torch.equal(quantize_vectors(half, "int8"), quantize_vectors(half.float(), "int8"))


class TestBack:
    def test_binary_gives_signs_of_length_one(self, vectors):
        for precision in ("binary", "ubinary"):
            back = dequantize_vectors(quantize_vectors(vectors, precision), precision, width=51)
            assert back.dtype == np.float32
            assert np.array_equal(back > 0, vectors > 0)
            assert np.allclose(np.abs(back), 1 / math.sqrt(51))

    @pytest.mark.parametrize("precision", ["int8", "uint8"])
    def test_a_byte_gives_the_middle_of_its_bucket(self, vectors, precision):
        ranges = calibrate(vectors)
        codes = quantize_vectors(vectors, precision, ranges)
        back = dequantize_vectors(codes, precision, ranges)
        for row in range(3):
            for column in range(51):
                low, high = map(float, ranges[:, column])
                bucket = int(codes[row, column]) + (128 if precision == "int8" else 0)
                assert back[row, column] == pytest.approx(low + (bucket + 0.5) * (high - low) / 255, abs=1e-6)
        bucket = (ranges[1] - ranges[0]) / 255
        assert (np.abs(back - vectors) <= bucket / 2 + 1e-6).all()
        assert np.array_equal(back[:, 3], vectors[:, 3])

    @pytest.mark.parametrize("precision", PRECISIONS)
    @pytest.mark.parametrize("seed", range(5))
    def test_and_again_gives_the_same_codes(self, precision, seed):
        rows = unit_rows(50, 40, seed)
        ranges = calibrate(unit_rows(50, 40, seed + 100))
        codes = quantize_vectors(rows, precision, ranges)
        again = quantize_vectors(dequantize_vectors(codes, precision, ranges), precision, ranges)
        assert np.array_equal(codes, again)

    def test_any_leading_shape(self, vectors):
        codes = quantize_vectors(vectors, "binary")
        whole = dequantize_vectors(codes, "binary", width=51)
        assert np.array_equal(
            dequantize_vectors(codes[:6].reshape(2, 3, -1), "binary", width=51)[1, 2], whole[5]
        )
        assert np.array_equal(dequantize_vectors(codes[4], "binary", width=51), whole[4])


def test_bytes_are_those_of_the_codes(vectors):
    for precision in [*PRECISIONS, "float32"]:
        assert quantize_vectors(vectors, precision)[0].nbytes == bytes_per_vector(51, precision)


class TestRefusals:
    def test_precision(self, vectors):
        with pytest.raises(
            ValueError, match=r"precision='int4' is not one of .*'float32', 'int8', 'uint8', 'binary'"
        ):
            quantize_vectors(vectors, "int4")
        with pytest.raises(ValueError, match="precision='float64' is not one of"):
            bytes_per_vector(8, "float64")

    def test_codes_are_not_quantized_again(self, vectors):
        with pytest.raises(ValueError, match=r"vectors of type int8 and shape \(200, 7\): .*quantized again"):
            quantize_vectors(quantize_vectors(vectors, "binary"), "binary")

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_not_finite(self, vectors, bad):
        broken = vectors.copy()
        broken[7, 7] = bad
        for call in (lambda: quantize_vectors(broken, "ubinary"), lambda: calibrate(broken)):
            with pytest.raises(ValueError, match="vectors hold NaN or infinity"):
                call()

    def test_ranges_of_one_vector(self, vectors):
        for rows in (vectors[:1], vectors[0]):
            with pytest.raises(ValueError, match="give no ranges: calibrate on at least two"):
                quantize_vectors(rows, "int8")

    def test_ranges_of_another_width(self, vectors):
        with pytest.raises(
            ValueError, match=r"ranges of shape \(2, 51\) for vectors of width 32: expected \(2, 32\)"
        ):
            quantize_vectors(vectors[:, :32], "int8", calibrate(vectors))

    def test_ranges_that_are_none(self, vectors):
        ranges = calibrate(vectors)
        for wrong in (ranges[::-1], ranges * np.nan):
            with pytest.raises(ValueError, match="a smallest value above its largest, NaN or infinity"):
                quantize_vectors(vectors, "uint8", wrong)

    def test_codes_that_do_not_fit(self, vectors):
        codes = quantize_vectors(vectors, "int8")
        with pytest.raises(ValueError, match="int8 codes mean nothing without the ranges"):
            dequantize_vectors(codes, "int8")
        with pytest.raises(ValueError, match="codes of type int8: those of precision 'ubinary' are uint8"):
            dequantize_vectors(codes, "ubinary")
        with pytest.raises(ValueError, match="vectors of width 64 have 8 columns at precision 'binary'"):
            dequantize_vectors(quantize_vectors(vectors, "binary"), "binary", width=64)
