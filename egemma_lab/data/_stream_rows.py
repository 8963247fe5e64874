"""Rows of a stream from any row on: files, a streamed data set, or a function that begins anew.

Each reader has `rows(first, epoch, seed, share)`, an iterator of `(place, row)`, `where(place)` for errors, and
`identity`, what is known of the whole without reading it. `share` is (which, of how many): rows are dealt to
processes in turn, or whole files where their number allows.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from egemma_lab.data._pair_files import SUFFIXES, file_kind, read_file

WHOLE = (0, 1)


@dataclass(frozen=True)
class FileRows:
    """Rows of files, one file after the other; in an order that the seed draws anew for every epoch."""

    paths: tuple

    @property
    def identity(self):
        return [(path.name, path.stat().st_size) for path in self.paths]

    def where(self, place):
        name, number = place
        return name(number)

    def rows(self, first=0, epoch=0, seed=None, share=WHOLE):
        mine, (which, of) = self.paths, share
        if len(mine) % of == 0:
            mine, first, step = mine[which::of], first, 1
        else:  # every process reads all files and keeps its own rows
            first, step = first * of + which, of
        if seed is not None:
            mine = [mine[i] for i in np.random.default_rng([*seed, epoch]).permutation(len(mine))]
        return islice(_from(mine, first), 0, None, step)


@dataclass(frozen=True)
class DatasetRows:
    """Rows of a `datasets.IterableDataset`; `split_dataset_by_node` deals its shards or rows to processes."""

    name: str
    dataset: object
    identity = ()

    def where(self, place):
        return f"{self.name}, row {place}"

    def rows(self, first=0, epoch=0, seed=None, share=WHOLE):
        from datasets.distributed import split_dataset_by_node

        which, of = share
        mine = split_dataset_by_node(self.dataset, which, of) if of > 1 else self.dataset
        mine.set_epoch(epoch)  # another order where the set was shuffled
        return islice(enumerate(mine), first, None)


@dataclass(frozen=True)
class CalledRows:
    """Rows of the iterator that `make()` returns, from its beginning each time."""

    make: object
    identity = ()

    def where(self, place):
        return f"rows[{place}]"

    def rows(self, first=0, epoch=0, seed=None, share=WHOLE):
        from egemma_lab.data.pairs import numbered_rows

        which, of = share
        return islice(numbered_rows(self.make()), first * of + which, None, of)


def _from(paths, first):
    """Rows of the files from row `first` on; Parquet files that lie before it are not opened beyond their footers."""
    for path in paths:
        length = _parquet_length(path) if first else None
        if length is not None and first >= length:
            first -= length
            continue
        where, rows = read_file(path)
        for place, row in rows:
            if first:
                first -= 1
            else:
                yield (where, place), row


def _parquet_length(path):
    """Rows of a Parquet file as its footer says; None for other files."""
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows if file_kind(path) == ".parquet" else None


def find_files(source):
    """The files that a path, a pattern ("shards/*.parquet"), a folder or a list of those names: a sorted tuple."""
    if isinstance(source, list | tuple):
        return tuple(path for each in source for path in find_files(each))
    path = Path(source).expanduser()
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if file_kind(each))
    elif any(sign in path.name for sign in "*?["):
        found = sorted(path.parent.glob(path.name))
    else:
        found = [path]
    if not found:
        raise FileNotFoundError(f"{path.absolute()}: no file of pairs there ({', '.join(SUFFIXES)})")
    return tuple(found)
