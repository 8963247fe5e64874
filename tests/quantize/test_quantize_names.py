import pkgutil
import subprocess
import sys

import pytest

from egemma_lab import quantize


@pytest.mark.parametrize("name", quantize.__all__)
def test_every_name_is_there(name):
    assert getattr(quantize, name) is not None
    assert name in dir(quantize)


def test_no_name_hides_a_module():
    modules = {module.name for module in pkgutil.iter_modules(quantize.__path__)}
    assert not modules & set(quantize.__all__)


def test_unknown_name_names_the_known_ones():
    with pytest.raises(
        AttributeError, match=r"has no attribute 'serach'; it offers .*quantize_vectors.*search"
    ):
        quantize.serach  # noqa: B018


def test_codes_need_neither_torch_nor_faiss():
    code = """if True:
        import sys, numpy
        from egemma_lab.quantize import calibrate, dequantize_vectors, quantize_vectors
        quantize_vectors(numpy.eye(8), "int8")
        print(sorted({"torch", "faiss", "transformers"} & set(sys.modules)))
    """
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
