"""Show a figure so that everyone sees it: live in JupyterLab and Colab, as a picture on GitHub, as words."""

import base64
import json
import sys

from egemma_lab.explore import camera
from egemma_lab.explore.style import WIDTH
from egemma_lab.settings import fast_mode

# `responsive`: as wide as the cell, where no width is given. Without `showSendToCloud` plotly 7 puts a button on each
# figure that sends its data to a server.
CONFIG = {"displaylogo": False, "responsive": True, "showSendToCloud": False}
PLOTLY_MIME = "application/vnd.plotly.v1+json"


def show(fig, alt, *, width=None, height=None, scale=2):
    """Display a plotly figure: interactive, with a static picture and a description in words beside it.

    The three travel in one output, and whoever opens the notebook shows the best they can: JupyterLab and
    VS Code the live figure, GitHub the picture, a screen reader `alt`. The picture needs kaleido and a
    Chrome or Chromium; without one, and in fast mode, it is left out. In Colab plotly's own renderer is used.
    Outside a notebook the description is printed.

    Parameters
    ----------
    fig : a plotly figure
    alt : one or two sentences that say what is seen, for who cannot see it. Required.
    width, height : size of the static picture in layout pixels; the figure's own, else 900 x 460.
    scale : its pixels per layout pixel; less than 2 where a notebook holds many.

    >>> import plotly.graph_objects as go
    >>> show(go.Figure(), "An empty pair of axes")
    Figure: An empty pair of axes
    """
    alt = _described(alt)
    if "google.colab" in sys.modules:
        fig.show()
        return
    from IPython import get_ipython

    if get_ipython() is None:
        print(f"Figure: {alt}")
        return
    from IPython.display import display

    data, metadata = bundle(fig, alt, width=width, height=height, scale=scale)
    display(data, raw=True, metadata=metadata)


def bundle(fig, alt, *, width=None, height=None, scale=2):
    """What `show` puts into the notebook: (data by mime type, metadata), the picture's alt text included."""
    alt = _described(alt)
    live = json.loads(fig.to_json())
    live["config"] = dict(CONFIG)
    data = {PLOTLY_MIME: live, "text/plain": alt}
    metadata = {"alt": alt}
    picture = None if fast_mode() else camera.photograph(fig, width=width, height=height, scale=scale)
    if picture is not None:
        data["image/jpeg"] = base64.b64encode(picture).decode("ascii")
        # its size in layout pixels: the file has more, for sharp screens
        metadata["image/jpeg"] = {"alt": alt, "width": int(width or fig.layout.width or WIDTH)}
    return data, metadata


def _described(alt):
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(
            f"alt={alt!r}: every figure needs its text description; say in one sentence what is seen, "
            'for example show(fig, "Two clusters of functions, numpy left and pathlib right")'
        )
    return " ".join(alt.split())
