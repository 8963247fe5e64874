"""From rows to a checked `datasets.Dataset` of pairs: is every text a text, and is none missing?"""

import warnings
from itertools import islice
from numbers import Real

from egemma_lab.data._pair_columns import ROLES, Columns

_CHUNK = 4096  # rows held as Python objects at a time


def _is_missing(value):
    """None, NaN, and pandas' own two (by name, so that pandas is not imported for them)."""
    not_a_number = isinstance(value, Real) and value != value
    return value is None or not_a_number or type(value).__name__ in ("NAType", "NaTType")


def _shown(value):
    try:
        return repr(str(value)[:40])
    except (ValueError, RecursionError):  # thousands of digits, or of brackets
        return "too long to show"


class _Checks:
    """Looks at one text after the other and names the first that is none."""

    def __init__(self, where, columns):
        self.where, self.columns = where, columns
        self.rows = self.repaired = self.without_negative = 0
        self.first_without_negative = None
        self.unfit = set()  # extra columns that Arrow cannot hold

    def text(self, value, role, place, row=()):
        """`value`, if it is a text with something in it; None for a negative that is not there."""
        if isinstance(value, str) and value.strip().strip("\0").strip():
            return value
        missing = _is_missing(value)
        if role == "negative" and (missing or isinstance(value, str)):
            self.without_negative += 1
            self.first_without_negative = self.first_without_negative or self.where(place)
            return None
        column = self.columns[role]
        if missing and row and column not in row:
            problem = f"is missing; this row has {', '.join(map(repr, row))}"
        elif missing:
            problem = f"holds no value ({value})"
        elif isinstance(value, str):
            problem = f"is empty ({value[:20]!r})"
        elif role == "negative" and isinstance(value, list | tuple):
            problem = f"holds a list of {len(value)}; a row has one hard negative, so write a row for each"
        else:
            problem = f"holds {type(value).__name__} {_shown(value)}, not a text"
        named = f"'{column}'" if column == role else f"'{column}' (as {role})"
        raise ValueError(f"{self.where(place)}, column {named} {problem}")

    def has_negatives(self, name):
        """True where every row has a hard negative, False where none has."""
        if self.rows == 0:
            raise ValueError(f"{name}: no pairs in it (0 rows)")
        column = self.columns["negative"]
        if self.without_negative == 0:
            return column is not None
        if self.without_negative == self.rows:
            if self.columns.negative_was_asked_for:
                raise ValueError(f"{name}: columns maps negative to {column!r}, where no row has a text")
            return False
        raise ValueError(
            f"{name}: {self.without_negative:,} of {self.rows:,} rows have no text in column {column!r} "
            f"(the first: {self.first_without_negative}). Fill them, drop those rows, or do without "
            "hard negatives: columns={'negative': None}"
        )


def rows_to_dataset(name, where, rows, columns=None, limit=None):
    """`(place, dict)` rows as an in-memory Dataset; `where(place)` is how an error names a row.

    Rows are Python objects a few thousand at a time only.
    """
    import datasets
    import pyarrow as pa

    rows = iter(rows if limit is None else islice(rows, limit))
    checks, resolved, tables = None, None, []
    while chunk := list(islice(rows, _CHUNK)):
        if resolved is None:
            resolved = Columns(where(chunk[0][0]), chunk[0][1], columns)
            checks = _Checks(where, resolved)
        tables.append(_table(chunk, resolved, checks))
    if checks is None:
        raise ValueError(f"{name}: no pairs in it (0 rows)")
    extras = _of_one_type([table.drop_columns(list(ROLES)).schema for table in tables], checks)
    has_negatives = checks.has_negatives(name)
    kept = [r for r in ROLES if resolved[r] is not None and (r != "negative" or has_negatives)] + extras
    tables = [table.select([column for column in kept if column in table.column_names]) for table in tables]
    if checks.unfit:
        unfit = ", ".join(map(repr, sorted(checks.unfit)))
        warnings.warn(
            f"{name}: left out {unfit}: values of different types in one column, or none that a table can hold",
            stacklevel=3,
        )
    if checks.repaired:
        warnings.warn(
            f"{name}: {checks.repaired:,} texts held half of a surrogate pair, which is no character; "
            "each is now U+FFFD, the replacement character",
            stacklevel=3,
        )
    return datasets.Dataset(pa.concat_tables(tables, promote_options="permissive").select(kept))


def _table(chunk, columns, checks):
    import pyarrow as pa

    checks.rows += len(chunk)
    arrays = {}
    for role in ROLES:
        column = columns[role]
        texts = [checks.text(row.get(column), role, place, row) if column else None for place, row in chunk]
        try:
            arrays[role] = pa.array(texts, pa.string())
        except UnicodeEncodeError:
            arrays[role] = pa.array([_whole_characters(text, checks) for text in texts], pa.string())
    extras = dict.fromkeys(column for _, row in chunk for column in row if columns.is_extra(column))
    for column in extras:
        try:
            column.encode()
            arrays[column] = pa.array([row.get(column) for _, row in chunk], from_pandas=True)
        except (pa.ArrowException, UnicodeEncodeError, OverflowError):
            checks.unfit.add(column)
    return pa.table(arrays)


def _of_one_type(schemas, checks):
    """Names of the extra columns that have one type in all chunks; the others join `checks.unfit`."""
    import datasets
    import pyarrow as pa

    fields = {}
    for field in (field for schema in schemas for field in schema):
        fields.setdefault(field.name, []).append(pa.schema([field]))
    for name, found in fields.items():
        try:
            datasets.Dataset(pa.unify_schemas(found, promote_options="permissive").empty_table())
        except (pa.ArrowException, ValueError):  # of several types, hundreds of levels deep, NUL in the name
            checks.unfit.add(name)
    return [name for name in fields if name not in checks.unfit]


def _whole_characters(text, checks):
    """`text` with surrogate pairs joined and lone ones as U+FFFD: UTF-8, and so Arrow, cannot write them."""
    if text is None or not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    checks.repaired += 1
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def checked_dataset(name, dataset, columns=None, limit=None):
    """The given Dataset, read once to check it, with anchor, positive[, negative] before other columns."""
    dataset = dataset.with_format(None)
    if limit is not None:
        dataset = dataset.select(range(min(limit, len(dataset))))
    if len(dataset) == 0:
        raise ValueError(f"{name}: no pairs in it (0 rows)")
    resolved = Columns(name, dataset.column_names, columns)
    if resolved["negative"] not in dataset.column_names:
        if resolved.negative_was_asked_for:
            found = ", ".join(map(repr, dataset.column_names))
            raise ValueError(
                f"{name}: there is no column {resolved['negative']!r} for the negative; found: {found}"
            )
        resolved.source["negative"] = None
    checks = _Checks(lambda place: f"{name}, row {place}", resolved)
    roles = [role for role in ROLES if resolved[role] is not None]
    texts = dataset.select_columns([resolved[role] for role in roles])
    for start in range(0, len(dataset), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        for role in roles:
            for place, value in enumerate(chunk[resolved[role]], start):
                checks.text(value, role, place)
    checks.rows = len(dataset)
    if not checks.has_negatives(name):
        roles = [role for role in roles if role != "negative"]
    extras = [column for column in dataset.column_names if resolved.is_extra(column)]
    dataset = dataset.select_columns([resolved[role] for role in roles] + extras)
    renamed = {resolved[role]: role for role in roles if resolved[role] != role}
    return (dataset.rename_columns(renamed) if renamed else dataset).select_columns(roles + extras)
