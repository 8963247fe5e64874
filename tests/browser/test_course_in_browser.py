"""The widgets of the notebooks, as a learner meets them: opened in JupyterLab, run, moved with the keyboard."""


def test_several_live_figures_are_all_drawn(open_notebook):
    # plotly's own FigureWidget came up empty here: see egemma_lab/explore/live_figure.py
    notebook = open_notebook(
        [
            "import numpy as np, plotly.graph_objects as go, ipywidgets as widgets\n"
            "from egemma_lab.explore.live_figure import live_figure\n"
            "figures = [live_figure(go.Figure(go.Scatter(y=np.arange(3.0) + i))) for i in range(4)]\n"
            "figures[0].data[0].y = [7.0, 8.0, 9.0]  # before it is drawn\n"
            "widgets.VBox([widgets.HBox(figures[:2]), widgets.HBox(figures[2:])])"
        ]
    )
    notebook.run()
    drawn = [notebook.figure(i).shown()["traces"][0]["y"] for i in range(4)]
    assert drawn == [[7, 8, 9], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


def test_the_sliders_of_notebook_01(open_notebook):
    notebook = open_notebook("01_embeddings_and_their_geometry")
    notebook.run(until="cone_slider =")
    figure = notebook.figure()
    before = figure.shown()
    notebook.slider("common").press("ArrowRight")
    after = figure.wait_for_change(before)
    assert "common part 1.0" in before["title"]
    assert "common part 1.2" in after["title"]
    assert before["traces"] != after["traces"]
    notebook.look("cone")


def test_the_picture_of_a_training_redraws_itself(open_notebook):
    notebook = open_notebook(
        [
            "from egemma_lab.explore import LivePlot\n"
            "plot = LivePlot(period=0)\n"
            "plot.on_start(None)\n"
            "for step in (1, 2, 3):\n"
            "    plot.on_step(None, {'step': step, 'loss': 4.0 / step, 'contrastive': 3.0 / step})\n"
            "plot.on_end(None)",
        ]
    )
    notebook.run()
    pictures = notebook.page.locator(".jp-RenderedImage img")
    assert pictures.count() == 1
    assert pictures.evaluate("(image) => image.complete && image.naturalWidth") == 1200


def test_notebook_00_as_it_is_stored(open_notebook):
    notebook = open_notebook("00_start_here")
    notebook.go_to("loss_curves(history")
    curves = notebook.figure().shown()
    assert len(curves["traces"]) > 4
    assert all(len(trace["x"]) > 10 for trace in curves["traces"])
    notebook.look("loss_curves")
