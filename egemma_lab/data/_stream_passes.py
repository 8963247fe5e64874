"""The batches of a stream: it is cut into windows, and each window is planned as a whole data set would be."""

import threading
import warnings
from collections import OrderedDict
from itertools import islice

import numpy as np

from egemma_lab.data._epoch import plan_epoch
from egemma_lab.data._text_hashes import lengths_and_hashes, small_ids
from egemma_lab.data.mixture import Source

_KEPT = 2  # windows in memory: what is tokenised ahead may lie in the next one
_TRIES = 8


class StreamPasses:
    """The passes over one stream, of the rows dealt to one process. `batches` a pass; None until its end was seen.

    `drawn(use)` gives (rows (B,), Dataset of B rows, hashes (2, B), epoch) of the use-th batch, in any order.
    """

    left_over = None

    def __init__(self, stream, index, batch_size, seed, share):
        self.source, self.batch_size, self.batches = stream, batch_size, None
        self._key, self._share = (seed, index), share
        self._each = max(1, stream.buffer_size // batch_size)  # batches a window
        self._windows = OrderedDict()  # (epoch, window) -> (Dataset, hashes, planned rows)
        self._reading = None  # epoch, next row, iterator
        self._lock = threading.Lock()  # the loop asks, and so does the thread that tokenises ahead
        self._told = False

    def drawn(self, use):
        with self._lock:
            epoch, window, number = self._place(use)
            dataset, hashes, planned = self._window(epoch, window)
        local = planned[number]
        rows = local + window * self._each * self.batch_size
        return rows, dataset[local.tolist()], hashes[:, local], epoch

    def _place(self, use):
        if self.batches is None:
            self._window(0, use // self._each)  # may find the end
        epoch, number = (0, use) if self.batches is None else divmod(use, self.batches)
        return epoch, *divmod(number, self._each)

    def _window(self, epoch, window):
        key = (epoch, window)
        if key not in self._windows:
            dataset = self._read(epoch, window * self._each * self.batch_size)
            if dataset is None:
                return None
            self._windows[key] = dataset, *self._plan(dataset, *key)
            while len(self._windows) > _KEPT:
                self._windows.popitem(last=False)
        return self._windows[key]

    def _read(self, epoch, start):
        """The window's rows from `start` on; at the stream's end `batches` becomes known."""
        size = self._each * self.batch_size
        if self._reading is None or self._reading[0] != epoch or self._reading[1] > start:
            self._reading = epoch, start, self._rows(epoch, start)
            follows = start == 0
        else:
            follows = self._reading[1] == start  # a window that was full
        _, at, rows = self._reading
        found = list(islice(rows, start - at, start - at + size))
        self._reading = epoch, start + size, rows
        if self.batches is None and len(found) < size:
            length = start + len(found) if found or follows else sum(1 for _ in self._rows(0, 0))
            self.batches = length // self.batch_size
            if self.batches == 0:
                of = "" if self._share[1] == 1 else " in the share of one process"
                raise ValueError(
                    f"a batch needs {self.batch_size} rows of source {self.source.name!r}, and the stream has "
                    f"{length:,}{of}; take a smaller batch_size, or give more pairs"
                )
        return self.source.read(found)

    def _rows(self, epoch, start):
        return self.source.reader.rows(start, epoch, self._key, self._share)

    def _plan(self, dataset, epoch, window):
        """hashes (2, n) and the window's batches (n // B, B)."""
        lengths, hashes = lengths_and_hashes(Source(self.source.name, dataset))
        anchors, positives = small_ids(hashes)
        full, best = len(dataset) // self.batch_size, []
        for number in range(_TRIES):
            rng = np.random.default_rng([*self._key, epoch, window, number])
            best = max(best, plan_epoch(lengths, anchors, positives, self.batch_size, rng), key=len)
            if len(best) == full:
                break
        if full and not len(best):
            raise ValueError(
                f"source {self.source.name!r}: {len(dataset):,} rows of its stream hold no {self.batch_size} that can "
                "share a batch, since their texts repeat; take a smaller batch_size or a larger buffer_size"
            )
        if len(best) < 0.9 * full and not self._told:
            self._told = True
            warnings.warn(
                f"source {self.source.name!r}: texts repeat so often that {full - len(best)} of {full} batches of a "
                "window would hold one twice; others of that window come twice instead",
                stacklevel=2,
            )
        return hashes, np.resize(best, (full, self.batch_size)) if full else best
