"""Which rows make the batch of which step: a pure function, so that resuming is going on at the next step."""

import warnings
from dataclasses import dataclass

import numpy as np

from egemma_lab.data._epoch import plan_epoch, rows_per_text
from egemma_lab.data._pair_columns import ROLES
from egemma_lab.data._stream_passes import StreamPasses
from egemma_lab.data._text_hashes import lengths_and_hashes, small_ids
from egemma_lab.data.mixture import Mixture, Source, as_mixture

_BLOCK = 65_536  # steps whose sources are drawn together
_GOLDEN = np.uint64(11400714819323198485)  # 2**64 / golden ratio, odd
_TRIES = 8


@dataclass(frozen=True, eq=False)
class Batch:
    """The batch of one step: B rows of one source.

    `rows (B,)` int64 row numbers in `source.dataset`; `anchors`, `positives` and `negatives` (None where the
    source has none) lists of B texts; `query_ids`, `positive_ids (B,)` int64, equal where texts of this
    source are equal; `epoch`, how many times this source has been gone through before; `anchor_prompt`,
    `positive_prompt`, names of the prompts of this batch; `source.name` for the log.
    """

    source: Source
    rows: np.ndarray
    anchors: list[str]
    positives: list[str] | None
    negatives: list[str] | None
    query_ids: np.ndarray
    positive_ids: np.ndarray
    epoch: int
    anchor_prompt: str | None
    positive_prompt: str | None

    def __len__(self):
        return len(self.rows)

    @property
    def sides(self):
        """(texts, name of their prompt) of the anchors, the positives if any, the negatives if any."""
        sides = [
            (self.anchors, self.anchor_prompt),
            (self.positives, self.positive_prompt),
            (self.negatives, self.positive_prompt),
        ]
        return [(texts, prompt) for texts, prompt in sides if texts is not None]


