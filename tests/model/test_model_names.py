import importlib.util
import pkgutil
import subprocess
import sys

import pytest

import egemma_lab.model


def test_no_name_hides_a_module():
    modules = {module.name for module in pkgutil.iter_modules(egemma_lab.model.__path__)}
    assert not modules & set(egemma_lab.model.__all__)


@pytest.mark.parametrize("name", egemma_lab.model.__all__)
def test_every_name_is_there(name):
    assert getattr(egemma_lab.model, name) is not None
    assert name in dir(egemma_lab.model)


def test_unknown_name_names_the_known_ones():
    with pytest.raises(AttributeError, match=r"has no attribute 'nope'; it offers EmbeddingGemma, "):
        _ = egemma_lab.model.nope


def test_package_itself_is_light():
    code = "import sys, egemma_lab.model; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert importlib.util.find_spec("transformers")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
