"""Explorers that want a kernel of their own: one that is shut down, one that trains."""

from playwright.sync_api import expect

SMALL = """
import egemma_lab as lab
pairs = [(f"what is {i} plus {j}", f"{i} plus {j} is {i + j}") for i in range(12) for j in range(12)]
"""


def test_a_training_plays_without_a_kernel(open_notebook):
    notebook = open_notebook(
        [
            "import egemma_lab as lab\n"
            "lab.explore.show(lab.explore.replay_page(), 'The training of the nano as a film')"
        ]
    )
    notebook.run()
    notebook.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    figure = notebook.figure()
    end = figure.shown()
    notebook.look("replay_page")
    notebook.place.get_by_text("▶ Play").click()
    first = figure.wait_for_change(end)
    assert figure.wait_for_change(first)["traces"] != first["traces"]


def test_compare_runs(open_notebook):
    notebook = open_notebook(
        [
            SMALL
            + "compared = lab.explore.compare_runs(pairs=pairs, teacher=lab.load_teacher(max_seq_length=16))\n"
            "compared.fresh.minutes.min = compared.fresh.minutes.step = 0.05\n"
            "compared.fresh.minutes.value = 0.05\n"
            "compared"
        ]
    )
    notebook.run()
    curves, maps = notebook.figure(0), notebook.figure(1)
    whole = curves.shown()
    notebook.look("compare_runs")
    notebook.choose("loss terms", "width 64")
    assert curves.wait_for_change(whole)["traces"][1]["y"] != whole["traces"][1]["y"]

    free = maps.shown()
    assert free["traces"][0]["selected"] is None
    said = notebook.place.get_by_text("Of the texts nearest to one of them")
    maps.lasso((0.3, 0.1), (0.7, 0.9), "x2y2")
    expect(said).to_be_visible()
    maps.wait_until(lambda left, right: left["selected"] == right["selected"] is not None)
    right_ones = maps.shown()["traces"][0]["selected"]
    maps.lasso((0.3, 0.1), (0.7, 0.9), "xy")
    maps.wait_until(lambda left, right: left["selected"] == right["selected"] != right_ones)
    assert all(0 < len(each) < 500 for each in (right_ones, maps.shown()["traces"][0]["selected"]))
    notebook.look("compare_runs_brushed")
    maps.lasso((0.002, 0.002), (0.01, 0.01), subplot="x2y2")
    expect(said).to_be_hidden()
    maps.wait_until(
        lambda left, right: left["selected"] is right["selected"] is None
    )  # around nothing: all are free

    notebook.choose("model", "micro, from the teacher's words")
    notebook.button("Train").click()
    expect(notebook.place.get_by_text("in the comparison")).to_be_visible(timeout=180_000)
    curves.wait_for_traces(16)
    notebook.choose("right map", "fresh-1, end")
    notebook.look("compare_runs_fresh")
