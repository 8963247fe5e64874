"""How good the model is while it learns: an evaluation every so many steps, in columns of the history."""

from egemma_lab.train.callbacks import Callback

TASKS = ("python-docs/validation",)  # the split between training and test: looking at it spoils no test
LIMIT = 100  # queries: enough to see the direction, few enough to cost seconds


class Evaluation(Callback):
    """Adds "eval/ndcg@10" and the other metrics to the history's row every `every` steps and at the last.

    every: steps; `Recipe(evaluate_every=...)` makes one with the defaults. tasks, limit: as in `lab.evaluate`;
    with several tasks the columns are "eval/<task>/<metric>". Data are read once. The figures come from a
    small corpus and are higher than those of a full evaluation: compare them among themselves.
    """

    def __init__(self, every, tasks=TASKS, limit=LIMIT):
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"every={every!r} must be a whole number of steps, at least 1")
        self.every = every
        self._tasks = [tasks] if isinstance(tasks, str) else list(tasks)
        self._limit = limit

    def on_start(self, state):
        from egemma_lab.evaluate.tasks import find_task
        from egemma_lab.settings import data_dir

        self._tasks = [_LoadedOnce(find_task(task, data_dir())) for task in self._tasks]

    def on_step(self, state, row):
        from egemma_lab.evaluate import evaluate

        if state.step % self.every and state.progress < 1:
            return
        table = evaluate(state.model, self._tasks, limit=self._limit, show_progress_bar=False)
        for task, metric, value in table[["task", "metric", "value"]].itertuples(index=False):
            place = f"{task}/" if len(self._tasks) > 1 else ""
            row[f"eval/{place}{metric.lower()}"] = value


class _LoadedOnce:
    """A task whose data are read at the first look and kept."""

    def __init__(self, task):
        self.name, self.lexical, self.score, self._task = task.name, task.lexical, task.score, task
        self._data = {}

    def load(self, limit=None):
        if limit not in self._data:
            self._data[limit] = self._task.load(limit)
        return self._data[limit]
