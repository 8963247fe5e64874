"""An experiment as a picture: how each arm differs from the baseline, with its interval and its seeds."""

import plotly.graph_objects as go

from egemma_lab.explore.style import INK, OKABE_ITO, QUIET, styled


def experiment_figure(results, *, view=None):
    """A line an arm: its difference from the baseline in points of nDCG@10, with interval and single seeds.

    results: of `lab.experiments.run_experiment` or `shipped_results`. view: which look at the models (default: the
    plain one). An arm whose interval leaves out 0 after the correction for all comparisons is drawn filled, the
    others hollow; the grey band behind it is what could not have been seen of this arm with a chance of 80%.

    >>> run = lambda signs: {"ranks": {"full": {"set": signs}}, "minutes": 1, "loss": 1}
    >>> runs = lambda *seeds: {"runs": {str(seed): run(signs) for seed, signs in enumerate(seeds)}}
    >>> results = {"experiment": "example", "question": "Which?", "factor": "a factor", "baseline": "a",
    ...            "scale": "micro", "seeds": [0, 1],
    ...            "arms": {"a": runs("1..2", "1.3."), "b": runs("1112", "1131")}, "published": []}
    >>> [trace.name for trace in experiment_figure(results).data]
    ['single seeds', 'mean of the seeds, 95%']
    """
    from egemma_lab.experiments import comparisons

    frame = comparisons(results)
    if not len(frame):
        raise ValueError(
            f"the results hold no arm beside the baseline {results['baseline']!r}: nothing to compare"
        )
    views = frame.loc[frame["of"] == "score", "view"]
    view = views.iloc[0] if view is None else view
    rows = frame[(frame["of"] == "score") & (frame["view"] == view)].iloc[::-1]  # the first arm on top
    if rows.empty:
        raise ValueError(f"view={view!r} is not one of {', '.join(map(repr, views.unique()))}")
    sure = rows["p_corrected"] < 0.05
    fig = go.Figure()
    for place, blind in enumerate(100 * rows["detectable"]):  # arms have the places 0, 1, ... on their axis
        across = {"x0": -blind, "x1": blind, "y0": place - 0.42, "y1": place + 0.42}
        fig.add_shape(type="rect", layer="below", fillcolor=QUIET, opacity=0.15, line_width=0, **across)
    fig.add_vline(0, line={"color": QUIET, "width": 1})
    seeds = [(arm, 100 * value) for arm, values in zip(rows["arm"], rows["by_seed"]) for value in values]
    fig.add_scatter(
        x=[value for _, value in seeds],
        y=[arm for arm, _ in seeds],
        mode="markers",
        name="single seeds",
        marker={"symbol": "line-ns", "size": 12, "line": {"width": 1.5, "color": INK}},
        hovertemplate="%{y}, one seed: %{x:+.2f}<extra></extra>",
    )
    fig.add_scatter(
        x=100 * rows["difference"],
        y=rows["arm"],
        mode="markers",
        name="mean of the seeds, 95%",
        marker={
            "symbol": ["circle" if each else "circle-open" for each in sure],
            "size": 11,
            "color": OKABE_ITO["blue"],
            "line": {"width": 2, "color": OKABE_ITO["blue"]},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": 100 * (rows["high"] - rows["difference"]),
            "arrayminus": 100 * (rows["difference"] - rows["low"]),
            "color": OKABE_ITO["blue"],
            "thickness": 2,
            "width": 5,
        },
        customdata=rows[["p_corrected"]].to_numpy(),
        hovertemplate="%{y}: %{x:+.2f}, p %{customdata[0]:.3f} corrected<extra></extra>",
    )
    axis = f"nDCG@10 less that of '{results['baseline']}', points of 100"
    count = f"{len(results['seeds'])} seed{'' if len(results['seeds']) == 1 else 's'}"
    about = f"{axis}<br>{view} vectors, {count}, scale {results['scale']}; filled: sure after correction"
    title = results["experiment"].replace("-", " ").capitalize()
    styled(fig, title, results["question"], x=about, height=220 + 44 * len(rows))
    fig.update_layout(legend={"orientation": "h", "yref": "container", "y": 0.01, "x": 0})
    fig.update_yaxes(type="category")
    return fig


def describe_experiment(results, *, view=None):
    """The figure in words, for `show`; `view` as in `experiment_figure`.

    >>> describe_experiment({"question": "Which?", "baseline": "a", "arms": {"a": {}, "b": {}}, "seeds": [0]})
    "Which? One line an arm (b), its difference from 'a' in nDCG@10 with a 95% interval and 1 seed."
    """
    others = ", ".join(arm for arm in results["arms"] if arm != results["baseline"])
    count, looked = len(results["seeds"]), "" if view is None else f", seen as {view!r},"
    return (
        f"{results['question']} One line an arm ({others}), its difference from {results['baseline']!r} in nDCG@10"
        f"{looked} with a 95% interval and {count} seed{'' if count == 1 else 's'}."
    )
