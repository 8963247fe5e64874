"""A film of a training from whatever one has in hand, and what its moments are called."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from egemma_lab.explore.recorded import Replay, load_replay

FEWEST = 12  # texts below which a map with ten neighbours says nothing


def as_film(source=None):
    """A `Replay` of a training.

    Parameters: `source`, None for the bundled nano's; a `Replay` as it is; a folder that `record_replay` wrote, or
    a run's; a `Run`, or several in the order they ran (a list, or a mapping of stage names to them). Of a run all
    axes are kept, and sixty of its snapshots where it has more.

    Raises ValueError for fewer than two snapshots or twelve texts, FileNotFoundError for a folder with nothing in it,
    TypeError for anything else.
    """
    is_path = isinstance(source, str | Path)
    if source is None or (is_path and (Path(source).expanduser() / "replay.json").is_file()):
        film = load_replay(source)
    else:
        film = source if isinstance(source, Replay) else _recorded(source)
    if len(film.texts) < FEWEST:
        raise ValueError(
            f"{len(film.texts)} probe texts are too few for a map; train with lab.train(..., probe=texts) and at least "
            f"{FEWEST} of them"
        )
    return film


def _recorded(source):
    from egemma_lab.train import load_run
    from egemma_lab.train.replay_files import MOMENTS, record_replay
    from egemma_lab.train.run import Run

    stages = source if isinstance(source, Mapping) else None
    runs = list(source.values()) if stages else list(source) if isinstance(source, list | tuple) else [source]
    wrong = [run for run in runs if not isinstance(run, str | Path | Run)]
    if wrong or not runs:
        raise TypeError(
            f"cannot make a film of {wrong[0] if wrong else source!r}: give a Run, its folder, a folder that "
            "record_replay wrote, a Replay, or None for the bundled nano's training"
        )
    runs = [run if isinstance(run, Run) else load_run(Path(run).expanduser()) for run in runs]
    counts = [len(run.snapshots) for run in runs]
    if sum(counts) < 2:
        raise ValueError(
            f"the run in {runs[0].folder} has {sum(counts)} snapshots, a film needs two: train with a smaller "
            "Recipe(snapshot_every=...)"
        )
    # where a run begins with what the one before ended with, that moment counts once
    moments = min(MOMENTS, sum(counts) - len(runs) + 1)
    axes = runs[0].snapshots.embeddings.shape[2]
    with tempfile.TemporaryDirectory() as folder:
        record_replay(dict(zip(stages, runs)) if stages else runs, folder, moments=moments, axes=axes)
        return load_replay(folder)


def moment_names(film):
    """What each moment is called: ["matching, step 0", ...]; without the stage where there is only one."""
    stages = film.moments["stage"]
    steps = film.moments["step"]
    if stages.nunique() == 1:
        return [f"step {step:,}" for step in steps]
    return [f"{stage}, step {step:,}" for stage, step in zip(stages, steps)]


def steps_in_all(moments):
    """Steps done at each moment over all stages, (T,) int: a stage begins where the one before it ended.

    >>> import pandas as pd
    >>> steps_in_all(pd.DataFrame({"stage": ["a", "a", "b", "b"], "step": [0, 10, 5, 20]})).tolist()
    [0, 10, 15, 30]
    """
    last = moments.groupby("stage", sort=False)["step"].max()
    before = last.cumsum().shift(fill_value=0)
    return (moments["step"] + moments["stage"].map(before)).to_numpy(dtype=np.int64)


def belonging_pairs(film):
    """Texts that belong together, as rows (m, 2): an anchor and its positive, or the pairs of `probe_pairs`.

    None where it is not known of these texts: they are neither the bundled probe nor drawn from pairs.
    """
    from egemma_lab.explore.bundled import probe_pairs, probe_texts

    if film.texts == probe_texts()["text"].tolist():
        return probe_pairs()[["first", "second"]].to_numpy()
    half = len(film.roles) // 2
    if film.roles == ["query"] * half + ["document"] * half and half:
        return np.stack([np.arange(half), np.arange(half, 2 * half)], axis=1)
    return None


def find_text(film, said=None):
    """The row of a text of the film: the one that reads so, else the first that contains it, whatever its case.

    None: the first query, or the first text where there is none. ValueError where no text contains it.
    """
    if said is None:
        return film.roles.index("query") if "query" in film.roles else 0
    if said in film.texts:
        return film.texts.index(said)
    found = [i for i, text in enumerate(film.texts) if said.lower() in text.lower()]
    if not found:
        raise ValueError(
            f"none of the {len(film.texts)} texts contains {said!r}; they begin with {film.texts[0]!r}"
        )
    return found[0]
