"""Quality against bytes for one weight format, with the setting marked, and the numbers as a table."""

import pandas as pd

from egemma_lab.explore.frontier import quality_frontier
from egemma_lab.explore.precision_setting import weight_bytes
from egemma_lab.explore.style import LEGEND_BELOW, QUIET, heading
from egemma_lab.explore.tables import Table

MOVING = ("x", "y", "error_y", "customdata")


def precision_figure(bench, setting):
    """The frontier of a setting's weights: quality over bytes a vector, the setting marked "you are here".

    bench: a `Bench`; setting: a `Setting`. The height is the same for all weight formats, so that they compare.
    """
    title, subtitle = _headline(bench, setting)
    fig = quality_frontier(
        bench.table(setting.weights),
        y="value",
        here=(setting.width, setting.vectors),
        title=title,
        subtitle=subtitle,
    )
    fig.update_yaxes(range=[0, 1.08 * bench.table()["high"].max()])
    fig.add_hline(bench.row(bench.full)["value"], line={"color": QUIET, "width": 1, "dash": "dot"})
    return fig.update_layout(legend=LEGEND_BELOW, height=500, margin={"t": 104})


def redraw_precision(fig, bench, setting, whole=True):
    """Bring a figure of `precision_figure` to another setting; `whole=False` where the weights are the same."""
    if whole:
        fresh = precision_figure(bench, setting)
        for old, new in zip(fig.data, fresh.data, strict=True):
            old.update({name: new[name] for name in MOVING if new[name] is not None})
    row = bench.row(setting)
    mark = next(trace for trace in fig.data if trace.name == "you are here")
    mark.update(x=[row["bytes"]], y=[row["value"]], hovertemplate=f"you are here: {setting}<extra></extra>")
    fig.layout.title.text = heading(*_headline(bench, setting))


def _headline(bench, setting):
    row, full = bench.row(setting), bench.row(bench.full)
    return (
        f"What bytes buy with {setting.weights} weights",
        f"here: {row['bytes']:,} bytes a vector, {row['metric']} {row['value']:.3f} "
        f"({row['low']:.3f} to {row['high']:.3f})<br>without any loss {full['value']:.3f}",
    )


def quality_table(bench, setting):
    """Every metric here and without any loss, and how sure the difference is: a `Table`."""
    found = bench.comparison(setting)
    full = f"{bench.full.width}, float32, {bench.full.weights}"
    rows = [
        {
            "metric": row.metric,
            f"here: {setting.width}, {setting.vectors}, {setting.weights}": _said(
                row.here, row.here_low, row.here_high
            ),
            f"full: {full}": _said(row.full, row.full_low, row.full_high),
            "here less full": _said(row.difference, row.difference_low, row.difference_high, "+.3f"),
            "sure?": _sure(row.difference_low, row.difference_high),
        }
        for row in found.itertuples()
    ]
    n = len(bench.row(setting)["values"][bench.metrics[0]])
    asked = "questions" if bench.qrels else "texts that ask for their neighbours"
    return Table(pd.DataFrame(rows), f"Means over {n} {asked}, with 95% intervals; the difference is paired")


def bytes_sentence(bench, setting):
    """What vectors and weights weigh at a setting, beside what they weigh without any loss."""
    here, full = bench.row(setting)["bytes"], bench.row(bench.full)["bytes"]
    n = len(bench.texts)
    said = f"{here:,} bytes a vector, {_size(n * here)} for {n:,} texts"
    said += "." if here == full else f": {full / here:.3g} times smaller than at full width in float32."
    weights, whole = weight_bytes(bench.model, setting.weights), weight_bytes(bench.model)
    said += f" Weights: {_size(weights)}"
    return said + ("." if weights == whole else f" instead of {_size(whole)} in float32.")


def describe_precision(bench, setting):
    """The figure in words, for who cannot see it."""
    row, full = bench.row(setting), bench.row(bench.full)
    return (
        f"Quality against bytes a vector with {setting.weights} weights; marked: {setting}, {row['bytes']:,} bytes, "
        f"{row['metric']} {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}). Without any loss it is "
        f"{full['value']:.3f} in {full['bytes']:,} bytes."
    )


def _said(value, low, high, digits=".3f"):
    return f"{value:{digits}} ({low:{digits}} to {high:{digits}})"


def _sure(low, high):
    return "yes, worse" if high < 0 else "yes, better" if low > 0 else "undecided"


def _size(count):
    for unit in ("bytes", "kB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count} bytes"
        count /= 1000
    return f"{count:.3g} MB" if count < 1000 else f"{count / 1000:.3g} GB"
