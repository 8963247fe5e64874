"""The teacher cache: the same bits fresh or read, whatever is killed, shared or damaged in between."""

import os
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egemma_lab.data import TeacherCache
from egemma_lab.data._vector_store import VectorStore, as_keys

WIDTH = 16

# What the subprocesses of this file run: a teacher whose vectors depend on the text alone, and that says what
# it does.
PROGRAM = f"""
import hashlib, sys, time
import numpy as np
from egemma_lab.data.teacher_cache import TeacherCache

class Slow:
    name, width, fingerprint = "slow", {WIDTH}, "slow-1"

    def __init__(self, seconds):
        self.seconds, self.calls = seconds, []

    def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
        time.sleep(self.seconds)
        self.calls.append(list(texts))
        seeds = [hashlib.blake2b((role + text).encode("utf-8", "surrogatepass")).digest() for text in texts]
        vectors = np.array([[byte - 127.5 for byte in seed[:{WIDTH}]] for seed in seeds], dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
"""
namespace = {}
exec(PROGRAM, namespace)
Slow = namespace["Slow"]


def start(code, *args):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + code, *map(str, args)], stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def teacher():
    return Slow(0)


def shards(cache):
    return sorted(cache.folder.glob("*.safetensors"))


def test_vectors_are_the_teachers(fake_teacher, tiny_texts, tmp_path):
    cache = TeacherCache(fake_teacher, tmp_path)
    for role in ("query", "document"):
        vectors = cache.vectors(tiny_texts, role)
        assert vectors.dtype == np.float32
        assert vectors.shape == (200, 48)
        np.testing.assert_allclose(vectors, fake_teacher.encode(tiny_texts, role=role), atol=5e-4)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    exact = fake_teacher.encode(tiny_texts)
    assert np.abs(vectors @ vectors.T - exact @ exact.T).max() < 1e-3


def test_fresh_and_read_vectors_are_the_same_bits(fake_teacher, tiny_texts, tmp_path):
    cache = TeacherCache(fake_teacher, tmp_path)
    fresh = cache.vectors(tiny_texts, "document")
    in_memory = cache.vectors(tiny_texts, "document")
    cache.flush()
    written = cache.vectors(tiny_texts, "document")
    again = TeacherCache(fake_teacher, tmp_path)
    read = again.vectors(tiny_texts, "document")
    single = np.concatenate([again.vectors([text], "document") for text in tiny_texts])
    for other in (in_memory, written, read, single):
        np.testing.assert_array_equal(fresh, other)
    assert again.stats.computed == 0
    assert again.stats.hits == 400
    assert cache.stats.computed == 200
    assert cache.stats.hits == 400
    assert cache.stats.seconds > 0


def test_one_call_of_the_teacher_for_what_is_missing(teacher, tmp_path):
    cache = TeacherCache(teacher, tmp_path)
    cache.vectors(["b", "a", "b"], "query")
    cache.vectors(["c", "a", "d", "c", "b"], "query")
    cache.vectors(["a", "b"], "query")
    cache.vectors([], "query")
    assert teacher.calls == [["b", "a"], ["c", "d"]]
    cache.vectors(["a"], "document")  # the other role is another vector
    assert teacher.calls[2:] == [["a"]]
    assert len(cache) == 5


any_text = st.text(st.characters(exclude_categories=()), max_size=3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.lists(any_text), st.booleans()), max_size=6))
def test_any_sequence_of_calls_gives_the_teachers_vectors(tmp_path_factory, calls):
    folder, teacher = tmp_path_factory.mktemp("cache"), Slow(0)
    cache, expected = TeacherCache(teacher, folder), Slow(0)
    for texts, flush in calls:
        vectors = cache.vectors(texts, "query")
        assert vectors.shape == (len(texts), WIDTH)
        if texts:
            np.testing.assert_allclose(vectors, expected.encode(texts, role="query"), atol=1e-3)
        if flush:
            cache.flush()
    computed = [text for call in teacher.calls for text in call]
    assert len(computed) == len(set(computed)) == cache.stats.computed


