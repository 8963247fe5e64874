from pathlib import Path

import ipywidgets
import plotly.graph_objects as go
from plotly.basewidget import BaseFigureWidget

from egemma_lab.explore import live_figure as module
from egemma_lab.explore.live_figure import live_figure

NEW = hasattr(BaseFigureWidget, "_esm")  # plotly 6 and later; Colab's plotly 5 needs none of this


def figure():
    return go.Figure(go.Scatter(y=[1, 2]), layout={"title": "a line"})


def test_it_is_a_figure_widget_with_the_figures_data_and_layout():
    live = live_figure(figure())
    assert isinstance(live, go.FigureWidget)
    assert live.to_dict() == go.FigureWidget(figure()).to_dict() | {"data": live.to_dict()["data"]}
    assert live.data[0].y == (1, 2)
    assert live.layout.title.text == "a line"


def test_the_browser_hears_of_it_once_and_with_its_data(monkeypatch):
    live_figure(figure())  # the shared library has its own message
    told = []
    monkeypatch.setattr(ipywidgets.Widget, "open", lambda widget: told.append(widget.get_state()))
    live_figure(figure())
    if NEW:
        [state] = [each for each in told if "_widget_data" in each]
        assert [trace["y"] for trace in state["_widget_data"]] == [[1, 2]]
        assert state["_widget_layout"]["title"]["text"] == "a line"


def test_no_button_sends_the_data_to_a_server():
    # plotly 5 has none until it is asked for one
    assert live_figure(figure())._config.get("showSendToCloud") is (False if NEW else None)


def test_plotlys_code_travels_once_for_all_figures():
    first, second = live_figure(figure()), live_figure(figure())
    if NEW:
        assert max(len(first._esm), len(second._esm)) < 5_000
        assert first.library is second.library
        assert len(first.library.source) > 1_000_000
        assert "export" in first.library.source[-1000:]
    else:
        assert type(first) is go.FigureWidget


def test_the_messages_listened_for_are_all_that_plotly_sends():
    sent = {name for name in dir(BaseFigureWidget) if name.startswith("_py2js_")}
    names = module.FIGURE.partition("MESSAGES = [")[2].partition("]")[0]
    assert {
        f"_py2js_{name}" for name in names.replace('"', "").replace("\n", "").replace(" ", "").split(",")
    } == sent


def test_only_this_module_makes_figure_widgets():
    # go.FigureWidget itself may come up empty in JupyterLab
    folder = Path(module.__file__).parent
    users = [path.name for path in folder.glob("*.py") if "go.FigureWidget(" in path.read_text("utf-8")]
    assert users == ["live_figure.py"]
