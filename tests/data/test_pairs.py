"""load_pairs: every way in gives the same pairs, and whatever is wrong is named with its place."""

import csv
import gzip
import json

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egemma_lab.data import load_pairs

ROWS = [
    {"anchor": "capital of Peru", "positive": "Lima", "negative": "Quito", "id": 1},
    {"anchor": "capital, of\nFrance", "positive": 'Paris "la"', "negative": "Lyon", "id": 2},
    {"anchor": "größte Stadt 🦙", "positive": "ciudad", "negative": "x", "id": 3},
]


def json_lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def write_separated(path, delimiter):
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)
    return path


def forms(folder):
    """The same pairs in every form that needs no network."""
    table = pa.Table.from_pylist(ROWS)
    pq.write_table(table, folder / "pairs.parquet")
    datasets.Dataset(table).save_to_disk(str(folder / "saved"))
    return {
        "jsonl": write(folder / "pairs.jsonl", json_lines(ROWS)),
        "jsonl with a mark and blank lines": write(
            folder / "blank.jsonl", b"\xef\xbb\xbf\n" + json_lines(ROWS) + b"\n"
        ),
        "jsonl.gz": write(folder / "pairs.jsonl.gz", gzip.compress(json_lines(ROWS))),
        "json list": write(folder / "pairs.json", " \n" + json.dumps(ROWS, indent=1)),
        "json lines": write(folder / "lines.json", json_lines(ROWS)),
        "csv": write_separated(folder / "pairs.csv", ","),
        "tsv": write_separated(folder / "pairs.tsv", "\t"),
        "parquet": folder / "pairs.parquet",
        "name of a file": str(folder / "pairs.jsonl"),
        "saved folder": folder / "saved",
        "dicts": ROWS,
        "generator": (row for row in ROWS),
        "tuples": [(row["anchor"], row["positive"], row["negative"]) for row in ROWS],
        "frame": pd.DataFrame(ROWS),
        "dataset": datasets.Dataset(table),
        "formatted dataset": datasets.Dataset(table).with_format("numpy"),
        "selected dataset": datasets.Dataset(pa.concat_tables([table, table])).select([3, 1, 5]),
        "dataset dict": datasets.DatasetDict(train=datasets.Dataset(table)),
        "iterable dataset": datasets.Dataset(table).to_iterable_dataset(),
    }


def test_every_form_gives_the_same_pairs(tmp_path):
    for form, source in forms(tmp_path).items():
        pairs = load_pairs(source)
        assert isinstance(pairs, datasets.Dataset), form
        assert pairs.column_names[:3] == ["anchor", "positive", "negative"], form
        assert [{**row, "id": 0} for row in pairs] == [{**row, "id": 0} for row in ROWS], form
        if form != "tuples":
            assert list(map(int, pairs["id"])) == [1, 2, 3], form


def test_limit_takes_the_first_and_looks_no_further(tmp_path):
    for form, source in forms(tmp_path).items():
        assert load_pairs(source, limit=2)["positive"][:] == ["Lima", 'Paris "la"'], form
    bad_tail = write(tmp_path / "tail.jsonl", json_lines(ROWS) + b"not json")
    assert len(load_pairs(bad_tail, limit=3)) == 3
    assert len(load_pairs(ROWS, limit=99)) == 3
    for limit in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match=r"limit=.*from 1 on"):
            load_pairs(ROWS, limit=limit)


