"""Texts under every width and precision: encoded once a weight format, then cut, rounded and searched."""

import numpy as np

from egemma_lab.evaluate.contestants import narrowed, opened
from egemma_lab.evaluate.retrieval import measure, tie_order
from egemma_lab.evaluate.table import interval
from egemma_lab.evaluate.vector_precision import WAYS, stored_bytes
from egemma_lab.explore.flips_data import nearest_others
from egemma_lab.explore.precision_setting import UNROUNDED, Setting
from egemma_lab.explore.search_texts import judgements, topical
from egemma_lab.quantize import fake_quantize
from egemma_lab.quantize.coded_vectors import CodedVectors
from egemma_lab.quantize.searching import overlap, search

DEPTH = 10  # results looked at, and neighbours of a text
ASKED = 500  # texts that ask for their neighbours where there are no questions
METRICS = ("nDCG@10", "recall@10", "MRR@10")
NEIGHBOURS = "true neighbours among 10"


class Bench:
    """A model, texts and questions about them, to be seen at any `Setting`.

    `texts`, `labels`, `questions`: n, n and q strings; `qrels`, {question's number: {text's number: grade}}, both as
    strings, None where texts ask for their neighbours. `widths`, the model's, from narrow to wide; `full`, the setting
    without any loss. Nothing is computed before it is asked for, and everything once.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> texts = [f"text number {i}" for i in range(20)]
    >>> bench = Bench(new_model("micro", train_tokenizer(texts, vocab_size=400)), texts)
    >>> bench.stored(Setting(32, "binary")).shape
    (20, 32)
    >>> bench.table()[["width", "precision", "bytes"]].values.tolist()[0]
    [64, 'float32', 256]
    """

    def __init__(self, model, texts=None, *, labels=None, questions=None, answers=None):
        self.model = opened(model)
        if not hasattr(self.model, "widths"):
            raise TypeError(
                f"a {type(self.model).__name__} has no widths to choose from: give an EmbeddingGemma or its folder"
            )
        if texts is None:
            if questions is not None or labels is not None:
                raise ValueError("labels and questions belong to texts of your own: give texts= as well")
            texts, labels, questions, answers = topical()
        self.texts = list(texts)
        if len(self.texts) < DEPTH + 2:
            raise ValueError(
                f"{len(self.texts)} texts: at least {DEPTH + 2}, so that ten neighbours can change"
            )
        self.labels = ["texts"] * len(self.texts) if labels is None else [str(label) for label in labels]
        if len(self.labels) != len(self.texts):
            raise ValueError(f"{len(self.texts)} texts but {len(self.labels)} labels: one each is needed")
        self.questions = [] if questions is None else list(questions)
        self.qrels = judgements(self.questions, answers, len(self.texts))
        self.widths = sorted(self.model.widths)
        self.full = Setting(self.widths[-1])
        self._order = np.array(tie_order([str(row) for row in range(len(self.texts))]))
        self._encoded, self._tables, self._rows, self._comparisons, self._kept = {}, {}, {}, {}, {}

    @property
    def metrics(self):
        """What is measured, the main metric first."""
        return METRICS if self.qrels else (NEIGHBOURS,)

    def encoded(self, weights=UNROUNDED):
        """Unit vectors of texts and questions at full width: (n, d), (q, d) float32. Takes seconds the first time."""
        if weights not in self._encoded:
            model = self.model if weights == UNROUNDED else fake_quantize(self.model, weights)
            quiet = {"show_progress_bar": False}
            told = model.encode_document(self.texts, **quiet)
            self._encoded[weights] = told, model.encode_query(self.questions, **quiet) if self.qrels else None
        return self._encoded[weights]

    def stored(self, setting):
        """The vectors that are left of the texts' at a setting, those the codes stand for: (n, width), unit rows."""
        told = narrowed(self.encoded(setting.weights)[0], setting.width)
        if setting.vectors == "float32":
            return told
        coded = CodedVectors.of(told, WAYS[setting.vectors]["precision"])
        return narrowed(coded.vectors(np.arange(len(told))), None)

    def values(self, setting):
        """What each question (or asking text) gets at a setting: {metric: (q,) values from 0 to 1}."""
        told, asked = (
            None if side is None else narrowed(side, setting.width) for side in self.encoded(setting.weights)
        )
        way = WAYS[setting.vectors]
        if self.qrels is None:
            rows, true = self._true_neighbours()
            _, found = search(told[rows], told[self._order], DEPTH + 1, **way)
            found = self._order[found]
            others = [
                [row for row in line if row != own][:DEPTH]
                for line, own in zip(found.tolist(), rows.tolist())
            ]
            return {NEIGHBOURS: overlap(np.array(others), true)}
        _, found = search(asked, told[self._order], DEPTH, **way)
        run = {
            str(i): {str(row): DEPTH - rank for rank, row in enumerate(line)}
            for i, line in enumerate(self._order[found].tolist())
        }
        measured = measure(self.qrels, run, METRICS)
        return {metric: np.array([measured[metric][i] for i in self.qrels]) for metric in METRICS}

    def _true_neighbours(self):
        if "true" not in self._kept:
            rows = np.arange(len(self.texts))
            if len(rows) > ASKED:
                rows = np.sort(np.random.default_rng(0).choice(rows, ASKED, replace=False))
            self._kept["true"] = rows, nearest_others(self.encoded()[0], rows, DEPTH)[0]
        return self._kept["true"]

    def table(self, weights=UNROUNDED):
        """Quality and bytes of all widths and ways under one weight format: a DataFrame, a row each.

        Columns `width`, `precision`, `bytes`, `metric`, `value`, `low`, `high` (95%, bootstrap over questions): the
        main metric, as `quality_frontier` draws it; and `values`, those of `values()`.
        """
        import pandas as pd

        if weights not in self._tables:
            rows = []
            for width in reversed(self.widths):
                for name, way in WAYS.items():
                    values = self.values(Setting(width, name, weights))
                    main = values[self.metrics[0]]
                    rows.append(
                        {
                            "width": width,
                            "precision": name,
                            "bytes": stored_bytes(width, way),
                            "metric": self.metrics[0],
                            "value": main.mean(),
                            **dict(zip(("low", "high"), interval(main))),
                            "values": values,
                        }
                    )
            self._tables[weights] = pd.DataFrame(rows)
        return self._tables[weights]

    def knows(self, weights):
        """Whether the table of these weights is there already."""
        return weights in self._tables

    def row(self, setting):
        """The row of `table` that belongs to a setting."""
        if setting not in self._rows:
            table = self.table(setting.weights)
            at = (table["width"] == setting.width) & (table["precision"] == setting.vectors)
            self._rows[setting] = table[at].iloc[0]
        return self._rows[setting]

    def comparison(self, setting):
        """Every metric here and without any loss: a DataFrame with `metric`; `here`, `full`, and `difference`, paired
        over the questions; each with its interval, as `here_low` and `here_high`."""
        import pandas as pd

        if setting not in self._comparisons:
            here, full = self.row(setting)["values"], self.row(self.full)["values"]
            rows = []
            for metric in self.metrics:
                sides = {
                    "here": here[metric],
                    "full": full[metric],
                    "difference": here[metric] - full[metric],
                }
                row = {"metric": metric}
                for name, values in sides.items():
                    row[name] = values.mean()
                    row[f"{name}_low"], row[f"{name}_high"] = interval(values)
                rows.append(row)
            self._comparisons[setting] = pd.DataFrame(rows)
        return self._comparisons[setting]