def test_odd_texts_have_vectors_of_their_own(teacher, tmp_path):
    texts = ["", "\0", "a\0b", "a\0c", "a", "a ", "\ud800", "\udfff", "x" * 100_000, "é", "e\u0301"]
    with TeacherCache(teacher, tmp_path) as cache:
        vectors = cache.vectors(texts, "query")
    assert len(np.unique(vectors, axis=0)) == len(texts)
    np.testing.assert_array_equal(TeacherCache(teacher, tmp_path).vectors(texts, "query"), vectors)
    assert len(teacher.calls) == 1


def test_teachers_rotations_and_widths_do_not_mix(fake_teacher, tmp_path):
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((48, 48)))[0].astype(np.float32)
    teachers = [fake_teacher, fake_teacher.cut(16), fake_teacher.cut(16, rotation), fake_teacher.cut(8)]
    caches = [TeacherCache(teacher, tmp_path) for teacher in teachers]
    assert len({cache.folder for cache in caches}) == 4
    for teacher, cache in zip(teachers, caches):
        vectors = cache.vectors(["one text"], "document")
        np.testing.assert_allclose(vectors, teacher.encode(["one text"]), atol=5e-4)
        assert vectors.shape == (1, teacher.width)


def test_the_folder_is_in_the_caches_by_default(teacher, tmp_path, monkeypatch):
    monkeypatch.setenv("EGEMMA_CACHE", str(tmp_path))
    assert TeacherCache(teacher).folder.parent == tmp_path / "teacher"
    teacher.name = "some one/a:b*c"
    assert TeacherCache(teacher).folder.name.startswith("some-one-a-b-c-")


def test_shards_are_written_when_they_are_large(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr("egemma_lab.data.teacher_cache._SHARD_ROWS", 10)
    cache = TeacherCache(teacher, tmp_path)
    cache.vectors([f"t{i}" for i in range(9)], "query")
    assert shards(cache) == []
    cache.vectors(["t9", "t10"], "query")
    assert len(shards(cache)) == 1
    cache.flush()
    assert len(shards(cache)) == 1  # nothing pending, nothing written
    assert len(cache) == 11


def test_leaving_the_block_writes_what_was_computed(teacher, tmp_path):
    def interrupted():
        with TeacherCache(teacher, tmp_path) as cache:
            cache.vectors(["a"], "query")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(TeacherCache(teacher, tmp_path)) == 1


def test_fill_goes_in_windows_and_reads_an_iterator_once(teacher, tmp_path):
    cache = TeacherCache(teacher, tmp_path)
    assert cache.fill((f"t{i % 50}" for i in range(70)), "query", chunk=20) == 50
    assert [len(call) for call in teacher.calls] == [20, 20, 10]
    assert cache.fill([f"t{i}" for i in range(52)], "query", chunk=20) == 2
    assert len(shards(cache)) == 4
    assert cache.fill([], "query") == 0


def test_fill_shows_a_bar_only_where_it_is_long(teacher, tmp_path, capsys):
    cache = TeacherCache(teacher, tmp_path)
    cache.fill(["a", "b"], "query")
    assert capsys.readouterr().err == ""
    cache.fill([f"t{i}" for i in range(12)], "query", chunk=1)
    assert "teacher, query" in capsys.readouterr().err
    cache.fill([f"u{i}" for i in range(12)], "query", chunk=1, show_progress_bar=False)
    assert capsys.readouterr().err == ""


def test_a_killed_fill_goes_on(tmp_path):
    texts = [f"text {i}" for i in range(100)]
    code = "TeacherCache(Slow(0.15), sys.argv[1]).fill([f'text {i}' for i in range(100)], 'query', chunk=10)"
    process = start(code, tmp_path)
    begin = time.monotonic()
    while len(list(tmp_path.rglob("*.safetensors"))) < 3 and time.monotonic() - begin < 60:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()

    teacher = Slow(0)
    cache = TeacherCache(teacher, tmp_path)
    done = len(cache)
    assert 30 <= done < 100
    assert done % 10 == 0
    assert cache.fill(texts, "query", chunk=10) == 100 - done
    assert [text for call in teacher.calls for text in call] == texts[done:]
    reference = TeacherCache(Slow(0), tmp_path / "undisturbed").vectors(texts, "query")
    np.testing.assert_array_equal(cache.vectors(texts, "query"), reference)


def test_a_draft_of_a_killed_process_is_no_shard(teacher, tmp_path):
    with TeacherCache(teacher, tmp_path) as cache:
        cache.vectors(["a"], "query")
    content = shards(cache)[0].read_bytes()
    new, old = cache.folder / ".new.tmp", cache.folder / ".old.tmp"
    new.write_bytes(content[:40])
    old.write_bytes(content[:40])
    os.utime(old, (0, 0))
    assert len(TeacherCache(teacher, tmp_path)) == 1
    assert new.exists()  # perhaps another process is writing it
    assert not old.exists()


def test_two_processes_at_once(tmp_path):
    code = """
texts = [f"text {i}" for i in range(200)]
if sys.argv[2] == "1":
    texts.reverse()
cache = TeacherCache(Slow(0.03), sys.argv[1])
computed = cache.fill(texts, "query", chunk=10)
print(computed, cache.vectors(sorted(texts), "query").sum(dtype=np.float64))
"""
    processes = [start(code, tmp_path, number) for number in (0, 1)]
    outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0][1] == outputs[1][1]
    assert 200 <= sum(int(output[0]) for output in outputs) <= 400  # twice only what both did at once
    cache = TeacherCache(Slow(0), tmp_path)
    cache.vectors([f"text {i}" for i in range(200)], "query")
    assert cache.stats.computed == 0
    assert not list(cache.folder.glob(".*.tmp"))


