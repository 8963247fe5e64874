"""JSON lines, each an object with certain fields; whatever else is wrong is named with its file and line."""

import json
import math
from numbers import Real

_KINDS = {str: "string", Real: "number", (str, int): "string or whole number"}


def json_lines(path, fields):
    """Yield the objects of a file, one a line, empty lines left out.

    `fields`, {name: str or Real or (str, int)}: what every object must have. ValueError names the file, the
    line and what stands there.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "test.jsonl"
    >>> _ = path.write_text('{"text": "a card", "label": 3}')
    >>> list(json_lines(path, {"text": str, "label": (str, int)}))
    [{'text': 'a card', 'label': 3}]
    """
    for number, line in numbered_lines(path):
        if line.strip():
            yield parse_line(path, number, line, fields)


def numbered_lines(path):
    """`(number, text)` of each line of a file in UTF-8, a byte-order mark left out; ValueError names another one."""
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}:{number}: not UTF-8 text ({error}): save the file as UTF-8"
                ) from error


def parse_line(path, number, line, fields):
    """The object in one line of a file, checked; `path` and `number` are for the error."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError among them
        raise ValueError(f"{path}:{number}: not JSON ({error})") from error
    if not isinstance(row, dict) or not all(_is(kind, row.get(name)) for name, kind in fields.items()):
        expected = ", ".join(f"{name} ({_KINDS[kind]})" for name, kind in fields.items())
        raise ValueError(f"{path}:{number}: expected an object with {expected}, got {line[:80]!r}")
    return row


def _is(kind, value):
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    try:
        return kind is not Real or math.isfinite(value)  # JSON as Python reads it knows NaN and Infinity
    except OverflowError:
        return False


def first_fields(path):
    """Names of the fields in a file's first line; none where there is no such file or no object in it."""
    try:
        with open(path, encoding="utf-8") as lines:
            row = json.loads(lines.readline())
    except (OSError, ValueError, RecursionError):
        return set()
    return set(row) if isinstance(row, dict) else set()
