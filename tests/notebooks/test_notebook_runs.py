"""Running notebooks: errors inside widgets are found, and nothing of this machine is published."""

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output

import notebooks
from check_notebooks import WIDGET_VIEW
from notebook_errors import swallowed_errors
from notebook_header import ROOT
from notebook_twins import METADATA
from run_notebooks import run_copies

SWALLOWED = """\
import ipywidgets
out = ipywidgets.Output()

@out.capture()
def callback():
    raise KeyError("in a captured callback")

callback()
out"""
INTERACT = """\
@ipywidgets.interact(x=(0, 3))
def draw(x=1):
    raise ZeroDivisionError("in interact")"""
ENVIRONMENT = """\
import os
assert os.environ["EGEMMA_FAST"] == "1" and os.environ["HF_HUB_OFFLINE"] == "1"
open("left_behind.txt", "w").close()"""


def write(folder, name, *sources):
    folder.mkdir(exist_ok=True)
    cells = [new_code_cell(source) for source in sources]
    nbformat.write(new_notebook(cells=cells, metadata=METADATA), folder / f"{name}.ipynb")


def test_errors_swallowed_by_widgets_are_found_though_nbmake_is_green(tmp_path):
    folder = tmp_path / "notebooks"
    write(folder, "bad", SWALLOWED, INTERACT)
    write(folder, "good", ENVIRONMENT)
    before = (folder / "bad.ipynb").read_bytes()
    status, errors = run_copies(folder, [], tmp_path / "work")
    assert status == 0  # this is why the scan is needed
    assert errors["good"] == []
    text = "\n".join(errors["bad"])
    assert "KeyError: 'in a captured callback'" in text
    assert "ZeroDivisionError: in interact" in text
    assert (folder / "bad.ipynb").read_bytes() == before
    assert not (folder / "left_behind.txt").exists()


def test_a_cell_that_fails_is_found(tmp_path):
    write(tmp_path / "notebooks", "bad", "1 / 0")
    status, errors = run_copies(tmp_path / "notebooks", ["bad"], tmp_path / "work")
    assert status == 1
    assert errors == {"bad": ["cell 0: ZeroDivisionError: division by zero"]}


def test_a_name_that_does_not_exist_is_said(tmp_path):
    write(tmp_path / "notebooks", "good", "1")
    with pytest.raises(FileNotFoundError, match="no notebook absent in"):
        run_copies(tmp_path / "notebooks", ["absent"], tmp_path / "work")


def test_an_error_meant_to_be_shown_is_no_problem():
    cell = new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    cell.outputs = [new_output("error", ename="ZeroDivisionError", evalue="", traceback=[])]
    assert swallowed_errors(new_notebook(cells=[cell])) == []
    cell.metadata = {}
    assert len(swallowed_errors(new_notebook(cells=[cell]))) == 1


def test_execution_leaves_nothing_of_this_machine(tmp_path):
    path = tmp_path / "0.ipynb"
    prints = [f"print('in {ROOT}/runs')", r"print('10%', end='\r')", "print('99%')"]
    write(
        tmp_path, "0", "\n".join(["import ipywidgets", *prints, "ipywidgets.IntSlider()"]), "print('second')"
    )
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    notebooks.execute(path)
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata == METADATA
    assert [cell.id for cell in notebook.cells] == ids
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    assert "execution" not in notebook.cells[0].metadata
    (output,) = notebook.cells[0].outputs  # the dead widget is gone
    assert output.text == "in egemma-lab/runs\n99%\n"


def test_a_static_picture_beside_a_widget_stays():
    data = {WIDGET_VIEW: {"model_id": "1"}, "image/png": "aaaa", "text/plain": "Figure"}
    cell = new_code_cell("x", outputs=[new_output("display_data", data=data)])
    (output,) = notebooks.cleaned(new_notebook(cells=[cell])).cells[0].outputs
    assert set(output.data) == {"image/png", "text/plain"}


def test_a_failed_execution_leaves_the_file_as_it_was(tmp_path):
    write(tmp_path, "0", "1 / 0")
    before = (tmp_path / "0.ipynb").read_bytes()
    with pytest.raises(CellExecutionError):
        notebooks.execute(tmp_path / "0.ipynb")
    assert (tmp_path / "0.ipynb").read_bytes() == before


def test_sync_says_whether_anything_changed(tmp_path):
    script = tmp_path / "0.py"
    script.write_text("# %%\nx = 1\n")
    assert notebooks.sync(script, tmp_path / "0.ipynb")
    assert not notebooks.sync(script, tmp_path / "0.ipynb")
    script.write_text("# %%\nx = 2\n")
    assert notebooks.sync(script, tmp_path / "0.ipynb")
