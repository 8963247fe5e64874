"""Several sources of pairs with weights, and the fingerprint that says what went into a run."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from pathlib import Path

import numpy as np

from egemma_lab.data._pair_columns import ROLES
from egemma_lab.data._pair_files import GZIPPED, SUFFIXES
from egemma_lab.data.pairs import load_pairs

_CHUNK = 8192  # rows looked at together


@dataclass(frozen=True, eq=False)
class Source:
    """One set of pairs, or of single texts, of a mixture. Every batch comes from a single source
    (EmbeddingGemma, section 2.3).

    Args:
        name: its name in the log, different from every other's.
        dataset: a `datasets.Dataset` as `load_pairs` returns it; or as `load_texts` does, with anchors alone:
            then the student is matched to the teacher on these texts, and no other loss looks at them.
        weight: share of the steps, relative to the other sources' weights; above 0. Default 1: all alike,
            whatever their sizes, so that a small source is not drowned by a large one.
        anchor_prompt, positive_prompt: names of the prompts put before the texts in training (None: no
            prompt); the negative takes the positive's. The defaults are those that `encode_query` and
            `encode_document` use. A tuple of names takes turns, one prompt a batch.
    """

    name: str
    dataset: object
    weight: float = 1.0
    anchor_prompt: str | tuple | None = "query"
    positive_prompt: str | tuple | None = "document"
    streamed = False  # True of those that `stream_pairs` makes

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"a source's name is a text, not {self.name!r}")
        found = getattr(self.dataset, "column_names", None)
        if not isinstance(found, list) or "anchor" not in found:
            what = f"columns {found}" if found else f"a {type(self.dataset).__name__}"
            raise TypeError(
                f"source {self.name!r} has {what}; it needs a Dataset with columns anchor and positive: "
                "pass it through load_pairs(...) first, or single texts through load_texts(...)"
            )
        for side in ("anchor_prompt", "positive_prompt"):
            prompts = getattr(self, side)
            if isinstance(prompts, list):
                object.__setattr__(self, side, prompts := tuple(prompts))
            if prompts == ():
                raise ValueError(f"source {self.name!r}: {side} is an empty list; None is no prompt")
        if isinstance(self.weight, bool) or not isinstance(self.weight, Real):
            raise TypeError(f"source {self.name!r}: weight={self.weight!r} is not a number")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ValueError(
                f"source {self.name!r}: weight={self.weight!r} is not above 0; leave a source out instead"
            )

    def __len__(self):
        return len(self.dataset)

    def __str__(self):
        return self.name

    @property
    def has_positives(self):
        return "positive" in self.dataset.column_names

    @property
    def has_negatives(self):
        return "negative" in self.dataset.column_names

    def tables(self):
        """The texts as pyarrow tables of a few thousand rows: `(first row, table)`."""
        columns = [role for role in ROLES if role in self.dataset.column_names]
        texts = self.dataset.select_columns(columns).with_format("arrow")
        for start in range(0, len(texts), _CHUNK):
            table = texts[start : start + _CHUNK]
            for column in columns:
                if table[column].null_count:
                    raise ValueError(
                        f"source {self.name!r} has rows without {column}: check it with load_pairs(...)"
                    )
            yield start, table


class Mixture:
    """Sources with weights.

    >>> from egemma_lab.data import load_pairs
    >>> capitals = load_pairs([("capital of Peru", "Lima"), ("capital of Chile", "Santiago")])
    >>> colours = load_pairs([("colour of snow", "white")])
    >>> mixture = Mixture([Source("capitals", capitals, weight=3), Source("colours", colours)])
    >>> mixture.names, mixture.shares.tolist(), len(mixture)
    (['capitals', 'colours'], [0.75, 0.25], 3)
    """

    def __init__(self, sources):
        self.sources = tuple(sources)
        if not self.sources:
            raise ValueError("a mixture needs at least one source")
        for source in self.sources:
            if not isinstance(source, Source):
                raise TypeError(f"a mixture holds Sources, not a {type(source).__name__}; see as_mixture")
            if len(source) == 0:
                raise ValueError(f"source {source.name!r} has no pairs")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two sources are called {', '.join(map(repr, twice))}; "
                "name them: as_mixture({'first': ..., 'second': ...})"
            )

    @property
    def names(self):
        return [source.name for source in self.sources]

    @property
    def shares(self):
        """Share of the steps that each source gets; float64 `(sources,)`, sum 1."""
        weights = np.array([source.weight for source in self.sources], dtype=np.float64)
        return weights / weights.sum()

    @property
    def streamed(self):
        """Whether any source is a stream, whose length nobody knows."""
        return any(source.streamed for source in self.sources)

    def __len__(self):
        return sum(len(source) for source in self.sources)

    def __iter__(self):
        return iter(self.sources)

    def __getitem__(self, name):
        if name not in self.names:
            raise KeyError(f"no source {name!r}; there are {', '.join(map(repr, self.names))}")
        return self.sources[self.names.index(name)]

    def __repr__(self):
        parts = (
            f"{source.name}: {_counted(source)}, {share:.0%}"
            for source, share in zip(self.sources, self.shares)
        )
        return f"Mixture({'; '.join(parts)})"

    @cached_property
    def fingerprint(self):
        """32 hex digits over all texts in their order, names, weights and prompts.

        It depends on the content alone: the same in another process, and however the data came and lies in
        memory. Columns beyond anchor, positive and negative do not count, as they do not change a run. Of a stream
        count its beginning, its files' names and sizes, and its buffer.
        """
        total = hashlib.blake2b(digest_size=16)
        for source in self.sources:
            about = (
                source.name,
                float(source.weight),
                source.anchor_prompt,
                source.positive_prompt,
                len(source),
            )
            if source.streamed:
                about = (*about, source.reader.identity, source.buffer_size)
            total.update(repr(about).encode("utf-8", "surrogatepass"))
            total.update(_content(source))
        return total.hexdigest()


def _counted(source):
    what = "pairs" if source.has_positives else "texts"
    return f"a stream of {what}" if source.streamed else f"{len(source):,} {what}"


def _content(source):
    """Digest of the texts: per column all lengths and all bytes, each in one stream, whatever the chunks."""
    import pyarrow as pa
    import pyarrow.compute as pc

    streams = {}
    for _, table in source.tables():
        for column in table.column_names:
            lengths, texts = streams.setdefault(column, (hashlib.blake2b(), hashlib.blake2b()))
            for chunk in table[column].chunks:
                chunk = chunk.cast(pa.large_binary())
                lengths.update(
                    pc.binary_length(chunk).cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes()
                )
                _, offsets, values = chunk.buffers()
                first, last = np.frombuffer(offsets, np.int64)[[chunk.offset, chunk.offset + len(chunk)]]
                if last > first:
                    texts.update(memoryview(values)[first:last])
    return b"".join(column.encode() + a.digest() + b.digest() for column, (a, b) in sorted(streams.items()))


def as_mixture(pairs):
    """A `Mixture` of whatever `lab.train` is given.

    - a Mixture: itself; a Source, or a list of them: their mixture;
    - a dict `name -> pairs` (or `name -> (pairs, weight)`);
    - a list of `(pairs, weight)`, or of Datasets;
    - anything else goes to `load_pairs` and makes a mixture of one.

    `pairs` is what `load_pairs` takes, or a `datasets.IterableDataset`, which goes to `stream_pairs`. Names that
    are not given come from the file or data set, else "data".

    >>> as_mixture({"a": ([("q1", "p1")], 3.0), "b": [("q2", "p2")]})
    Mixture(a: 1 pairs, 75%; b: 1 pairs, 25%)
    """
    if isinstance(pairs, Mixture):
        return pairs
    if isinstance(pairs, Source):
        return Mixture([pairs])
    if isinstance(pairs, Mapping) and not hasattr(pairs, "column_names"):
        return Mixture([_source(name, part) for name, part in pairs.items()])
    if isinstance(pairs, list | tuple) and pairs:
        if all(isinstance(part, Source) for part in pairs):
            return Mixture(pairs)
        if all(_is_weighted(part) or hasattr(part, "column_names") for part in pairs):
            return Mixture([_source(_name(part, number), part) for number, part in enumerate(pairs)])
    return Mixture([_source(_name(pairs), pairs)])


def _is_weighted(part):
    return isinstance(part, tuple) and len(part) == 2 and isinstance(part[1], Real)


def _source(name, part):
    if isinstance(part, Source):
        return replace(part, name=name)
    pairs, weight = part if _is_weighted(part) else (part, 1.0)
    if isinstance(pairs, Source):
        return replace(pairs, name=name, weight=weight)
    from egemma_lab.data.stream import is_streamed, stream_pairs  # here, since streams are sources

    if is_streamed(pairs):
        return stream_pairs(pairs, name=name, weight=weight)
    return Source(name, load_pairs(pairs), weight)


def _name(pairs, number=None):
    pairs = pairs[0] if _is_weighted(pairs) else pairs
    if isinstance(pairs, str | Path):
        name = Path(pairs).name
        for suffix in (*GZIPPED, *SUFFIXES):
            name = name.removesuffix(suffix)
        return name
    return "data" if number is None else f"data-{number}"
