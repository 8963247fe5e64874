"""Is one arm better than another? Paired over seeds and questions, with an interval, and how much could be seen."""

import numpy as np

RESAMPLES = 2000
DETECTABLE = 2.8  # standard errors: 1.96 for the interval, 0.84 for a chance of 80% to see it


def paired(a, b, seed=0):
    """The difference of two arms and how sure it is.

    a, b: seed -> set -> (n,) values of the same questions, for the same seeds and sets. Each set counts the same.

    Returns a dict: `difference`, mean of a minus mean of b; `low`, `high`, its 95% interval by a bootstrap over
    seeds and, within each set, over questions (the same questions for all seeds, since they are the same);
    `p`, two-sided, not corrected; `effect`, the difference in standard deviations of a question's difference
    (Cohen's d of paired samples: 0.2 is called small); `detectable`, the smallest difference that this many seeds
    and questions would have shown with a chance of 80%; `by_seed`, one difference a seed.

    With n seeds the deviations over seeds are stretched by sqrt(n / (n - 1)), since resampling n values
    understates their variance by that much. One seed alone: the interval is over questions only.

    ValueError where seeds, sets or numbers of questions do not agree.

    >>> one = {0: {"x": np.array([1.0, 1.0, 0.0, 1.0])}}
    >>> paired(one, one)["difference"]
    0.0
    """
    seeds, sets = list(a), list(next(iter(a.values())))
    _check(a, b, seeds, sets)
    # (seeds, n) differences of each set
    gaps = {name: np.stack([a[s][name] - b[s][name] for s in seeds]) for name in sets}
    by_seed = np.mean([gap.mean(axis=1) for gap in gaps.values()], axis=0)  # (seeds,)
    difference, n = float(by_seed.mean()), len(seeds)
    rng = np.random.default_rng(seed)
    stretch = np.sqrt(n / (n - 1)) if n > 1 else 0.0
    # seeds move around the mean of all, questions move that mean
    rows = rng.integers(n, size=(RESAMPLES, n))
    drawn = stretch * (by_seed[rows].mean(axis=1) - difference)  # (RESAMPLES,)
    for gap in gaps.values():
        count = gap.shape[1]
        times = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)  # how often each was drawn
        drawn += times @ gap.mean(axis=0) / count / len(gaps)
    low, high = np.quantile(drawn, [0.025, 0.975])
    beyond = min((drawn <= 0).mean(), (drawn >= 0).mean())
    spread = np.mean([gap.mean(axis=0).std() for gap in gaps.values()])
    return {
        "difference": difference,
        "low": float(low),
        "high": float(high),
        "p": float(min(1.0, max(2 * beyond, 1 / RESAMPLES))),
        "effect": float(difference / spread) if spread > 0 else 0.0,
        "detectable": float(DETECTABLE * drawn.std()),
        "by_seed": [float(x) for x in by_seed],
    }


def holm(p_values):
    """p values corrected for their number (Holm 1979): each may be read as if it stood alone.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, float(p_values[index]) * (len(p_values) - place)))
        corrected[index] = round(largest, 12)
    return corrected


def verdict(published, difference, corrected_p):
    """In words, how a difference found here agrees with a published one: a number, or "+" or "-", a sign alone.

    >>> verdict(0.7, 0.02, 0.01), verdict(0.7, 0.001, 0.8), verdict(0.7, -0.02, 0.01)
    ('same sign', 'no difference to be seen', 'the other sign')
    """
    if corrected_p >= 0.05:
        return "no difference to be seen"
    up = published == "+" if isinstance(published, str) else published > 0
    return "same sign" if up == (difference > 0) else "the other sign"


def _check(a, b, seeds, sets):
    if not seeds or list(b) != seeds:
        raise ValueError(f"arms were run with other seeds: {seeds} and {list(b)}")
    for s in seeds:
        for arm in (a, b):
            if list(arm[s]) != sets:
                raise ValueError(f"seed {s}: measured on other sets: {list(arm[s])} and {sets}")
        for name in sets:
            if len(a[s][name]) != len(b[s][name]) or not len(a[s][name]):
                raise ValueError(
                    f"seed {s}, {name}: {len(a[s][name])} and {len(b[s][name])} questions do not pair"
                )
