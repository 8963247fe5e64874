"""Matryoshka: every prefix re-normalised, the widest alone is the plain loss."""

import pytest
import torch
from loss_oracles import contrastive, spread_out, unit_prefixes

from egemma_lab.losses import contrastive_loss, embedding_matching_loss, matryoshka_loss, spread_out_loss

generator = torch.Generator().manual_seed(0)
q, p, n = (torch.randn(6, 8, generator=generator, dtype=torch.float64) for _ in range(3))


def test_is_the_sum_of_the_loss_on_re_normalised_prefixes():
    def prefixes(m):
        return [torch.tensor(unit_prefixes(x, m), dtype=torch.float64) for x in (q, p, n)]

    wanted = sum(contrastive(*prefixes(m), temperature=0.1, hardness=5) for m in (8, 4, 2))
    loss = matryoshka_loss(contrastive_loss, q, p, n, dims=(8, 4, 2), temperature=0.1)
    assert loss.item() == pytest.approx(wanted, abs=1e-12)
    wanted = sum(spread_out(*prefixes(m)[:2]) for m in (8, 4, 2))
    assert matryoshka_loss(spread_out_loss, q, p, dims=(8, 4, 2)).item() == pytest.approx(wanted, abs=1e-13)


def test_the_full_width_alone_is_the_plain_loss():
    whole = matryoshka_loss(contrastive_loss, q, p, None, dims=(8,))
    torch.testing.assert_close(whole, contrastive_loss(q, p))


def test_weights():
    parts = [matryoshka_loss(contrastive_loss, q, p, dims=(m,)) for m in (8, 3)]
    loss = matryoshka_loss(contrastive_loss, q, p, dims=(8, 3), weights=(0.5, 2))
    torch.testing.assert_close(loss, 0.5 * parts[0] + 2 * parts[1])


def test_a_student_that_equals_its_teacher_has_nothing_to_learn():
    assert matryoshka_loss(embedding_matching_loss, q, q.clone(), dims=(8, 4)).item() == 0


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        ((768, 512, 256, 128), r"dims=\(768, 512, 256, 128\) do not fit embeddings of width 8"),
        ((4, 8), "decreasing order"),
        ((4, 4), "decreasing order"),
        ((4, 0), "whole numbers >= 1"),
        ((4.0, 2.0), "whole numbers"),
        ((), "whole numbers"),
    ],
)
def test_impossible_dims_are_refused(dims, words):
    with pytest.raises(ValueError, match=words):
        matryoshka_loss(contrastive_loss, q, p, dims=dims)


@pytest.mark.parametrize("weights", [(1,), (1, -1), (1, float("nan"))])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ValueError, match="one finite number >= 0 for each width"):
        matryoshka_loss(contrastive_loss, q, p, dims=(8, 4), weights=weights)
