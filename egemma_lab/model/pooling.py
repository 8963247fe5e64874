"""From the states of all tokens to one vector: the mean, one end of the text, or what attention picks.

EmbeddingGemma takes the mean, which did best of the four in the paper (Vera et al. 2025, arXiv:2509.20354).
The others are here to be compared with it.
"""

import torch
from torch import nn

POOLINGS = ("mean", "first", "last", "attention")


def mean_pool(states, attention_mask):
    """Mean over the real tokens, prompt included, in float32: (B, L, h), (B, L) -> (B, h)."""
    real = attention_mask.bool().unsqueeze(-1)  # (B, L, 1)
    total = states.float().masked_fill(~real, 0.0).sum(dim=1)  # (B, h)
    return total / real.sum(dim=1).clamp(min=1)


def first_pool(states, attention_mask):
    """State of the first real token, BOS, in float32: (B, L, h), (B, L) -> (B, h)."""
    return _row(states, attention_mask.int().argmax(dim=1))


def last_pool(states, attention_mask):
    """State of the last real token, EOS, in float32: (B, L, h), (B, L) -> (B, h)."""
    length = attention_mask.shape[1]
    return _row(states, length - 1 - attention_mask.int().flip(1).argmax(dim=1))


def _row(states, index):
    rows = torch.arange(
        states.shape[0], device=states.device
    )  # len() would fix the batch of an exported graph
    return states.float()[rows, index]


class AttentionPooling(nn.Module):
    """A mean weighted by learnt attention: softmax over the tokens of state . query / sqrt(h), one query of width h.

    The query begins at zero, where it is the plain mean.

    >>> states, mask = torch.randn(2, 3, 4), torch.tensor([[1, 1, 0], [1, 1, 1]])
    >>> torch.allclose(AttentionPooling(4)(states, mask), mean_pool(states, mask), atol=1e-6)
    True
    """

    def __init__(self, hidden):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(hidden))

    def forward(self, states, attention_mask):
        """(B, L, h), (B, L) -> (B, h), in float32."""
        states = states.float()
        scores = states @ self.query.float() / len(self.query) ** 0.5  # (B, L)
        shares = scores.masked_fill(~attention_mask.bool(), -torch.inf).softmax(dim=1)
        return (shares.unsqueeze(-1) * states).sum(dim=1)
