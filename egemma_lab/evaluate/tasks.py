"""The tasks by name, and those that are folders.

A task has a `name`, `load(limit)`, which gives its data (with a `fingerprint`), `score(data, contestant,
width)`, which gives rows for the table, and `lexical`, true where BM25 can take part.
"""

from functools import partial
from pathlib import Path

from egemma_lab.evaluate.bm25 import bm25_search
from egemma_lab.evaluate.contestants import Bm25, narrowed
from egemma_lab.evaluate.retrieval import measure, search
from egemma_lab.evaluate.retrieval_data import CANDIDATES, RetrievalData, is_task_folder, read_folder
from egemma_lab.evaluate.table import score_row
from egemma_lab.settings import sized


class RetrievalTask:
    """Find the documents that answer a query among all of a corpus.

    `read()` gives the RetrievalData; `queries` is how many of them are asked when no limit is given (None:
    all).
    """

    lexical = True  # BM25 can take part

    def __init__(self, name, read, queries=None):
        self.name = name
        self._read = read
        self._queries = queries

    def load(self, limit=None):
        """The data of the task, made smaller to `limit` queries; whatever `score` needs besides the model."""
        return self._read().limited(self._queries if limit is None else limit)

    def score(self, data, contestant, width=None):
        """Rows with metric, value, n, low, high and per_query; vectors are cut to `width` (None: not cut)."""
        queries, documents = list(data.queries.values()), list(data.corpus)
        if isinstance(contestant, Bm25):
            rankings = bm25_search(queries, data.full_texts(), documents)
        else:
            titles = [data.titles.get(document) for document in documents]
            rankings = search(
                narrowed(contestant.embed(queries, "query"), width),
                narrowed(contestant.embed(list(data.corpus.values()), "document", titles), width),
                documents,
            )
        measured = measure(data.qrels, dict(zip(data.queries, rankings)))
        return [score_row(metric, values) for metric, values in measured.items()]


def python_docs_task(split="test", *, paths=None, name=None):
    """Docstring sentences as queries, their functions as documents, from packages kept out of training.

    By default 1,000 queries among 5,000 functions of the `split`; one function answers each query. `paths` as
    in `load_python_docs`.
    """

    def read():
        from egemma_lab.data.python_docs import load_python_docs

        queries = sized(1000, 100)
        rows = load_python_docs(split, limit=CANDIDATES * queries, paths=paths)
        ids = [f"{module}:{function}" for module, function in zip(rows["module"], rows["name"])]
        asked = slice(0, queries)  # the rows are shuffled already
        return RetrievalData(
            dict(zip(ids[asked], rows["anchor"][asked])),
            dict(zip(ids, rows["positive"])),
            {key: {key: 1} for key in ids[asked]},
            {},
        )

    return RetrievalTask(name or f"python-docs{'' if split == 'test' else '/' + split}", read)


# name -> how to make the task
TASKS = {
    "python-docs": python_docs_task,
    "python-docs/validation": lambda: python_docs_task("validation"),
}


def find_task(task, data_dir=None):
    """The task behind a name or folder; a task object is returned as it is.

    Looks at the names of `TASKS`, then for a folder in BEIR's layout at that path, then in `data_dir` and its
    `eval` folder. ValueError lists all that there is.
    """
    if hasattr(task, "score"):
        return task
    if task in TASKS:
        return TASKS[task]()
    for folder in [Path(task).expanduser(), *(place / str(task) for place in _places(data_dir))]:
        if is_task_folder(folder):
            return RetrievalTask(folder.name, partial(read_folder, folder), sized(None, 100))
    raise ValueError(
        f"task {str(task)!r} is not one of {', '.join(known_tasks(data_dir))}, nor a folder with "
        "corpus.jsonl, queries.jsonl and qrels.tsv"
    )


def known_tasks(data_dir=None):
    """Names that `find_task` takes: the package's own and the folders of `data_dir`."""
    folders = [folder for place in _places(data_dir) if place.is_dir() for folder in sorted(place.iterdir())]
    return [*TASKS, *(folder.name for folder in folders if is_task_folder(folder))]


def _places(data_dir):
    return [] if data_dir is None else [Path(data_dir).expanduser(), Path(data_dir).expanduser() / "eval"]
