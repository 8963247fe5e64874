"""L_C against plain loops, by hand, by gradient checks, and its promises about inputs."""

import math

import numpy as np
import pytest
import torch
from loss_oracles import contrastive as oracle
from loss_oracles import hard_weights

from egemma_lab.losses import contrastive_loss


def vectors(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


q, p, n = (vectors(6, 5, seed=seed) for seed in range(3))
QUERY_IDS = [0, 1, 0, 2, 3, 4]
POSITIVE_IDS = [0, 1, 2, 3, 3, 3]


@pytest.mark.parametrize("temperature", [0.05, 1.0])
@pytest.mark.parametrize("hardness", [0.0, 5.0])
@pytest.mark.parametrize("negative", [None, n])
@pytest.mark.parametrize("ids", [{}, {"query_ids": QUERY_IDS}, {"positive_ids": POSITIVE_IDS}])
def test_agrees_with_plain_loops(temperature, hardness, negative, ids):
    loss = contrastive_loss(q, p, negative, temperature=temperature, hardness=hardness, **ids)
    wanted = oracle(q, p, negative, temperature=temperature, hardness=hardness, **ids)
    assert loss.item() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("hardness", [0.0, 5.0])
@pytest.mark.parametrize("ids", [{}, {"query_ids": QUERY_IDS}])
def test_hard_negatives_of_the_whole_batch_agree_with_plain_loops(hardness, ids):
    def cos(x, y):
        return float(x @ y / (x.norm() * y.norm()))

    total = 0.0
    for i in range(6):
        same = [j for j in range(6) if j != i and ids and QUERY_IDS[j] == QUERY_IDS[i]]
        z = sum(math.exp(cos(q[i], p[j]) / 0.5) for j in range(6) if j not in same)
        z += sum(math.exp(hardness * cos(q[i], n[j])) * math.exp(cos(q[i], n[j]) / 0.5) for j in range(6))
        total -= math.log(math.exp(cos(q[i], p[i]) / 0.5) / z) / 6
    loss = contrastive_loss(q, p, n, temperature=0.5, hardness=hardness, hard_negatives="batch", **ids)
    assert loss.item() == pytest.approx(total, abs=1e-12)


def test_hard_negatives_of_the_whole_batch_are_those_of_sentence_transformers():
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    peer = MultipleNegativesRankingLoss(None, scale=1 / 0.05)
    wanted = peer.compute_loss_from_embeddings([q.float(), p.float(), n.float()], None)
    found = contrastive_loss(q.float(), p.float(), n.float(), hardness=0.0, hard_negatives="batch")
    torch.testing.assert_close(found, wanted)


def test_hard_negatives_must_be_own_or_batch():
    with pytest.raises(ValueError, match="hard_negatives='all' is not one of own, batch"):
        contrastive_loss(q, p, n, hard_negatives="all")


def test_by_hand():
    # row 0: cosines 1 (positive), 0 (other positive), 0.6 (hard negative); row 1: 0.8, 0.6, 0
    query = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    positive = torch.tensor([[2.0, 0.0], [0.0, 3.0]], dtype=torch.float64)
    negative = torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)
    first = math.log((math.e**2 + 1 + math.exp(5 * 0.6) * math.exp(2 * 0.6)) / math.e**2)
    second = math.log((math.exp(1.2) + math.exp(1.6) + 1) / math.exp(1.6))
    loss = contrastive_loss(query, positive, negative, temperature=0.5)
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-12)


def test_hardness_is_added_to_the_logit_after_the_division_by_temperature():
    cos = torch.cosine_similarity(q, n)
    unit = torch.nn.functional.normalize
    logits = torch.cat([unit(q) @ unit(p).T / 0.1, (cos / 0.1 + 5 * cos)[:, None]], dim=1)
    wanted = torch.nn.functional.cross_entropy(logits, torch.arange(6))
    torch.testing.assert_close(contrastive_loss(q, p, n, temperature=0.1, hardness=5), wanted)


