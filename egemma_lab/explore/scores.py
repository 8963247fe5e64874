"""Scores of models beside each other."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from egemma_lab.explore.style import class_marks, styled


def score_bars(frame, *, metrics=None, title="Retrieval scores", subtitle=None):
    """One bar a model, one panel a metric, from the table that `lab.evaluate` returns.

    Parameters
    ----------
    frame : pandas.DataFrame with the columns model, metric, value (0 to 1); at most eight models,
        drawn in the order of the table. Rows of one task and one width: choose them before. Axes begin at 0 and end
        alike, at 1 or, where all scores are small, at the first of 0.5, 0.2, 0.1 and 0.05 that they allow.
    metrics : the metrics to draw, in this order; all of the table's by default.

    >>> import pandas as pd
    >>> rows = [("bm25", "nDCG@10", 0.5), ("student", "nDCG@10", 0.4)]
    >>> fig = score_bars(pd.DataFrame(rows, columns=["model", "metric", "value"]))
    >>> [(bar.name, float(bar.x[0])) for bar in fig.data]
    [('bm25', 0.5), ('student', 0.4)]
    """
    missing = {"model", "metric", "value"} - set(frame.columns)
    if missing:
        raise ValueError(f"the table lacks {sorted(missing)}; it has {', '.join(map(str, frame.columns))}")
    metrics = list(frame["metric"].unique()) if metrics is None else list(metrics)
    unknown = set(metrics) - set(frame["metric"])
    if unknown:
        raise ValueError(f"no rows for {sorted(unknown)}; the table has {sorted(set(frame['metric']))}")
    if frame.duplicated(["model", "metric"]).any():
        raise ValueError("several rows for one model and metric: choose one task and one width first")
    models = list(frame["model"].unique())
    values = frame.pivot(index="model", columns="metric", values="value")
    fig = make_subplots(1, len(metrics), subplot_titles=metrics, shared_yaxes=True, horizontal_spacing=0.05)
    for model, (colour, _) in zip(models, class_marks(len(models))):
        for column, metric in enumerate(metrics, start=1):
            value = values.loc[model, metric]
            fig.add_trace(
                go.Bar(
                    x=[value],
                    y=[model],
                    name=model,
                    orientation="h",
                    text=[f"{value:.3f}"],
                    textposition="outside",
                    cliponaxis=False,
                    marker_color=colour,  # the model's name stands beside its bar
                    showlegend=False,
                    hovertemplate=f"{model}<br>{metric} %{{x:.4f}}<extra></extra>",
                ),
                1,
                column,
            )
    top = next((top for top in (0.05, 0.1, 0.2, 0.5) if frame["value"].max() <= top), 1)
    fig.update_xaxes(range=[0, 1.15 * top], tickvals=[0, top / 2, top])
    fig.update_yaxes(autorange="reversed")  # the table's first row on top
    return styled(fig, title, subtitle, x="score (at most 1)", height=150 + 44 * len(models))