def test_what_another_has_written_is_seen_before_computing(teacher, tmp_path):
    mine, other = TeacherCache(teacher, tmp_path), TeacherCache(Slow(0), tmp_path)
    other.vectors(["a", "b"], "query")
    other.flush()
    mine.vectors(["b", "a", "c"], "query")
    assert teacher.calls == [["c"]]
    mine.flush()
    other.flush()
    assert len(other) == 3


def test_a_vector_once_given_out_stays(tmp_path):
    """Two processes compute the same text with a last digit of difference: each goes on with its own."""

    class Other(Slow):
        def encode(self, texts, **kwargs):
            vectors = super().encode(texts, **kwargs)
            vectors[:, 0] += 0.01
            return vectors

    mine, other = TeacherCache(Slow(0), tmp_path), TeacherCache(Other(0), tmp_path)
    first, second = mine.vectors(["a"], "query"), other.vectors(["a"], "query")
    other.flush()
    for step in range(3):
        np.testing.assert_array_equal(mine.vectors(["a", f"new {step}"], "query")[:1], first)
        mine.flush()
    np.testing.assert_array_equal(other.vectors(["a"], "query"), second)
    reopened = [TeacherCache(Slow(0), tmp_path).vectors(["a"], "query") for _ in range(2)]
    np.testing.assert_array_equal(reopened, [second, second])  # of two shards the older one counts


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-7],
        lambda content: content[:3],
        lambda content: b"",
        lambda content: content + b"\0",
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:],
    ],
    ids=["cut short", "almost nothing", "empty", "longer", "a bit of a vector", "a bit of the header"],
)
def test_a_damaged_shard_is_set_aside_and_computed_anew(tmp_path, damage):
    texts = [[f"{part} {i}" for i in range(20)] for part in "ab"]
    cache = TeacherCache(Slow(0), tmp_path)
    before = []
    for part in texts:
        before.append(cache.vectors(part, "query"))
        cache.flush()
    broken = shards(cache)[0]
    broken.write_bytes(damage(broken.read_bytes()))

    teacher = Slow(0)
    words = rf"{broken.name} is damaged \(.*\); set aside as {broken.name}.damaged"
    with pytest.warns(UserWarning, match=words):
        again = TeacherCache(teacher, tmp_path)
    assert not broken.exists()
    assert broken.with_name(broken.name + ".damaged").exists()
    np.testing.assert_array_equal(again.vectors(texts[1], "query"), before[1])
    assert teacher.calls == []
    np.testing.assert_array_equal(again.vectors(texts[0], "query"), before[0])
    assert teacher.calls == [texts[0]]
    again.flush()
    assert len(TeacherCache(teacher, tmp_path)) == 40  # and no warning a second time


