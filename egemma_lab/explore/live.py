"""The loss terms while a model trains: one picture in the notebook that redraws itself."""

import base64
import io
import time

from egemma_lab.explore.style import COLOURS, GRID, INK, LINES

PERIOD = 2.0  # seconds between two drawings
SHARE = 0.05  # of the training time that drawing may take
MOST = 2000  # points drawn of a line; of a longer run every second, third, ... step is drawn


class LivePlot:
    """Training callback that draws every loss term over steps, in JupyterLab and Colab alike.

    It draws to a PNG with matplotlib and updates one display in place, without widgets, so the last picture
    stays in the saved notebook. At most every two seconds, and rarer where drawing is slow: it never takes
    more than about a twentieth of the time. Outside a notebook it does nothing.

    Give it to `lab.train(..., callbacks=[LivePlot()])`, or call it from a loop of your own:

    >>> plot = LivePlot()
    >>> plot.on_start(None)
    >>> plot.on_step(None, {"step": 1, "loss": 2.0})
    >>> plot.on_end(None)
    >>> plot.rows
    [{'step': 1, 'loss': 2.0}]
    """

    def __init__(self, period=PERIOD):
        self.period = period
        self.rows = []
        self._handle = None
        self._due = 0.0

    def on_start(self, state):
        self.rows = list(getattr(state, "history_rows", []))  # a resumed run's curve begins where it began
        self._handle = None
        self._due = 0.0

    def on_step(self, state, row):
        self.rows.append(dict(row))
        if time.monotonic() >= self._due:
            self._update()

    def on_end(self, state):
        if self.rows:
            self._update()

    def _update(self):
        if not in_notebook():
            return
        from IPython.display import display

        started = time.monotonic()
        png, alt = draw(self.rows), describe(self.rows)
        data = {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": alt}
        metadata = {"alt": alt, "image/png": {"alt": alt, "width": 900}}
        if self._handle is None:
            self._handle = display(data, raw=True, metadata=metadata, display_id=True)
        else:
            self._handle.update(data, raw=True, metadata=metadata)
        now = time.monotonic()
        self._due = now + max(self.period, (now - started) / SHARE)


def in_notebook():
    """True in a Jupyter or Colab kernel; False in a script, a plain prompt and IPython's terminal."""
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def describe(rows):
    """The picture in words: how far the run is, and where each loss term began and stands.

    >>> describe([{"step": 1, "loss": 4.0, "contrastive": 3.0}, {"step": 9, "loss": 2.0, "contrastive": 1.5}])
    'Loss terms after 9 steps: loss from 4 to 2, contrastive from 3 to 1.5'
    """
    known = {name: [row[name] for row in rows if row.get(name) is not None] for name in _families(rows)}
    parts = [f"{name} from {values[0]:.3g} to {values[-1]:.3g}" for name, values in known.items()]
    return f"Loss terms after {rows[-1]['step']} steps: {', '.join(parts)}"


def draw(rows):
    """PNG bytes of the loss terms over steps, one panel a term, thin lines for its widths or sides."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    families = _families(rows)
    rows = thin(rows)
    # a canvas of its own, not pyplot: the notebook's backend and open figures stay as they are
    fig = Figure(figsize=(12, 3.2), dpi=100, layout="constrained", facecolor="white")
    FigureCanvasAgg(fig)
    marks = {}
    axes = fig.subplots(1, len(families), squeeze=False)[0]
    for ax, (family, names) in zip(axes, families.items()):
        for name in names:
            part = name.partition("/")[2]
            mark = marks.setdefault(part, len(marks)) if part else None
            known = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
            style = {"color": INK, "lw": 2} if mark is None else {"color": COLOURS[mark % 8], "lw": 1}
            dash = "-" if mark is None else LINES[mark % 8]
            ax.plot(*zip(*known), linestyle=dash, label=part or "whole", **style)
        ax.set_title(family.replace("_", "-"), fontsize=11)
        ax.set_xlabel("step")
        ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
        ax.grid(color=GRID)
        ax.spines[["top", "right"]].set_visible(False)
        if len(names) > 1:
            ax.legend(fontsize=8, frameon=False, ncols=2)
    axes[0].set_ylabel("value of the term")
    fig.suptitle(_status(rows[-1]), fontsize=11, x=0.01, ha="left")
    out = io.BytesIO()
    fig.savefig(out, format="png")
    return out.getvalue()


def thin(rows, most=MOST):
    """At most about `most` of the rows, evenly chosen, the first and the last among them.

    >>> thin([1, 2, 3, 4, 5, 6], most=3)
    [1, 3, 5, 6]
    """
    return [*rows[: -1 : -(-len(rows) // most)], rows[-1]]


def _families(rows):
    """{"loss": ["loss"], "contrastive": ["contrastive", "contrastive/256", ...], ...} of what was logged."""
    import pandas as pd

    from egemma_lab.explore.curves import terms

    return terms(pd.DataFrame(columns=[name for name, value in rows[-1].items() if value is not None]))


def _status(row):
    parts = [f"step {row['step']}"]
    if row.get("tokens_per_second"):
        parts.append(f"{row['tokens_per_second']:,.0f} tokens/s")
    if row.get("seconds") is not None:
        parts.append(f"{row['seconds']:.0f} s")
    return " · ".join(parts)
