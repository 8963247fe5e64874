"""Training with a loss term of one's own: the gradient it gives, its columns, and runs that know it again."""

import numpy as np
import pytest
from fake_teacher import FakeTeacher
from runs import At, assert_same, run_it

from egemma_lab.data import Source, load_texts
from egemma_lab.explore import compare_runs
from egemma_lab.losses import own_terms, register_term, spread_out_loss
from egemma_lab.train import Recipe, load_run

pytestmark = pytest.mark.usefixtures("no_own_terms")


@pytest.fixture
def pairs(tiny_pairs):
    return tiny_pairs[:48]


def register_spread():
    @register_term(every_width=True)
    def spread(vectors):
        return None if vectors.positive is None else spread_out_loss(vectors.query, vectors.positive)


def weights_of(run):
    return np.concatenate([p.detach().numpy().ravel() for p in run.model.parameters()])


@pytest.mark.parametrize("gradient_cache", [False, True])
def test_the_papers_term_as_ones_own(make_micro, pairs, tmp_path, gradient_cache):
    register_spread()
    options = {"gradient_cache": gradient_cache, "token_budget": 128, "steps": 3}
    papers = run_it(make_micro(), pairs, tmp_path / "1", weights={"matching": 0, "spread_out": 2}, **options)
    none = {"matching": 0, "spread_out": 0}
    without = run_it(make_micro(), pairs, tmp_path / "0", weights=none, **options)
    own = run_it(make_micro(), pairs, tmp_path / "2", weights=none, own_terms={"spread": 2}, **options)
    for part in ("", "/64", "/32", "/16"):
        np.testing.assert_allclose(
            own.history["spread" + part], papers.history["spread_out" + part], rtol=1e-4
        )
    np.testing.assert_allclose(own.history["loss"], papers.history["loss"], rtol=1e-5)
    apart = np.abs(weights_of(own) - weights_of(papers)).mean()
    moved = np.abs(weights_of(without) - weights_of(papers)).mean()
    assert apart < 1e-2 * moved  # the term matters, and it is the same one
    drawn = compare_runs({"the paper's": papers, "own": own})  # a figure can be made of such a run
    assert drawn is not None


def test_it_goes_on_with_the_same_source_alone(make_micro, pairs, tmp_path):
    register_spread()
    options = {"own_terms": {"spread": 1}}
    whole = run_it(make_micro(), pairs, tmp_path / "whole", **options)
    folder = tmp_path / "stopped"
    stop = At(3, lambda state: state.stop())
    run_it(make_micro(), pairs, folder, callbacks=[stop], **options)
    own_terms._REGISTERED.clear()
    assert load_run(folder).recipe.own_terms == {"spread": 1}  # to look at a run nothing need be registered
    with pytest.raises(ValueError, match="'spread', which is not registered"):
        run_it(make_micro(), pairs, folder, **options)

    @register_term(every_width=True)
    def spread(vectors):
        return 2 * spread_out_loss(vectors.query, vectors.positive)

    with pytest.raises(ValueError, match="different in: loss term spread"):
        run_it(make_micro(), pairs, folder, **options)
    register_spread()
    assert_same(run_it(make_micro(), pairs, folder, **options), whole)


def test_nothing_but_a_term_of_ones_own(make_micro, pairs, tmp_path):
    @register_term()
    def distance(vectors):
        return (vectors.query - vectors.teacher_query).square().sum(dim=1).mean()

    none = {"contrastive": 0, "spread_out": 0, "matching": 0}
    texts = [Source("texts", load_texts([row["anchor"] for row in pairs]))]
    shared = {"teacher": FakeTeacher(96), "distance": "squared_l2"}
    own = run_it(make_micro(), texts, tmp_path / "1", weights=none, own_terms={"distance": 1}, **shared)
    matching = run_it(make_micro(), texts, tmp_path / "2", weights={**none, "matching": 1}, **shared)
    np.testing.assert_allclose(own.history["loss"], matching.history["loss"], rtol=1e-4)
    assert own.history["loss"].equals(own.history["distance"])
    assert own.history["loss"].iloc[-1] < 0.9 * own.history["loss"].iloc[0]


def test_recipes_say_what_cannot_be():
    assert Recipe(weights={"contrastive": 0, "spread_out": 0, "matching": 0}, own_terms={"any": 1})
    for given, message in (
        ({"own_terms": {"any": -1}}, r"own_terms\['any'\]=-1"),
        ({"own_terms": {3: 1}}, "own_terms=.* names of registered loss terms"),
        ({"own_terms": ["any"]}, "own_terms=.* names of registered loss terms"),
        ({"own_terms": {"any": 1}, "words": 1}, "leave one of them out"),
        ({"weights": {"any": 1}}, "a term of your own stands in own_terms"),
    ):
        with pytest.raises(ValueError, match=message):
            Recipe(**given)