class BatchPlan:
    """The batches of a run, from step 0 on without end.

    `plan.batch(step)` depends on (mixture, batch_size, seed, step) and nothing else: any step can be asked
    for at any time, in any order. Each batch comes from one source, has exactly `batch_size` rows, holds no
    text twice (neither as anchor, nor as positive, nor once as each), and groups texts of like length. A hard
    negative may be another row's positive. Within an epoch of its source a row comes at most once.

    Sources take turns by weight along the golden-ratio sequence (from an offset that the seed draws): after
    any number of steps each has had its share within a few steps, which independent draws would not give.

    Args:
        mixture: what `as_mixture` takes.
        batch_size: rows of every batch; there are no smaller ones, since the in-batch negatives are part of
            the loss.
        seed: from 0 on.
        share: (which, of how many) process asks. Of a stream's rows the plan deals each process its own, so that a
            stream's batches hold batch_size / processes rows; of other sources it gives the whole batch.

    Attributes (None where a stream's length would have to be known):
        batches_per_epoch: source name -> full batches in one pass over it.
        left_over: source name -> rows without a place in each epoch (other rows each time). Fewer than
            batch_size, unless texts repeat so often that they fill no batch without standing in it twice; a
            warning says so.
        steps_per_epoch: batches in one pass over all sources.

    Raises:
        ValueError: where a source cannot fill a single batch; names its sizes.

    >>> plan = BatchPlan([("a", "1"), ("b", "2"), ("c", "3"), ("a", "4"), ("d", "5")], batch_size=2, seed=0)
    >>> batch = plan.batch(7)
    >>> len(batch), sorted(batch.rows) == sorted(plan.batch(7).rows), plan.steps_per_epoch, plan.left_over
    (2, True, 2, {'data': 1})
    """

    def __init__(self, mixture, batch_size, seed=0, share=(0, 1)):
        self.batch_size = _whole_number("batch_size", batch_size, 1)
        self.seed = _whole_number("seed", seed, 0)
        self.mixture = mixture if isinstance(mixture, Mixture) else as_mixture(mixture)
        self._passes = [
            StreamPasses(source, i, batch_size // share[1], seed, share)
            if source.streamed
            else _Passes(source, i, batch_size, seed)
            for i, source in enumerate(self.mixture)
        ]
        self.batches_per_epoch = {p.source.name: p.batches for p in self._passes}
        self.left_over = {p.source.name: p.left_over for p in self._passes}
        self.steps_per_epoch = None if self.mixture.streamed else sum(self.batches_per_epoch.values())
        self._offset = np.random.default_rng([seed, len(self._passes)]).integers(2**64, dtype=np.uint64)
        self._edges = np.cumsum(self.mixture.shares)[:-1]
        self._drawn_before = [
            np.zeros(len(self._passes), dtype=np.int64)
        ]  # per block: draws of each source before it
        self._block = (None, None)

    def batch(self, step):
        """The batch of `step` (0 is the first)."""
        step = _whole_number("step", step, 0)
        chosen, use = self._choice(step)
        source, (rows, texts, ids, epoch) = self.mixture.sources[chosen], self._passes[chosen].drawn(use)
        sides = [texts.get(role) for role in ROLES]
        prompts = [_in_turn(p, use) for p in (source.anchor_prompt, source.positive_prompt)]
        return Batch(source, rows, *sides, *ids, epoch, *prompts)

    def epoch(self, step):
        """Rows used before `step` over rows there are: how often the data has been gone through, a float.

        With a stream, whose rows nobody has counted: how often the source of the step before was gone through.
        """
        if not self.mixture.streamed:
            return step * self.batch_size / len(self.mixture)
        return float(self.batch(step - 1).epoch) if step else 0.0

    def _sources(self, block):
        """Source index of each step of a block, `(_BLOCK,)`."""
        if self._block[0] != block:
            steps = np.arange(block * _BLOCK, (block + 1) * _BLOCK, dtype=np.uint64)
            points = (self._offset + steps * _GOLDEN).astype(np.float64) / 2.0**64  # in [0, 1), evenly spread
            self._block = (block, np.searchsorted(self._edges, points, side="right"))
        return self._block[1]

    def _choice(self, step):
        """Which source has its turn at `step`, and how many turns it has had before."""
        block, place = divmod(step, _BLOCK)
        for earlier in range(len(self._drawn_before) - 1, block):
            counts = np.bincount(self._sources(earlier), minlength=len(self._passes))
            self._drawn_before.append(self._drawn_before[-1] + counts)
        sources = self._sources(block)
        chosen = sources[place]
        return chosen, int(self._drawn_before[block][chosen] + np.count_nonzero(sources[:place] == chosen))


class _Passes:
    """The epochs of one source, all with the same number of batches, so that each can be planned alone."""

    def __init__(self, source, index, batch_size, seed):
        self.source, self.batch_size = source, batch_size
        self._key = (seed, index)
        self.lengths, hashes = lengths_and_hashes(source)
        self.anchor_ids, self.positive_ids = small_ids(hashes)
        # Where texts repeat, the number of full batches differs a little from shuffle to shuffle. The middle
        # of three is what later epochs reach within a few tries; should one not, the best of three stands in.
        first = self._plan(0, 0)
        most = len(source) // batch_size
        plans = [first] if len(first) == most else [first, self._plan(0, 1), self._plan(0, 2)]
        plans.sort(key=len)
        self.batches = max(len(plans[len(plans) // 2]), min(1, len(plans[-1])))
        self._stand_in = plans[-1]
        self._epoch = (0, first[: self.batches]) if len(first) >= self.batches else (None, None)
        self._check_size()

    def _plan(self, epoch, number):
        rng = np.random.default_rng([*self._key, epoch, number])
        return plan_epoch(self.lengths, self.anchor_ids, self.positive_ids, self.batch_size, rng)

    def _rows(self, epoch):
        """`(batches, batch_size)` row numbers of an epoch."""
        if self._epoch[0] != epoch:
            plan = next(
                (p for number in range(_TRIES) if len(p := self._plan(epoch, number)) >= self.batches), None
            )
            if plan is None:
                rng = np.random.default_rng([*self._key, epoch, _TRIES])
                plan = self._stand_in[rng.permutation(len(self._stand_in))]
            self._epoch = (epoch, plan[: self.batches])
        return self._epoch[1]

    @property
    def left_over(self):
        return len(self.source) - self.batches * self.batch_size

    def drawn(self, use):
        """(rows (B,), their columns, ids of anchors and positives, epoch) of the use-th batch."""
        epoch, number = divmod(use, self.batches)
        rows = self._rows(epoch)[number].copy()
        texts = self.source.dataset.with_format(None)[rows.tolist()]
        return rows, texts, (self.anchor_ids[rows], self.positive_ids[rows]), epoch

    def _check_size(self):
        name, n, most = (
            repr(self.source.name),
            len(self.source),
            rows_per_text(self.anchor_ids, self.positive_ids).max(),
        )
        if self.batches == 0:
            fits = _distinct_rows(self.anchor_ids, self.positive_ids)
            why = "" if fits == n else f" (of {n:,} rows, since one text stands in up to {most:,} of them)"
            raise ValueError(
                f"batch_size={self.batch_size} but source {name} has only {fits:,} pairs that can share "
                f"a batch{why}; take a batch_size of at most {fits:,}, or give more pairs"
            )
        left = n - self.batches * self.batch_size
        if left >= self.batch_size and left > n // 10:
            warnings.warn(
                f"source {name}: {left:,} of its {n:,} pairs find no place in an epoch, because no text may "
                f"stand twice in a batch and one stands in {most:,} pairs; a smaller batch_size than "
                f"{self.batch_size} uses more",
                stacklevel=5,
            )


def _in_turn(prompts, use):
    return prompts[use % len(prompts)] if isinstance(prompts, tuple) else prompts


def _distinct_rows(anchor_ids, positive_ids):
    """How many rows a batch takes when rows are put in one after the other."""
    used, rows = set(), 0
    for anchor, positive in zip(anchor_ids.tolist(), positive_ids.tolist()):
        if anchor not in used and positive not in used:
            used.update((anchor, positive))
            rows += 1
    return rows


def _whole_number(name, value, least):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}={value!r}; give a whole number from {least} on")
    return int(value)
