"""The spread-out loss of EmbeddingGemma: push the vectors of one side apart until they use all directions."""

from ._vectors import in_full_precision, rows


@in_full_precision
def spread_out_loss(query, positive=None):
    """Mean squared dot product of different rows, summed over the two sides.

        L_S = 1/(B(B−1)) Σ_{i≠j} (q_i·q_j)²  +  1/(B(B−1)) Σ_{i≠j} (p_i·p_j)²

    How to read it, a side: 1 means collapsed (all rows equal up to sign); 1/d is what independent points on
    the unit sphere give (768: 0.0013, 256: 0.0039); no B rows get below max(0, (B−d)/(d(B−1))), the Welch
    bound.

    Args:
        query: (B, d) tensor, positive: (B, d) tensor or None. Rows are meant to be **unit vectors** and are
            taken as they are, since the paper writes plain dot products: normalise first (`matryoshka_loss`
            and `RecipeLoss` do, for every prefix). Hard negatives take no part.

    Returns a scalar in float32 or better. A batch of one has no pair of rows: it gives 0 with zero gradients,
    so that a last, short batch does no harm.

    Source: EmbeddingGemma, arXiv 2509.20354 (L_S); second-moment part of the global orthogonal
    regulariser, Zhang et al. 2017, arXiv 1708.06320.

    >>> import torch
    >>> spread_out_loss(torch.eye(3)).item(), spread_out_loss(torch.ones(3, 1)).item()
    (0.0, 1.0)
    """
    query, positive = rows(same_width=False, query=query, positive=positive)
    loss = second_moment(query)
    return loss if positive is None else loss + second_moment(positive)


def second_moment(x):
    """1/(B(B−1)) Σ_{i≠j} (x_i·x_j)² of the rows of x (B, d).

    Σ_ij (x_i·x_j)² = ‖XXᵀ‖² = ‖XᵀX‖² (Frobenius): the cheaper of the two is made, and the diagonal
    Σ_i ‖x_i‖⁴ is taken off again.
    """
    batch, width = x.shape
    if batch == 1:
        return (x * 0).sum()  # no pairs; still part of the graph
    product = x @ x.T if batch <= width else x.T @ x  # (B, B) Gram or (d, d) covariance
    diagonal = x.square().sum(dim=1).square().sum()  # Σ_i ‖x_i‖⁴
    return (product.square().sum() - diagonal) / (batch * (batch - 1))
