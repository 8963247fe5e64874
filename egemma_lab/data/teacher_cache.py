"""What the teacher says of a text, computed once and kept on disk."""

import hashlib
import re
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from egemma_lab.data._vector_store import VectorStore, as_keys
from egemma_lab.settings import cache_dir

ROLES = ("query", "document")
_SHARD_ROWS = 4096


@dataclass
class CacheStats:
    """`hits` texts answered without the teacher, `computed` texts it encoded, `seconds` that took."""

    hits: int = 0
    computed: int = 0
    seconds: float = 0.0


class TeacherCache:
    """A teacher whose vectors are computed once: float16 shards on disk, shared by runs and surviving a kill.

    Args:
        teacher: has `.encode(texts, role=..., show_progress_bar=...)`, `.width` and `.fingerprint`. The
            fingerprint stands for all that makes its vectors (weights, prompts, longest length, rotation,
            width): another fingerprint is another cache.
        folder: where caches lie, one subfolder a teacher. Default: `teacher` in the package's cache folder,
            which `EGEMMA_CACHE` moves.

    A vector is known by teacher, role ("query" or "document": it chooses the teacher's prompt; a teacher
    whose `prompts_differ` is False has one vector for both) and text (a 128-bit hash). All vectors, fresh
    ones too, go through float16 and are made unit rows in float32 again, so that it is the same bits whether
    a vector was just computed or read (float16 moves a cosine by less than 1e-3).

    Fresh vectors gather in memory and are written 4,096 at a time, by `flush()`, and at the end of a `with`
    block: what is written before a checkpoint is what a resumed run finds, so flush where a checkpoint is
    saved. Texts stay out of memory, and vectors are memory-mapped. Several processes may use one folder at
    once: each writes files of its own, whole or not at all, and sees the others' before it computes. A
    damaged file is named in a warning, set aside, and computed anew. An object is for one thread.

    >>> import tempfile, numpy as np
    >>> class Lengths:
    ...     name, width, fingerprint = "lengths", 2, "lengths-1"
    ...     def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
    ...         return np.array([[np.cos(len(t)), np.sin(len(t))] for t in texts], dtype=np.float32)
    >>> with TeacherCache(Lengths(), tempfile.mkdtemp()) as cache:
    ...     fresh = cache.vectors(["one", "two", "three"], "document")
    ...     again = cache.vectors(["three", "two"], "document")
    >>> np.array_equal(fresh[[2, 1]], again), cache.stats.computed, cache.stats.hits
    (True, 3, 2)
    """

    def __init__(self, teacher, folder=None):
        self.teacher = teacher
        self.width = int(teacher.width)
        root = cache_dir("teacher") if folder is None else Path(folder).expanduser()
        self.folder = root / _folder_name(teacher)
        about = {"teacher": str(teacher.fingerprint), "format": "egemma_lab teacher cache 1"}
        self._store = VectorStore(self.folder, self.width, about)
        self._one_role = not getattr(teacher, "prompts_differ", True)
        self._pending = {}  # 16-byte digest -> (width,) float16, not yet written
        self.stats = CacheStats()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.flush()

    def __len__(self):
        """Vectors known, written or not."""
        return len(self._store) + len(self._pending)

    def vectors(self, texts, role):
        """The teacher's vectors of `texts`: `(n, width)` float32, unit rows, in the order of the texts.

        Unknown texts go to the teacher in one call, each once, in the order given.

        Raises:
            ValueError: for a role other than "query" or "document", and where the teacher returns vectors of
                a wrong shape, or ones that are not finite (nothing of that call is kept then).
            TypeError: for texts that are no list of texts; names the index.
        """
        _refuse_one_text(texts)
        texts = list(texts)
        digests = self._digests(texts, role)
        distinct = list(dict.fromkeys(digests))
        found, missing = self._look_up(distinct)
        if missing and self._store.refresh():
            found, missing = self._look_up(distinct)
        row = {digest: number for number, digest in enumerate(distinct)}
        if missing:
            text_of = dict(zip(digests, texts))
            fresh = self._encode([text_of[digest] for digest in missing], role)
            found[[row[digest] for digest in missing]] = fresh
            self._pending.update(zip(missing, fresh))
            self._flush_if_large()
        self.stats.hits += len(digests) - len(missing)
        return _unit_rows(found)[[row[digest] for digest in digests]]

    def prepare(self, texts):
        """Computes what is unknown of texts that `vectors` will soon be asked for: role -> list of texts."""
        for role, of_role in texts.items():
            self.vectors(of_role, role)

    def fill(self, texts, role, *, chunk=2048, show_progress_bar=None):
        """Computes what is unknown of `texts` (any iterable, read once), and returns how many that were.

        Works through windows of `chunk` texts and writes each before the next, so that a killed call, called
        again, goes on at the window it was killed in. A progress bar is shown by default where there are more
        than ten.
        """
        from tqdm import tqdm

        _refuse_one_text(texts)
        if chunk < 1:
            raise ValueError(f"chunk={chunk}; a window holds at least one text")
        computed = self.stats.computed
        total = len(texts) if hasattr(texts, "__len__") else None
        show = total is not None and total > 10 * chunk if show_progress_bar is None else show_progress_bar
        rest = iter(texts)
        with tqdm(total=total, unit="text", desc=f"teacher, {role}", disable=not show) as bar:
            while window := list(islice(rest, chunk)):
                if not self._all_known(self._digests(window, role)):
                    self.vectors(window, role)
                    self.flush()
                bar.update(len(window))
        return self.stats.computed - computed

    def flush(self):
        """Writes what has been computed since, and takes up what other processes have written."""
        if self._pending:
            self._store.put(list(self._pending), np.stack(list(self._pending.values())))
            self._pending.clear()
        self._store.refresh()

    def _digests(self, texts, role):
        return _digests(texts, "document" if role == "query" and self._one_role else role)

    def _flush_if_large(self):
        if len(self._pending) >= _SHARD_ROWS:
            self.flush()

    def _all_known(self, digests):
        rest = [digest for digest in dict.fromkeys(digests) if digest not in self._pending]
        return not rest or bool(self._store.has(as_keys(rest)).all())

    def _look_up(self, digests):
        """`(n, width)` float16 of distinct digests, and those among them that are unknown."""
        found, known = self._store.get(as_keys(digests))
        for number, digest in enumerate(digests):
            if digest in self._pending:  # first, lest a vector changes that has been given out
                found[number], known[number] = self._pending[digest], True
        return found, [digests[number] for number in np.flatnonzero(~known)]

    def _encode(self, texts, role):
        begin = time.perf_counter()
        vectors = np.asarray(self.teacher.encode(texts, role=role, show_progress_bar=False), dtype=np.float32)
        name = getattr(self.teacher, "name", type(self.teacher).__name__)
        if vectors.shape != (len(texts), self.width):
            raise ValueError(
                f"teacher {name!r} returned {vectors.shape} for {len(texts)} texts; "
                f"expected ({len(texts)}, {self.width})"
            )
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise ValueError(
                f"teacher {name!r} returned values that are not finite for {len(bad)} of {len(texts)} texts; "
                f"the first: {texts[bad[0]][:60]!r}"
            )
        self.stats.computed += len(texts)
        self.stats.seconds += time.perf_counter() - begin
        return _unit_rows(vectors).astype(np.float16)


