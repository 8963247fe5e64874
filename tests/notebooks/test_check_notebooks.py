"""Each check of tools/check_notebooks.py must find its fault in a notebook made bad on purpose."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import check_notebooks
from check_notebooks import folder_problems, problems
from notebook_header import ROOT, header_cells
from notebook_twins import METADATA

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def picture(metadata, **data):
    return new_output("display_data", data=data or {"image/png": PIXEL}, metadata=metadata)


def good_notebook(name="00_start_here", *further):
    """A notebook that may be committed: header, prose with a described picture, a figure with alt text."""
    cells = header_cells(name, "Start here")
    cells[1].execution_count = 1
    cells += [
        new_markdown_cell("Prose with ![two clusters](clusters.png) and <img src='a.png' alt='a circle'>."),
        new_code_cell(
            "show(figure)", execution_count=2, outputs=[picture({"alt": "Loss falls from 5 to 2"})]
        ),
        *further,
    ]
    return new_notebook(cells=cells, metadata=METADATA)


def written(tmp_path, notebook, name="00_start_here"):
    path = tmp_path / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def test_a_good_notebook_passes(tmp_path):
    assert problems(written(tmp_path, good_notebook())) == []


@pytest.mark.parametrize("metadata", [{"image/png": {"alt": "words"}}, {"alt": "words"}])
def test_alt_text_counts_in_either_place(tmp_path, metadata):
    cell = new_code_cell("x", execution_count=3, outputs=[picture(metadata)])
    assert problems(written(tmp_path, good_notebook("00_start_here", cell))) == []


BAD_MARKDOWN = {
    "see ![](a.png)": "image without alt text",
    "see ![  ][ref]": "image without alt text",
    "see <img src='a.png'>": "image without alt text",
    '<img alt="" src="a.png">': "image without alt text",
    "kept in /home/ada/runs": "machine path: /home/ada/runs",
    "kept in /Users/ada/runs": "machine path: /Users/ada/runs",
    "kept in (/root/runs)": "machine path: /root/runs",
    "kept in `/tmp/runs`": "machine path: /tmp/runs",
    r"kept in C:\Users\ada": "machine path: C:\\Users\\ada",
    f"kept in {ROOT}/runs": f"machine path: {ROOT}",
    "token hf_" + "a1" * 15: "looks like a token: hf_",
    "token ghp_" + "a1" * 18: "looks like a token: ghp_",
    "token sk-" + "a1" * 20: "looks like a token: sk-",
}


@pytest.mark.parametrize("source", BAD_MARKDOWN)
def test_bad_prose_is_found(tmp_path, source):
    found = problems(written(tmp_path, good_notebook("00_start_here", new_markdown_cell(source))))
    assert len([line for line in found if BAD_MARKDOWN[source] in line]) >= 1


def test_this_users_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/srv/ada")
    monkeypatch.setenv("USERPROFILE", "/srv/ada")
    cell = new_markdown_cell("kept in /srv/ada/runs, not in /srv/adam")
    assert problems(written(tmp_path, good_notebook("0", cell), "0")) == [f"machine path: {Path('/srv/ada')}"]


PLOTLY = {"application/vnd.plotly.v1+json": {"data": [], "layout": {}}}
BAD_OUTPUTS = {
    "picture without alt": (picture({}), "image/png without alt text"),
    "picture with empty alt": (picture({"image/png": {"alt": " "}}), "image/png without alt text"),
    "svg without alt": (picture({}, **{"image/svg+xml": "<svg/>"}), "image/svg+xml without alt text"),
    "plotly without alt": (picture({}, **PLOTLY), "vnd.plotly.v1+json without alt text"),
    "plotly alone": (picture({"alt": "words"}, **PLOTLY), "without a static picture"),
    "widget": (picture({}, **{check_notebooks.WIDGET_VIEW: {"model_id": "1"}}), "a widget where"),
    "html picture": (picture({}, **{"text/html": "<p><img src='a.png'></p>"}), "image without alt text"),
    "path in text": (new_output("stream", name="stdout", text="in /home/ada/x"), "machine path: /home/ada/x"),
    "path in json": (picture({}, **{"application/json": {"a": ["/tmp/x"]}}), "machine path: /tmp/x"),
    "token in text": (new_output("stream", name="stdout", text="hf_" + "b2" * 17), "looks like a token"),
    "error": (new_output("error", ename="ValueError", evalue="no", traceback=[]), "ValueError: no"),
    "traceback on stderr": (
        new_output("stream", name="stderr", text="Traceback (most recent call last)\nKeyError: 1"),
        "a traceback on stderr: KeyError: 1",
    ),
}


@pytest.mark.parametrize("case", BAD_OUTPUTS)
def test_bad_outputs_are_found(tmp_path, case):
    output, words = BAD_OUTPUTS[case]
    cell = new_code_cell("x", execution_count=3, outputs=[output])
    found = problems(written(tmp_path, good_notebook("00_start_here", cell)))
    assert any(words in line for line in found), found


def test_widget_state_is_found(tmp_path):
    notebook = good_notebook()
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    assert problems(written(tmp_path, notebook)) == ["holds widget state (metadata.widgets)"]


def test_another_kernel_is_found(tmp_path):
    notebook = good_notebook()
    notebook.metadata = {**METADATA, "kernelspec": {"name": "egemma-lab", "display_name": "Mine"}}
    (line,) = problems(written(tmp_path, notebook))
    assert line.startswith("metadata is")


def test_a_large_notebook_is_found(tmp_path):
    big = new_output("stream", name="stdout", text="x" * check_notebooks.MAX_BYTES)
    cell = new_code_cell("x", execution_count=3, outputs=[big])
    (line,) = problems(written(tmp_path, good_notebook("00_start_here", cell)))
    assert "at most 1,500,000" in line


@pytest.mark.parametrize(("count", "words"), [(None, "In [None], not 3"), (7, "In [7], not 3")])
def test_cells_not_run_in_order_are_found(tmp_path, count, words):
    (line,) = problems(written(tmp_path, good_notebook("0", new_code_cell("x", execution_count=count)), "0"))
    assert words in line


def test_execution_times_are_found(tmp_path):
    cell = new_code_cell("x", execution_count=3, metadata={"execution": {"iopub.status.busy": "2026"}})
    assert problems(written(tmp_path, good_notebook("0", cell), "0")) == ["cell 4: holds execution times"]


def test_a_badge_of_another_notebook_is_found(tmp_path):
    (line,) = problems(written(tmp_path, good_notebook("00_start_here"), "01_copied"))
    assert line.startswith("the first Markdown cell lacks the badge")
    assert "notebooks/01_copied.ipynb" in line


def test_a_changed_install_cell_is_found(tmp_path):
    notebook = good_notebook()
    notebook.cells[1].source += "\nimport torch"
    (line,) = problems(written(tmp_path, notebook))
    assert "install cell" in line


def test_what_is_not_a_notebook_is_said(tmp_path):
    path = tmp_path / "0.ipynb"
    path.write_text("<html>")
    (line,) = problems(path)
    assert line.startswith("not a valid notebook")


def test_binary_data_is_not_searched(tmp_path):
    output = picture({"alt": "words"}, **{"image/png": PIXEL + "/tmp/AAA"})
    cell = new_code_cell("x", execution_count=3, outputs=[output])
    assert problems(written(tmp_path, good_notebook("0", cell), "0")) == []


def test_a_script_that_drifted_is_found(tmp_path):
    path = written(tmp_path, good_notebook())
    script = tmp_path / "scripts" / "00_start_here.py"
    script.parent.mkdir()
    text = jupytext.writes(good_notebook(), fmt="py:percent")
    script.write_text(text)
    assert problems(path) == []
    script.write_text(text.replace("show(figure)", "show(figures)"))
    assert problems(path) == ["cell 3: its source differs from 00_start_here.py; run `make format`"]


def test_notebooks_and_scripts_need_each_other(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "01_b.py").write_text("")
    written(tmp_path, good_notebook())
    assert folder_problems(tmp_path) == [
        "00_start_here.ipynb has no twin scripts/00_start_here.py",
        "scripts/01_b.py has no notebook; run `make notebooks`",
    ]


def test_the_exit_status_says_it(tmp_path, capsys):
    assert check_notebooks.main([str(written(tmp_path, good_notebook("0"), "1"))]) == 1
    assert "1.ipynb: the first Markdown cell lacks the badge" in capsys.readouterr().out
