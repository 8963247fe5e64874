"""Streams: any batch at any time, every row once a pass, memory that does not grow, shares that make up the whole."""

import json
from itertools import islice

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from egemma_lab.data import BatchPlan, PassingTeacher, as_mixture, load_pairs, stream_pairs
from egemma_lab.data._stream_passes import StreamPasses


def row(n):
    return {"anchor": f"question {n}", "positive": f"answer {n} " + "x" * (n * 7 % 50)}


def counted(rows):
    return lambda: (row(n) for n in range(rows))


def numbers(batch):
    return [int(text.split()[1]) for text in batch.anchors]


def same(one, other):
    return (
        one.rows.tolist() == other.rows.tolist() and one.anchors == other.anchors and one.epoch == other.epoch
    )


@pytest.fixture
def shards(tmp_path):
    """300 rows in four files of three kinds."""
    rows = [row(n) for n in range(300)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows[:80]))
    pq.write_table(pa.Table.from_pylist(rows[80:150]), tmp_path / "b.parquet", row_group_size=10)
    pq.write_table(pa.Table.from_pylist(rows[150:220]), tmp_path / "c.parquet", row_group_size=10)
    (tmp_path / "d.csv").write_text(
        "anchor,positive\n" + "".join(f"{r['anchor']},{r['positive']}\n" for r in rows[220:])
    )
    return tmp_path


def datasets_stream(rows, shards=1):
    import datasets

    return datasets.Dataset.from_list([row(n) for n in range(rows)]).to_iterable_dataset(num_shards=shards)


