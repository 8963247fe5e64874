"""Scripts become notebooks: ids stay, outputs stay where nothing changed and go where something did."""

import jupytext
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from notebook_header import header_cells
from notebook_twins import merge, read_script, twin_differences

SCRIPT = """\
# %% [markdown]
# # Title

# %%
a = 1

# %% tags=["hide-input"]
def f(x):
    return x


# %%
f(a)
"""


def script(text=SCRIPT):
    return jupytext.reads(text, fmt="py:percent")


def executed(notebook):
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
        cell.outputs = [new_output("stream", name="stdout", text=cell.source)]
    return notebook


def test_a_script_becomes_a_valid_notebook():
    notebook = merge(script())
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code", "code"]
    assert notebook.cells[2].metadata == {"tags": ["hide-input"]}
    assert notebook.metadata.kernelspec.name == "python3"


def test_merging_twice_gives_the_same_file():
    notebook = merge(script())
    assert nbformat.writes(merge(script())) == nbformat.writes(notebook)
    assert nbformat.writes(merge(script(), executed(notebook))) == nbformat.writes(notebook)


def test_equal_cells_get_different_ids():
    notebook = merge(script("# %%\nx\n\n# %%\nx\n"))
    assert len({cell.id for cell in notebook.cells}) == 2


def test_outputs_stay_where_the_source_did_and_go_where_it_changed():
    before = executed(merge(script()))
    after = merge(script(SCRIPT.replace("a = 1", "a = 2") + "\n# %%\nnew\n"), before)
    assert [cell.id for cell in after.cells][2:4] == [cell.id for cell in before.cells][2:]
    assert after.cells[3].outputs == before.cells[3].outputs
    assert (after.cells[1].outputs, after.cells[1].execution_count) == ([], None)
    assert after.cells[4].outputs == []


def test_twins_agree_after_a_round_trip(tmp_path):
    notebook = new_notebook(cells=[*header_cells("0", "T"), new_code_cell("%matplotlib inline\nx = 1")])
    notebook.cells.append(new_markdown_cell("Formula $a$\n\n- item"))
    text = jupytext.writes(notebook, fmt="py:percent")
    (tmp_path / "0.py").write_text(text)
    nbformat.write(merge(read_script(tmp_path / "0.py")), tmp_path / "0.ipynb")
    assert twin_differences(tmp_path / "0.ipynb", tmp_path / "0.py") == []
    merged = nbformat.read(tmp_path / "0.ipynb", as_version=4)
    assert [cell.source for cell in merged.cells] == [cell.source for cell in notebook.cells]


def differences(tmp_path, text):
    (tmp_path / "0.py").write_text(text)
    nbformat.write(merge(script()), tmp_path / "0.ipynb")
    return twin_differences(tmp_path / "0.ipynb", tmp_path / "0.py")


def test_each_kind_of_drift_is_named(tmp_path):
    assert differences(tmp_path, SCRIPT) == []
    assert "cell 1: its source differs" in differences(tmp_path, SCRIPT.replace("a = 1", "a = 2"))[0]
    assert "cell 2: its tags differs" in differences(tmp_path, SCRIPT.replace("hide-input", "other"))[0]
    assert "cell 0: its kind differs" in differences(tmp_path, SCRIPT.replace(" [markdown]", ""))[0]
    assert "4 cells, but 0.py has 5" in differences(tmp_path, SCRIPT + "\n# %%\nnew\n")[0]
