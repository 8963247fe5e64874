"""Beside sentence-transformers: equal where the definitions agree, and each difference on record.

Where one of the difference tests fails after an upgrade, the peer has moved: change the text that teaches it.
"""

import pytest
import torch
import torch.nn.functional as F

from egemma_lab.losses import contrastive_loss, embedding_matching_loss, matryoshka_loss, spread_out_loss


@pytest.fixture(scope="module")
def st():
    from sentence_transformers.sentence_transformer import losses

    return losses


def vectors(batch=6, width=8, seed=0):
    return torch.randn(batch, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


q, p, n = (vectors(seed=seed) for seed in range(3))


class Passed(torch.nn.Module):
    """A model that hands its input through: sentence-transformers' wrappers want one."""

    def forward(self, features):
        return {"sentence_embedding": features["x"]}

    def get_embedding_dimension(self):
        return 8


def ranking(st, *embeddings, temperature=0.05, hardness=0.0):
    mode = {"hardness_mode": "hard_negatives", "hardness_strength": hardness} if hardness else {}
    loss = st.MultipleNegativesRankingLoss(None, scale=1 / temperature, **mode)
    return loss.compute_loss_from_embeddings(list(embeddings), None)


def orthogonal(st, *embeddings):
    loss = st.GlobalOrthogonalRegularizationLoss(None, mean_weight=0.0, aggregation="sum")
    return loss.compute_loss_from_embeddings(list(embeddings))["gor_second_moment"]


# Where they agree


@pytest.mark.parametrize("temperature", [0.05, 0.7])
def test_contrastive_agrees_without_negatives_and_duplicates(st, temperature):
    torch.testing.assert_close(
        contrastive_loss(q, p, temperature=temperature), ranking(st, q, p, temperature=temperature)
    )


@pytest.mark.parametrize("hardness", [0.0, 5.0])
def test_contrastive_agrees_on_a_batch_of_one_with_a_hard_negative(st, hardness):
    one = [x[:1].clone().requires_grad_() for x in (q, p, n)]
    ours, theirs = contrastive_loss(*one, hardness=hardness), ranking(st, *one, hardness=hardness)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(torch.autograd.grad(ours, one), torch.autograd.grad(theirs, one)):
        torch.testing.assert_close(a, b)


def test_spread_out_agrees_above_the_hinge_up_to_its_constant(st):
    a, b = F.normalize(q + 2), F.normalize(p + 2)  # far from spread out
    torch.testing.assert_close(spread_out_loss(a, b), orthogonal(st, a, b) + 2 / 8)


@pytest.mark.parametrize(("ours", "theirs"), [("l2", "l2"), ("cosine", "cosine")])
def test_matching_agrees(st, ours, theirs):
    loss = st.EmbedDistillLoss(Passed(), distance_metric=theirs).compute_loss_from_embeddings([q], [p])
    torch.testing.assert_close(embedding_matching_loss(q, p, ours), loss)


def test_matryoshka_over_the_contrastive_loss_agrees(st):
    model = Passed()
    inner = st.MultipleNegativesRankingLoss(model)
    theirs = st.MatryoshkaLoss(model, inner, [8, 4, 2])([{"x": q}, {"x": p}], None)
    torch.testing.assert_close(matryoshka_loss(contrastive_loss, q, p, dims=(8, 4, 2)), theirs)


# Where they differ: the paper on the left, sentence-transformers on the right


def test_other_rows_hard_negatives_are_in_their_denominators_and_not_in_ours(st):
    moved = n.clone()
    moved[1] = q[0]  # row 1's hard negative becomes row 0's very question

    def pull_on_row_0(loss, negatives):
        x = q.clone().requires_grad_()
        return torch.autograd.grad(loss(x, p, negatives), x)[0][0]

    ours = [pull_on_row_0(contrastive_loss, negatives) for negatives in (n, moved)]
    theirs = [pull_on_row_0(lambda *x: ranking(st, *x, hardness=5.0), negatives) for negatives in (n, moved)]
    assert torch.equal(*ours)
    assert not torch.allclose(*theirs)
    assert contrastive_loss(q, p, n) < ranking(st, q, p, n, hardness=5.0)


def test_they_mask_no_duplicates(st):
    twice_q, twice_p = torch.cat([q[:1], q[:1]]), torch.cat([p[:1], p[:1]])
    assert contrastive_loss(twice_q, twice_p, query_ids=[0, 0]).item() == 0
    assert ranking(st, twice_q, twice_p).item() == pytest.approx(
        0.6931, abs=1e-4
    )  # log 2: its own twin is a negative


def test_their_spread_out_stops_pulling_at_one_over_d(st):
    basis = torch.linalg.qr(q[:, :6].T)[0].T  # six orthonormal rows in six dimensions
    x = F.normalize(F.pad(basis, (0, 2)) + 0.05 * p).requires_grad_()
    ours, theirs = spread_out_loss(x), orthogonal(st, x)
    assert 0 < ours.item() < 1 / 8
    assert theirs.item() == 0
    assert torch.autograd.grad(ours, x)[0].abs().max() > 0
    assert torch.autograd.grad(theirs, x)[0].abs().max() == 0


def test_their_matryoshka_cannot_wrap_their_spread_out_loss(st):
    model = Passed()
    wrapped = st.MatryoshkaLoss(model, st.GlobalOrthogonalRegularizationLoss(model), [8, 4])
    with pytest.raises(TypeError):
        wrapped([{"x": q}, {"x": p}], None)
    assert matryoshka_loss(spread_out_loss, q, p, dims=(8, 4)) > 0


def test_their_matryoshka_over_l2_distillation_is_not_zero_for_student_equal_to_teacher(st):
    model, unit = Passed(), F.normalize(q)
    inner = st.EmbedDistillLoss(model, distance_metric="l2")
    # the student's prefix is re-normalised, the teacher's is only cut
    assert st.MatryoshkaLoss(model, inner, [8, 4])([{"x": unit}], unit).item() > 0.1
    assert matryoshka_loss(embedding_matching_loss, unit, unit, dims=(8, 4)).item() == 0


def test_their_distillation_averages_the_sides_where_the_paper_adds_them(st):
    theirs = st.EmbedDistillLoss(Passed(), distance_metric="l2").compute_loss_from_embeddings([q, p], [n, n])
    ours = embedding_matching_loss(q, n) + embedding_matching_loss(p, n)
    torch.testing.assert_close(ours, 2 * theirs)


def test_their_mse_averages_over_the_columns_as_well(st):
    theirs = st.EmbedDistillLoss(Passed(), distance_metric="mse").compute_loss_from_embeddings([q], [p])
    torch.testing.assert_close(embedding_matching_loss(q, p, "squared_l2"), 8 * theirs)
