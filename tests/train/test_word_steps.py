"""Matching word by word: the gradient against plain loops, any micro-batches, resuming, several processes, refusals."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_teacher import FakeTeacher
from runs import assert_same, launch, quick, run_it
from worded import TEXTS, step

from egemma_lab.data import Source, load_pairs, load_texts
from egemma_lab.model.shared_words import shared_words
from egemma_lab.train import Recipe
from egemma_lab.train.word_steps import WordSteps

ALONE = SimpleNamespace(num_processes=1)
SETTINGS = {"weights": {"contrastive": 0, "spread_out": 0}, "words": 1.0, "teacher": FakeTeacher(64)}


def texts(**options):
    return [Source("texts", load_texts(TEXTS), **options)]


def plain_loss(model, teacher, recipe):
    """w_D L_D + w_W L_W text by text and word by word, without padding."""
    tokens = model.tokenize_with_ends(TEXTS, model.prompts["query"], recipe.max_tokens)
    dense = model.dense_down.weight @ model.dense_up.weight
    of_texts, of_words = [], []
    for text, mine in zip(TEXTS, tokens):
        ids = torch.from_numpy(mine.ids)[None]
        states = model.token_states(ids, torch.ones_like(ids))[0] @ dense.T
        (theirs,), said = teacher.encode_tokens([text], "query")
        said = said.double()
        cosine = torch.nn.functional.cosine_similarity
        of_texts.append((2 - 2 * cosine(states.mean(0), said.mean(0), dim=0)).sqrt())
        words, others, count = shared_words(mine.ends, theirs.ends)
        for word in range(count):
            a, b = states[words == word].mean(0), said[others == word].mean(0)
            of_words.append((2 - 2 * cosine(a, b, dim=0)).sqrt())
    assert len(of_words) > 2 * len(of_texts)
    return (
        recipe.weights["matching"] * torch.stack(of_texts).mean()
        + recipe.words * torch.stack(of_words).mean()
    )


@pytest.mark.parametrize("token_budget", [120, 4096])
def test_the_gradient_is_that_of_plain_loops(token_budget):
    flat, terms, state = step(ALONE, token_budget)
    state.model.zero_grad()
    loss = plain_loss(state.model, state.teacher.teacher, state.recipe)
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in state.model.parameters()])
    assert terms["loss"] == pytest.approx(loss.item(), rel=1e-6)
    assert expected.norm() > 1e-3
    assert torch.allclose(flat, expected, atol=1e-6 * expected.abs().max())


@pytest.mark.parametrize("token_budget", [120, 4096])
def test_a_step_in_too_little_memory_has_the_same_gradient(monkeypatch, token_budget):
    """Room for two texts at once; with the small budget the first micro-batch has left its gradient by then."""
    expected, terms, _ = step(ALONE, 4096)
    losses, sizes = WordSteps._losses, []

    def small(self, tokens, targets):
        sizes.append(len(tokens))
        if len(tokens) > 2 or len(sizes) == 2:
            raise torch.OutOfMemoryError
        return losses(self, tokens, targets)

    monkeypatch.setattr(WordSteps, "_losses", small)
    with pytest.warns(UserWarning, match="micro-batches cut into"):
        found, their_terms, _ = step(ALONE, token_budget)
    assert torch.allclose(found, expected, rtol=0, atol=1e-6 * expected.abs().max())
    assert their_terms == pytest.approx(terms, rel=1e-6)


def test_several_processes_have_the_gradient_of_one(tmp_path):
    done = launch(2, "worded.py", tmp_path / "found.pt")
    assert done.returncode == 0, done.stderr
    found, their_terms = torch.load(tmp_path / "found.pt", weights_only=True)
    expected, terms, _ = step(ALONE, 120)
    assert torch.allclose(found, expected, rtol=0, atol=1e-6 * expected.abs().max())
    assert their_terms == pytest.approx(terms, rel=1e-6)


def test_words_and_texts_come_nearer_and_are_in_the_history(tmp_path):
    changes = {"steps": 60, "learning_rate": 3e-3, "max_tokens": 120}
    run = run_it("micro", texts(anchor_prompt=None), tmp_path / "run", **SETTINGS, **changes)
    for term in ("words", "matching"):
        assert run.history[term][-10:].mean() < 0.9 * run.history[term][:10].mean()
    total = run.history["matching"] + run.history["words"]
    assert np.allclose(run.history["loss"], total)


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path):
    class Stop:
        def on_step(self, state, row):
            if state.step == 3:
                state.stop()

    whole = run_it("micro", texts(), tmp_path / "whole", **SETTINGS)
    run_it("micro", texts(), tmp_path / "parts", callbacks=[Stop()], **SETTINGS)
    assert_same(whole, run_it("micro", texts(), tmp_path / "parts", **SETTINGS))


def test_what_cannot_be_matched_word_by_word_is_refused(tmp_path):
    pairs = load_pairs([(text, f"{text} again") for text in TEXTS])
    with pytest.raises(ValueError, match="source 'pairs' holds pairs"):
        run_it("micro", [Source("pairs", pairs)], tmp_path / "pairs", **SETTINGS)
    with pytest.raises(ValueError, match="give a teacher"):
        run_it("micro", pairs, tmp_path / "none", words=1.0)
    with pytest.raises(ValueError, match="words"):
        Recipe(words=-1)
    assert quick(words=0.5).words == 0.5
