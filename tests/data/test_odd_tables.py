"""Tables of every kind of wrong: the right pairs, or an error that names file, place and column; never a mix-up."""

import csv
import datetime
import decimal
import json
import math
import random
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egemma_lab.data import load_pairs

ROLES = ("anchor", "positive", "negative")
GOOD = [{"anchor": f"a{i}", "positive": f"p{i}", "negative": f"n{i}", "extra": f"x{i}"} for i in range(3)]
MISSING = {"None": None, "NaN": math.nan}
BLANK = {"empty": "", "blanks": " \t\u3000", "NUL": "\0"}
OTHER = {
    "whole number": 7,
    "number": 1.5,
    "infinity": math.inf,
    "large number": 2**70,
    "truth": True,
    "list": ["a"],
    "list of none": [],
    "object": {"a": 1},
    "object of none": {},
    "nested": [[{"a": [None]}]],
    "bytes": b"a\xff",
    "date": datetime.date(2020, 1, 1),
    "decimal": decimal.Decimal("1.10"),
}
ODD = {**MISSING, **BLANK, **OTHER}


def write(path, rows):
    """The rows as the kind of file that the name says; whatever cannot stand in such a file raises."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def loaded(source, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what was left out
        return load_pairs(source, **options)


PLACES = {
    ".jsonl": "line {}",
    ".json": "entry {}",
    ".parquet": "row {}",
}  # lines count from 1, the others from 0


@pytest.mark.parametrize("suffix", PLACES)
@pytest.mark.parametrize("column", [*ROLES, "extra"])
def test_one_odd_value(tmp_path, suffix, column):
    """Every kind of value in each column of every kind of file, in one row of three and in all of them."""
    cases = 0
    for kind, value in ODD.items():
        for wrong in ([1], [0, 1, 2]):
            if (suffix, kind, wrong) == (".parquet", "bytes", [1]):
                continue  # the texts beside them become bytes too
            rows = [{**row, column: value} if i in wrong else row for i, row in enumerate(GOOD)]
            try:
                path = write(tmp_path / f"table{suffix}", rows)
            except (TypeError, pa.ArrowException, OverflowError):
                continue  # no such value in such a file
            cases += 1
            expected = list(ROLES) if column == "extra" else None
            if column == "negative" and kind in {**MISSING, **BLANK} and len(wrong) == 3:
                expected = ["anchor", "positive"]  # no row has one
            if expected:
                pairs = loaded(path)
                assert [name for name in pairs.column_names if name in ROLES] == expected, kind
                assert all(pairs[role][:] == [row[role] for row in GOOD] for role in expected), kind
            else:
                place = PLACES[suffix].format(wrong[0] + (suffix == ".jsonl"))
                with pytest.raises(ValueError, match=rf"table\{suffix}.*{place}") as refusal:
                    loaded(path)
                assert f"'{column}'" in str(refusal.value)
    assert cases >= 20


@pytest.mark.parametrize("value", ["7", "nan", "None", "null", "1e400", "[]", "=1+1", "\ud7ff\ue000"])
def test_in_csv_everything_is_a_text(tmp_path, value):
    rows = [{**row, "anchor": value} for row in GOOD]
    assert loaded(write(tmp_path / "table.csv", rows))["anchor"][:] == [value] * 3


@pytest.mark.parametrize("value", [None, *BLANK.values()])
@pytest.mark.parametrize("column", ROLES)
def test_in_csv_blank_is_none(tmp_path, column, value):
    rows = [{**row, column: value} if i == 1 else row for i, row in enumerate(GOOD)]
    with pytest.raises(ValueError, match=r"table\.csv.*line 3") as refusal:
        loaded(write(tmp_path / "table.csv", rows))
    assert f"'{column}'" in str(refusal.value) or "a NUL byte" in str(refusal.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*ROLES, "extra", "text"]) | st.text(st.characters(exclude_categories=()), max_size=3)
TEXTS = st.text(st.characters(exclude_categories=()), min_size=1, max_size=6)
ROWS = st.lists(
    st.fixed_dictionaries({"anchor": TEXTS | JSON, "positive": TEXTS | JSON}).flatmap(
        lambda row: st.dictionaries(NAMES, JSON | TEXTS, max_size=3).map(lambda more: {**more, **row})
    )
    | st.dictionaries(NAMES, JSON, max_size=3),
    max_size=4,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, lines=st.booleans())
def test_any_rows_at_all(tmp_path, rows, lines):
    """A file is refused by its name, or gives the texts that stand in it, row for row."""
    path = write(tmp_path / ("any.jsonl" if lines else "any.json"), rows)
    try:
        pairs = loaded(path)
    except ValueError as refusal:
        assert str(path) in str(refusal)  # noqa: PT017 - either is right
        return
    for role in pairs.column_names:
        if role in ROLES:
            given_ = [row[role].encode("utf-16", "surrogatepass").decode("utf-16", "replace") for row in rows]
            assert pairs[role][:] == given_


def test_a_column_or_a_name_twice_is_refused(tmp_path):
    names = ["anchor", "positive", "anchor"]
    pq.write_table(pa.table([pa.array(["a"])] * 3, names=names), tmp_path / "twice.parquet")
    (tmp_path / "twice.jsonl").write_text('{"anchor":"a","positive":"b","anchor":"c"}')
    (tmp_path / "twice.json").write_text('[{"anchor":"a","positive":"b","anchor":"c"}]')
    (tmp_path / "twice.csv").write_text("anchor,positive,anchor\na,b,c\n")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ValueError, match=rf"{path.name}.* names 'anchor' twice"):
            load_pairs(path)


@pytest.mark.parametrize("missing", ["anchor", "positive"])
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", ".csv"])
def test_a_missing_column_is_named_with_those_there_are(tmp_path, suffix, missing):
    rows = [{name: value for name, value in row.items() if name != missing} for row in GOOD]
    with pytest.raises(
        ValueError, match=rf"table\{suffix}.*there is no column '{missing}'; found: .*'negative'"
    ):
        load_pairs(write(tmp_path / f"table{suffix}", rows))


def strings(*values):
    """An Arrow column of strings made of bytes as they are, in UTF-8 or not."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"anchor": strings(b"a", b"\xff\xfe"), "positive": ["b", "c"]},
            "row 1, column 'anchor' cannot be read",
        ),
        ({"anchor": ["a"], "positive": ["b"], "x": strings(b"\xe9")}, "row 0, column 'x' cannot be read"),
        (
            {"anchor": ["a"], "positive": ["b"], "when": pa.array([2**61], pa.timestamp("ms"))},
            "row 0, column 'when' cannot be read",
        ),
        ({"anchor": pa.nulls(1), "positive": ["b"]}, "row 0, column 'anchor' holds no value"),
        (
            {"anchor": pa.array([], pa.string()), "positive": pa.array([], pa.string())},
            r"no pairs in it \(0 rows\)",
        ),
    ],
)
def test_parquet_that_python_cannot_hold(tmp_path, columns, words):
    pq.write_table(pa.table(columns), tmp_path / "odd.parquet")
    with pytest.raises(ValueError, match=rf"odd\.parquet.*{words}"):
        load_pairs(tmp_path / "odd.parquet")


