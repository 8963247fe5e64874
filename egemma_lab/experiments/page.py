"""An experiment's page of conclusion and the table of all verdicts, as Markdown made from the results alone."""

from egemma_lab.experiments.results import comparisons, scores, verdicts


def page(results):
    """The page of one experiment: question, what was run, scores, differences, verdicts. Markdown text."""
    made, arms = results["made"], results["arms"]
    table = scores(results)
    steps = sorted({run["steps"] for entry in arms.values() for run in entry["runs"].values()})
    minutes = table.drop_duplicates(["arm", "seed"])["minutes"]
    parts = [
        f"# {results['question']}",
        "",
        f"Varied: {results['factor']}. All else is equal, the texts and their order included.",
        "",
        f"Scale `{results['scale']}`: {' or '.join(map(str, steps))} steps an arm and seed, seeds "
        f"{', '.join(map(str, results['seeds']))}, {minutes.min():.1f} to {minutes.max():.1f} minutes each on "
        f"{made['machine']['cores']} cores ({made['machine']['threads']} threads, "
        f"{made['machine']['device']}). The score is nDCG@10, the mean over {len(results['sets'])} held-out sets "
        f"({', '.join(f'{name} {n}' for name, n in results['sets'].items())} questions), each searched among its own "
        "answers; none is an evaluation set.",
        "",
        "## Scores",
        "",
        *_scores(table),
    ]
    frame = comparisons(results)
    if len(frame):
        parts += ["", f"## Differences from `{results['baseline']}`", "", *_differences(frame)]
    beside = verdicts(results)
    if len(beside):
        parts += ["", "## Beside what was published", "", *_verdicts(beside)]
    if results.get("notes"):
        parts += ["", results["notes"].strip()]
    parts += [
        "",
        f"Made with torch {made['versions']['torch']} and transformers {made['versions']['transformers']}. Again: "
        f"{_commands(results)}.",
        "",
    ]
    return "\n".join(parts)


def _commands(results):
    seeds = results["seeds"]
    all_of_them = seeds == list(range(len(seeds)))
    flags = [f"--seeds {len(seeds)}"] if all_of_them else [f"--seed {seed}" for seed in seeds]
    call = f"egemma-lab experiment {results['experiment']} --scale {results['scale']}"
    return ", ".join(f"`{call} {flag}`" for flag in flags)


def verdict_table(all_results):
    """docs/results.md: a row a published difference, over all experiments. Markdown text."""
    rows = []
    for results in all_results:
        link = f"[{results['experiment']}](../experiments/{results['experiment']}/README.md)"
        frame = verdicts(results)
        for row in frame.to_dict("records"):
            published = f"{_published(row)} ({row['what']}; {row['source']})"
            compared = _compared(row)
            rows.append(
                f"| {link} | {compared} | {published} | {_with_interval(row['found'], row)} | {row['verdict']} |"
            )
        if not len(frame):
            best = comparisons(results)
            sure = best[(best["of"] == "score") & (best["p_corrected"] < 0.05)] if len(best) else best
            said = (
                ", ".join(f"{r['arm']} {_signed(r['difference'])}" for r in sure.to_dict("records"))
                or "none sure"
            )
            rows.append(
                f"| {link} | {results['factor']} | nothing published | against {results['baseline']}: {said} | |"
            )
    head = [
        "# The paper in miniature: all verdicts",
        "",
        "Made from `experiments/*/results.json` by `egemma-lab experiment --table`. Found: the difference in nDCG@10",
        "on held-out questions, in points of 100, with its 95% interval over seeds and questions; a verdict is about",
        "the sign, with p values corrected for the comparisons of its experiment. What was published was measured at",
        "sizes and budgets thousands of times larger: a verdict says what minutes on a small machine can show of it.",
        "",
        "| experiment | compared | published | found | verdict |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def _scores(table):
    lines = [
        "| arm | " + " | ".join(table["view"].unique()) + " |",
        "|---|" + "---|" * table["view"].nunique(),
    ]
    for arm, of_arm in table.groupby("arm", sort=False):
        cells = []
        for _, seen in of_arm.groupby("view", sort=False):
            low, high = 100 * seen["score"].min(), 100 * seen["score"].max()
            cells.append(f"{100 * seen['score'].mean():.1f} ({low:.1f} to {high:.1f})")
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return [*lines, "", "Mean over the seeds, in brackets the lowest and the highest seed."]


def _differences(frame):
    lines = [
        "| view | arm | difference | 95% interval | p, corrected | could have seen |",
        "|---|---|---|---|---|---|",
    ]
    for row in frame.to_dict("records"):
        view = row["view"] if row["of"] == "score" else f"{row['view']}, change from plain"
        found = f"{_signed(row['difference'])} | {_signed(row['low'])} to {_signed(row['high'])}"
        seen = f"{row['p_corrected']:.3f} | {100 * row['detectable']:.1f}"
        lines.append(f"| {view} | {row['arm']} | {found} | {seen} |")
    note = 'In points of 100. "Could have seen": the smallest difference found with a chance of 80%.'
    return [*lines, "", note]


def _verdicts(frame):
    lines = ["| compared | view | published | found | verdict |", "|---|---|---|---|---|"]
    for row in frame.to_dict("records"):
        published = f"{_published(row)}: {row['what']} ({row['source']})"
        found = _with_interval(row["found"], row)
        lines.append(f"| {_compared(row)} | {row['at']} | {published} | {found} | {row['verdict']} |")
    return lines


def _published(row):
    value = row["published"]
    return value if isinstance(value, str) else f"{value:+.1f}"


def _compared(row):
    """The two sides, with their views where they are not the plain one."""
    if row["from"] != row["at"]:
        return f"{row['of']}, {row['at']} over {row['from']}"
    return f"{row['of']} over {row['over']}"


def _with_interval(value, row):
    return f"{_signed(value)} ({_signed(row['low'])} to {_signed(row['high'])})"


def _signed(value):
    """Points of 100 with their sign.

    >>> _signed(0.0123), _signed(-0.00001)
    ('+1.2', '0.0')
    """
    points = round(100 * value, 1)
    return f"{points:+.1f}" if points else "0.0"
