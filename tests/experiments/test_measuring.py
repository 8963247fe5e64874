"""What an experiment measures, against plain loops."""

import datasets
import numpy as np
import pytest

from egemma_lab.experiments.measuring import SIGNS, gains, held_out_sets, measure, ranks, seen
from egemma_lab.train.stage_data import StageData

SETTINGS = {"widths": ["full"], "precisions": ["float32"], "prompts": ["right"], "max_tokens": 2048}


def unit(n, d, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_ranks_agree_with_sorting_every_row():
    queries, documents = unit(40, 4), unit(40, 4, seed=1)
    for i, sign in enumerate(ranks(queries, documents)):
        order = sorted(range(40), key=lambda j: -float(queries[i] @ documents[j]))
        place = order.index(i) + 1
        assert sign == (SIGNS[place] if place <= 10 else ".")


def test_a_collapsed_model_finds_nothing():
    assert ranks(np.ones((20, 3)), np.ones((20, 3))) == "." * 20
    assert gains("." * 20).sum() == 0


def test_gains_are_ndcg_with_one_right_answer():
    from sklearn.metrics import ndcg_score

    for rank, sign in enumerate(SIGNS[1:], 1):
        relevance = np.zeros((1, 30))
        relevance[0, rank - 1] = 1
        assert gains(sign)[0] == pytest.approx(ndcg_score(relevance, -np.arange(30.0)[None], k=10))


def test_views_differ_in_what_they_keep():
    x = unit(50, 16)
    assert np.allclose(seen(x, 16, "float32"), x, atol=1e-6)
    cut = x[:, :4] / np.linalg.norm(x[:, :4], axis=1, keepdims=True)
    assert np.allclose(seen(x, 4, "float32"), cut, atol=1e-6)
    assert np.allclose(seen(x, 16, "binary"), np.sign(x) / 4)
    rounded = seen(x, 16, "int8")
    assert 0 < np.abs(rounded - x).max() < 0.02


def test_a_model_is_measured_in_every_view_and_left_as_it_was(make_micro, tiny_pairs):
    model = make_micro()
    rows = datasets.Dataset.from_list(
        [{"anchor": row["anchor"], "positive": row["positive"]} for row in list(tiny_pairs)[:15]]
    )
    limit = model.max_seq_length
    settings = {**SETTINGS, "widths": ["full", "quarter"], "precisions": ["float32", "binary"]}
    found = measure(model, {"pairs": rows}, {**settings, "prompts": ["right", "wrong"]})
    assert list(found) == [
        *("full", "full binary", "quarter", "quarter binary"),
        *(
            "full wrong prompts",
            "full binary wrong prompts",
            "quarter wrong prompts",
            "quarter binary wrong prompts",
        ),
    ]
    assert model.max_seq_length == limit
    queries = model.encode(rows["anchor"][:], prompt_name="query")
    documents = model.encode(rows["positive"][:], prompt_name="document")
    assert found["full"]["pairs"] == ranks(queries, documents)
    swapped = model.encode(rows["anchor"][:], prompt_name="document")
    assert found["full wrong prompts"]["pairs"] == ranks(swapped, documents)


def test_held_out_sets_have_one_right_answer_a_question(tmp_path):
    lines = [f'{{"anchor": "q{i % 7}", "positive": "p{i % 9}"}}' for i in range(60)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    data = StageData(
        {"pairs": {"file": "pairs.jsonl", "hold_out": 40}, "gone": {"file": "no.jsonl"}}, tmp_path
    )
    (rows,) = held_out_sets(data, ["pairs", "gone"], most=5).values()
    assert len(rows) == len(set(rows["anchor"])) == len(set(rows["positive"])) == 5
    with pytest.raises(ValueError, match="none of the sets gone"):
        held_out_sets(data, ["gone"], most=5)
