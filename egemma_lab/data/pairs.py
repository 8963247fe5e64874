"""`load_pairs`: pairs of texts that belong together, from wherever they lie."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from egemma_lab.data._pair_columns import ROLES
from egemma_lab.data._pair_files import SUFFIXES, file_kind, read_file
from egemma_lab.data._pair_rows import checked_dataset, rows_to_dataset
from egemma_lab.model.hub import transport_error

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
_ALLOWED = (
    f"'python-docs', a file ({', '.join(SUFFIXES)}), a Hub name 'owner/name' or 'owner/name:config', "
    "rows (dicts or tuples), a datasets.Dataset or a pandas.DataFrame"
)


def load_pairs(source, *, columns=None, split="train", limit=None):
    """Pairs to train or evaluate on, as a `datasets.Dataset` with columns anchor, positive[, negative].

    Args:
        source: one of
            - `"python-docs"`: mined from the Python packages installed on this machine (`load_python_docs`);
            - a path to .jsonl, .json (a list of objects, or JSON Lines), .csv, .tsv (each also .gz),
              .parquet, or to a folder that `Dataset.save_to_disk` wrote;
            - rows: an iterable of dicts, or of tuples `(anchor, positive[, negative])`;
            - a `datasets.Dataset`, a `DatasetDict` (then `split` chooses) or a `pandas.DataFrame`;
            - a Hub name, `"owner/name"` or `"owner/name:config"`. Remote code is never run.
        columns: which column is what, where the names differ: `{"anchor": "question", "positive": "answer"}`.
            The names are those of sentence-transformers, and no column is taken for another unless told so
            here. `{"negative": None}` leaves hard negatives out. A column whose name a mapped one takes is
            left out.
        split: split of python-docs, a DatasetDict or a Hub name. Files and rows have none but "train".
        limit: take the first `limit` pairs only; what lies behind them is not looked at.

    Texts are kept as they are: NUL characters, surrounding blanks and any length. Half surrogate pairs, which
    UTF-8 cannot write, become U+FFFD with a warning. Further columns are kept behind the three.

    Raises:
        FileNotFoundError: no such file or Hub data set; names the nearest files.
        ValueError: names file, line and column of what is not JSON, not UTF-8, empty, null or not a text; of
            a missing column (with those found, and the mapping to write); of a file or table without pairs;
            of hard negatives that only some rows have.
        TypeError: for anything that is none of the sources above.

    >>> pairs = load_pairs([("capital of France", "Paris"), ("capital of Peru", "Lima")])
    >>> pairs.column_names, pairs[1]
    (['anchor', 'positive'], {'anchor': 'capital of Peru', 'positive': 'Lima'})
    >>> load_pairs([{"question": "capital of Peru", "answer": "Lima"}])
    Traceback (most recent call last):
      ...
    ValueError: rows[0]: there is no column 'anchor', 'positive'; found: 'question', 'answer'. Say which is
    which, perhaps columns={'anchor': 'question', 'positive': 'answer'}
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ValueError(f"limit={limit!r}; give a number of pairs from 1 on, or None for all")
    if isinstance(source, str | Path):
        return _from_name(str(source), columns, split, limit)
    if isinstance(source, Mapping):
        name = "the DatasetDict"
        if not all(hasattr(part, "column_names") for part in source.values()):
            raise TypeError(
                f"a dict is not pairs; allowed: {_ALLOWED}. "
                "One pair is written [{'anchor': ..., 'positive': ...}]"
            )
        return checked_dataset(f"{name}, split {split!r}", _chosen(source, split, name), columns, limit)
    if hasattr(source, "column_names") and hasattr(source, "select_columns") and hasattr(source, "__len__"):
        return checked_dataset("the Dataset", source, columns, limit)
    _only_train(split, "rows")
    if hasattr(source, "itertuples") and hasattr(source, "columns"):
        return rows_to_dataset(
            "the DataFrame", "the DataFrame, row {}".format, _frame_rows(source), columns, limit
        )
    if isinstance(source, bytes) or not isinstance(source, Iterable):
        raise TypeError(f"cannot read pairs from a {type(source).__name__}; allowed: {_ALLOWED}")
    return rows_to_dataset("rows", "rows[{}]".format, numbered_rows(source), columns, limit)


