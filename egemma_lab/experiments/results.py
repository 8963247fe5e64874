"""What came out of an experiment: scores, comparisons with the baseline, verdicts beside published differences.

Results are plain values as `run_experiment` returns and stores them: `arms` -> arm -> `runs` -> seed -> `ranks` ->
view -> set -> one sign a question (measuring.py).
"""

import numpy as np

from egemma_lab.experiments.measuring import gains
from egemma_lab.experiments.statistics import holm, paired, verdict


def scores(results):
    """A frame, a row an arm, view and seed: arm, view, seed, score (mean over the sets of nDCG@10), minutes, loss."""
    import pandas as pd

    rows = []
    for arm, entry in results["arms"].items():
        for seed, run in entry["runs"].items():
            for view, sets in run["ranks"].items():
                score = float(np.mean([gains(signs).mean() for signs in sets.values()]))
                rows.append((arm, view, int(seed), score, run["minutes"], run["loss"]))
    return pd.DataFrame(rows, columns=["arm", "view", "seed", "score", "minutes", "loss"])


def comparisons(results):
    """A frame, a row a view and an arm other than the baseline: how it differs from the baseline there.

    Columns: view, arm, baseline, the numbers of `paired`, and `p_corrected` over all rows (Holm). `of` is "score", or
    "change": how the arm's score changes from its plain view to this one, less how the baseline's does.
    Arms are compared on the seeds that both have; without any runs of the baseline the frame is empty.
    """
    import pandas as pd

    baseline, rows = results["baseline"], []
    views = _views(results)
    for arm in results["arms"] if baseline in results["arms"] else ():
        if arm == baseline:
            continue
        for view in views:
            found = paired(*_on_common_seeds(_values(results, arm, view), _values(results, baseline, view)))
            rows.append({"of": "score", "view": view, "arm": arm, "baseline": baseline, **found})
        for view in views[1:]:
            changes = (_change(results, name, views[0], view) for name in (arm, baseline))
            found = paired(*_on_common_seeds(*changes))
            rows.append({"of": "change", "view": view, "arm": arm, "baseline": baseline, **found})
    frame = pd.DataFrame(rows)
    if len(frame):
        frame["p_corrected"] = holm(frame["p"].tolist())
    return frame


def verdicts(results):
    """A frame, a row a published difference: what was published, what was found here, and whether they agree.

    p values are corrected over the published differences of the experiment.
    """
    import pandas as pd

    rows = []
    for entry in results["published"]:
        if not {entry["of"], entry["over"]} <= set(results["arms"]):
            continue
        at = entry.get("at", _views(results)[0])
        start = entry.get("from", at)
        sides = _values(results, entry["of"], at), _values(results, entry["over"], start)
        rows.append({**entry, "at": at, "from": start, "found": paired(*_on_common_seeds(*sides))})
    corrected = holm([row["found"]["p"] for row in rows])
    for row, p in zip(rows, corrected):
        found = row.pop("found")
        row |= {name: found[name] for name in ("low", "high", "detectable", "by_seed")}
        row |= {"published": row.pop("difference"), "found": found["difference"], "p_corrected": p}
        row["verdict"] = verdict(row["published"], row["found"], p)
    return pd.DataFrame(rows)


def _views(results):
    """Views in their order, the plain one first."""
    run = next(iter(next(iter(results["arms"].values()))["runs"].values()))
    return list(run["ranks"])


def _values(results, arm, view):
    """seed -> set -> (n,) nDCG@10 of each question."""
    runs = results["arms"][arm]["runs"]
    first = view if view in next(iter(runs.values()))["ranks"] else None
    if first is None:
        raise ValueError(
            f"arm {arm!r} was not looked at as {view!r}; its views are {', '.join(_views(results))}"
        )
    return {
        seed: {name: gains(signs) for name, signs in run["ranks"][view].items()} for seed, run in runs.items()
    }


def _change(results, arm, plain, view):
    before, after = _values(results, arm, plain), _values(results, arm, view)
    return {s: {name: after[s][name] - before[s][name] for name in after[s]} for s in after}


def _on_common_seeds(a, b):
    common = [seed for seed in a if seed in b]
    return {seed: a[seed] for seed in common}, {seed: b[seed] for seed in common}
