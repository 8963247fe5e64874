"""What all prefix widths share, so that four of them cost little more than the widest alone.

Cut the columns into the blocks that each width adds to the next narrower one. Then, from narrow to wide,

    products  Q_m P_mᵀ = Q_{m−1} P_{m−1}ᵀ + (block of Q)(block of P)ᵀ        one block more each time
    norms     ‖q_m‖²   = ‖q_{m−1}‖² + ‖block of q‖²
    cosines   S_m / (‖q_m‖ ‖p_m‖)                                            re-normalised without touching q

and all widths together take as many multiplications as the widest. What is left to save is traffic: in
plain autograd the (B, B) matrices of every width, written and read a dozen times, cost more than the
products saved. So `_contrastive_prefixes` and `_spread_out_prefixes` take a few rows of S at a time, few
enough to stay in the processor's cache, and form the gradients on the spot. No (B, B) matrix is ever kept.

Index w counts widths from the narrowest; W widths in all.
"""

import itertools

import torch

# rows of S taken at a time: on a CPU few enough for its cache, elsewhere many enough for large kernels
STRIP_ROWS = {"cpu": 256}
STRIP_ROWS_ELSEWHERE = 4096

EPS = 1e-12  # the floor of a norm, that of torch.nn.functional.normalize


def blocks(x, dims):
    """The columns of x (B, d) that each width adds, narrowest first: W views (B, block)."""
    edges = [0, *reversed(dims)]
    return x[:, : dims[0]].split([wide - narrow for narrow, wide in itertools.pairwise(edges)], dim=1)


def strips(batch, device):
    """Slices of consecutive rows that cover the batch."""
    rows = STRIP_ROWS.get(device.type, STRIP_ROWS_ELSEWHERE)
    return [slice(start, min(start + rows, batch)) for start in range(0, batch, rows)]


def prefix_sums(a, b, dims):
    """Row-wise dot products of the prefixes of a and b: (W, B)."""
    return torch.stack([(x * y).sum(dim=1) for x, y in zip(blocks(a, dims), blocks(b, dims))]).cumsum(dim=0)


def inverse_norms(x, dims):
    """1/‖prefix‖ of every row at every width: (W, B)."""
    return prefix_sums(x, x, dims).clamp_min(EPS**2).rsqrt()
