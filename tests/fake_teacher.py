"""A teacher that needs no download."""

import hashlib
import re
import zlib

import numpy as np
import torch

from egemma_lab.model.shared_words import TextTokens


class FakeTeacher:
    """A teacher without weights: each word a fixed random direction, a text the sum of its words.

    Texts that share words are close, so there is something to learn from it.
    """

    max_seq_length = 256

    def __init__(self, width=48, kept=None, rotation=None):
        self.full_width, self.kept, self.rotation = width, kept, rotation
        self.width = width if kept is None else kept
        self.name = f"fake-{width}"
        self.fingerprint = self.name
        if kept is not None:
            turned = "" if rotation is None else hashlib.sha256(rotation.tobytes()).hexdigest()[:12]
            self.name = f"fake-{width}-cut-{kept}"
            self.fingerprint = f"{self.name}-{turned}"

    def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
        if role not in ("query", "document"):
            raise ValueError(f"role={role!r} is not one of 'query', 'document'")
        vectors = (
            np.stack([self._embed(text) for text in texts]) if len(texts) else np.zeros((0, self.full_width))
        )
        if self.rotation is not None:
            vectors = vectors @ self.rotation
        vectors = vectors[:, : self.width]
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def encode_tokens(self, texts, role="document"):
        """Its tokens are words, so that a text's vector is the mean of its tokens'."""
        tokens, vectors = [], []
        for text in texts:
            words = list(re.finditer(r"\w+", text.lower())) or [None]
            ends = [0 if word is None else word.end() for word in words]
            tokens.append(TextTokens(np.zeros(len(words), np.int64), np.array(ends, np.int64)))
            vectors += [self._embed("" if word is None else word.group()) for word in words]
        vectors = np.stack(vectors)
        if self.rotation is not None:
            vectors = vectors @ self.rotation
        return tokens, torch.from_numpy(vectors[:, : self.width].astype(np.float32))

    def cut(self, width, rotation=None):
        return FakeTeacher(self.full_width, width, rotation)

    def _embed(self, text):
        words = re.findall(r"\w+", text.lower()) or [""]
        return sum(
            np.random.default_rng(zlib.crc32(word.encode())).standard_normal(self.full_width)
            for word in words
        )
