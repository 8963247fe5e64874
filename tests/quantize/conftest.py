"""A model to export: small, with every weight of consequence, and a window that short texts reach beyond."""

import copy

import pytest
import torch


@pytest.fixture(scope="session")
def exportable(tiny_tokenizer):
    """`exportable(seed=0, pooling="mean", output_width=64, tokenizer=None, **text)`: a fresh model of one's own.

    Two layers, sliding and full, unless told; `text` are fields of the text model's configuration.
    """
    from egemma_lab.model.embedding_gemma import EmbeddingGemmaConfig
    from egemma_lab.model.presets import PRESETS, fresh_model

    def make(seed=0, pooling="mean", output_width=64, tokenizer=None, **text):
        tokenizer = tokenizer or copy.deepcopy(tiny_tokenizer)
        layers = {"num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]}
        shape = {
            **PRESETS["micro"],
            "text": {
                **PRESETS["micro"]["text"],
                "vocab_size": len(tokenizer),
                "sliding_window": 16,
                **layers,
                **text,
            },
            "output_width": output_width,
            "widths": (output_width, 16),
            "pooling": pooling,
        }
        model = fresh_model(EmbeddingGemmaConfig.from_dict(shape), tokenizer, seed, name="small")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim == 1:  # norms that differ from one another, and layers that count
                    weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
                elif "layers" in name:
                    weight.mul_(4)
        return model

    return make


@pytest.fixture(scope="session")
def nasty_texts():
    """What tokenizers and attention masks stumble over; the last is longer than any window here."""
    return [
        "",
        " ",
        "Mars orbits the distant sun.",
        "   before,    between and behind   ",
        "\t\tif x:\n\n\n    return  y\r\n" + " " * 45,
        "naïve Ĳ ﬃ ½ e\u0301é \u00a0\u2009\u3000 \u200d\ufeff",
        "日本語 العربية हिन्दी 👩‍👩‍👧‍👦🇩🇪",
        "<bos><eos> <pad></s><unk> <0x41> <|endoftext|> ▁▁a",
        "\x00\x01\x7f",
        "def f(a, *b): return {a: -1.5e-3}  # 100%",
        "a cold moon reflects the bright comet, " * 12,
    ]
