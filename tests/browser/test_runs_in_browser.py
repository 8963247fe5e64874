"""The explorers of a training, as a learner meets them: watch it, compare it, hold it beside its teacher."""

from playwright.sync_api import expect

SMALL = """
import egemma_lab as lab
pairs = [(f"what is {i} plus {j}", f"{i} plus {j} is {i + j}") for i in range(12) for j in range(12)]
"""


def test_training_replay(open_notebook):
    notebook = open_notebook(["import egemma_lab as lab\nlab.explore.training_replay()"])
    notebook.run()
    figure = notebook.figure()
    end = figure.shown()
    assert "finetuning" in end["title"]
    notebook.look("training_replay")

    notebook.slider("moment").press("Home")
    start = figure.wait_for_change(end)
    assert "matching, step 0, fixed plane" in start["title"]
    moved = [one["x"] != other["x"] for one, other in zip(start["traces"], end["traces"])]
    assert sum(moved) > 12  # the points of every label, the lines between neighbours, the marks

    notebook.place.locator(".widget-play button").first.click()
    played = figure.wait_for_change(start)
    later = figure.wait_for_change(played)
    assert start["title"] != played["title"] != later["title"]
    notebook.place.locator(".widget-play button").first.click()  # it pauses
    notebook.page.wait_for_timeout(1500)
    paused = figure.shown()

    notebook.choose("map", "UMAP made anew each time")
    umap = figure.wait_for_change(paused)
    assert "UMAP made anew" in umap["title"]
    expect(notebook.place.get_by_text("need not have moved")).to_be_visible()
    notebook.look("training_replay_umap")

    notebook.place.locator(".js-plotly-plot .scatterlayer .trace .points path").nth(40).click(force=True)
    clicked = figure.wait_for_change(umap)
    assert clicked["traces"][-9]["x"] != umap["traces"][-9]["x"]  # the star
    text = notebook.place.locator("input[type=text]").first.input_value()
    expect(notebook.place.get_by_text(f"Nearest to “{text}”")).to_be_visible()


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
    maps.brush((0.3, 0.1), (0.7, 0.9), subplot="x2y2")  # a lasso around a line encloses little: draw a box
    notebook.page.wait_for_timeout(500)
    maps.wait_for_change(free)
    notebook.look("compare_runs_brushed")

    notebook.choose("model", "micro, from the teacher's words")
    notebook.button("Train").click()
    expect(notebook.place.get_by_text("in the comparison")).to_be_visible(timeout=180_000)
    assert len(curves.shown()["traces"]) == 16
    notebook.choose("right map", "fresh-1, end")
    notebook.look("compare_runs_fresh")


def test_teacher_student(open_notebook):
    notebook = open_notebook(["import egemma_lab as lab\nlab.explore.teacher_student()"])
    notebook.run()
    figure = notebook.figure()
    end = figure.shown()
    assert "Spearman" in end["title"]
    notebook.look("teacher_student")
    notebook.slider("moment").press("Home")
    start = figure.wait_for_change(end)
    assert "step 0" in start["title"]
    notebook.choose("pairs of", "query and document")
    assert "pairs of query and document" in figure.wait_for_change(start)["title"]
    expect(notebook.place.get_by_text("queries look for the documents")).to_be_visible()
