"""The arithmetic of memory: its parts by hand, and its sum against the peak of a step that is really taken."""

import pytest
import torch

from egemma_lab.model import EmbeddingGemma, preset_config
from egemma_lab.train.gradient_cache import encode_and_backward
from egemma_lab.train.lora import add_adapters, lora_settings
from egemma_lab.train.memory import kept_bytes, peak_bytes, training_memory

TOKENS = 48


@pytest.fixture(scope="module")
def config():
    """The real model's architecture, narrow: activations and weights are of like size."""
    return preset_config("micro", vocab_size=4096)


def whole_step(config, texts, micro, *, checkpointing=False, cache=False, lora=None, precision="float32"):
    """Peak bytes of the second of two steps with AdamW, weights and means included."""
    torch.manual_seed(0)
    model = EmbeddingGemma(config).train()
    if lora is not None:
        add_adapters(model, lora_settings("lora", lora), seed=0)
    if checkpointing:
        model.gradient_checkpointing_enable()
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, fused=True)
    chunks = torch.randint(5, 4000, (texts, TOKENS)).split(micro)

    class Total:
        def __init__(self, vectors):
            self.total = (vectors @ vectors.T).square().mean()

    def encode(chunk):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            return model(chunk, torch.ones_like(chunk))

    def step():
        encode_and_backward(encode, chunks, Total, cache=cache)
        optimizer.step()
        optimizer.zero_grad()

    step()
    held = sum(4 * p.numel() for p in model.parameters()) + sum(8 * p.numel() for p in learning)
    return held + peak_bytes(step)


@pytest.mark.parametrize(
    ("texts", "ways"),
    [
        (32, {}),
        (96, {}),
        (96, {"gradient_cache": True}),
        (128, {"checkpointing": True}),
        (96, {"checkpointing": True, "gradient_cache": True}),
        (32, {"lora": 4}),
        (16, {"precision": "bfloat16"}),
    ],
    ids=str,
)
def test_a_step_holds_what_was_counted(config, texts, ways):
    settings = {name: ways[name] for name in ("lora", "precision") if name in ways}
    how = {name: True for name in ways if name not in settings}
    counted = training_memory(config, TOKENS, **settings).total(texts, micro=16, **how)
    cache = how.pop("gradient_cache", False)
    measured = whole_step(config, texts, 16, cache=cache, **how, **settings)
    assert 0.8 < measured / counted < 1.15


def test_the_parts_by_hand(config):
    memory = training_memory(config, TOKENS)
    weights = sum(p.numel() for p in EmbeddingGemma(config).parameters())
    assert (memory.weights, memory.gradients, memory.optimizer) == (4 * weights, 4 * weights, 8 * weights)
    assert memory.copies < 1e6
    half = training_memory(config, TOKENS, precision="bfloat16")
    matrices = sum(
        m.weight.numel()
        for m in EmbeddingGemma(config).text_model.modules()
        if isinstance(m, torch.nn.Linear)
    )
    assert half.copies == pytest.approx(2 * matrices + memory.copies, rel=0.02)
    assert half.text < memory.text
    adapted = training_memory(config, TOKENS, lora=4)
    model = add_adapters(EmbeddingGemma(config), lora_settings("lora", 4), seed=0)
    assert adapted.weights == sum(4 * p.numel() for p in model.parameters())
    assert adapted.optimizer == sum(8 * p.numel() for p in model.parameters() if p.requires_grad)


def test_fake_tensors_count_what_real_ones_do(config):
    model = EmbeddingGemma(config)
    few, many = (kept_bytes(model, texts, TOKENS, "float32") for texts in (4, 8))
    assert training_memory(config, TOKENS).text == (many - few) / 4


def test_how_many_texts_fit(config):
    memory = training_memory(config, TOKENS)
    for ways in ({}, {"checkpointing": True}):
        texts = memory.fits(1e9, headroom=1.0, **ways)
        assert texts > 100
        assert memory.total(texts, **ways) <= 1e9 < memory.total(texts + 2, **ways)
    assert memory.fits(1e9, checkpointing=True) > 3 * memory.fits(1e9)
    assert memory.fits(1e9, gradient_cache=True) == float("inf")
    assert memory.fits(1e6) == memory.fits(1e6, gradient_cache=True) == 0


def test_the_peak_is_that_of_what_is_alive():
    def step():
        first = torch.zeros(1000)
        second = first + 1  # 8,000 bytes
        del first
        third = second.view(10, 100) * 2  # 8,000 again
        return third

    assert peak_bytes(step) == 8000


def test_the_real_shape_is_counted():
    memory = training_memory(preset_config("300m"), 128)
    assert memory.weights == 4 * 307_581_696
    assert 20 < memory.fits(16e9) < 60
