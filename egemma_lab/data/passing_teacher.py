"""What the teacher says of texts that come once: computed as they come, and forgotten."""

import numpy as np

from egemma_lab.data.teacher_cache import CacheStats, TeacherCache


class PassingTeacher(TeacherCache):
    """A `TeacherCache` without a disk, for streams: it knows the texts of the last `prepare` and of calls since.

    Ten million pairs at width 768 would be 31 GB of float16, read again only in a second pass. Vectors go through
    float16 as in a cache, and those of texts prepared together are the same bits whatever came before.

    >>> class Lengths:
    ...     name, width, fingerprint = "lengths", 2, "lengths-1"
    ...     def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
    ...         return np.array([[np.cos(len(t)), np.sin(len(t))] for t in texts], dtype=np.float32)
    >>> teacher = PassingTeacher(Lengths())
    >>> teacher.prepare({"document": ["one", "three"]})
    >>> teacher.vectors(["three"], "document").shape, len(teacher), teacher.stats.computed
    ((1, 2), 2, 2)
    >>> teacher.prepare({"document": ["seven"]})
    >>> len(teacher)
    1
    """

    def __init__(self, teacher):
        self.teacher = teacher
        self.width = int(teacher.width)
        self._store = _Nothing(self.width)
        self._one_role = not getattr(teacher, "prompts_differ", True)
        self._pending = {}
        self.stats = CacheStats()

    def prepare(self, texts):
        self._pending.clear()
        super().prepare(texts)

    def flush(self):
        """Nothing is written."""

    def _flush_if_large(self):
        """What is prepared together is held together."""


class _Nothing:
    """A `VectorStore` that holds nothing."""

    def __init__(self, width):
        self.width = width

    def __len__(self):
        return 0

    def get(self, keys):
        return np.zeros((len(keys), self.width), np.float16), np.zeros(len(keys), bool)

    def has(self, keys):
        return np.zeros(len(keys), bool)

    def refresh(self):
        return False
