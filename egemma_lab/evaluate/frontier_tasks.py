"""What smaller vectors cost a model on the suite's tasks."""

from pathlib import Path

from egemma_lab.evaluate.contestants import Embedder, opened
from egemma_lab.evaluate.retrieval import measure, tie_order
from egemma_lab.evaluate.retrieval_task import RetrievalTask
from egemma_lab.evaluate.similarity import SimilarityTask
from egemma_lab.evaluate.tasks import find_task
from egemma_lab.evaluate.vector_precision import WAYS, pair_frontier, vector_frontier
from egemma_lab.settings import data_dir as default_data_dir


def frontier(model, tasks, *, widths=None, ways=WAYS, data_dir=None, limit=None, show_progress_bar=None):
    """Quality against bytes per vector, width by width and precision by precision: a frame, a row each.

    Parameters: `model`, `data_dir`, `limit` and `show_progress_bar`, as in `evaluate`; `tasks`, retrieval tasks
    (searched as deep as their main metric looks, so nDCG@10 by the best 10; a second look sees 40) and
    similarity tasks (the first sentence is the query, the second is stored); `widths` (default: the model's own, or
    the full one where it has none); `ways`, {name: options of `egemma_lab.quantize.search`} (default `WAYS`: float32,
    int8, binary with and without a second look). Each text is encoded once, then cut and quantized.

    Columns: `task`, `metric`, `n`; `width`, `precision` (the name of the way), `bytes` of a stored vector, finer copy
    included; `value` with `low` and `high`; `share`, the value over that of float32 at the full width, with
    `share_low` and `share_high` (95%, bootstrap over queries, paired: the same queries stand above and below); and
    `recall`, of the exact float32 search's results at full width how many are found (none for similarity).

    ValueError for a task of another kind, or a width that the model does not have.
    """
    import pandas as pd

    contestant = Embedder(opened(model), show_progress_bar=show_progress_bar)
    data_dir = default_data_dir() if data_dir is None else data_dir
    one = isinstance(tasks, str | Path) or hasattr(tasks, "score")
    found = [find_task(task, data_dir) for task in ([tasks] if one else tasks)]
    for task in found:
        if not isinstance(task, RetrievalTask | SimilarityTask):
            raise ValueError(
                f"task {task.name!r} neither searches nor compares pairs: bytes of vectors say nothing there"
            )
    widths = list(widths or getattr(contestant.model, "widths", None) or [contestant.width])
    if min(widths) < 1 or max(widths) > contestant.width:
        raise ValueError(
            f"widths={widths} must lie between 1 and {contestant.width}, the width of {contestant.name}"
        )
    parts = []
    for task, data in [(task, task.load(limit)) for task in found]:
        side = _pairs if isinstance(task, SimilarityTask) else _retrieval
        part = side(task, data, contestant, widths, ways)
        part.insert(0, "task", task.name)
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    frame.attrs = {"model": contestant.name, "limit": limit}
    return frame


def _retrieval(task, data, contestant, widths, ways):
    names = list(data.corpus)
    queries = contestant.embed(list(data.queries.values()), "query")
    documents = contestant.embed(
        list(data.corpus.values()), "document", [data.titles.get(name) for name in names]
    )
    order = tie_order(names)  # equal scores fall to the lower row: let chance decide which that is
    documents, names = documents[order], [names[row] for row in order]
    metric = task.metrics[0]
    k = int(metric.partition("@")[2])

    def judge(found):
        run = {
            query: {names[row]: k - rank for rank, row in enumerate(rows)}
            for query, rows in zip(data.queries, found.tolist())
        }
        values = measure(data.qrels, run, [metric])[metric]
        return [values[query] for query in data.queries]

    return vector_frontier(queries, documents, widths, judge=judge, metric=metric, k=k, ways=ways)


def _pairs(task, data, contestant, widths, ways):
    first, second = (contestant.embed(list(side), task.kind) for side in zip(*data.pairs))
    return pair_frontier(first, second, data.scores, widths, ways=ways)
