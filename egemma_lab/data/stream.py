"""`stream_pairs`: pairs that are read as they are needed, of corpora larger than the memory or the disk."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from egemma_lab.data._pair_columns import ROLES
from egemma_lab.data._pair_files import file_kind
from egemma_lab.data._pair_rows import rows_to_dataset
from egemma_lab.data._stream_rows import CalledRows, DatasetRows, FileRows, find_files
from egemma_lab.data.mixture import Source
from egemma_lab.data.pairs import hub_name

BUFFER = 16_384  # rows shuffled together: some 10 MB of sentences
BEGINNING = 16_384  # rows looked at beforehand: a tokenizer, a rotation and the probe are made of them


@dataclass(frozen=True, eq=False)
class Stream(Source):
    """A source that is read as it is needed; made by `stream_pairs`.

    `dataset` holds its beginning alone, and so does `len()`: nobody knows the whole's length before its end.
    """

    reader: object = None
    columns: dict | None = None
    buffer_size: int = BUFFER
    streamed = True

    @cached_property
    def roles(self):
        """anchor, positive, negative, as far as there are any."""
        return [role for role in ROLES if role in self.dataset.column_names]

    def read(self, rows):
        """(place, row) of some rows as a checked Dataset of the stream's roles; None where there are no rows."""
        wanted = {(self.columns or {}).get(role, role) for role in self.roles}
        rows = [(place, {name: row[name] for name in wanted if name in row}) for place, row in rows]
        if not rows:
            return None
        found = rows_to_dataset(self.name, self.reader.where, rows, self.columns)
        missing = [role for role in self.roles if role not in found.column_names]
        if missing:
            raise ValueError(
                f"{self.name}: no {missing[0]} in the rows from {self.reader.where(rows[0][0])} on, and the rows "
                "before had one; fill them, or leave hard negatives out: columns={'negative': None}"
            )
        return found.select_columns(self.roles)


def stream_pairs(
    source,
    *,
    columns=None,
    split="train",
    buffer_size=BUFFER,
    name=None,
    weight=1.0,
    anchor_prompt="query",
    positive_prompt="document",
):
    """Pairs read as training needs them, for `lab.train(model, stream_pairs(...), ...)`; alone or in a mixture.

    Args:
        source: one of
            - a file that `load_pairs` reads (.jsonl, .json, .csv, .tsv, .parquet), a pattern such as
              `"shards/*.parquet"`, a folder of such files, or a list of those;
            - a `datasets.IterableDataset`, e.g. `load_dataset(..., streaming=True)`, also over URLs;
            - a Hub name, `"owner/name"` or `"owner/name:config"`: then it is opened so;
            - a function without arguments that returns an iterator of rows (dicts or tuples), each time from the
              beginning and always the same.
        columns: as in `load_pairs`; `{"positive": None}` streams single texts, to be matched to a teacher.
        split: of a Hub name.
        buffer_size: rows shuffled together. A stream cannot be shuffled as a whole: it is cut into windows of
            this many rows (rounded down to whole batches, one batch at least), and each window is shuffled,
            grouped by length and cut into batches as a whole data set would be. Files come in an order that the
            seed draws for every epoch; so many files shuffle better than one. Two windows are in memory.
        name, weight, anchor_prompt, positive_prompt: as in `Source`.

    What the rows of a step are depends on the stream, batch_size, buffer_size, seed and step alone, so resuming is
    exact: it reads on at the window of its step. Parquet files before it are passed over unread; other files and
    data sets are read through up to there, some 100,000 rows a second.

    Of several processes (`accelerate launch`) each reads a share of its own: whole files where the number of files
    is a multiple of theirs, else every n-th row of n; a `datasets` stream by `split_dataset_by_node`. A text may
    then stand in two shares of one batch, where the losses know it by its hash. Resuming needs as many processes.

    Teacher vectors of streamed texts are computed as they come and never written to disk. A step's `epoch` in the
    history counts whole passes. Rows that do not fill a batch at the stream's end are left out, and where texts
    repeat so often that a window does not fill its batches, some of its batches come twice, with a warning.

    Raises as `load_pairs` does, for rows when they are reached.

    >>> numbers = stream_pairs(lambda: ((f"what is {n} + 1", str(n + 1)) for n in range(10**12)), buffer_size=64)
    >>> from egemma_lab.data import BatchPlan
    >>> batch = BatchPlan(numbers, batch_size=4, seed=0).batch(1000)  # rows 3,968 to 4,031 are in its window
    >>> sorted(batch.rows // 64)
    [np.int64(62), np.int64(62), np.int64(62), np.int64(62)]
    """
    if isinstance(buffer_size, bool) or not isinstance(buffer_size, int) or buffer_size < 1:
        raise ValueError(f"buffer_size={buffer_size!r}; give a number of rows from 1 on")
    reader, found = _reader(source, split)
    rows = reader.rows()
    beginning = rows_to_dataset(name or found, reader.where, rows, columns, BEGINNING)
    return Stream(
        name or found, beginning, weight, anchor_prompt, positive_prompt, reader, columns, buffer_size
    )


def is_streamed(source):
    """Whether `source` is a data set of `datasets` without a length: one that was opened with streaming."""
    return hasattr(source, "set_epoch") and not hasattr(source, "__len__")


def _reader(source, split):
    """(reader, name) of whatever `stream_pairs` takes."""
    if is_streamed(source):
        return DatasetRows("the stream", source), "data"
    if callable(source):
        return CalledRows(source), "data"
    if isinstance(source, str) and not Path(source).expanduser().exists() and not file_kind(source):
        hub = hub_name(source)
        if hub:
            import datasets

            repository, config = hub
            dataset = datasets.load_dataset(repository, config, split=split, streaming=True)
            return DatasetRows(f"{source}, split {split!r}", dataset), source.rpartition("/")[2]
    if isinstance(source, str | Path | list | tuple):
        paths = find_files(source)
        return FileRows(paths), paths[0].name.partition(".")[0] if len(paths) == 1 else "data"
    raise TypeError(
        f"cannot stream from a {type(source).__name__}; give files, a Hub name, a datasets.IterableDataset, or a "
        "function that returns an iterator of rows (an iterator itself can be read once only)"
    )
