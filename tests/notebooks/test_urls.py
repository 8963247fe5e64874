"""`make urls` writes the one address everywhere and touches nothing else."""

import shutil

import nbformat
import pytest
from nbformat.v4 import new_notebook

import urls
from notebook_header import ROOT, badge, header_cells, install_source


@pytest.fixture
def project(tmp_path):
    """A small copy of the project's files that hold its address."""
    (tmp_path / "notebooks" / "scripts").mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path / name)
    nbformat.write(
        new_notebook(cells=header_cells("0", "T", "old.owner/lab")), tmp_path / "notebooks" / "0.ipynb"
    )
    (tmp_path / "notebooks/scripts/0.py").write_text(
        f"# {badge('0', 'old.owner/lab')}\n{install_source('a/b')}\n"
    )
    return tmp_path


def settle(project, address):
    path = project / "pyproject.toml"
    line = next(line for line in path.read_text().splitlines() if line.startswith("Repository"))
    path.write_text(path.read_text().replace(line, f'Repository = "{address}"'))


def test_every_file_gets_the_new_address_and_a_second_run_does_nothing(project):
    settle(project, "https://github.com/ada/egemma_lab.org")
    changed = urls.update(project)
    assert {path.name for path in changed} == {
        "README.md",
        "CONTRIBUTING.md",
        "CITATION.cff",
        "0.ipynb",
        "0.py",
    }
    assert urls.update(project) == []
    for path in changed:
        text = path.read_text()
        assert "ada/egemma_lab.org" in text
        assert "OWNER/" not in text
        assert "old.owner" not in text
    notebook = nbformat.read(project / "notebooks/0.ipynb", as_version=4)
    assert [cell.source for cell in notebook.cells] == [
        cell.source for cell in header_cells("0", "T", "ada/egemma_lab.org")
    ]


def test_check_changes_nothing_and_names_the_files(project):
    settle(project, "https://github.com/ada/lab")
    before = {path: path.read_text() for path in urls.addressed_files(project)}
    assert set(urls.update(project, check=True)) == set(before)
    assert before == {path: path.read_text() for path in before}


def test_other_addresses_stay(project):
    kept = "https://github.com/huggingface/transformers and https://ai.google.dev/gemma/terms"
    assert urls.rewrite(kept, "ada/lab") == kept


def test_this_repository_holds_one_address(capsys):
    assert urls.main(["--check"]) == 0, capsys.readouterr().out
