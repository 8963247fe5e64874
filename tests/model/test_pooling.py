"""Poolings against plain loops, and through a folder and back."""

import pytest
import torch

from egemma_lab.model import load_model, new_model
from egemma_lab.model.pooling import POOLINGS, AttentionPooling, first_pool, last_pool, mean_pool

TEXTS = ["a short text", "and a somewhat longer text, so that there is padding"]


def batch():
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 5, 4, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]])  # padding right, and left
    return states, mask


def test_every_pooling_agrees_with_plain_loops():
    states, mask = batch()
    attention = AttentionPooling(4)
    torch.nn.init.normal_(attention.query)
    for row in range(3):
        real = [states[row, t] for t in range(5) if mask[row, t]]
        weights = [torch.exp(x @ attention.query / 2) for x in real]
        weighted = sum(w * x for w, x in zip(weights, real)) / sum(weights)
        torch.testing.assert_close(mean_pool(states, mask)[row], sum(real) / len(real))
        assert first_pool(states, mask)[row].equal(real[0])
        assert last_pool(states, mask)[row].equal(real[-1])
        torch.testing.assert_close(attention(states, mask)[row], weighted)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_model_of_every_pooling_survives_its_folder(pooling, tiny_tokenizer, tmp_path):
    model = new_model("micro", tiny_tokenizer, pooling=pooling)
    if pooling == "attention":
        torch.nn.init.normal_(model.attention_pooling.query)
    again = load_model(model.save_pretrained(tmp_path / "model"))
    assert again.config.pooling == pooling
    assert (again.encode(TEXTS) == model.encode(TEXTS)).all()
    together, alone = model.encode(TEXTS), model.encode(TEXTS[:1])
    torch.testing.assert_close(torch.tensor(together[:1]), torch.tensor(alone))  # padding changes nothing


@pytest.mark.parametrize("pooling", ["first", "last"])
def test_sentence_transformers_pools_alike(pooling, tiny_tokenizer, tmp_path):
    from sentence_transformers import SentenceTransformer

    model = new_model("micro", tiny_tokenizer, pooling=pooling)
    peer = SentenceTransformer(str(model.save_pretrained(tmp_path / "model")), device="cpu")
    torch.testing.assert_close(
        torch.tensor(peer.encode(TEXTS)), torch.tensor(model.encode(TEXTS)), atol=1e-5, rtol=0
    )


def test_an_unknown_pooling_is_refused(tiny_tokenizer):
    with pytest.raises(ValueError, match="pooling='max' is not one of mean, first, last, attention"):
        new_model("micro", tiny_tokenizer, pooling="max")