@pytest.mark.parametrize("kind", ["function", "files", "datasets"])
def test_every_row_comes_once_a_pass_and_any_batch_at_any_time(kind, shards):
    source = {"function": counted(300), "files": str(shards), "datasets": datasets_stream(300, 3)}[kind]
    stream = stream_pairs(source, buffer_size=64)
    plan = BatchPlan(stream, 10, seed=3)
    batches = [plan.batch(step) for step in range(65)]
    for first in (0, 30):
        drawn = [n for batch in batches[first : first + 30] for n in numbers(batch)]
        assert sorted(drawn) == list(range(300))
        assert {batch.epoch for batch in batches[first : first + 30]} == {first // 30}
        assert drawn != sorted(drawn)
    assert numbers(batches[0]) != numbers(batches[30])  # another order in the second pass
    fresh = BatchPlan(stream_pairs(source, buffer_size=64), 10, seed=3)
    for step in (64, 3, 29, 30, 47, 0):  # as a resumed run asks, and backwards
        assert same(fresh.batch(step), batches[step])
    assert plan.epoch(31) == 1.0
    assert plan.epoch(30) == 0.0
    assert plan.steps_per_epoch is None


def test_rows_move_within_their_window_only():
    plan = BatchPlan(stream_pairs(counted(1000), buffer_size=100), 10)
    for step in range(30):
        assert {n // 100 for n in numbers(plan.batch(step))} == {step // 10}


def test_files_come_in_another_order_in_every_pass(shards):
    stream = stream_pairs(str(shards / "*"), buffer_size=10)
    first = [[numbers(BatchPlan(stream, 10, seed=seed).batch(0))[0] // 80] for seed in range(12)]
    assert len({one for (one,) in first}) > 1


def test_a_resumed_run_does_not_read_the_parquet_files_before_it(shards, monkeypatch):
    from egemma_lab.data import _stream_rows

    (shards / "a.jsonl").unlink()
    (shards / "d.csv").unlink()
    read = []
    plain = _stream_rows.read_file
    stream = stream_pairs(str(shards), buffer_size=10)
    monkeypatch.setattr(_stream_rows, "read_file", lambda path: read.append(path.name) or plain(path))
    BatchPlan(stream, 10).batch(8)
    assert len(read) == 1


@pytest.mark.parametrize("kind", ["function", "files", "datasets", "two shards"])
def test_processes_share_the_rows(kind, shards):
    source = {
        "function": counted(300),
        "files": str(shards),
        "datasets": datasets_stream(300),
        "two shards": datasets_stream(300, 2),
    }[kind]
    stream = stream_pairs(source, buffer_size=50)
    drawn = []
    for rank in range(2):
        plan = BatchPlan(stream, 20, share=(rank, 2))
        batches = [plan.batch(step) for step in range(15)]
        assert {len(batch) for batch in batches} == {10}
        mine = [n for batch in batches for n in numbers(batch)]
        drawn += mine[:150]
    assert sorted(drawn) == list(range(300))


def test_equal_texts_are_known_by_their_hash_in_every_process():
    rows = [(f"q {n}", f"p {n % 40}") for n in range(80)]
    stream = stream_pairs(lambda: iter(rows), buffer_size=80)
    ids = {}
    for rank in range(2):
        plan = BatchPlan(stream, 8, share=(rank, 2))
        for step in range(10):
            batch = plan.batch(step)
            assert len(set(batch.positives)) == 4  # none twice in a process's share
            assert batch.positive_ids.dtype == np.int64
            for text, number in zip(batch.positives, batch.positive_ids.tolist()):
                assert ids.setdefault(text, number) == number
    assert len(set(ids.values())) == 40


def test_texts_that_repeat(recwarn):
    few = [(f"q {n}", f"p {n % 3}") for n in range(64)]
    with pytest.raises(ValueError, match="hold no 4 that can share a batch"):
        BatchPlan(stream_pairs(lambda: iter(few), buffer_size=64), 4).batch(0)
    half = [(f"q {n}", "p" if n % 2 else f"p {n}") for n in range(64)]
    plan = BatchPlan(stream_pairs(lambda: iter(half), buffer_size=64), 4)
    with pytest.warns(UserWarning, match="come twice instead"):
        batches = [plan.batch(step) for step in range(16)]
    assert all(len(set(batch.positives)) == 4 for batch in batches)
    assert {batch.epoch for batch in batches} == {0}


def test_streams_and_tables_in_one_mixture():
    mixture = as_mixture(
        {"s": (stream_pairs(counted(200)), 1.0), "t": [("a", "b"), ("c", "d")], "i": datasets_stream(40)}
    )
    assert "s: a stream of pairs" in repr(mixture)
    assert mixture.streamed
    names = [BatchPlan(mixture, 2).batch(step).source.name for step in range(9)]
    assert sorted(set(names)) == ["i", "s", "t"]


def test_the_fingerprint_knows_beginning_buffer_and_files(shards):
    def fingerprint(source, **options):
        return as_mixture(stream_pairs(source, name="x", **options)).fingerprint

    assert fingerprint(counted(50)) == fingerprint(counted(50))
    assert (
        len({fingerprint(counted(50)), fingerprint(counted(51)), fingerprint(counted(50), buffer_size=8)})
        == 3
    )
    before = fingerprint(str(shards))
    with open(shards / "d.csv", "a") as file:
        file.write("one,more\n")
    assert fingerprint(str(shards)) != before


def test_single_texts_and_other_columns():
    rows = [{"body": f"text {n}", "title": str(n)} for n in range(20)]
    texts = stream_pairs(lambda: iter(rows), columns={"anchor": "body", "positive": None})
    batch = BatchPlan(texts, 4).batch(2)
    assert batch.positives is None
    assert all(text.startswith("text ") for text in batch.anchors)
    pairs = stream_pairs(lambda: iter(rows), columns={"anchor": "title", "positive": "body"})
    assert BatchPlan(pairs, 4).batch(0).positives[0].startswith("text ")


def test_errors_name_the_row_when_it_is_reached():
    rows = [("q", "p"), *((f"q {n}", f"p {n}") for n in range(20_000)), ("q", "")]
    plan = BatchPlan(stream_pairs(lambda: iter(rows), buffer_size=1000), 100)
    plan.batch(0)
    with pytest.raises(ValueError, match=r"rows\[20001\], column 'positive' is empty"):
        plan.batch(200)
    late = [(f"q {n}", f"p {n}", "n") for n in range(16_384)] + [(f"q {n}", f"p {n}") for n in range(1000)]
    plan = BatchPlan(stream_pairs(lambda: iter(late), buffer_size=1000), 8)
    with pytest.raises(ValueError, match="no negative in the rows from"):
        plan.batch(17_000 // 8)
    with pytest.raises(ValueError, match="the stream has 3; take a smaller batch_size"):
        BatchPlan(stream_pairs(counted(3)), 4).batch(0)


def test_what_cannot_be_streamed(tmp_path):
    with pytest.raises(TypeError, match="cannot stream from a generator"):
        stream_pairs(row(n) for n in range(3))
    with pytest.raises(FileNotFoundError, match="no file of pairs there"):
        stream_pairs(tmp_path)
    with pytest.raises(ValueError, match="buffer_size=0; give a number of rows"):
        stream_pairs(counted(3), buffer_size=0)


def test_an_iterable_dataset_is_streamed_and_not_loaded():
    assert as_mixture(datasets_stream(10)).streamed
    assert not as_mixture(load_pairs([("a", "b")])).streamed


def test_ten_million_rows_take_no_more_memory_than_some():
    """200,000 of ten million generated rows: the process does not grow after the first 50,000.

    Held in memory, the rest would be at least 40 MB of texts.
    """
    process = psutil.Process()
    plan = BatchPlan(stream_pairs(counted(10_000_000), buffer_size=8192), 256, seed=1)
    used, seen = [], 0
    for step in range(200_000 // 256):
        seen += len(plan.batch(step))
        used.append(process.memory_info().rss)
    assert seen > 199_000
    assert max(used[200:]) < max(used[:200]) + 16e6


def test_far_into_ten_million_rows(monkeypatch):
    """A resumed run finds its window; the rows before it are passed over and not kept."""
    asked = []

    def rows(self, first=0, epoch=0, seed=None, share=(0, 1)):
        asked.append(first)
        return ((n, row(n)) for n in range(first, 10_000_000))

    stream = stream_pairs(counted(10_000_000), buffer_size=1024)
    monkeypatch.setattr(type(stream.reader), "rows", rows)
    passes = StreamPasses(stream, 0, 128, 0, (0, 1))
    drawn = passes.drawn(78_000)[0]
    assert asked == [78_000 // 8 * 1024]
    assert set(drawn // 1024) == {78_000 // 8}
    assert passes.drawn(78_125)[3] == 1  # 78,125 batches make a pass


class Company:
    """A teacher whose vectors tell in whose company a text was encoded."""

    name, width, fingerprint, prompts_differ = "company", 3, "1", False

    def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
        return np.array([[len(text), len(texts), 1.0] for text in texts], dtype=np.float32)


def test_a_passing_teacher_says_the_same_whatever_came_before(tmp_path, monkeypatch):
    monkeypatch.setenv("EGEMMA_CACHE", str(tmp_path))
    texts = {"query": ["one", "two", "three"], "document": ["four", "two"]}
    after, fresh = PassingTeacher(Company()), PassingTeacher(Company())
    after.prepare({"query": ["one", "something"], "document": ["four"]})
    after.vectors(["late"], "query")
    for teacher in (after, fresh):
        teacher.prepare(texts)
        teacher.flush()
    assert np.array_equal(after.vectors(["two", "one"], "query"), fresh.vectors(["two", "one"], "query"))
    assert len(after) == 4
    assert list(tmp_path.iterdir()) == []


def test_rows_of_files_from_any_row_on(shards):
    from egemma_lab.data._stream_rows import FileRows, find_files

    reader = FileRows(find_files(str(shards)))
    whole = [r["anchor"] for _, r in reader.rows()]
    for first in (0, 1, 79, 80, 149, 150, 219, 220, 299, 300, 400):
        found = list(islice(reader.rows(first), 2))
        assert [r["anchor"] for _, r in found] == whole[first : first + 2]
    place, _ = next(reader.rows(85))
    assert reader.where(place).endswith("b.parquet, row 5")
