"""The install cell: silent everywhere but in Colab, and there it keeps what Colab ships."""

import subprocess
import sys
import types
from importlib.metadata import version

import pytest

from notebook_header import badge, header_cells, install_source, repository_slug


def run_cell(monkeypatch, in_colab):
    """The commands the install cell starts, as lists of arguments."""
    started = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: started.append((command, check)))
    if in_colab:
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(install_source("ada/egemma-lab"), {})
    return started


def test_install_cell_does_nothing_outside_colab(monkeypatch):
    assert run_cell(monkeypatch, in_colab=False) == []


def test_install_cell_keeps_what_colab_ships(monkeypatch):
    ((command, check),) = run_cell(monkeypatch, in_colab=True)
    assert check  # a failed installation must stop the notebook here, not three cells later
    assert command[:5] == [sys.executable, "-m", "pip", "install", "-q"]
    assert command[5] == "egemma-lab[plots] @ git+https://github.com/ada/egemma-lab"
    assert command[6:] == [f"{name}=={version(name)}" for name in ("numpy", "torch", "plotly", "ipywidgets")]


def test_install_cell_is_short_and_clean(tmp_path):
    source = install_source("a" * 39 + "/egemma-lab")
    assert len(source.splitlines()) <= 10
    path = tmp_path / "cell.py"
    path.write_text(install_source() + "\n")
    for arguments in (["format", "--check"], ["check"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, str(path)], check=True, capture_output=True)


def test_header_cells_carry_title_badge_and_installation():
    markdown, code = header_cells("00_start_here", "Start here", "ada/egemma-lab")
    assert markdown.source.splitlines() == ["# Start here", "", badge("00_start_here", "ada/egemma-lab")]
    assert code.source == install_source("ada/egemma-lab")
    assert badge("00_start_here", "ada/egemma-lab") == (
        "[![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        "(https://colab.research.google.com/github/ada/egemma-lab/blob/main/notebooks/00_start_here.ipynb)"
    )


@pytest.mark.parametrize(
    "address", ["https://github.com/ada/lab", "https://github.com/ada/lab.git", "https://github.com/ada/lab/"]
)
def test_the_address_comes_from_pyproject(tmp_path, address):
    path = tmp_path / "pyproject.toml"
    path.write_text(f'[project.urls]\nRepository = "{address}"\n')
    assert repository_slug(path) == "ada/lab"


@pytest.mark.parametrize("address", ["https://gitlab.com/ada/lab", "https://github.com/ada", "ada/lab"])
def test_an_address_colab_cannot_open_is_refused(tmp_path, address):
    path = tmp_path / "pyproject.toml"
    path.write_text(f'[project.urls]\nRepository = "{address}"\n')
    with pytest.raises(ValueError, match=r"badges need https://github\.com/<owner>/<name>"):
        repository_slug(path)
