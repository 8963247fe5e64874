"""Quality against the bytes of a vector: which widths and precisions are worth their place."""

import numpy as np
import plotly.graph_objects as go

from egemma_lab.explore.style import COLOURS, DASHES, INK, QUIET, SYMBOLS, styled

# what can be drawn -> its columns of interval, axis title
HEIGHTS = {
    "share": ("share_low", "share_high", "share of float32 at full width"),
    "value": ("low", "high", None),
}


def quality_frontier(frame, *, y="share", here=None, title="What a vector's bytes buy", subtitle=None):
    """One line a precision through its widths: quality over bytes per vector, on a logarithmic axis.

    Parameters
    ----------
    frame : a table of `lab.evaluate.frontier`, `vector_frontier` or `mean_frontier`: one task, at most eight
        precisions, each drawn in its own colour, dash and symbol, in the order of the table; each point has its width
        beside it.
    y : "share", of the quality in float32 at full width, with its paired interval (the default: the same scale for
        every task); or "value", the metric itself.
    here : (width, precision) of a row to mark as "you are here", for whoever moves between them. Default: none.

    Read it: of two points one above the other, the upper is the better buy; a point with another one above and to the
    left of it is never worth its bytes.

    >>> import pandas as pd
    >>> rows = [(64, "int8", 64, 0.99, 0.98, 1.0), (64, "binary", 8, 0.8, 0.75, 0.85)]
    >>> columns = ["width", "precision", "bytes", "share", "share_low", "share_high"]
    >>> fig = quality_frontier(pd.DataFrame(rows, columns=columns), here=(64, "binary"))
    >>> [trace.name for trace in fig.data]
    ['int8', 'binary', 'you are here']
    """
    if y not in HEIGHTS:
        raise ValueError(f"y={y!r} is not one of {', '.join(map(repr, HEIGHTS))}")
    low, high, axis = HEIGHTS[y]
    missing = {"width", "precision", "bytes", y, low, high} - set(frame.columns)
    if missing or frame.empty:
        raise ValueError(f"the table lacks {sorted(missing) or 'rows'}; lab.evaluate.frontier makes one")
    if frame.duplicated(["width", "precision"]).any():
        raise ValueError(
            "several rows for one width and precision: choose one task first, or lab.evaluate.mean_frontier"
        )
    frame = frame.assign(place=_clear_of_others(frame, y))
    precisions = list(frame["precision"].unique())
    if len(precisions) > len(COLOURS):
        raise ValueError(f"{len(precisions)} precisions: eyes tell {len(COLOURS)} apart, choose among them")
    fig = go.Figure()
    for precision, colour, dash, symbol in zip(precisions, COLOURS, DASHES, SYMBOLS):
        rows = frame[frame["precision"] == precision].sort_values("bytes")
        fig.add_scatter(
            x=rows["bytes"].to_numpy(),
            y=rows[y].to_numpy(),
            error_y={
                "type": "data",
                "symmetric": False,
                "array": (rows[high] - rows[y]).to_numpy(),
                "arrayminus": (rows[y] - rows[low]).to_numpy(),
                "thickness": 1.2,
                "width": 3,
            },
            name=precision,
            mode="lines+markers+text",
            text=[f"{width}d" for width in rows["width"]],
            textposition=rows["place"].tolist(),
            textfont={"size": 11, "color": "#555555"},
            cliponaxis=False,
            line={"color": colour, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 9, "color": colour},
            customdata=rows[["width", low, high]].to_numpy(),
            hovertemplate=f"width %{{customdata[0]}}, {precision}<br>%{{x}} bytes: %{{y:.3f}} "
            "(%{customdata[1]:.3f} to %{customdata[2]:.3f})<extra></extra>",
        )
    if here is not None:
        _mark(fig, frame, here, y)
    ticks = _powers_of_two(frame["bytes"].min(), frame["bytes"].max())
    fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks])
    if y == "share":
        fig.add_hline(1, line={"color": QUIET, "width": 1, "dash": "dot"})
    else:
        axis = ", ".join(frame["metric"].unique()) if "metric" in frame.columns else "quality"
    return styled(fig, title, subtitle, x="bytes per vector (log scale)", y=axis)


def describe_frontier(frame, *, y="share"):
    """The figure in words, for `show`: the largest and smallest vector, and what each precision keeps at its widest.

    >>> import pandas as pd
    >>> columns = ["width", "precision", "bytes", "share"]
    >>> describe_frontier(pd.DataFrame([(64, "int8", 64, 0.99), (32, "int8", 32, 0.9)], columns=columns))
    'Quality against bytes per vector, from 32 to 64 bytes. At its widest, int8 has 0.990 in 64 bytes.'
    """
    widest = frame.loc[frame.groupby("precision", sort=False)["bytes"].idxmax()]
    kept = ", ".join(
        f"{name} has {quality:.3f} in {size:,} bytes"
        for name, quality, size in zip(widest["precision"], widest[y], widest["bytes"])
    )
    return (
        f"Quality against bytes per vector, from {frame['bytes'].min():,} to {frame['bytes'].max():,} bytes. "
        f"At its widest, {kept}."
    )


def _clear_of_others(frame, y):
    """Where each row's width is written, so that those of rows above each other, at about the same bytes, do not meet.

    The highest to the upper left, the lowest (or one alone) to the lower right, any between them to the right.
    """
    sizes, highest_first = frame["bytes"].to_numpy(), np.argsort(-frame[y].to_numpy(), kind="stable")
    places = []
    for row, size in enumerate(sizes):
        column = [other for other in highest_first if 1 / 1.3 <= sizes[other] / size <= 1.3]
        first, last = row == column[0], row == column[-1]
        places.append("bottom right" if last else "top left" if first else "middle right")
    return places


def _mark(fig, frame, here, y):
    width, precision = here
    row = frame[(frame["width"] == width) & (frame["precision"] == precision)]
    if row.empty:
        known = ", ".join(f"({w}, {p!r})" for w, p in zip(frame["width"], frame["precision"]))
        raise ValueError(f"here={here!r} is not one of the rows {known}")
    row = row.iloc[0]
    fig.add_scatter(
        x=[row["bytes"]],
        y=[row[y]],
        name="you are here",
        mode="markers",
        marker={"symbol": "circle-open", "size": 20, "color": INK, "line": {"width": 3}},
        hovertemplate=f"you are here: width {width}, {precision}<extra></extra>",
    )


def _powers_of_two(least, most):
    """The powers of two from the one at or below `least` to the one at or above `most`."""
    ticks = [1]
    while ticks[-1] < most:
        ticks.append(2 * ticks[-1])
    return [tick for tick in ticks if 2 * tick > least]
