"""A training, recorded small: sixty moments of the probe texts' vectors, with the losses of those moments."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from egemma_lab.train.recipe import TERMS
from egemma_lab.train.run import Run, load_run
from egemma_lab.train.storage import new_file, write_json

MOMENTS = 60  # enough for a film that flows
AXES = 64  # 60 x 500 x 64 in float16 are 3.8 MB, all 256 widths would be four times that
NEIGHBOURS = 10


def record_replay(runs, output, *, moments=MOMENTS, axes=AXES):
    """Record consecutive runs as one film: `replay.safetensors` and `replay.json` in the folder `output`.

    Parameters: `runs`, runs or their folders in the order they ran, a single one, or a mapping of stage names
    to them (default names: the folders'); all have the same probe texts. `moments`, how many of their
    snapshots are kept (default 60): `choose_moments` says which. `axes`, the width that is stored (default
    64, of 256 a quarter of the bytes).

    Vectors (T, n, d) are turned onto the axes along which all moments together are longest (principal axes
    about zero, not about the mean), cut to the first k and brought back to unit length. Inner products along
    all axes would be those of the full vectors; `kept`, the share of squared length on the first k, and
    `neighbours_kept`, the share of each text's ten neighbours that are the same as at full width, stand
    beside each moment. The axes are stored, so other vectors of the model can be put into the same picture.

    Loss terms, and each of them at each width: the mean of the run's steps since the moment before, since one
    step's loss depends on the source of its batch; before a run's first step, the loss of that step. A
    term that a run lacks is NaN. Returns what stands in replay.json. `lab.explore.load_replay` opens it.
    """
    names, runs = _named(runs)
    candidates = _candidates(names, runs)
    vectors = np.stack([found["vectors"] for found in candidates])  # (T', n, d)
    chosen = choose_moments(vectors, [found["progress"] for found in candidates], moments)
    kept_moments, vectors = [candidates[i] for i in chosen], vectors[chosen].astype(np.float32)
    basis = principal_axes(vectors.reshape(-1, vectors.shape[2]), axes)  # (k, d)
    low = vectors @ basis.T  # (T, n, k)
    kept = (low**2).sum(axis=(1, 2)) / (vectors**2).sum(axis=(1, 2))
    low /= np.linalg.norm(low, axis=2, keepdims=True)
    losses = _losses(runs, kept_moments)
    terms = list(dict.fromkeys(name for row in losses for name in row))
    about = {
        "probe": [
            {"text": text, "label": label, "role": role}
            for text, label, role in zip(
                runs[0].snapshots.texts, runs[0].snapshots.labels, runs[0].snapshots.roles
            )
        ],
        "moments": [
            {
                "stage": names[found["run"]],
                "step": found["step"],
                "kept": round(float(share), 4),
                "neighbours_kept": round(_neighbours_kept(full, cut), 4),
            }
            for found, share, full, cut in zip(kept_moments, kept, vectors, low)
        ],
        "terms": terms,
        "width": int(vectors.shape[2]),
        "neighbours": min(NEIGHBOURS, vectors.shape[1] - 2),
        "runs": {name: run.info for name, run in zip(names, runs)},
    }
    matrix = np.array([[row.get(name, np.nan) for name in terms] for row in losses], dtype=np.float32)
    tensors = {"vectors": low.astype(np.float16), "axes": basis.astype(np.float32), "terms": matrix}
    write_tensors(output, "replay", tensors, about)
    return about


def choose_moments(vectors, progress, moments):
    """Which of T snapshots make the film: ascending indices, the first and the last among them.

    vectors: (T, n, d) unit rows. progress: (T,) steps done, over all runs. The film's clock is half the steps
    and half the way the texts have gone (mean 1 - cosine from one snapshot to the next): by steps alone the
    quick beginning would be over in two pictures, by the way alone the slow end would be missing. Moments lie
    evenly on that clock. ValueError where there are fewer snapshots than moments.

    >>> still = np.tile([[[1.0, 0.0]]], (5, 1, 1))
    >>> choose_moments(still, [0, 10, 20, 30, 40], 3)
    [0, 2, 4]
    """
    count = len(vectors)
    if not 2 <= moments <= count:
        raise ValueError(
            f"moments={moments} must lie between 2 and {count}, the snapshots these runs have: fewer moments, "
            "or train with a smaller Recipe(snapshot_every=...)"
        )
    rows = np.asarray(vectors, dtype=np.float32)
    way = np.array([0.0, *(1 - (rows[1:] * rows[:-1]).sum(axis=2).mean(axis=1))]).clip(0)
    clocks = [np.cumsum(way), np.asarray(progress, dtype=np.float64) - progress[0]]
    clock = sum(each / each[-1] for each in clocks if each[-1] > 0)
    chosen = []
    for number, time in enumerate(np.linspace(0, np.max(clock), moments)):
        first = chosen[-1] + 1 if chosen else 0
        last = count - moments + number  # so that enough are left for those to come
        chosen.append(first + int(np.abs(clock[first : last + 1] - time).argmin()))
    chosen[-1] = count - 1
    return chosen


def principal_axes(rows, axes):
    """The directions along which the rows are longest, about zero: (n, d) -> (k, d) orthonormal, longest first.

    Signs are fixed: each axis' largest entry is positive.

    >>> principal_axes(np.array([[0.0, -2.0], [1.0, 0.0]]), 1).tolist()
    [[0.0, 1.0]]
    """
    rows = np.asarray(rows, dtype=np.float64)
    if not 1 <= axes <= rows.shape[1]:
        raise ValueError(f"axes={axes} must lie between 1 and {rows.shape[1]}, the width of the vectors")
    found = np.linalg.eigh(rows.T @ rows)[1].T[::-1][:axes]  # (k, d)
    largest = np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1)
    return found * np.sign(largest)


def _named(runs):
    if isinstance(runs, Mapping):
        names, runs = list(runs), list(runs.values())
    else:
        runs = [runs] if isinstance(runs, str | Path | Run) else list(runs)
        names = [None] * len(runs)
    if not runs:
        raise ValueError("runs is empty; give one run or more, in the order they ran")
    runs = [run if isinstance(run, Run) else load_run(run) for run in runs]
    names = [name or run.folder.resolve().name for name, run in zip(names, runs)]
    if len(set(names)) < len(names):
        raise ValueError(f"two runs have one name ({', '.join(names)}); give a mapping, name -> run")
    return names, runs


def _candidates(names, runs):
    """All snapshots in their order; where a run begins with what the one before ended with, once."""
    found, done = [], 0
    for index, (name, run) in enumerate(zip(names, runs)):
        snapshots = run.snapshots
        if not len(snapshots):
            raise ValueError(f"the run {name!r} has no snapshots: its recipe says snapshot_every=0")
        if snapshots.texts != runs[0].snapshots.texts or snapshots.roles != runs[0].snapshots.roles:
            raise ValueError(
                f"the run {name!r} was probed with other texts than {names[0]!r}: give every stage the same "
                "probe"
            )
        if found and snapshots.embeddings.shape[1:] != found[0]["vectors"].shape:
            raise ValueError(
                f"the run {name!r} has vectors of width {snapshots.embeddings.shape[2]}, {names[0]!r} of "
                f"{found[0]['vectors'].shape[1]}: a film shows one space"
            )
        for step, vectors in zip(snapshots.steps.tolist(), snapshots.embeddings):
            if found and step == 0 and np.allclose(vectors, found[-1]["vectors"], atol=4e-3):
                continue
            found.append({"run": index, "step": step, "progress": done + step, "vectors": vectors})
        done += run.step
    return found


def _losses(runs, moments):
    """One mapping a moment, term -> mean over the steps since the moment before."""
    histories = [run.history for run in runs]
    known = {"loss", *TERMS}.union(*(run.recipe.own_terms for run in runs))
    rows, before = [], {}
    for moment in moments:
        history, step = histories[moment["run"]], moment["step"]
        since = before.get(moment["run"], 0)
        part = history[(history["step"] > since) & (history["step"] <= max(step, since + 1))]
        terms = [name for name in part if name.partition("/")[0] in known]
        rows.append({name: float(value) for name, value in part[terms].mean().items()})
        before[moment["run"]] = step
    return rows


def _neighbours_kept(full, cut):
    from egemma_lab.geometry import neighbours_kept

    return neighbours_kept(full, cut, min(NEIGHBOURS, len(full) - 2))[0]


def write_tensors(output, name, tensors, about):
    """`name`.safetensors and `name`.json in the folder `output`: arrays, and what is to be known of them."""
    from safetensors.numpy import save

    folder = Path(output).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    with new_file(folder / f"{name}.safetensors") as file:
        file.write(save({key: np.ascontiguousarray(value) for key, value in tensors.items()}))
    write_json(folder / f"{name}.json", json.loads(json.dumps(about)))
