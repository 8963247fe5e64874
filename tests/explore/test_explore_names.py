import inspect
import pkgutil
import subprocess
import sys

import pytest

from egemma_lab import explore


def test_every_public_name_exists():
    for name in explore.__all__:
        assert inspect.isroutine(getattr(explore, name)) or inspect.isclass(getattr(explore, name))


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'shwo'; it offers .*show.*space_map"):
        explore.shwo  # noqa: B018


def test_importing_the_package_loads_no_plotting_library():
    code = """if True:
        import sys, egemma_lab.explore
        print([name for name in ("plotly", "matplotlib", "ipywidgets") if name in sys.modules])
    """
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_no_public_name_is_also_a_module():
    # importing a module binds its name in the package, and would put the module in the function's place
    modules = {module.name for module in pkgutil.iter_modules(explore.__path__)}
    assert not modules & set(explore.__all__)
