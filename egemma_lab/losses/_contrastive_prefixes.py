"""The contrastive loss at every prefix width in one pass; the formula itself stands in contrastive.py."""

import torch

from ._prefixes import blocks, inverse_norms, prefix_sums, strips
from .contrastive import hard_logits


def contrastive_at_widths(query, positive, negative, *, dims, weights, temperature, hardness, masked):
    """(Σ_w weights_w L_w, the W values L_w without gradient), both in the order of `dims`.

    L_w equals `contrastive_loss` of the re-normalised prefixes. query, positive, negative: (B, d); masked:
    (B, B) from `duplicates`, or None. The gradient is made in the forward pass: no second derivatives.
    """
    hard = None
    if negative is not None:
        hard = prefix_sums(query, negative, dims) * inverse_norms(query, dims) * inverse_norms(negative, dims)
        hard = hard_logits(hard, temperature, hardness)  # (W, B)
    total, losses = _ContrastivePrefixes.apply(
        query, positive, hard, masked, dims, weights[::-1], temperature, torch.is_grad_enabled()
    )
    return total, losses.flip(0)


class _ContrastivePrefixes(torch.autograd.Function):
    """With u = 1/(τ‖q_i‖), v = 1/‖p_j‖ and S = q·p of a prefix: logits z = u S v, and with g = ∂L/∂z

        ∂L/∂q = (u g v) P − a/‖q‖² q,   a_i = Σ_j g_ij z_ij
        ∂L/∂p = (u g v)ᵀ Q − b/‖p‖² p,  b_j = Σ_i g_ij z_ij

    where the second terms are what re-normalising takes away: the pull along the vector itself. A block of
    columns belongs to every width that is wide enough: it receives the sum over those widths.
    """

    @staticmethod
    def forward(ctx, query, positive, hard, masked, dims, weights, temperature, needs_gradient):
        batch = len(query)
        q, p = blocks(query, dims), blocks(positive, dims)  # W x (B, block)
        u, v = inverse_norms(query, dims), inverse_norms(positive, dims)  # (W, B)
        losses, b = query.new_zeros(len(dims)), torch.zeros_like(v)
        d_query, d_positive = torch.zeros_like(query), torch.zeros_like(positive)
        d_hard = None if hard is None else torch.zeros_like(hard)
        d_q, d_p = blocks(d_query, dims), blocks(d_positive, dims)

        for rows in strips(batch, query.device):
            own = torch.arange(rows.start, rows.stop, device=query.device)  # column of each row's positive
            line = own - rows.start
            s = query.new_zeros(len(own), batch)  # (rows, B), grows from width to width
            d_s, a = [], []
            for w, weight in enumerate(weights):
                s.addmm_(q[w][rows], p[w].T)
                z = (s * (u[w, rows] / temperature)[:, None]).mul_(v[w])
                if masked is not None:
                    z.masked_fill_(masked[rows], -torch.inf)
                z_own = z[line, own]  # (rows,)
                share = torch.log_softmax(z, dim=1)
                in_batch = loss = -share[line, own]  # log Σ_j exp(z_ij − z_ii)
                if hard is not None:
                    loss = torch.logaddexp(in_batch, hard[w, rows] - z_own)
                losses[w] += loss.sum() / batch
                if not needs_gradient:
                    continue
                scale = weight / batch
                if hard is not None:
                    d_hard[w, rows] = scale * (hard[w, rows] - z_own - loss).exp()
                # u g v in place; g is the row's share of its denominator, less 1 at the positive, scaled
                row = scale / temperature * u[w, rows]  # (rows,)
                g = share.exp_().mul_((row * (in_batch - loss).exp())[:, None])
                g[line, own] -= row
                g.mul_(v[w])
                gz = torch.mul(g, s, out=z)  # (u g v) S = g z
                a.append(gz.sum(dim=1) * u[w, rows].square())
                b[w] += gz.sum(dim=0) * v[w].square()
                d_s.append(g)
            for w in reversed(range(len(d_s))):  # from wide to narrow: sums over the widths that hold block w
                if w + 1 < len(d_s):
                    d_s[w] += d_s[w + 1]
                    a[w] += a[w + 1]
                d_q[w][rows] = torch.addcmul(d_s[w] @ p[w], q[w][rows], a[w][:, None], value=-1)
                d_p[w].addmm_(d_s[w].T, q[w][rows])

        if needs_gradient:
            b = b.flip(0).cumsum(dim=0).flip(0)
            for w in range(len(dims)):
                d_p[w].addcmul_(p[w], b[w][:, None], value=-1)
            ctx.save_for_backward(d_query, d_positive, d_hard)
        ctx.mark_non_differentiable(losses)
        return (losses * losses.new_tensor(weights)).sum(), losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g, _):
        d_query, d_positive, d_hard = (None if d is None else g * d for d in ctx.saved_tensors)
        return d_query, d_positive, d_hard, None, None, None, None, None
