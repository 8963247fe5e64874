import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import egemma_lab as lab
from egemma_lab.evaluate import frontier, mean_frontier, vector_frontier
from egemma_lab.evaluate.retrieval_data import RetrievalData
from egemma_lab.evaluate.retrieval_task import RetrievalTask
from egemma_lab.evaluate.vector_precision import WAYS, WAYS_WITH_COPY, pair_frontier
from egemma_lab.quantize import calibrate, dequantize_vectors, quantize_vectors, recall_against_exact
from egemma_lab.quantize.coded_vectors import unit_rows


@pytest.fixture(scope="module")
def tasks(tiny_texts, tmp_path_factory):
    """A folder with a retrieval and a similarity task."""
    root = tmp_path_factory.mktemp("tasks")
    search, pairs = root / "planets", root / "pairs"
    search.mkdir()
    pairs.mkdir()
    lines = {
        search / "corpus.jsonl": [{"_id": f"d{n}", "text": text} for n, text in enumerate(tiny_texts)],
        search / "queries.jsonl": [{"_id": f"q{n}", "text": tiny_texts[5 * n][4:]} for n in range(30)],
        pairs / "test.jsonl": [
            {"sentence1": tiny_texts[n], "sentence2": tiny_texts[n + 1 + n % 7], "score": 5 - n % 7}
            for n in range(60)
        ],
    }
    for path, rows in lines.items():
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (search / "qrels.tsv").write_text("".join(f"q{n}\td{5 * n}\t1\n" for n in range(30)))
    return root


@pytest.fixture(scope="module")
def table(micro_model, tasks):
    return frontier(micro_model, ["planets", "pairs"], data_dir=tasks, show_progress_bar=False)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(120, 32)).astype(np.float32)


def cells(frame, task, width, precision):
    rows = frame[(frame["task"] == task) & (frame["width"] == width) & (frame["precision"] == precision)]
    assert len(rows) == 1
    return rows.iloc[0]


class TestFrontier:
    def test_floats_are_what_evaluate_measures(self, micro_model, tasks, table):
        measured = lab.evaluate(
            micro_model, ["planets", "pairs"], dims=[64, 32, 16], data_dir=tasks, show_progress_bar=False
        )
        for task, metric in (("planets", "nDCG@10"), ("pairs", "spearman")):
            for width in (64, 32, 16):
                row = cells(table, task, width, "float32")
                same = measured[(measured["task"] == task) & (measured["metric"] == metric)]
                same = same[same["width"] == width].iloc[0]
                assert row[["metric", "n"]].tolist() == [metric, same["n"]]
                assert row[["value", "low", "high"]].tolist() == pytest.approx(
                    same[["value", "low", "high"]].tolist(), abs=1e-6
                )

    def test_every_width_and_way_has_a_row(self, table):
        assert len(table) == 2 * 3 * len(WAYS)
        sizes = {(row.width, row.precision): row.bytes for row in table.itertuples()}
        assert sizes[64, "float32"] == 256
        assert sizes[32, "int8"] == 32
        assert sizes[16, "binary"] == sizes[16, "binary rescored"] == 2
        whole = cells(table, "planets", 64, "float32")
        assert whole[["share", "share_low", "share_high", "recall"]].tolist() == [1, 1, 1, 1]
        assert table.attrs["model"] == "micro"

    def test_a_byte_costs_little_and_a_bit_more(self, table):
        byte, bit = cells(table, "planets", 64, "int8"), cells(table, "planets", 64, "binary")
        assert byte["recall"] > 0.9 > bit["recall"]

    def test_the_order_of_the_corpus_does_not_matter(self, micro_model, tiny_texts):
        # bits tie often; the answer is the first document here, the last one there
        corpus = {f"d{n}": text for n, text in enumerate(tiny_texts)}
        queries = {f"q{n}": tiny_texts[n] for n in range(0, 20)}
        qrels = {f"q{n}": {f"d{n}": 1} for n in range(0, 20)}
        values = []
        for order in (list(corpus), list(corpus)[::-1]):
            data = RetrievalData(queries, {name: corpus[name] for name in order}, qrels, {})
            task = RetrievalTask("t", lambda data=data: data)
            found = frontier(
                micro_model, task, widths=[16], ways={"binary": WAYS["binary"]}, show_progress_bar=False
            )
            values.append(found["value"].iloc[0])
        assert values[0] == values[1]

    def test_limit_widths_and_ways(self, micro_model, tasks):
        table = frontier(
            micro_model,
            "planets",
            widths=[48],
            ways=WAYS_WITH_COPY,
            data_dir=tasks,
            limit=5,
            show_progress_bar=False,
        )
        assert table[["n", "width", "bytes"]].values.tolist() == [[5, 48, 54], [5, 48, 198]]

    def test_refusals(self, micro_model, tasks):
        with pytest.raises(ValueError, match=r"widths=\[65\] must lie between 1 and 64, the width of micro"):
            frontier(micro_model, "planets", widths=[65], data_dir=tasks)
        (tasks / "labelled").mkdir()
        for name in ("train", "test"):
            row = json.dumps({"text": "a", "label": "x"}) + "\n"
            (tasks / "labelled" / f"{name}.jsonl").write_text(row)
        with pytest.raises(ValueError, match="task 'labelled' neither searches nor compares pairs"):
            frontier(micro_model, ["labelled"], data_dir=tasks)


