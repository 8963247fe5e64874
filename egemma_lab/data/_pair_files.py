"""Reading rows out of files: JSON Lines, JSON, CSV, TSV and Parquet, each row with the place it stands at.

Every reader yields `(place, row)`: `place` is a line number (1 is the first) or a row number (0 is the
first), `row` a dict. Nothing here knows what a pair is; `_pair_rows` checks that.
"""

import csv
import gzip
import json
from difflib import get_close_matches
from pathlib import Path

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
GZIPPED = (".jsonl.gz", ".json.gz", ".csv.gz", ".tsv.gz")


def file_kind(path):
    """The suffix that decides how `path` is read ('.jsonl', ...), or None where no reader fits.

    >>> file_kind("pairs.JSONL"), file_kind("pairs.csv.gz"), file_kind("notes.txt")
    ('.jsonl', '.csv', None)
    """
    name = Path(path).name.lower()
    for suffix in GZIPPED:
        if name.endswith(suffix):
            return suffix.removesuffix(".gz")
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def read_file(path):
    """Rows of the file at `path` as `(where, rows)`; `where(place)` is how an error names a row.

    Files are read as they are asked for, a row at a time (Parquet: a few thousand at a time).
    """
    path = Path(path).expanduser()
    kind = file_kind(path)
    if not path.exists():
        raise FileNotFoundError(f"{path.absolute()} does not exist{_nearest(path)}")
    if path.is_dir():
        raise IsADirectoryError(
            f"{path.absolute()} is a folder; give one file in it, or a folder that save_to_disk wrote"
        )
    if kind is None:
        allowed = ", ".join(SUFFIXES)
        raise ValueError(
            f"{path}: pairs are read from {allowed} (all but Parquet also with .gz), not from '{path.suffix}'"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes)")
    if kind == ".parquet":
        return lambda place: f"{path}, row {place}", _parquet(path)
    if kind in (".csv", ".tsv"):
        return lambda place: f"{path}, line {place}", _separated(path, "\t" if kind == ".tsv" else ",")
    if kind == ".json" and _starts_with_bracket(path):
        return lambda place: f"{path}, entry {place}", _json_list(path)
    return lambda place: f"{path}, line {place}", _json_lines(path)


def _nearest(path):
    """What stands beside a missing file, for the error."""
    folder = path.parent
    if not folder.is_dir():
        return f" (nor does its folder {folder.absolute()})"
    names = sorted(entry.name for entry in folder.iterdir())
    close = get_close_matches(path.name, names, n=3, cutoff=0.5) or [n for n in names if file_kind(n)][:3]
    return f"; its folder has {', '.join(close)}" if close else "; its folder has no file of pairs"


def _lines(path):
    """`(number, text)` of each line; lines end at \\n alone, as JSON Lines and CSV want it."""
    open_ = gzip.open if path.name.lower().endswith(".gz") else open
    with open_(path, "rb") as lines:
        number = 0
        try:
            for number, line in enumerate(lines, 1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")  # the byte-order mark that Windows writes
                yield number, _decoded(path, number, line)
        except (gzip.BadGzipFile, EOFError) as error:
            raise ValueError(
                f"{path}, after line {number}: the gzip data is damaged or cut short ({error})"
            ) from error


def _decoded(path, number, line):
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}, line {number}, byte {error.start + 1}: {line[error.start]:#04x} is not UTF-8 text; "
            "save the file as UTF-8"
        ) from error
    if "\0" in text:
        raise ValueError(
            f"{path}, line {number}, column {text.index(chr(0)) + 1}: a NUL byte; the file is damaged, "
            r"or it is UTF-16: save it as UTF-8 (inside JSON text, NUL is written \u0000)"
        )
    return text


def _json_lines(path):
    for number, line in _lines(path):
        if line.strip():
            yield number, _json_object(f"{path}, line {number}", _parsed(f"{path}, line {number}", line))


def _parsed(place, text):
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{place}: not JSON: {error.msg} at column {error.colno}: {_shortened(text.strip())}"
        ) from error
    except ValueError as error:  # a name twice; a number of thousands of digits
        raise ValueError(f"{place}: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{place}: JSON nested too deeply to read") from error


def _each_once(items):
    """An object's fields as a dict; of two with one name, json.loads alone would drop the first without a word."""
    found = dict(items)
    if len(found) < len(items):
        _refuse_twice("an object", [name for name, _ in items])
    return found


def _refuse_twice(what, names):
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} names {', '.join(map(repr, twice))} twice")


def _json_object(place, value):
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise ValueError(
            f'{place}: expected an object such as {{"anchor": "...", "positive": "..."}}, found a {kind}'
        )
    return value


def _json_list(path):
    text = "".join(line for _, line in _lines(path))
    try:
        entries = json.loads(text, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path}: JSON nested too deeply to read") from error
    for number, entry in enumerate(entries):
        yield number, _json_object(f"{path}, entry {number}", entry)


def _starts_with_bracket(path):
    """Whether a .json file holds one list of objects (else it is read as JSON Lines)."""
    return next((line.lstrip()[0] == "[" for _, line in _lines(path) if line.strip()), False)


def _separated(path, delimiter):
    before = csv.field_size_limit(2**31 - 1)  # the default refuses texts of more than 131,072 characters
    try:
        reader = csv.reader((line for _, line in _lines(path)), delimiter=delimiter, strict=True)
        header = next((fields for fields in reader if fields), [])
        _refuse_twice(f"{path}, line {reader.line_num}: the header", header)
        begin = reader.line_num + 1
        for fields in reader:
            if fields and len(fields) != len(header):
                raise ValueError(
                    f"{path}, line {begin}: {len(fields)} fields, but the header has {len(header)} "
                    f"({', '.join(header)}); a text with the separator or a line break in it needs quotes"
                )
            if fields:
                yield begin, dict(zip(header, fields))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not well-formed: {error}") from error
    finally:
        csv.field_size_limit(before)


def _parquet(path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _refuse_twice(f"{path}: the table", file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=4096):
                for row in _rows(path, batch, number):
                    yield number, row
                    number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a readable Parquet file: {error}") from error


def _rows(path, batch, first):
    """The rows of a batch as dicts; a value that Python cannot hold, such as a text not in UTF-8, is named."""
    try:
        return batch.to_pylist()
    except (ValueError, OverflowError):
        for name, column in zip(batch.schema.names, batch.columns):
            for number, value in enumerate(column, first):
                try:
                    value.as_py()
                except (ValueError, OverflowError) as error:
                    raise ValueError(
                        f"{path}, row {number}, column {name!r} cannot be read: {error}"
                    ) from error
        raise


def _shortened(text, width=60):
    return repr(text if len(text) <= width else text[:width] + "…")