def _folder_name(teacher):
    """Readable, and different for teachers that are."""
    name = re.sub(r"[^\w.-]+", "-", str(getattr(teacher, "name", "teacher"))).strip("-.")[-40:]
    identity = f"{teacher.fingerprint}\0{int(teacher.width)}".encode("utf-8", "surrogatepass")
    return f"{name}-{hashlib.blake2b(identity, digest_size=8).hexdigest()}"


def _refuse_one_text(texts):
    if isinstance(texts, str):
        raise TypeError(f"texts is one str ({texts[:40]!r}); give a list of texts")


def _digests(texts, role):
    """16 bytes for each text in its role."""
    if role not in ROLES:
        raise ValueError(f"role={role!r}; a teacher encodes a text as one of {', '.join(map(repr, ROLES))}")
    prefix = hashlib.blake2b(f"{role}\0".encode(), digest_size=16)
    digests = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{number}] is a {type(text).__name__}, not a str")
        key = prefix.copy()
        key.update(text.encode("utf-8", "surrogatepass"))
        digests.append(key.digest())
    return digests


def _unit_rows(vectors):
    """Rows of length 1 in float32, row by row the same bits in whatever company; a row of zeros stays."""
    wide = np.ascontiguousarray(vectors, dtype=np.float64)
    norms = np.sqrt((wide * wide).sum(axis=1, keepdims=True))  # (n, 1)
    return (wide / np.maximum(norms, 1e-12)).astype(np.float32)
