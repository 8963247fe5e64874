"""Moving the marks of a live figure without drawing its axes, legend and titles again."""

from contextlib import contextmanager


@contextmanager
def marks_moved(figure):
    """As `figure.batch_update()` of a FigureWidget, for changes of data that leave axes, legend and titles as they are.

    What is assigned inside travels as a plotly animation of no duration that redraws nothing else: a third of the
    browser's work for a figure of eight panels. Plotly's own `batch_animate` cannot ask for that, so the two methods
    that it is made of (the same in plotly 5, 6 and 7) are called here.

    >>> import plotly.graph_objects as go
    >>> from egemma_lab.explore.live_figure import live_figure
    >>> live = live_figure(go.Figure(go.Scatter(y=[1, 2])))
    >>> with marks_moved(live):
    ...     live.data[0].y = [3, 4]
    >>> live.data[0].y
    (3, 4)
    """
    figure._in_batch_mode = True
    try:
        yield
    finally:
        figure._in_batch_mode = False
        figure._perform_batch_animate(
            {"transition": {"duration": 0}, "frame": {"duration": 0, "redraw": False}}
        )
