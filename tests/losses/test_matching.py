"""L_D against plain loops, its zero, and what happens there."""

import pytest
import torch
from loss_oracles import matching as oracle

from egemma_lab.losses import embedding_matching_loss

DISTANCES = ["l2", "squared_l2", "cosine"]
generator = torch.Generator().manual_seed(0)
student = torch.randn(5, 4, generator=generator, dtype=torch.float64)
teacher = torch.randn(5, 4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("distance", DISTANCES)
def test_agrees_with_plain_loops(distance):
    loss = embedding_matching_loss(student, teacher, distance)
    assert loss.item() == pytest.approx(oracle(student, teacher, distance), abs=1e-14)


def test_by_hand():
    s = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    t = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert embedding_matching_loss(s, t).item() == pytest.approx(2**0.5 / 2)
    assert embedding_matching_loss(s, t, "squared_l2").item() == pytest.approx(1)
    assert embedding_matching_loss(s, t, "cosine").item() == pytest.approx(0.5)


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradient_in_float64_and_none_into_the_teacher(distance):
    s, t = student.clone().requires_grad_(), teacher.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: embedding_matching_loss(x, teacher, distance), [s])
    embedding_matching_loss(s, t, distance).backward()
    assert s.grad.any()
    assert t.grad is None


@pytest.mark.parametrize("distance", DISTANCES)
def test_zero_with_a_finite_gradient_where_student_equals_teacher(distance):
    s = torch.nn.functional.normalize(student).requires_grad_()
    loss = embedding_matching_loss(s, s.detach().clone(), distance)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-15)
    torch.testing.assert_close(s.grad, torch.zeros_like(s), atol=1e-15, rtol=0)


def test_low_precision_is_computed_in_float32():
    loss = embedding_matching_loss(student.bfloat16(), teacher.half())
    assert loss.dtype == torch.float32
    assert torch.equal(loss, embedding_matching_loss(student.bfloat16().float(), teacher.half().float()))


def test_refusals_say_what_to_do():
    with pytest.raises(ValueError, match=r"width 4, the teacher's 6; cut .* teacher.cut\(4\)"):
        embedding_matching_loss(student, torch.ones(5, 6))
    with pytest.raises(ValueError, match=r"same number of rows; got student \(5, 4\), teacher \(3, 4\)"):
        embedding_matching_loss(student, teacher[:3])
    with pytest.raises(ValueError, match=r"distance='mse' is not one of 'l2', 'squared_l2', 'cosine'"):
        embedding_matching_loss(student, teacher, "mse")
