"""L_S against plain loops, at its known limits, and in both of its cheap forms."""

import pytest
import torch
import torch.nn.functional as F
from loss_oracles import spread_out as oracle

from egemma_lab.losses import spread_out_loss


def unit(batch, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(batch, width, generator=generator, dtype=torch.float64))


def welch(batch, width):
    return max(0, (batch - width) / (width * (batch - 1)))


@pytest.mark.parametrize(("batch", "width"), [(5, 9), (9, 5), (6, 6), (2, 1)])
def test_agrees_with_plain_loops_in_both_forms(batch, width):
    q, p = unit(batch, width), unit(batch, width, seed=1)
    assert spread_out_loss(q, p).item() == pytest.approx(oracle(q, p), abs=1e-13)
    assert spread_out_loss(q).item() == pytest.approx(oracle(q), abs=1e-13)


@pytest.mark.parametrize(("batch", "width"), [(5, 9), (9, 5)])
def test_rows_are_taken_as_they_are(batch, width):
    x = 3 * unit(batch, width) * torch.arange(1, batch + 1)[:, None]
    assert spread_out_loss(x).item() == pytest.approx(oracle(x))


def test_gram_and_covariance_form_agree():
    x = unit(20, 30)
    wider = F.pad(x, (0, 20))  # zero columns change no dot product
    narrow = x[:, :10]
    assert spread_out_loss(wider).item() == pytest.approx(spread_out_loss(x).item(), abs=1e-14)
    assert spread_out_loss(narrow).item() == pytest.approx(
        spread_out_loss(F.pad(narrow, (0, 20))).item(), abs=1e-14
    )


def test_by_hand():
    x = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])  # dot products 0.6, 0, 0.8
    assert spread_out_loss(x).item() == pytest.approx((0.36 + 0.64) * 2 / 6)


@pytest.mark.parametrize(("batch", "width"), [(400, 64), (64, 400)])
def test_random_unit_vectors_give_one_over_d_on_each_side(batch, width):
    pairs = batch * (batch - 1) / 2
    error = (2 / width**2 / pairs) ** 0.5  # of the mean of squared cosines, whose variance is about 2/d²
    loss = spread_out_loss(unit(batch, width), unit(batch, width, seed=1))
    assert loss.item() == pytest.approx(2 / width, abs=5 * 2**0.5 * error)


def test_limits():
    same = unit(1, 7).expand(50, 7)
    assert spread_out_loss(same, same).item() == pytest.approx(2, abs=1e-12)
    assert spread_out_loss(torch.eye(8), torch.eye(8)).item() == 0
    assert spread_out_loss(torch.cat([torch.eye(8), -torch.eye(8)])).item() == pytest.approx(welch(16, 8))


@pytest.mark.parametrize(("batch", "width"), [(40, 8), (9, 8), (8, 8)])
def test_never_below_the_welch_bound_even_when_pushed(batch, width):
    x = unit(batch, width).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = spread_out_loss(F.normalize(x))
        loss.backward()
        optimizer.step()
        assert loss.item() >= welch(batch, width) - 1e-12
    assert loss.item() < welch(batch, width) + 0.01  # and the bound is what it runs into


@pytest.mark.parametrize(("batch", "width"), [(4, 6), (6, 4), (1, 3)])
def test_gradient_in_float64(batch, width):
    sides = unit(batch, width).requires_grad_(), unit(batch, width, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(spread_out_loss, sides)


def test_a_batch_of_one_gives_zero_and_zero_gradients():
    x = unit(1, 4).requires_grad_()
    loss = spread_out_loss(x, x)
    loss.backward()
    assert loss.item() == 0
    assert not x.grad.any()


def test_low_precision_is_computed_in_float32():
    low = unit(16, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = spread_out_loss(low)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, spread_out_loss(low.float()))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"query has shape \(4,\)"):
        spread_out_loss(torch.ones(4))
    with pytest.raises(ValueError, match=r"query \(4, 2\), positive \(3, 2\)"):
        spread_out_loss(torch.ones(4, 2), torch.ones(3, 2))
