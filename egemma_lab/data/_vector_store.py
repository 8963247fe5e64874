"""A folder of float16 vectors under 128-bit keys, in shards that are written once and never changed.

Knows nothing of teachers or texts. A shard is a safetensors file with `keys (n, 16) uint8` and
`vectors (n, width) float16`; its name carries the time of writing, the process, and the digest of its bytes,
so that a shard cut short or altered is found out, and of two shards with the same key the older one always
counts.
"""

import hashlib
import json
import os
import time
import uuid
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np

from egemma_lab.model.full_disk import naming_a_full_disk

_SUFFIX = ".safetensors"
_DAMAGED = ".damaged"
_KEY = "S16"  # numpy compares these as bytes; it drops trailing zeros, but alike on both sides
_RUNS = 8  # sorted key arrays searched one after the other; more are merged into one
_OPEN = 128  # shards mapped at a time: each holds a file descriptor, of which a process has about a thousand
_DAY = 86_400


def as_keys(digests):
    """16-byte digests as a numpy array `(n,)` that sorts and compares."""
    return np.frombuffer(b"".join(digests), dtype=_KEY)


class VectorStore:
    """Keys to vectors; `get` reads, `put` writes a shard, `refresh` takes up what other processes wrote.

    Vectors stay on disk (memory-mapped); what is held in memory is 24 bytes a key.
    """

    def __init__(self, folder, width, about):
        self.folder, self.width, self.about = Path(folder), width, about
        self.folder.mkdir(parents=True, exist_ok=True)
        self._shards = []  # (path, offset, n) of each
        self._map = lru_cache(_OPEN)(self._map)
        self._names = set()
        self._runs = []  # sorted (keys, shard numbers, row numbers); of two with one key the first counts
        self._remove_abandoned()
        self.refresh()

    def __len__(self):
        """Keys held, those written by two processes counted twice."""
        return sum(len(keys) for keys, _, _ in self._runs)

    def refresh(self):
        """Takes up shards that have appeared since; True where there were any."""
        with os.scandir(self.folder) as entries:
            new = sorted(e.name for e in entries if e.name.endswith(_SUFFIX) and e.name not in self._names)
        return any([self._take_up(name) for name in new])

    def get(self, keys):
        """Vectors of `keys (n,)`: `(n, width)` float16 with zeros where unknown, and `known (n,)` bool."""
        vectors = np.zeros((len(keys), self.width), dtype=np.float16)
        shards, rows = self._find(keys)
        for shard in np.unique(shards[shards >= 0]):
            here = np.flatnonzero(shards == shard)
            here = here[np.argsort(rows[here])]  # in the order of the file
            vectors[here] = self._map(shard)[rows[here]]
        return vectors, shards >= 0

    def _map(self, shard):
        path, offset, n = self._shards[shard]
        return np.memmap(path, dtype=np.float16, mode="r", offset=offset, shape=(n, self.width))

    def has(self, keys):
        return self._find(keys)[0] >= 0

    def put(self, digests, vectors):
        """Writes `vectors (n, width)` float16 under 16-byte digests as a new shard: whole, or not at all."""
        from safetensors.numpy import save

        keys = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 16)
        content = save({"keys": keys, "vectors": np.ascontiguousarray(vectors, dtype=np.float16)}, self.about)
        name = f"{time.time_ns():020d}-{os.getpid()}-{_digest(content)}{_SUFFIX}"
        draft = self.folder / f".{uuid.uuid4().hex}.tmp"
        try:
            with naming_a_full_disk(self.folder / name):
                draft.write_bytes(content)
                os.replace(draft, self.folder / name)
        finally:
            draft.unlink(missing_ok=True)
        self._take_up(name, first=True)

    def _find(self, keys):
        """Shard and row of each key, -1 where it is unknown."""
        shards = np.full(len(keys), -1, dtype=np.int64)
        rows = np.full(len(keys), -1, dtype=np.int64)
        for run_keys, run_shards, run_rows in self._runs:
            open_ = np.flatnonzero(shards < 0)
            at = np.searchsorted(run_keys, keys[open_])
            found = run_keys[np.minimum(at, len(run_keys) - 1)] == keys[open_]
            shards[open_[found]] = run_shards[at[found]]
            rows[open_[found]] = run_rows[at[found]]
        return shards, rows

    def _take_up(self, name, first=False):
        self._names.add(name)
        path = self.folder / name
        try:
            keys, offset = _read_shard(path, self.width)
        except FileNotFoundError:  # another process has set it aside in the meantime
            return False
        except _Damaged as damage:
            self._set_aside(path, damage)
            return False
        order = np.argsort(keys, kind="stable")
        shard = np.full(len(keys), len(self._shards), dtype=np.int32)
        self._shards.append((path, offset, len(keys)))
        # What this process has given out before it goes on giving out: its own shards come first.
        self._runs.insert(0 if first else len(self._runs), (keys[order], shard, order.astype(np.int32)))
        if len(self._runs) > _RUNS:
            self._merge_runs()
        return True

    def _merge_runs(self):
        keys, shards, rows = (np.concatenate(parts) for parts in zip(*self._runs))
        order = np.argsort(
            keys, kind="stable"
        )  # stable: of equal keys the first stays in front, where _find looks
        self._runs = [(keys[order], shards[order], rows[order])]

    def _set_aside(self, path, damage):
        try:
            os.replace(path, path.with_name(path.name + _DAMAGED))
        except FileNotFoundError:  # another process was faster
            return
        warnings.warn(
            f"teacher cache: {path} is damaged ({damage}); set aside as {path.name}{_DAMAGED}, "
            "its vectors are computed anew when they are needed",
            stacklevel=2,
        )

    def _remove_abandoned(self):
        """Drafts that a killed process left behind; those of the last day may still be in use."""
        for draft in self.folder.glob(".*.tmp"):
            try:
                if time.time() - draft.stat().st_mtime > _DAY:
                    draft.unlink()
            except FileNotFoundError:  # finished, or removed by another process
                continue


class _Damaged(Exception):
    pass


def _digest(content):
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _read_shard(path, width):
    """Keys of a shard and where its vectors begin, after its bytes have been checked."""
    total = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
        if total.hexdigest() != path.name.removesuffix(_SUFFIX).rpartition("-")[2]:
            raise _Damaged(f"{file.tell():,} bytes whose checksum is not the one in the name")
        # safetensors: 8 bytes with the header's length, the header in JSON, then the arrays one after the
        # other
        file.seek(0)
        begin = 8 + int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(begin - 8))
        n, found = header["vectors"]["shape"]
        if found != width:
            raise _Damaged(f"vectors of width {found}, expected {width}")
        file.seek(begin + header["keys"]["data_offsets"][0])
        keys = np.frombuffer(file.read(16 * n), dtype=_KEY)
    return keys, begin + header["vectors"]["data_offsets"][0]
