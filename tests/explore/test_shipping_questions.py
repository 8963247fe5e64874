"""The exercises of notebook 10: their answers are what the package computes."""

import numpy as np
import pytest

from egemma_lab.evaluate.retrieval import measure
from egemma_lab.evaluate.vector_precision import stored_bytes
from egemma_lab.explore.questions import QUESTIONS
from egemma_lab.model.prompts import PROMPTS


def answer(name):
    return QUESTIONS[f"judge_and_ship/{name}"].answer


def test_the_gain_of_a_third_place():
    ranked = {"q": {"a": 3.0, "b": 2.0, "right": 1.0}}
    found = measure({"q": {"right": 1}}, ranked, ["nDCG@10"])
    assert next(iter(found["nDCG@10"].values())) == pytest.approx(answer("ndcg_of_a_third_place"))


def test_an_interval_shrinks_with_the_root():
    def width(n):
        rng = np.random.default_rng(0)
        return np.std([rng.random(n).mean() for _ in range(4000)])

    narrower = width(40) / width(answer("questions_for_a_narrow_interval"))
    assert narrower == pytest.approx(4, rel=0.05)


def test_the_bytes_of_bits_with_a_copy():
    way = {"precision": "binary", "rescore": 4, "rescore_precision": "int8"}
    assert stored_bytes(256, way) * 10_000_000 / 1e9 == answer("weight_of_ten_million")


def test_the_prompt_is_the_model_s_own():
    assert PROMPTS["query"] + "how do plants drink?" == answer("what_the_server_must_be_sent")
