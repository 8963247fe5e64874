"""The second environment: Colab's widget packages over everything else of the first."""

import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.version import Version

import colab_env
import egemma_lab
from constraints import direct_dependencies, read_pins

ROOT = Path(__file__).resolve().parent.parent
PINS = read_pins((ROOT / "constraints-colab.txt").read_text("utf-8"))


def test_colabs_versions_are_within_the_ranges_we_promise():
    direct = direct_dependencies(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8")))
    for name in ("plotly", "ipywidgets", "anywidget"):
        assert PINS[name].partition("==")[2] in direct[name].specifier


def test_the_two_environments_really_differ():
    newer = read_pins((ROOT / "constraints.txt").read_text("utf-8"))
    for name in ("plotly", "ipywidgets", "anywidget"):
        assert Version(PINS[name].partition("==")[2]) < Version(newer[name].partition("==")[2])


def test_it_shares_what_it_does_not_install_itself(tmp_path):
    nothing = tmp_path / "constraints.txt"
    nothing.write_text("# nothing\n", "utf-8")
    python = colab_env.make(tmp_path / "env", nothing)
    own = tmp_path / "env" / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    (own / "tqdm.py").write_text("__version__ = 'older'\n", "utf-8")
    code = "import sys, tqdm, yaml, egemma_lab; print(sys.prefix, tqdm.__version__, yaml.__file__, egemma_lab.__file__)"
    out = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout.split()
    assert out == [str(tmp_path / "env"), "older", yaml.__file__, egemma_lab.__file__]


def test_ci_runs_both():
    run = (ROOT / ".ci/run").read_text("utf-8")
    assert 'timed "make test-colab" make test-colab' in run
    assert 'timed "make test-browser" make test-browser' in run
