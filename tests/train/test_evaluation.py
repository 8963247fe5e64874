import json

import pytest
from runs import run_it

from egemma_lab.train.evaluation import Evaluation


@pytest.fixture
def task(tmp_path):
    """A folder in BEIR's layout with three documents and two queries."""
    folder = tmp_path / "planets"
    folder.mkdir()
    documents = [
        {"_id": n, "text": t} for n, t in (("a", "red Mars"), ("b", "blue Neptune"), ("c", "old Pluto"))
    ]
    queries = [{"_id": "1", "text": "which one is red?"}, {"_id": "2", "text": "which one is blue?"}]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t1\n")
    return folder


def test_columns_in_the_rows_of_steps_with_an_evaluation(make_micro, tiny_pairs, task, tmp_path):
    callbacks = [Evaluation(2, tasks=[task])]
    run = run_it(make_micro(), tiny_pairs[:64], tmp_path / "run", steps=5, callbacks=callbacks)
    history = run.history.set_index("step")
    measured = history["eval/ndcg@10"].dropna()
    assert measured.index.tolist() == [2, 4, 5]
    assert measured.between(0, 1).all()
    plain = run_it(make_micro(), tiny_pairs[:64], tmp_path / "plain", steps=5)
    assert plain.history["loss"].tolist() == run.history["loss"].tolist()
    assert run.model.text_model.training is False


def test_several_tasks_have_columns_of_their_own(make_micro, tiny_pairs, task, tmp_path):
    other = tmp_path / "again"
    other.symlink_to(task)
    callbacks = [Evaluation(1, tasks=[task, other])]
    run = run_it(make_micro(), tiny_pairs[:64], tmp_path / "run", steps=1, callbacks=callbacks)
    assert {"eval/planets/mrr@10", "eval/again/mrr@10"} <= set(run.history.columns)


def test_the_recipe_makes_one(make_micro, tiny_pairs, task, tmp_path, monkeypatch):
    monkeypatch.setattr("egemma_lab.train.setup.Evaluation", lambda every: Evaluation(every, tasks=[task]))
    run = run_it(make_micro(), tiny_pairs[:64], tmp_path / "run", steps=2, evaluate_every=1)
    assert run.history["eval/recall@1"].notna().all()


@pytest.mark.parametrize("every", [0, True, 1.5])
def test_impossible_intervals(every):
    with pytest.raises(ValueError, match="every"):
        Evaluation(every)


def test_unknown_task(make_micro, tiny_pairs, tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        run_it(make_micro(), tiny_pairs[:64], tmp_path / "run", callbacks=[Evaluation(1, tasks="nowhere")])
