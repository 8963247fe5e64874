"""The spread-out loss of one side at every prefix width in one pass; the formula stands in spread_out.py."""

import torch

from ._prefixes import blocks, inverse_norms, strips
from .matryoshka import unit_prefix
from .spread_out import second_moment


def spread_out_at_widths(x, *, dims, weights):
    """(Σ_w weights_w M_w, the W second moments M_w without gradient), both in the order of `dims`; x: (B, d).

    Gram or covariance, whichever takes fewer multiplications: products of prefixes build on each other in the
    Gram form (B² d for all widths), while re-normalised rows make every covariance a new one (B m² each).
    """
    batch = len(x)
    if batch * dims[0] <= sum(m * m for m in dims):
        pairs = max(1, batch * (batch - 1))  # 1: a batch of one has no pairs, and gives 0
        total, losses = _GramPrefixes.apply(
            x, dims, [weight / pairs for weight in weights[::-1]], torch.is_grad_enabled()
        )
        return total, losses.flip(0) / pairs
    moments = torch.stack([second_moment(unit_prefix(x, m)) for m in dims])  # (W,)
    return (moments * moments.new_tensor(weights)).sum(), moments.detach()


class _GramPrefixes(torch.autograd.Function):
    """With u = 1/‖x_i‖² and S = x·x of a prefix: Σ_{i≠j} cos² = Σ_{i≠j} u_i S_ij² u_j, whose gradient is

        ∂/∂x = 4 ( (u S u) X − r x ),   r_i = u_i Σ_j u_i S_ij² u_j        off the diagonal throughout

    (2 for the square and 2 because S is symmetric). A block receives the sum over the widths that hold it.
    """

    @staticmethod
    def forward(ctx, x, dims, weights, needs_gradient):
        b, u = blocks(x, dims), inverse_norms(x, dims).square()  # W x (B, block), (W, B)
        sums, d_x = x.new_zeros(len(dims)), torch.zeros_like(x)
        d_blocks = blocks(d_x, dims)
        for rows in strips(len(x), x.device):
            own = torch.arange(rows.start, rows.stop, device=x.device)
            line = own - rows.start
            s = x.new_zeros(len(own), len(x))  # (rows, B), grows from width to width
            d_s, r = [], []
            for w, weight in enumerate(weights):
                s.addmm_(b[w][rows], b[w].T)
                usu = (s * u[w, rows][:, None]).mul_(u[w])
                usu[line, own] = 0
                squares = (usu * s).sum(dim=1)  # (rows,)
                sums[w] += squares.sum()
                d_s.append(usu.mul_(4 * weight))
                r.append(4 * weight * squares * u[w, rows])
            if not needs_gradient:
                continue
            for w in reversed(
                range(len(dims))
            ):  # from wide to narrow: sums over the widths that hold block w
                if w + 1 < len(dims):
                    d_s[w] += d_s[w + 1]
                    r[w] += r[w + 1]
                d_blocks[w][rows] = torch.addcmul(d_s[w] @ b[w], b[w][rows], r[w][:, None], value=-1)
        ctx.save_for_backward(d_x)
        ctx.mark_non_differentiable(sums)
        return (sums * sums.new_tensor(weights)).sum(), sums

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g, _):
        return g * ctx.saved_tensors[0], None, None, None