def test_the_corpus_stays_on_disk(tmp_path):
    """50,000 vectors: read and looked up with less memory than they take as float32."""
    n, width, rng = 50_000, 48, np.random.default_rng(0)
    store = VectorStore(tmp_path, width, {})
    for _ in range(10):
        digests = [rng.bytes(16) for _ in range(n // 10)]
        store.put(digests, rng.standard_normal((n // 10, width)))
    del store
    tracemalloc.start()
    store = VectorStore(tmp_path, width, {})
    for start_ in range(0, 5000, 100):
        _, known = store.get(as_keys(digests[start_ : start_ + 100]))
        assert known.all()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(store) == n
    assert kept < 40 * n  # 24 bytes a key; the vectors alone would be 96 bytes as float16
    assert peak < 90 * n + 2**21


def test_many_shards_need_few_open_files(tmp_path):
    resource = pytest.importorskip("resource")
    store = VectorStore(tmp_path, 4, {})
    rng = np.random.default_rng(0)
    digests = [rng.bytes(16) for _ in range(300)]
    vectors = rng.standard_normal((300, 4)).astype(np.float16)
    for number in range(300):
        store.put(digests[number : number + 1], vectors[number : number + 1])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 150, before[1]))
    try:
        found, known = VectorStore(tmp_path, 4, {}).get(as_keys(digests))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert known.all()
    np.testing.assert_array_equal(found, vectors)


def test_keys_that_end_in_zeros_or_share_a_half(tmp_path):
    store = VectorStore(tmp_path, 2, {})
    digests = [bytes(16), b"a" + bytes(15), b"a" * 8 + bytes(8), b"a" * 8 + b"b" * 8, b"a" * 16]
    vectors = np.arange(10, dtype=np.float16).reshape(5, 2)
    store.put(digests, vectors)
    found, known = VectorStore(tmp_path, 2, {}).get(as_keys([*digests[::-1], b"a" * 15 + b"\0"]))
    assert known.tolist() == [True] * 5 + [False]
    np.testing.assert_array_equal(found[:5], vectors[::-1])


def test_a_failed_write_loses_nothing(teacher, tmp_path, monkeypatch):
    cache = TeacherCache(teacher, tmp_path)
    vectors = cache.vectors(["a"], "query")

    def full(source, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr("egemma_lab.data._vector_store.os.replace", full)
        with pytest.raises(OSError, match="No space left"):
            cache.flush()
    assert list(cache.folder.iterdir()) == []
    cache.flush()
    np.testing.assert_array_equal(TeacherCache(teacher, tmp_path).vectors(["a"], "query"), vectors)


class Returns:
    name, width, fingerprint = "odd", 2, "odd"

    def __init__(self, vectors):
        self.result = vectors

    def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
        return np.array(self.result, dtype=np.float32)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ([[1, 0], [0, 1], [1, 1]], r"teacher 'odd' returned \(3, 2\) for 2 texts; expected \(2, 2\)"),
        ([[1, 0, 0], [0, 1, 0]], r"returned \(2, 3\)"),
        ([[1, 0], [0, float("nan")]], r"not finite for 1 of 2 texts; the first: 'b'"),
        ([[float("inf"), 0], [0, 1]], r"not finite for 1 of 2 texts; the first: 'a'"),
    ],
)
def test_what_a_teacher_must_not_return(tmp_path, result, words):
    cache = TeacherCache(Returns(result), tmp_path)
    with pytest.raises(ValueError, match=words):
        cache.vectors(["a", "b"], "query")
    assert len(cache) == 0


def test_rows_that_are_no_unit_rows(tmp_path):
    vectors = TeacherCache(Returns([[3e5, 4e5], [0, 0]]), tmp_path).vectors(["a", "b"], "query")
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0, 0]], atol=5e-4)


@pytest.mark.parametrize(
    ("texts", "role", "error", "words"),
    [
        (["a"], "passage", ValueError, r"role='passage'; .* one of 'query', 'document'"),
        (["a"], None, ValueError, r"role=None"),
        ("a text", "query", TypeError, r"texts is one str \('a text'\)"),
        (["a", None], "query", TypeError, r"texts\[1\] is a NoneType"),
        (["a", b"b"], "query", TypeError, r"texts\[1\] is a bytes"),
    ],
)
def test_bad_calls(teacher, tmp_path, texts, role, error, words):
    cache = TeacherCache(teacher, tmp_path)
    with pytest.raises(error, match=words):
        cache.vectors(texts, role)
    with pytest.raises(error, match=words):
        cache.fill(texts, role)
    with pytest.raises(ValueError, match="chunk=0"):
        cache.fill(["a"], "query", chunk=0)
    assert teacher.calls == []
