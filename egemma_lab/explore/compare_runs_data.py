"""Runs to compare, whatever they come as: their loss terms and geometry as tables, their texts as maps."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from egemma_lab.explore.recorded import Replay
from egemma_lab.explore.replay_film import FEWEST, as_film, steps_in_all
from egemma_lab.explore.replay_numbers import film_numbers

SAMPLE = 500  # chosen texts whose neighbours are looked at where there are more


@dataclasses.dataclass(frozen=True)
class Compared:
    """One run of a comparison: `history`, a row a step (of a film: a moment) with `step`, perhaps `minutes`, and the
    loss terms; `geometry`, a row a moment with `step` and the numbers of `film_numbers`, or None; `film`, or None."""

    name: str
    history: object
    geometry: object = None
    film: Replay | None = None


def as_compared(*sources):
    """Runs as a list of `Compared`.

    Parameters: `sources`, each a `Run` or its folder, a recorded training (a `Replay`, its folder, or None for the
    bundled nano's), several runs of one training (a list), a history (a DataFrame with `step` and loss terms), or a
    mapping of names to any of these. A history, and a run without snapshots or with fewer than
    twelve probe texts, have curves and no map.

    Raises ValueError for a name that stands twice or a history without steps, TypeError for what is no run.
    """
    found = []
    for source in sources:
        named = source.items() if isinstance(source, Mapping) else [(_name(source, len(found)), source)]
        found += [_compared(str(name), each) for name, each in named]
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two runs are called {twice[0]!r}; give a mapping, name -> run")
    return found


def _name(source, number):
    if source is None:
        return "nano"
    if hasattr(source, "folder"):
        return source.folder.resolve().name
    return Path(source).name if isinstance(source, str | Path) else f"run {number + 1}"


def _compared(name, source):
    if isinstance(source, Compared):
        return dataclasses.replace(source, name=name)
    if hasattr(source, "columns"):
        if "step" not in source.columns:
            raise ValueError(
                f"the history of {name!r} has no column step, only {', '.join(map(str, source.columns))}"
            )
        return Compared(name, source)
    if isinstance(source, str | Path) and (Path(source).expanduser() / "run.json").is_file():
        from egemma_lab.train import load_run

        source = load_run(Path(source).expanduser())
    history = source.history if hasattr(source, "snapshots") else None
    if history is not None and "seconds" in history:
        history = history.assign(minutes=history["seconds"] / 60)
    if history is not None and (len(source.snapshots) < 2 or len(source.snapshots.texts) < FEWEST):
        return Compared(name, history)  # it cannot be drawn, but its curves can
    film = as_film(source)
    steps = steps_in_all(film.moments)
    numbers = film_numbers(film).assign(step=steps)
    losses = film.moments.drop(columns=["stage", "kept", "neighbours_kept"]).assign(step=steps)
    return Compared(name, losses if history is None else history, numbers, film)


def texts_in_common(one, other):
    """Rows of the texts that two films share, in the order of the first: (m,), (m,). A text that stands twice counts
    once."""
    where = {}
    for row, text in enumerate(other.texts):
        where.setdefault(text, row)
    seen, rows = set(), []
    for row, text in enumerate(one.texts):
        if text in where and text not in seen:
            seen.add(text)
            rows.append((row, where[text]))
    rows = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def togetherness(vectors, chosen, k=10):
    """Whether chosen texts are each other's neighbours: (n, d) unit rows, (m,) rows -> share of their k nearest texts
    that are chosen too, 0 to 1; NaN for fewer than two.

    With fewer than k others chosen, as many neighbours count as there are others. Of more than 500 chosen texts, 500
    evenly taken ones are asked. Read it: 1, the group is closed; m / n, it is strewn.

    >>> togetherness(np.eye(4), [0])
    nan
    >>> togetherness(np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]]), [0, 1])
    1.0
    """
    chosen = np.asarray(chosen, dtype=np.int64)
    if len(chosen) < 2:
        return float("nan")
    asked = chosen[np.linspace(0, len(chosen) - 1, min(SAMPLE, len(chosen))).round().astype(int)]
    cosines = vectors[asked] @ vectors.T  # (a, n)
    cosines[np.arange(len(asked)), asked] = -np.inf
    k = min(k, len(chosen) - 1)
    near = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    return float(np.isin(near, chosen).mean())
