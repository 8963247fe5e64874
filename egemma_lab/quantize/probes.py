"""What an export is tried on before it is kept: texts that tokenizers stumble over, and one beyond the window."""

from dataclasses import dataclass

import numpy as np
import torch

from egemma_lab.model.batching import pad_batch

PROBES = (
    "",
    "a",
    "  two spaces before, three behind   ",
    "tabs\tand\n\n\nlines\r\n" + " " * 37 + "far to the right",
    "def mean(values):\n    return sum(values) / len(values)  # 1,234.5e-6\n",
    "Größe, naïve, e\u0301 and é, ﬁ, Ǆ, İ",
    "日本語のテキスト, العربية, हिन्दी, ไทย",
    "👩‍👩‍👧‍👦 🇩🇪 🏳️‍🌈 ☃️",
    "<bos> <eos> <pad> <unk> <0x41> ▁ \u200b\ufeff\x00",
    "a" * 40 + "=" * 5 + "-" * 8 + "~" * 8,
    "task: search result | query: how do plants drink?",
    "title: none | text: Roots take up water from the soil, and leaves let it go again.",
)
_BEYOND = 50  # tokens by which the long probe is longer than the window to one side


@dataclass(frozen=True)
class Agreement:
    """How near an exported file comes to the model: who read or ran it, what was measured, and how much is allowed."""

    by: str
    measure: str
    found: float
    limit: float

    def __str__(self):
        return f"{self.by}: {self.measure} {self.found:.2g} (at most {self.limit:.2g} is allowed)"


def probes(model):
    """Texts (n), and n + 1 lists of token ids: theirs, and one that reaches beyond the sliding window.

    Left out are texts that the model would cut; the long one is no longer than the model takes.
    """
    most = model.max_seq_length
    ids = {text: row for text, row in zip(PROBES, model.tokenize(PROBES)) if len(row) < most}
    inner = [token for row in ids.values() for token in row[1:-1]]
    length = min(model.config.text.sliding_window + _BEYOND, most)
    bos, eos = model.tokenizer.bos_token_id, model.tokenizer.eos_token_id
    return list(ids), [*ids.values(), [bos, *np.resize(inner, length - 2).tolist(), eos]]


def vectors_of(model, ids):
    """Unit vectors (n, d) of n lists of token ids, one at a time: nothing is padded."""
    with torch.inference_mode():
        return torch.cat([model(*pad_batch([row])) for row in ids]).numpy()


def disagreement(found, expected):
    """The largest 1 - cosine between rows of found and of expected, (n, d) each; infinite where one is no number.

    >>> disagreement(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    0.0
    """
    if found.shape != expected.shape:
        return float("inf")
    found, expected = (np.asarray(rows, dtype=np.float64) for rows in (found, expected))
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = float((1 - (found * expected).sum(axis=1) / lengths).max())
    return float("inf") if np.isnan(largest) else max(largest, 0.0)