def _from_name(name, columns, split, limit):
    if name == "python-docs":
        from egemma_lab.data.python_docs import load_python_docs

        return checked_dataset(name, load_python_docs(split, limit=limit), columns)
    path = Path(name).expanduser()
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return _from_saved(name, path, columns, split, limit)
    if path.exists() or file_kind(name) or name.startswith(("/", ".", "~")) or not _HUB_NAME.fullmatch(name):
        if not path.exists() and not file_kind(name) and not Path(name).is_absolute() and "/" not in name:
            raise FileNotFoundError(
                f"{name!r} is neither a file in {Path.cwd()} nor anything else known; allowed: {_ALLOWED}"
            )
        _only_train(split, name)
        where, rows = read_file(name)
        return rows_to_dataset(name, where, rows, columns, limit)
    return checked_dataset(f"{name}, split {split!r}", _from_hub(name, split), columns, limit)


def _from_hub(name, split):
    import datasets

    repository, config = hub_name(name)
    try:
        return datasets.load_dataset(repository, config, split=split)
    except (FileNotFoundError, ConnectionError) as error:
        raise FileNotFoundError(
            f"{name!r}: there is no such file ({Path(name).absolute()}), and as a name on the Hub it "
            f"cannot be had: {type(error).__name__}: {error}"
        ) from error
    except (transport_error(), OSError, RuntimeError, datasets.exceptions.DatasetGenerationError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # this machine's own: a full disk, no permission
        # what is left happens in the middle of a download
        raise ConnectionError(
            f"{name!r} did not come whole from the Hub ({type(error).__name__}: {error}): nothing of it is used. "
            "Call again when there is a network; files that came whole are not fetched again"
        ) from error
    except ValueError as error:
        error.add_note(
            f"(asked for {name!r}, split {split!r}; a configuration is written 'owner/name:config')"
        )
        raise


def hub_name(name):
    """("owner/name", configuration or None) where `name` has the form of a Hub name, else None."""
    if not _HUB_NAME.fullmatch(name):
        return None
    repository, _, config = name.partition(":")
    return repository, config or None


def _from_saved(name, path, columns, split, limit):
    import datasets

    saved = datasets.load_from_disk(str(path))
    if isinstance(saved, dict):
        saved = _chosen(saved, split, name)
    else:
        _only_train(split, name)
    return checked_dataset(name, saved, columns, limit)


def _chosen(splits, split, name):
    if split not in splits:
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(map(repr, splits))}")
    return splits[split]


def _only_train(split, name):
    if split != "train":
        raise ValueError(f"split={split!r}: {name} has no splits; leave split out")


def _frame_rows(frame):
    """Rows of a DataFrame as dicts, numbered by position."""
    names = list(frame.columns)
    if len(set(names)) < len(names):
        raise ValueError(f"the DataFrame has a column name twice: {names}")
    for number, values in enumerate(zip(*(frame[name] for name in names))):
        yield number, dict(zip(names, values))


def numbered_rows(rows):
    """(number, dict) of each row of an iterable of dicts or tuples."""
    for number, row in enumerate(rows):
        if isinstance(row, Mapping):
            yield number, row
        elif isinstance(row, tuple | list) and len(row) in (2, 3):
            yield number, dict(zip(ROLES, row))
        else:
            what = f"a {type(row).__name__}" + (f" of {len(row)}" if isinstance(row, tuple | list) else "")
            raise ValueError(
                f"rows[{number}] is {what}; a row is a dict with anchor and positive, "
                "or a tuple (anchor, positive[, negative])"
            )
