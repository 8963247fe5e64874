"""The spread-out loss of one side at every prefix width in one pass; the formula stands in spread_out.py."""

import torch

from ._prefixes import blocks, inverse_norms, strips


def spread_out_at_widths(x, *, dims, weights):
    """(Σ_w weights_w M_w, the W second moments M_w without gradient), both in the order of `dims`; x: (B, d).

    M_w equals `second_moment` of the re-normalised prefixes. The gradient is made in the forward pass: no
    second derivatives.
    """
    pairs = max(1, len(x) * (len(x) - 1))  # 1: a batch of one has no pairs, and gives 0
    scales = [weight / pairs for weight in weights[::-1]]
    total, sums = _SpreadOutPrefixes.apply(x, dims, scales, torch.is_grad_enabled())
    return total, sums.flip(0) / pairs


class _SpreadOutPrefixes(torch.autograd.Function):
    """With u = 1/‖x_i‖² and S = XXᵀ of a prefix: Σ_{i≠j} cos² = Σ_{i≠j} u_i S_ij² u_j, whose gradient is

        ∂/∂X = 4 ( (u S u) X − r X ),   r_i = u_i Σ_j u_i S_ij² u_j

    (2 for the square, 2 because S is symmetric; the diagonal is constant and pulls nowhere). S itself takes
    B² d multiplications for all widths, since products of prefixes build on each other. The covariance
    C = Xᵀ u X instead takes B m² for each width m, since re-normalised rows make it a new one; it gives
    Σ_ij cos² = ‖C‖² and (u S u) X = u X C. The cheaper of the two is made.
    """

    @staticmethod
    def forward(ctx, x, dims, scales, needs_gradient):
        u = inverse_norms(x, dims).square()  # (W, B)
        gram = len(x) * dims[0] <= sum(m * m for m in dims)
        sums, d_x = (by_gram if gram else by_covariance)(x, u, dims, scales, needs_gradient)
        ctx.save_for_backward(d_x)
        ctx.mark_non_differentiable(sums)
        return (sums * sums.new_tensor(scales)).sum(), sums

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g, _):
        return g * ctx.saved_tensors[0], None, None, None


def by_gram(x, u, dims, scales, needs_gradient):
    """((W,) sums over pairs, gradient (B, d) of their scaled sum), a strip of rows of S at a time."""
    sums, d_x = x.new_zeros(len(dims)), torch.zeros_like(x)
    b, d_b = blocks(x, dims), blocks(d_x, dims)  # W x (B, block)
    for rows in strips(len(x), x.device):
        own = torch.arange(rows.start, rows.stop, device=x.device)
        s = x.new_zeros(len(own), len(x))  # (rows, B), grows from width to width
        pulls, r = [], []
        for w, scale in enumerate(scales):
            s.addmm_(b[w][rows], b[w].T)
            usu = (s * u[w, rows][:, None]).mul_(u[w])
            usu[own - rows.start, own] = 0
            squares = (usu * s).sum(dim=1)  # (rows,)
            sums[w] += squares.sum()
            pulls.append(usu.mul_(4 * scale))
            r.append(4 * scale * squares * u[w, rows])
        for w in reversed(range(len(dims) if needs_gradient else 0)):
            if w + 1 < len(dims):  # block w belongs to all wider prefixes too
                pulls[w] += pulls[w + 1]
                r[w] += r[w + 1]
            d_b[w][rows] = torch.addcmul(pulls[w] @ b[w], b[w][rows], r[w][:, None], value=-1)
    return sums, d_x


def by_covariance(x, u, dims, scales, needs_gradient):
    """The same from one (m, m) covariance of unit rows for each width m."""
    sums, d_x = x.new_zeros(len(dims)), torch.zeros_like(x)
    for w, (m, scale) in enumerate(zip(reversed(dims), scales)):
        prefix = x[:, :m]
        ux = u[w][:, None] * prefix  # (B, m)
        c = prefix.T @ ux  # (m, m)
        lengths = (ux * prefix).sum(dim=1)  # (B,) cos_ii: 1, or 0 for a row of zeros
        sums[w] = c.square().sum() - lengths.square().sum()
        if needs_gradient:
            pull = ux @ c  # (B, m)
            r = u[w] * (pull * prefix).sum(dim=1)  # (B,)
            d_x[:, :m] += pull.addcmul_(prefix, r[:, None], value=-1).mul_(4 * scale)
    return sums, d_x
