"""Snapshots: the same few texts encoded again and again while the model learns, to be replayed later."""

import json

import numpy as np

from egemma_lab.model.tokenizing import clean_text
from egemma_lab.train.callbacks import Callback
from egemma_lab.train.folder import RunFolder
from egemma_lab.train.micro_batches import encode_texts
from egemma_lab.train.storage import new_file, write_text

PROBES = 256  # texts: enough for a map, few enough to cost little
TIMES = 20  # snapshots over a run where the recipe does not say


def draw_probe(mixture, seed, texts=PROBES):
    """Anchors and their positives drawn from the pairs by `seed`: n/2 anchors, then their n/2 positives.

    A text's label is its row's "package" where the data has such a column, otherwise the name of its source.
    """
    ends = np.cumsum([len(source.dataset) for source in mixture.sources])
    chosen = np.random.default_rng([seed, texts]).choice(
        ends[-1], size=min(texts // 2, ends[-1]), replace=False
    )
    drawn = []
    for index in np.sort(chosen):
        which = int(np.searchsorted(ends, index, side="right"))
        source = mixture.sources[which]
        drawn.append((source, source.dataset[int(index - ends[which] + len(source.dataset))]))
    return [
        {"text": row[side], "label": str(row.get("package") or source.name), "role": role}
        for side, role in (("anchor", "query"), ("positive", "document"))
        for source, row in drawn
        if side in row
    ]


def check_probe(probe):
    """The user's own probe as rows: strings (documents), or mappings with "text" and perhaps "label" and
    "role"."""
    rows = []
    for index, item in enumerate(probe):
        row = {"text": item} if isinstance(item, str) else dict(item)
        row = {"label": "", "role": "document", **row}
        if not isinstance(row.get("text"), str) or row["role"] not in ("query", "document") or len(row) != 3:
            raise ValueError(
                f"probe[{index}]={item!r} must be a string, or a mapping with 'text' and perhaps 'label' and "
                "'role' ('query' or 'document')"
            )
        rows.append({**row, "text": clean_text(row["text"]), "label": clean_text(str(row["label"]))})
    if not rows:
        raise ValueError("probe is empty; give some texts, or None to draw them from the pairs")
    return rows


class SnapshotTaker(Callback):
    """Encodes the probe before the first step, every so often, and after the last; float16 rows on disk.

    probe: rows with "text", "label" and "role", see `draw_probe`.
    """

    def __init__(self, probe):
        self._probe = probe

    def on_start(self, state):
        self._folder = RunFolder(state.run.folder).snapshots
        self._folder.mkdir(exist_ok=True)
        for path in self._folder.glob("step-*.npy"):
            if int(path.stem[5:]) > state.step:
                path.unlink()
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in self._probe]
        write_text(self._folder / "probe.jsonl", "".join(lines))
        self._count = int(state.progress * TIMES)
        if state.step == 0:
            self._take(state)

    def on_step(self, state, row):
        every = state.recipe.snapshot_every
        count, self._count = self._count, int(state.progress * TIMES)
        if (every is None and self._count > count) or (every and state.step % every == 0):
            self._take(state)

    def on_end(self, state):
        if state.status == "finished" and not self._path(state).exists():
            self._take(state)

    def _path(self, state):
        return self._folder / f"step-{state.step:06d}.npy"

    def _take(self, state):
        if state.recipe.snapshot_every == 0:
            return
        vectors = np.zeros((len(self._probe), state.model.config.output_width), dtype=np.float16)
        for role in ("query", "document"):
            rows = [i for i, row in enumerate(self._probe) if row["role"] == role]
            if rows:
                texts = [self._probe[i]["text"] for i in rows]
                vectors[rows] = encode_texts(state.model, texts, role, state.recipe).cpu().numpy()
        with new_file(self._path(state)) as file:
            np.save(file, vectors, allow_pickle=False)
        state.emit("on_snapshot", self._path(state))