def test_no_gradient_flows_through_the_hardness_weight():
    inputs = [x.clone().requires_grad_() for x in (q, p, n)]
    contrastive_loss(*inputs, temperature=0.3, hardness=5.0).backward()
    w = hard_weights(q, n, 5.0)  # held fixed while the inputs move
    step = 1e-6
    for x in inputs:
        numeric = torch.zeros_like(x)
        for index in np.ndindex(*x.shape):
            values = []
            for sign in (1, -1):
                moved = [y.detach().clone() for y in inputs]
                moved[[y is x for y in inputs].index(True)][index] += sign * step
                values.append(oracle(*moved, temperature=0.3, hardness=5.0, w=w))
            numeric[index] = (values[0] - values[1]) / (2 * step)
        torch.testing.assert_close(x.grad, numeric, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("negative", [None, n])
def test_gradient_in_float64(negative):
    def loss(query, positive, negative=None):
        return contrastive_loss(
            query,
            positive,
            negative,
            temperature=0.2,
            hardness=0.0,
            query_ids=QUERY_IDS,
            positive_ids=POSITIVE_IDS,
        )

    inputs = [x.clone().requires_grad_() for x in (q, p, negative) if x is not None]
    assert torch.autograd.gradcheck(loss, inputs)


@pytest.mark.parametrize("which", ["query_ids", "positive_ids"])
def test_a_duplicate_leaves_the_denominators_of_its_twin(which):
    x = torch.eye(3, dtype=torch.float64)  # every cosine between different rows is 0
    plain = contrastive_loss(x, x, temperature=1.0)
    assert plain.item() == pytest.approx(math.log(math.e + 2) - 1)
    masked = contrastive_loss(x, x, temperature=1.0, **{which: [7, 8, 7]})  # rows 0 and 2 are the same text
    assert masked.item() == pytest.approx((2 * math.log(math.e + 1) + math.log(math.e + 2)) / 3 - 1)


def test_both_kinds_of_duplicates_add_up():
    x = torch.eye(3, dtype=torch.float64)
    loss = contrastive_loss(x, x, temperature=1.0, query_ids=[0, 0, 1], positive_ids=[0, 1, 1])
    assert loss.item() == pytest.approx((2 * math.log(math.e + 1) + math.log(math.e)) / 3 - 1)


def test_ids_may_be_tensors_arrays_or_texts():
    as_list = contrastive_loss(q, p, query_ids=QUERY_IDS)
    assert as_list < contrastive_loss(q, p)
    for ids in (torch.tensor(QUERY_IDS), np.array(QUERY_IDS), [f"text {i}" for i in QUERY_IDS]):
        assert contrastive_loss(q, p, query_ids=ids) == as_list


def test_the_positive_stays_in_its_own_denominator():
    loss = contrastive_loss(q[:1], p[:1], query_ids=[0], positive_ids=[0])
    assert loss.item() == 0  # exp(s)/exp(s), not a division by an empty sum
    assert contrastive_loss(q, q, temperature=0.01).item() >= 0


def test_a_batch_of_one():
    query = q[:1].clone().requires_grad_()
    contrastive_loss(query, p[:1]).backward()
    torch.testing.assert_close(query.grad, torch.zeros_like(query))
    with_negative = contrastive_loss(q[:1], p[:1], n[:1])
    assert with_negative.item() == pytest.approx(oracle(q[:1], p[:1], n[:1], temperature=0.05, hardness=5))


def test_lengths_do_not_matter():
    scales = torch.linspace(0.1, 9, 6, dtype=torch.float64)[:, None]
    torch.testing.assert_close(contrastive_loss(q * scales, p / scales, n * 3), contrastive_loss(q, p, n))


def test_sharp_temperatures_neither_overflow_nor_vanish():
    query = q.float().requires_grad_()
    loss = contrastive_loss(query, p.float(), n.float(), temperature=1e-4)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(query.grad).all()


def test_a_zero_vector_has_a_finite_loss_and_gradient():
    query = torch.zeros(2, 3, requires_grad=True)
    loss = contrastive_loss(query, torch.ones(2, 3), torch.ones(2, 3))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(query.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_low_precision_is_computed_in_float32(dtype):
    low = [x.to(dtype) for x in (q, p, n)]
    loss = contrastive_loss(*low)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, contrastive_loss(*(x.float() for x in low)))
    assert contrastive_loss(q, p).dtype == torch.float64


def test_autocast_does_not_touch_the_scores():
    inputs = [x.float() for x in (q, p, n)]
    plain = contrastive_loss(*inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(contrastive_loss(*inputs), plain)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: contrastive_loss(q, p[:4]), r"query \(6, 5\), positive \(4, 5\)"),
        (lambda: contrastive_loss(q, p, n[:, :2]), r"negative \(6, 2\)"),
        (lambda: contrastive_loss(q[0], p[0]), r"query has shape \(5,\)"),
        (lambda: contrastive_loss(q[:0], p[:0]), r"B >= 1"),
        (lambda: contrastive_loss(q, p, temperature=0), "temperature=0"),
        (lambda: contrastive_loss(q, p, temperature=math.nan), "temperature=nan"),
        (lambda: contrastive_loss(q, p, n, hardness=-1), "hardness=-1"),
        (lambda: contrastive_loss(q, p, query_ids=[1, 2]), "query_ids has 2 entries for a batch of 6"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_arrays_are_refused():
    with pytest.raises(TypeError, match="positive is a ndarray"):
        contrastive_loss(q, p.numpy())
