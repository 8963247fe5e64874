"""All widths and precisions as one plotly figure with a slider that needs no kernel."""

import numpy as np

from egemma_lab.explore.matryoshka_figure import choose_texts, headlines, matryoshka_figure, moving
from egemma_lab.explore.matryoshka_maps import Maps
from egemma_lab.explore.precision_bench import Bench
from egemma_lab.explore.precision_setting import UNROUNDED
from egemma_lab.explore.style import INK, heading

AT_ONCE = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}


def matryoshka_page(
    model, texts=None, *, labels=None, questions=None, answers=None, weights=UNROUNDED, kind="umap"
):
    """What `matryoshka` shows, from the largest vectors down to the smallest, as a figure that moves without a kernel.

    model, texts, labels, questions, answers : as in `matryoshka`. weights : "unrounded" or one of
    `lab.quantize.FORMATS`. kind : of the map, "umap" (made first, about a minute, then kept in the cache folder) or
    "plane". With 800 texts and twelve settings the figure weighs under 0.5 MB.

    Returns a plotly figure: `lab.explore.show(page, "...")`, or `page.write_html("widths.html")`.
    """
    import plotly.graph_objects as go

    maps = Maps(Bench(model, texts, labels=labels, questions=questions, answers=answers))
    if kind == "umap":
        maps.make_umap(weights)
    bench = maps.bench
    shown = choose_texts(bench.labels)
    settings = sorted(maps.settings(weights), key=lambda each: (-bench.row(each)["bytes"], -each.width))
    page = matryoshka_figure(maps, settings[0], shown, kind)
    frames = []
    for setting in settings:
        title, subtitle, left, right = headlines(maps, setting, kind)
        annotations = [each.to_plotly_json() for each in page.layout.annotations]
        annotations[0]["text"], annotations[1]["text"] = left, right
        layout = {"title": {"text": heading(title, subtitle)}, "annotations": annotations}
        changes = [
            {"type": trace.type, **_short(change)}
            for trace, change in zip(page.data, moving(maps, setting, shown, kind), strict=True)
        ]
        frames.append(
            go.Frame(name=str(setting), data=changes, traces=list(range(len(changes))), layout=layout)
        )
    page.frames = frames
    page.update_layout(
        sliders=[_slider(settings, bench)],
        height=720,
        margin={"b": 160},
        legend={"yref": "paper", "yanchor": "top", "y": -0.12},
    )
    return page


def _short(change):
    """The same with numbers as plain lists of a few digits, which as text are shorter than in base64."""
    if isinstance(change, dict):
        return {name: _short(value) for name, value in change.items()}
    return change.astype(np.float64).round(3).tolist() if isinstance(change, np.ndarray) else change


def _slider(settings, bench):
    steps = [
        {
            "label": f"{each.width} {each.vectors}: {bench.row(each)['bytes']:,} bytes",
            "method": "animate",
            "args": [[str(each)], AT_ONCE],
        }
        for each in settings
    ]
    return {
        "active": 0,
        "steps": steps,
        "currentvalue": {"prefix": "", "font": {"size": 14, "color": INK}},
        "y": -0.24,
        "pad": {"t": 0},
        "ticklen": 6,
        "font": {"color": "rgba(0,0,0,0)"},  # twelve labels below the slider would cover each other
    }
