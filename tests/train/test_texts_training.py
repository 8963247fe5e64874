"""Pure matching on single texts, alone and beside pairs; the teacher asked ahead; the compiled model."""

import numpy as np
import pytest
import torch
from fake_teacher import FakeTeacher
from runs import assert_same, run_it

from egemma_lab.data import Source, load_pairs, load_texts
from egemma_lab.losses import RecipeLoss, embedding_matching_loss
from egemma_lab.train.loop import TEACH_AHEAD

WORDS = ["red", "blue", "green", "small", "large", "old", "new", "warm", "cold", "wet"]
TEXTS = [f"a {one} and {two} thing" for one in WORDS for two in WORDS if one != two]


class Counting(FakeTeacher):
    """Counts how often it is asked, and for how many texts."""

    calls = ()

    def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
        self.calls = (*self.calls, len(texts))
        return super().encode(texts, role, batch_size, show_progress_bar)


def test_the_loss_of_single_texts_is_the_matching_loss_alone():
    torch.manual_seed(0)
    student, teacher = torch.nn.functional.normalize(torch.randn(2, 5, 8), dim=-1)
    loss = RecipeLoss({"matching": 3.0}, dims=(8, 4))
    total, terms = loss(student, teacher_query=teacher)
    assert set(terms) == {"loss", "matching", "matching/query"}
    assert torch.allclose(total, 3 * embedding_matching_loss(student, teacher))
    with pytest.raises(ValueError, match="nothing to minimise"):
        loss(student)
    with pytest.raises(ValueError, match="negative without a positive"):
        loss(student, negative=student, teacher_query=teacher)


def test_the_student_comes_nearer_to_its_teacher_on_texts_alone(tmp_path):
    run = run_it(
        "micro",
        [Source("texts", load_texts(TEXTS), anchor_prompt=None)],
        tmp_path / "run",
        teacher=FakeTeacher(64),
        steps=60,
        batch_size=16,
        learning_rate=3e-3,
        weights={"contrastive": 0, "spread_out": 0},
    )
    matching = run.history["matching"]
    assert "contrastive" not in run.history
    assert matching[-10:].mean() < 0.85 * matching[:10].mean()


def test_texts_and_pairs_take_turns_and_resume_exactly(tmp_path):
    sources = [
        Source("texts", load_texts(TEXTS), anchor_prompt=(None, "STS")),
        Source("pairs", load_pairs([(text, text.replace("thing", "object")) for text in TEXTS])),
    ]
    settings = {"teacher": FakeTeacher(64), "weights": {}, "steps": 8, "save_every": 3}
    whole = run_it("micro", sources, tmp_path / "whole", **settings)

    class Stop:
        def on_step(self, state, row):
            if state.step == 5:
                state.stop()

    run_it("micro", sources, tmp_path / "parts", callbacks=[Stop()], **settings)
    parts = run_it("micro", sources, tmp_path / "parts", **settings)
    assert_same(whole, parts)
    by_source = whole.history.groupby("source")["contrastive"].agg(lambda values: values.isna().all())
    assert by_source.to_dict() == {"texts": True, "pairs": False}


@pytest.mark.parametrize(
    ("weights", "teacher"), [({"matching": 0}, FakeTeacher(64)), ({"matching": 0}, None), ({}, None)]
)
def test_texts_without_a_teacher_or_without_matching_are_refused(tmp_path, weights, teacher):
    with pytest.raises(ValueError, match="single texts, which only a teacher says something about"):
        run_it("micro", [Source("t", load_texts(TEXTS))], tmp_path / "run", weights=weights, teacher=teacher)


def test_the_teacher_is_asked_for_many_steps_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("EGEMMA_CACHE", str(tmp_path / "cache"))
    teacher = Counting(64)
    steps = TEACH_AHEAD // 8 + 4
    sources = [Source("texts", load_texts([f"text number {n}" for n in range(8 * steps)]))]
    run_it("micro", sources, tmp_path / "run", teacher=teacher, steps=steps, weights={})
    assert [count for count in teacher.calls if count] == [TEACH_AHEAD, 8 * 4]


def test_a_compiled_model_is_asked_for_and_used(tmp_path, monkeypatch):
    compiled = []

    def compile_(model, **options):
        compiled.append(options)
        return model

    monkeypatch.setattr(torch, "compile", compile_)
    pairs = [(text, f"{text} again") for text in TEXTS]
    plain = run_it("micro", pairs, tmp_path / "plain")
    assert compiled == []
    fast = run_it("micro", pairs, tmp_path / "fast", compile=True)
    assert compiled == [{"dynamic": True}]
    assert_same(plain, fast)


def test_short_texts_are_trained_with_plain_attention_and_the_model_keeps_its_own(tmp_path):
    seen = []

    class Look:
        def on_step(self, state, row):
            seen.append(state.model.text_model.config._attn_implementation)

    pairs = [(text, f"{text} again") for text in TEXTS]
    short = run_it("micro", pairs, tmp_path / "short", callbacks=[Look()], steps=1, max_tokens=64)
    long = run_it("micro", pairs, tmp_path / "long", callbacks=[Look()], steps=1, max_tokens=300)
    assert seen == ["eager", "sdpa"]
    assert short.model.text_model.config._attn_implementation == "sdpa"
    # the same sums in another order
    assert np.allclose(short.history["loss"], long.history["loss"], rtol=1e-4)
