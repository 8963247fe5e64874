"""Pairs of texts: where they come from, how batches are made of them, and what the teacher says of them."""

from egemma_lab.data.batch_plan import Batch, BatchPlan
from egemma_lab.data.hard_negatives import mine_hard_negatives, negative_report
from egemma_lab.data.mixture import Mixture, Source, as_mixture
from egemma_lab.data.pairs import load_pairs
from egemma_lab.data.passing_teacher import PassingTeacher
from egemma_lab.data.running_text import sentences
from egemma_lab.data.stream import Stream, stream_pairs
from egemma_lab.data.teacher_cache import TeacherCache
from egemma_lab.data.texts import load_texts

__all__ = [
    "Batch",
    "BatchPlan",
    "Mixture",
    "PassingTeacher",
    "Source",
    "Stream",
    "TeacherCache",
    "as_mixture",
    "load_pairs",
    "load_python_docs",
    "load_texts",
    "mine_hard_negatives",
    "negative_report",
    "sentences",
    "stream_pairs",
]


def __getattr__(name):
    if name == "load_python_docs":  # the miner of installed packages; only those who ask for it pay for it
        from egemma_lab.data.python_docs import load_python_docs

        return load_python_docs
    raise AttributeError(
        f"module 'egemma_lab.data' has no attribute {name!r}; it offers {', '.join(__all__)}"
    )