def test_long_files_keep_line_numbers_and_order(tmp_path):
    rows = [{"anchor": f"q{i}", "positive": f"p{i}"} for i in range(10_000)]
    pairs = load_pairs(write(tmp_path / "long.jsonl", json_lines(rows)))
    assert pairs["anchor"][9_999] == "q9999"
    assert len(set(pairs["positive"])) == 10_000
    rows[9_000]["positive"] = " "
    with pytest.raises(ValueError, match=r"long\.jsonl, line 9001, column 'positive' is empty"):
        load_pairs(write(tmp_path / "long.jsonl", json_lines(rows)))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jsonl", "", r"empty\.jsonl: the file is empty \(0 bytes\)"),
        ("empty.csv", "", r"0 bytes"),
        ("empty.parquet", "", r"0 bytes"),
        ("blank.jsonl", "\n \n", r"blank\.jsonl: no pairs in it \(0 rows\)"),
        ("blank.csv", "\n\n", r"0 rows"),
        ("none.json", "[]", r"none\.json: no pairs in it \(0 rows\)"),
        ("header.csv", "anchor,positive\n", r"header\.csv: no pairs in it \(0 rows\)"),
        ("bad.jsonl", '{"anchor":"a","positive":"b"}\n{"anchor": oops}\n', r"line 2: not JSON: .* column 12"),
        ("list.jsonl", '["a","b"]\n', r"line 1: expected an object .*, found a list"),
        ("bad.json", '[\n{"anchor":"a",\n "positive" "b"}]', r"bad\.json, line 3, column 13: not JSON"),
        ("texts.json", '["a"]', r"entry 0: expected an object"),
        ("deep.jsonl", "[" * 200_000 + "\n", r"line 1: JSON nested too deeply"),
        ("deep.json", "[" * 200_000, r"JSON nested too deeply"),
        (
            "none.jsonl",
            '{"anchor":"a","positive":"b"}\n{"anchor":"a","positive":null}\n',
            r"line 2.*no value",
        ),
        ("nan.jsonl", '{"anchor":NaN,"positive":"b"}\n', r"line 1, column 'anchor' holds no value \(nan\)"),
        (
            "gone.jsonl",
            '{"anchor":"a","positive":"b"}\n\n{"anchor":"c"}\n',
            r"line 3, column 'positive' is miss",
        ),
        ("number.jsonl", '{"anchor":"a","positive":7}\n', r"line 1, column 'positive' holds int '7'"),
        ("blank_text.jsonl", '{"anchor":" \\t","positive":"b"}\n', r"column 'anchor' is empty \(' \\t'\)"),
        ("nul_text.jsonl", '{"anchor":"\\u0000 ","positive":"b"}\n', r"column 'anchor' is empty"),
        (
            "negatives.jsonl",
            '{"anchor":"a","positive":"b","negative":["c","d"]}\n',
            r"column 'negative' holds a list of 2; a row has one hard negative",
        ),
        ("latin.csv", b"anchor,positive\ncaf\xe9,b\n", r"latin\.csv, line 2, byte 4: 0xe9 is not UTF-8"),
        ("wide.csv", "anchor,positive\na,b\n".encode("utf-16"), r"line 1, byte 1: 0xff is not UTF-8"),
        (
            "nul.jsonl",
            b'{"anchor":"a","positive":"b"}\n\0\0\0\n',
            r"nul\.jsonl, line 2, column 1: a NUL byte",
        ),
        ("nul.csv", b"anchor,positive\na,b\0\n", r"nul\.csv, line 2, column 4: a NUL byte"),
        ("empty_field.csv", "anchor,positive\na,b\nc,\n", r"line 3, column 'positive' is empty"),
        ("ragged.csv", 'anchor,positive\n"a\na",b\n\nc,d,e\n', r"line 5: 3 fields, but the header has 2"),
        ("open.csv", 'anchor,positive\na,"b\n', r"open\.csv, line 2: not well-formed"),
        ("twice.csv", "anchor,anchor\na,b\n", r"line 1: the header names 'anchor' twice"),
        ("damaged.parquet", "PAR1 and no more", r"damaged\.parquet: not a readable Parquet file"),
        ("damaged.jsonl.gz", "plain text", r"gz, after line 0: the gzip data is damaged"),
        ("cut.jsonl.gz", gzip.compress(json_lines(ROWS * 50))[:-9], r"the gzip data is damaged or cut short"),
        ("pairs.txt", "a\tb\n", r"pairs are read from \.jsonl, .*not from '\.txt'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, name, content, words):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError, match=words) as raised:
        load_pairs(path)
    assert str(path) in str(raised.value)


def test_missing_files_name_their_neighbours(tmp_path):
    write(tmp_path / "pairs_train.jsonl", "x")
    with pytest.raises(
        FileNotFoundError, match=r"pairs_trian.jsonl does not exist; its folder has pairs_train"
    ):
        load_pairs(tmp_path / "pairs_trian.jsonl")
    with pytest.raises(FileNotFoundError, match=r"nor does its folder"):
        load_pairs(tmp_path / "nowhere" / "pairs.csv")
    with pytest.raises(FileNotFoundError, match=r"'python-doc' is neither a file .* 'python-docs'"):
        load_pairs("python-doc")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load_pairs(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=str(tmp_path)
    ):  # the whole path, wherever the name was relative to
        load_pairs(str(tmp_path / "a{b}.jsonl"))


def test_braces_in_a_name_are_no_format(tmp_path):
    with pytest.raises(ValueError, match=r"a\{b\}\.jsonl, line 1, column 'anchor' is empty"):
        load_pairs(write(tmp_path / "a{b}.jsonl", '{"anchor":"","positive":"b"}'))


def test_missing_columns_say_what_to_write():
    with pytest.raises(
        ValueError, match=r"no column 'positive'; found: 'anchor', 'answer'.*'positive': 'answer'"
    ):
        load_pairs([{"anchor": "a", "answer": "b"}])
    with pytest.raises(ValueError, match=r"columns=\{'anchor': <column>"):
        load_pairs(pd.DataFrame({"x": ["a"], "y": ["b"]}))
    for source in ([{"text": "a"}], datasets.Dataset.from_dict({"text": ["a"]})):
        with pytest.raises(ValueError, match="Single texts are not pairs"):
            load_pairs(source)
    with pytest.raises(
        ValueError, match=r"the Dataset: there is no column 'nope'; found: 'anchor', 'positive'"
    ):
        load_pairs(load_pairs([("a", "b")]), columns={"positive": "nope"})


@pytest.mark.parametrize("wrap", [list, pd.DataFrame, datasets.Dataset.from_list])
def test_a_mapping_says_which_column_is_what(wrap):
    rows = [{"question": "a", "answer": "b", "anchor": "old", "wrong": "c", "n": 1}]
    pairs = load_pairs(wrap(rows), columns={"anchor": "question", "positive": "answer", "negative": "wrong"})
    assert pairs[:] == {"anchor": ["a"], "positive": ["b"], "negative": ["c"], "n": [1]}
    with pytest.raises(ValueError, match="maps 'query'"):
        load_pairs(wrap(rows), columns={"query": "question"})
    with pytest.raises(ValueError, match="one column two roles"):
        load_pairs(wrap(rows), columns={"anchor": "question", "positive": "question"})
    with pytest.raises(ValueError, match="negative"):
        load_pairs(wrap(rows), columns={"positive": "answer", "negative": "nope"})
    with pytest.raises(ValueError, match=r"row.*0.*column 'n' \(as positive\) holds int '1', not a text"):
        load_pairs(wrap(rows), columns={"positive": "n"})


@pytest.mark.parametrize("wrap", [list, pd.DataFrame, datasets.Dataset.from_list])
def test_negatives_on_some_rows_only(wrap):
    rows = [{"anchor": f"a{i}", "positive": f"p{i}", "negative": None if i % 3 else "n"} for i in range(6)]
    with pytest.raises(
        ValueError, match=r"4 of 6 rows have no text in column 'negative' \(the first: .*1.*Fill"
    ):
        load_pairs(wrap(rows))
    assert load_pairs(wrap(rows), columns={"negative": None}).column_names == ["anchor", "positive"]
    without = [{**row, "negative": None} for row in rows]
    assert load_pairs(wrap(without)).column_names == ["anchor", "positive"]


def test_tuples_of_two_and_three_do_not_mix():
    with pytest.raises(ValueError, match=r"1 of 2 rows have no text in column 'negative'"):
        load_pairs([("a", "b", "c"), ("d", "e")])


def test_texts_stay_as_they_are():
    texts = ["  a\r\n\tb ", "a\0b", "a\0c", "x" * 100_000, "e\u0301\u202e🦙", "\ufeffmark"]
    pairs = load_pairs([(text, text + "!") for text in texts])
    assert pairs["anchor"][:] == texts


def test_100_000_characters_in_every_file(tmp_path):
    long = "ü" * 250_000
    assert (
        load_pairs(write(tmp_path / "a.jsonl", json_lines([{"anchor": "a", "positive": long}])))[0][
            "positive"
        ]
        == long
    )
    limit = csv.field_size_limit()
    assert load_pairs(write(tmp_path / "a.csv", f"anchor,positive\na,{long}\n"))[0]["positive"] == long
    assert csv.field_size_limit() == limit


def test_half_surrogate_pairs_become_the_replacement_character(tmp_path):
    path = write(tmp_path / "half.jsonl", r'{"anchor": "a\ud800b", "positive": "\ud83e\udd99"}')
    with pytest.warns(UserWarning, match=r"half\.jsonl: 1 texts held half of a surrogate pair"):
        assert load_pairs(path)[0] == {"anchor": "a\ufffdb", "positive": "🦙"}
    with pytest.warns(UserWarning, match="U\\+FFFD"):  # the two halves side by side are one character
        assert load_pairs([("\ud83e\udd99", "\udc00")])[0] == {"anchor": "🦙", "positive": "\ufffd"}


def test_extra_columns_of_mixed_types_are_left_out_with_a_word():
    rows = [{"anchor": f"a{i}", "positive": "p", "n": i, "m": i if i < 5000 else "x"} for i in range(5001)]
    with pytest.warns(UserWarning, match="rows: left out 'm'"):
        assert load_pairs(rows).column_names == ["anchor", "positive", "n"]
    pairs = load_pairs([{"anchor": "a", "positive": "p"}, {"anchor": "b", "positive": "p", "late": 2}])
    assert pairs["late"][:] == [None, 2]


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ([], ValueError, r"rows: no pairs in it \(0 rows\)"),
        (datasets.Dataset.from_dict({"anchor": [], "positive": []}), ValueError, r"0 rows"),
        (pd.DataFrame({"anchor": [], "positive": []}), ValueError, r"0 rows"),
        (["one text"], ValueError, r"rows\[0\] is a str; a row is a dict"),
        ([("a", "b"), ("c",)], ValueError, r"rows\[1\] is a tuple of 1"),
        ([("a", b"b")], ValueError, r"rows\[0\], column 'positive' holds bytes"),
        ([("a", float("nan"))], ValueError, r"rows\[0\], column 'positive' holds no value \(nan\)"),
        (
            pd.DataFrame({"anchor": ["a", None], "positive": ["b", "c"]}),
            ValueError,
            r"row 1, column 'anchor'",
        ),
        (pd.DataFrame([["a", "b"]], columns=["anchor", "anchor"]), ValueError, r"column name twice"),
        (datasets.Dataset.from_dict({"anchor": ["a", None], "positive": ["b", "c"]}), ValueError, r"row 1"),
        ({"anchor": "a", "positive": "b"}, TypeError, r"a dict is not pairs"),
        (7, TypeError, r"cannot read pairs from a int; allowed: 'python-docs'"),
        (b"bytes", TypeError, r"cannot read pairs from a bytes"),
        (None, TypeError, r"cannot read pairs from a NoneType"),
    ],
)
def test_bad_sources(source, error, words):
    with pytest.raises(error, match=words):
        load_pairs(source)