class TestVectors:
    def test_without_judgements_it_is_the_recall(self, rows):
        table = vector_frontier(rows[:20], rows, [32, 8], k=5)
        for row in table.itertuples():
            expected, _ = recall_against_exact(rows[:20], rows, 5, width=row.width, **WAYS[row.precision])
            assert row.value == row.recall == pytest.approx(expected)
            assert row.metric == "recall@5 of exact search"

    def test_shares_are_paired(self, rows):
        whole = np.random.default_rng(1).uniform(0.2, 1, size=20)  # easy and hard queries
        row = judged(rows[:20], rows, whole, whole / 2)
        assert row["low"] < row["value"] < row["high"]
        # every query loses exactly half: that is certain, though the queries differ widely
        assert row[["share", "share_low", "share_high"]].tolist() == pytest.approx([0.5, 0.5, 0.5])

    def test_share_by_resampling_the_ratio(self, rows):
        rng = np.random.default_rng(2)
        whole = rng.uniform(0.5, 1, size=400)
        less = whole * rng.uniform(0.7, 1.1, size=400)
        row = judged(np.tile(rows, (4, 1))[:400], rows, whole, less)
        draws = [rng.integers(400, size=400) for _ in range(4000)]
        ratios = [less[draw].mean() / whole[draw].mean() for draw in draws]
        expected = [less.mean() / whole.mean(), *np.quantile(ratios, [0.025, 0.975])]
        assert row[["share", "share_low", "share_high"]].tolist() == pytest.approx(expected, abs=2e-3)

    def test_nothing_to_be_a_share_of(self, rows):
        row = judged(rows[:3], rows, np.zeros(3), np.zeros(3))
        assert row["value"] == 0
        assert row[["share", "share_low", "share_high"]].isna().all()

    def test_pairs_by_hand(self, rows):
        first, second = rows[:60], rows[:60] + np.random.default_rng(5).normal(size=(60, 32))
        scores = np.random.default_rng(6).uniform(size=60)
        table = pair_frontier(first, second, scores, [16], ways=WAYS | WAYS_WITH_COPY).set_index("precision")
        a, b = (unit_rows(side[:, :16]) for side in (first, second))
        learnt = calibrate(b)
        told = dequantize_vectors(quantize_vectors(b, "int8", learnt), "int8", learnt)
        expected = {
            "float32": (a * b).sum(1),
            "int8": (a * told).sum(1),
            "binary rescored": (a * np.sign(b)).sum(1),
            "binary": (np.sign(a) * np.sign(b)).sum(1),
            "binary rescored by int8": (a * told).sum(1),
        }
        for name, cosines in expected.items():
            assert table.loc[name, "value"] == pytest.approx(spearmanr(cosines, scores).statistic, abs=1e-6)
        assert table["recall"].isna().all()


def judged(queries, documents, whole, less):
    """The row of bits where the reference is worth `whole` to the queries, and what the bits find `less`."""
    answers = iter([whole, less])
    table = vector_frontier(
        queries, documents, [32], judge=lambda ids: next(answers), ways={"binary": WAYS["binary"]}
    )
    return table.iloc[0]


class TestMean:
    def test_by_hand(self):
        columns = [
            "task",
            "metric",
            "n",
            "width",
            "precision",
            "bytes",
            "share",
            "share_low",
            "share_high",
            "recall",
        ]
        rows = [
            ["a", "m", 10, 8, "int8", 8, 0.9, 0.87, 0.94, 0.8],
            ["b", "m", 20, 8, "int8", 8, 0.7, 0.66, 0.73, 0.6],
        ]
        mean = mean_frontier(pd.DataFrame(rows, columns=columns)).iloc[0]
        assert mean[["task", "metric", "n", "bytes"]].tolist() == ["mean", "mean of 2 tasks", 30, 8]
        assert mean[["share", "recall"]].tolist() == pytest.approx([0.8, 0.7])
        assert mean[["share_low", "share_high"]].tolist() == pytest.approx([0.8 - 0.025, 0.8 + 0.025])
        with pytest.raises(ValueError, match="1 of 2 tasks have width 4, int8: the mean needs all"):
            mean_frontier(
                pd.DataFrame([*rows, ["a", "m", 10, 4, "int8", 4, 0.5, 0.4, 0.6, 0.2]], columns=columns)
            )
