"""Terms of one's own: the paper's losses written as one give the numbers that the composed loss has for them."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F

from egemma_lab.losses import (
    RecipeLoss,
    Vectors,
    contrastive_loss,
    register_term,
    spread_out_loss,
)
from egemma_lab.losses.own_terms import load_terms, registered_term, term_fingerprints

DIMS = (8, 5, 2)


pytestmark = pytest.mark.usefixtures("no_own_terms")


def batch_of(size=7, width=8, sides=3):
    generator = torch.Generator().manual_seed(0)
    draws = (torch.randn(size, width, generator=generator, dtype=torch.float64) for _ in range(sides))
    return [F.normalize(x).requires_grad_() for x in draws]


def test_by_hand():
    @register_term()
    def product(vectors):
        return (vectors.query * vectors.positive).sum(dim=1).mean()

    q, p = torch.eye(2), torch.tensor([[0.6, 0.8], [0.8, 0.6]])  # products 0.6 and 0.6
    loss = RecipeLoss(
        {"contrastive": 0, "spread_out": 0, "matching": 0}, dims=(2,), own_terms={"product": 0.5}
    )
    total, terms = loss(q, p)
    assert math.isclose(total, 0.3, rel_tol=1e-6)
    assert math.isclose(terms["product"], 0.6, rel_tol=1e-6)
    assert list(terms)[-1] == "product"
    assert terms["loss"] == total


@pytest.mark.parametrize("dim_weights", [None, (1.0, 0.5, 2.0)])
def test_the_papers_terms_written_as_ones_own(dim_weights):
    @register_term(every_width=True)
    def spread(vectors):
        return spread_out_loss(vectors.query, vectors.positive)

    @register_term("contrast", every_width=True)
    def of_triplets(vectors):
        return contrastive_loss(vectors.query, vectors.positive, vectors.negative, temperature=0.2)

    sides = batch_of()
    options = {"temperature": 0.2, "dims": DIMS, "dim_weights": dim_weights}
    theirs, their_terms = RecipeLoss({"contrastive": 0.7, "spread_out": 2}, **options)(*sides)
    none = {"contrastive": 0, "spread_out": 0}
    ours, our_terms = RecipeLoss(none, own_terms={"contrast": 0.7, "spread": 2}, **options)(*sides)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    for mine, papers in (("contrast", "contrastive"), ("spread", "spread_out")):
        for part in ("", "/8", "/5", "/2"):
            torch.testing.assert_close(
                our_terms[mine + part], their_terms[papers + part], rtol=1e-10, atol=1e-12
            )
    for got, wanted in zip(torch.autograd.grad(ours, sides), torch.autograd.grad(theirs, sides)):
        torch.testing.assert_close(got, wanted, rtol=1e-8, atol=1e-11)


def test_a_term_sees_the_teacher_and_the_whole_of_it_at_every_width():
    seen = []

    @register_term(every_width=True)
    def relations(vectors):  # of the texts among each other, the student's and the teacher's
        seen.append(vectors)
        mine, theirs = (x @ x.T for x in (vectors.query, vectors.teacher_query))
        return (mine - theirs).square().mean()

    (student,) = batch_of(sides=1)
    (teacher,) = batch_of(size=7, sides=1)
    teacher = teacher.detach()
    _, terms = RecipeLoss(dims=DIMS, own_terms={"relations": 1})(student, teacher_query=teacher)
    assert [vectors.query.shape[1] for vectors in seen] == [8, 5, 2]
    assert all(vectors.teacher_query.shape == (7, 8) for vectors in seen)
    assert all(vectors.positive is None for vectors in seen)
    lengths = torch.cat([vectors.query.norm(dim=1) for vectors in seen])
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    assert terms["relations/8"] < 1e-20  # the student is its teacher
    assert terms["relations/2"] > 1e-3


def test_weight_zero_reports_and_none_says_nothing():
    @register_term()
    def reported(vectors):
        return vectors.query.square().sum()

    @register_term()
    def of_negatives(vectors):
        return None if vectors.negative is None else vectors.negative.sum()

    q, p, n = batch_of()
    plain = RecipeLoss(dims=DIMS)(q, p)
    both = RecipeLoss(dims=DIMS, own_terms={"reported": 0, "of_negatives": 3})
    total, terms = both(q, p)
    assert torch.equal(total, plain.total)
    assert math.isclose(terms["reported"], 7, rel_tol=1e-9)
    assert "of_negatives" not in terms
    torch.testing.assert_close(both(q, p, n).terms["of_negatives"], n.detach().sum())
    with pytest.raises(ValueError, match="nothing to minimise"):
        RecipeLoss({"matching": 0}, dims=DIMS, own_terms={"of_negatives": 3})(q)


@pytest.mark.parametrize("value", [torch.ones(3), 1.0, [1.0]])
def test_what_is_not_one_number(value):
    @register_term()
    def many(vectors):
        return value

    with pytest.raises(TypeError, match=r"'many' returned .*; return a tensor that is one number"):
        RecipeLoss(dims=DIMS, own_terms={"many": 1})(*batch_of())


def test_names():
    def fine(vectors):
        return vectors.query.mean()

    with pytest.raises(OSError, match=r"has not kept the source of 'typed'.* a file or a notebook cell"):
        exec(
            "def typed(vectors):\n    return vectors.query.mean()\nregister(typed)",
            {"register": register_term()},
        )
    for name in ("loss", "matching", "seconds", "my loss", "", "2nd"):
        with pytest.raises(ValueError, match="cannot be called"):
            register_term(name)(fine)
    with pytest.raises(ValueError, match="cannot be called '<lambda>'"):
        register_term()(lambda vectors: vectors.query.mean())
    with pytest.raises(TypeError, match="with parentheses"):
        register_term(fine)
    with pytest.raises(TypeError, match="not a partial"):
        register_term("fine")(functools.partial(fine))
    with pytest.raises(ValueError, match=r"'fine', which is not registered .*none is registered"):
        RecipeLoss(own_terms={"fine": 1})
    register_term()(fine)
    for weight in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"own_terms\['fine'\]"):
            RecipeLoss(own_terms={"fine": weight})
    with pytest.raises(ValueError, match="terms of your own stand in own_terms"):
        RecipeLoss({"fine": 1})


def test_a_fingerprint_is_of_the_source():
    def make(every_width=False):
        @register_term(every_width=every_width)
        def term(vectors):
            return vectors.query.mean()

        return registered_term("term").fingerprint

    first = make()
    assert make() == first
    assert make(every_width=True) != first
    assert term_fingerprints({"term": 1}) == {"term": make(every_width=True)}

    @register_term()
    def term(vectors):
        return vectors.query.mean() + 1

    assert registered_term("term").fingerprint != first  # registered anew: a cell that was edited
    assert registered_term("term").function is term


def test_a_file_of_terms(tmp_path):
    path = tmp_path / "terms.py"
    path.write_text(
        "import egemma_lab as lab\n\n\n@lab.losses.register_term()\ndef long(vectors):\n"
        "    return vectors.query.norm(dim=1).mean()\n"
    )
    load_terms(path)
    assert registered_term("long").function(Vectors(torch.eye(2))) == 1
    path.write_text("nothing = 1\n")
    with pytest.raises(ValueError, match="registers no loss term"):
        load_terms(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_terms(tmp_path / "absent.py")
