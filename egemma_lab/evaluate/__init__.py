"""How good a model is: tasks, measures, baselines. The package is its own verb: `lab.evaluate(model)`."""

from egemma_lab._callable import make_callable
from egemma_lab.evaluate.comparison import compare
from egemma_lab.evaluate.contestants import untrained
from egemma_lab.evaluate.frontier_tasks import frontier
from egemma_lab.evaluate.mteb_adapter import as_mteb
from egemma_lab.evaluate.suite import evaluate
from egemma_lab.evaluate.summaries import JUDGED, main_metrics, relative_to, summary
from egemma_lab.evaluate.table import comparison_table, markdown, record, width_table
from egemma_lab.evaluate.tasks import SUITE, TASKS, known_tasks, python_docs_task
from egemma_lab.evaluate.vector_precision import mean_frontier, vector_frontier

__all__ = [
    "JUDGED",
    "SUITE",
    "TASKS",
    "as_mteb",
    "compare",
    "comparison_table",
    "evaluate",
    "frontier",
    "known_tasks",
    "main_metrics",
    "markdown",
    "mean_frontier",
    "python_docs_task",
    "record",
    "relative_to",
    "summary",
    "untrained",
    "vector_frontier",
    "width_table",
]

make_callable(__name__, evaluate)