def test_splits_of_what_has_some():
    splits = datasets.DatasetDict(train=load_pairs([("a", "b")]), test=load_pairs([("c", "d")]))
    assert load_pairs(splits, split="test")[0] == {"anchor": "c", "positive": "d"}
    with pytest.raises(ValueError, match=r"no split 'dev'; it has 'train', 'test'"):
        load_pairs(splits, split="dev")
    with pytest.raises(ValueError, match=r"split='test': rows has no splits"):
        load_pairs([("a", "b")], split="test")


def test_hub_names(monkeypatch):
    asked = []

    def load_dataset(*args, **kwargs):
        asked.append((args, kwargs))
        return datasets.Dataset.from_dict({"query": ["a"], "answer": ["b"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    columns = {"anchor": "query", "positive": "answer"}
    assert load_pairs("owner/name:pair", split="dev", columns=columns)[0] == {"anchor": "a", "positive": "b"}
    load_pairs("owner/name", columns=columns)
    assert asked == [
        (("owner/name", "pair"), {"split": "dev"}),
        (("owner/name", None), {"split": "train"}),
    ]


def test_hub_failures_say_that_no_file_is_there_either(monkeypatch):
    def load_dataset(*args, **kwargs):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    error = datasets.exceptions.DatasetNotFoundError("doesn't exist")
    with pytest.raises(FileNotFoundError, match=r"no such file \(.*owner/name\), and as a name on the Hub"):
        load_pairs("owner/name")
    error = ConnectionError("offline")
    with pytest.raises(FileNotFoundError, match=r"ConnectionError: offline"):
        load_pairs("owner/name")
    error = ValueError("Config name is missing")
    with pytest.raises(ValueError, match="Config name") as raised:
        load_pairs("owner/name")
    assert "owner/name:config" in raised.value.__notes__[0]
    for error in (
        OSError("Consistency check failed: file should be of size 9 but has size 3"),
        RuntimeError("Data processing error: CAS service error"),
        datasets.exceptions.DatasetGenerationError("An error occurred while generating the dataset"),
        transport_error(),
    ):
        with pytest.raises(ConnectionError, match=r"'owner/name' did not come whole .*Call again") as raised:
            load_pairs("owner/name")
        assert raised.value.__cause__ is error
    error = OSError(28, "No space left on device", "cache")
    with pytest.raises(OSError, match="No space left") as raised:
        load_pairs("owner/name")
    assert raised.value is error


def transport_error():
    """What the HTTP library under the Hub's client raises where a connection ends in the middle of a file."""
    from huggingface_hub.errors import HfHubHTTPError

    return next(cls for cls in HfHubHTTPError.__mro__ if cls.__name__ == "HTTPError")(
        "peer closed connection"
    )


texts = st.text(min_size=1).filter(lambda text: text.strip().strip("\0").strip())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
def test_any_text_survives_json_lines_and_csv(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("any")
    expected = [{"anchor": anchor, "positive": positive} for anchor, positive in rows]
    assert load_pairs(rows).to_list() == expected
    assert load_pairs(write(folder / "a.jsonl", json_lines(expected))).to_list() == expected
    if "\0" not in "".join(map("".join, rows)):
        with open(folder / "a.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["anchor", "positive"], *rows])
        assert load_pairs(folder / "a.csv").to_list() == expected


def test_python_docs_come_from_their_miner(monkeypatch):
    from egemma_lab.data import python_docs

    def load_python_docs(split, *, limit):
        assert (split, limit) == ("test", 2)
        return datasets.Dataset.from_list([{**row, "package": "p"} for row in ROWS[:limit]])

    monkeypatch.setattr(python_docs, "load_python_docs", load_python_docs)
    pairs = load_pairs("python-docs", split="test", limit=2)
    assert pairs.column_names == ["anchor", "positive", "negative", "id", "package"]
    assert (
        "negative"
        not in load_pairs("python-docs", split="test", limit=2, columns={"negative": None}).column_names
    )