def test_texts_in_arrows_other_kinds_of_text(tmp_path):
    columns = {
        "anchor": pa.array(["a", "b"]).dictionary_encode(),
        "positive": pa.array(["c", "d"], pa.large_string()),
    }
    pq.write_table(pa.table(columns), tmp_path / "kinds.parquet")
    assert load_pairs(tmp_path / "kinds.parquet")[:] == {"anchor": ["a", "b"], "positive": ["c", "d"]}


@pytest.mark.parametrize(
    "row",
    [
        '"n": ' + "9" * 5000,
        '"anchor": ' + "[" * 940 + "]" * 940,
        '"anchor": ' + "9" * 4299,
    ],
)
def test_values_too_long_to_show_are_refused_all_the_same(tmp_path, row):
    path = tmp_path / "long.jsonl"
    path.write_text(f'{{"positive": "p", {row}}}')
    with pytest.raises(ValueError, match=r"long\.jsonl, line 1") as refusal:
        load_pairs(path)
    assert len(str(refusal.value)) < 500
    with pytest.raises(
        ValueError, match=r"rows\[0\], column 'anchor' holds int too long to show, not a text"
    ):
        load_pairs([{"anchor": 10**5000, "positive": "p"}])


@pytest.mark.parametrize(
    "extra",
    [
        {"n": 2**70},
        {"a\0b": 1},
        {"\ud800": 1},
        {"x": "\ud800"},
        {"x": json.loads("[" * 500 + "]" * 500)},
        {"x": object()},
    ],
)
def test_further_columns_that_no_table_holds_are_left_out_with_a_word(extra):
    with pytest.warns(UserWarning, match="rows: left out .* a table can hold"):
        pairs = load_pairs([{"anchor": "a", "positive": "p", **extra}])
    assert pairs[0] == {"anchor": "a", "positive": "p"}


def test_a_parquet_file_cut_short_or_with_a_bit_flipped_is_refused_by_name_or_still_a_table(tmp_path):
    path = tmp_path / "damaged.parquet"
    whole = write(path, GOOD * 100).read_bytes()
    chance = random.Random(0)
    places = [chance.randrange(len(whole)) for _ in range(100)]
    damaged = [whole[:place] for place in places[:20]]
    damaged += [
        whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :] for place in places
    ]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            pairs = loaded(path)
        except ValueError as refusal:
            assert str(path) in str(refusal), refusal  # noqa: PT017 - most places are no part of a text
            refused += 1
        else:
            assert all(isinstance(text, str) and text for role in ROLES for text in pairs[role])
    assert refused > 40
