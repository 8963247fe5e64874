"""What can stand behind a teacher: any sentence-transformers model, or an EmbeddingGemma of this lab."""

import hashlib
import json
import logging

import numpy as np
import torch
import torch.nn.functional as F
from tqdm.std import tqdm

from egemma_lab.model.batching import pad_batch, token_budget_batches
from egemma_lab.model.encode import CHUNK
from egemma_lab.model.layout import NOTES
from egemma_lab.model.saving import computed_weights
from egemma_lab.model.shared_words import tokens_with_ends
from egemma_lab.model.tokenizing import clean_text, whole_texts

logger = logging.getLogger(__name__)

# Padded tokens in a batch. Small on the CPU: with MiniLM, batches whose activations stay in the cache are
# half as fast again as those of 4,096 tokens.
TOKEN_BUDGET = {"cpu": 1024, "cuda": 65_536, "mps": 8192}
ROLES = ("query", "document")


class LabEncoder:
    """An EmbeddingGemma as a teacher: queries and documents behind its own prompts."""

    def __init__(self, model, name):
        self.model, self.name = model, name
        self.width = model.config.output_width
        self.max_seq_length = model.max_seq_length
        self.prompts_differ = model.prompts.get("query", "") != model.prompts.get("document", "")
        self.identity = _hash(
            state_identity(model),
            tokenizer_identity(model.tokenizer),
            config_identity(model.config.text),
            json.dumps([self.max_seq_length, str(model.dtype)]),
            json.dumps([model.prompts.get(role, "") for role in ROLES]),
        )

    def embed(self, texts, role, batch_size, show_progress_bar):
        encode = self.model.encode_query if role == "query" else self.model.encode_document
        return encode(texts, batch_size=batch_size, show_progress_bar=show_progress_bar)

    def embed_tokens(self, texts, role):
        """(one `TextTokens` a text, the vectors of all their tokens (U, D)); see `Teacher.encode_tokens`."""
        model = self.model
        if model.config.pooling != "mean":
            raise _no_token_vectors(self.name, f"it pools by {model.config.pooling!r}")
        tokens = model.tokenize_with_ends(texts, model.prompts.get(role, ""), self.max_seq_length)
        return tokens, _in_order(tokens, self._token_vectors, TOKEN_BUDGET.get(model.device.type, 1024))

    @torch.inference_mode()
    def _token_vectors(self, ids):
        input_ids, attention_mask = pad_batch(ids, device=self.model.device)
        states = self.model.token_states(input_ids, attention_mask)[attention_mask.bool()]  # (U, h)
        return states.float() @ self.model.merged_dense().T


class LibraryEncoder:
    """A SentenceTransformer as a teacher, its text batched by token count where that changes nothing.

    sentence-transformers sorts by characters into batches of a fixed number of texts; batches under a token
    budget are faster. Tokenising and padding are then done here, so a few texts are embedded both ways first,
    and only if the vectors agree is this way taken; a model with its own idea of input keeps its library's.
    """

    def __init__(self, model, name, bfloat16=False):
        self.model, self.name, self.bfloat16 = model.eval(), name, bfloat16
        self.max_seq_length = model.max_seq_length
        self.prompts = {role: _library_prompt(model, role) for role in ROLES}
        modules = [(type(m).__name__, getattr(m, "get_config_dict", dict)()) for m in list(model)[1:]]
        self.identity = _hash(
            state_identity(model),
            tokenizer_identity(model.tokenizer),
            config_identity(getattr(model[0], "config", None)),
            json.dumps([modules, self.max_seq_length, bfloat16], default=str),
            json.dumps([self.prompts[role] for role in ROLES]),
        )
        probe = ["Which planet is called the red one?", "  Mars, ÅNGSTRÖM; x = [1]\n" * 3, "a"]
        by_library = {role: self._by_library(probe, role, None, False) for role in ROLES}
        self.width = by_library["query"].shape[1]
        self.by_tokens = self._agrees(probe, by_library)
        # where the library has its own way, only it knows whether a query is another thing than a document
        self.prompts_differ = not self.by_tokens or self.prompts["query"] != self.prompts["document"]
        if not self.by_tokens:
            logger.info("%s is batched by sentence-transformers, not by token count", name)

    def embed(self, texts, role, batch_size, show_progress_bar):
        texts = [clean_text(text) for text in texts]
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        if not self.by_tokens:
            return self._by_library(texts, role, batch_size, show_progress_bar)
        return self._by_token_count(texts, role, batch_size, show_progress_bar)

    def embed_tokens(self, texts, role):
        """(one `TextTokens` a text, the vectors of all their tokens (U, D)); see `Teacher.encode_tokens`."""
        pooling = next((m for m in self.model if type(m).__name__ == "Pooling"), None)
        modes = [] if pooling is None else pooling.get_config_dict().get("pooling_mode", [])
        others = [type(m).__name__ for m in list(self.model)[1:]]
        if not self.by_tokens or set(others) - {"Pooling", "Normalize"} or modes not in ("mean", ["mean"]):
            raise _no_token_vectors(self.name, f"its modules are {', '.join(others)}")
        tokenizer, texts = self.model.tokenizer, [clean_text(text) for text in texts]
        tokens = tokens_with_ends(
            whole_texts(tokenizer), texts, self.prompts[role], self.max_seq_length, tokenizer.sep_token_id
        )
        with self._autocast():  # around all batches: weights are cast once
            return tokens, _in_order(
                tokens, self._token_vectors, TOKEN_BUDGET.get(self.model.device.type, 1024)
            )

    @torch.inference_mode()
    def _token_vectors(self, ids):
        input_ids, attention_mask = pad_batch(ids, self.model.tokenizer.pad_token_id, self.model.device)
        out = self.model[0]({"input_ids": input_ids, "attention_mask": attention_mask})
        return out["token_embeddings"][attention_mask.bool()].float()  # (U, D)

    def _agrees(self, probe, by_library):
        if type(self.model[0]).__name__ != "Transformer" or not hasattr(self.model.tokenizer, "pad_token_id"):
            return False  # a router, a bag of words, pictures: it reads something else than token ids
        tolerance = 2e-2 if self.bfloat16 or self.model.dtype == torch.bfloat16 else 1e-5
        return all(
            np.allclose(self._by_token_count(probe, role, None, False), vectors, atol=tolerance)
            for role, vectors in by_library.items()
        )

    def _by_library(self, texts, role, batch_size, show_progress_bar):
        encode = self.model.encode_query if role == "query" else self.model.encode_document
        with self._autocast():
            vectors = encode(
                texts,
                batch_size=batch_size or 32,
                show_progress_bar=show_progress_bar,
                normalize_embeddings=True,
                convert_to_tensor=True,
            )
        return vectors.float().cpu().numpy()

    def _by_token_count(self, texts, role, batch_size, show_progress_bar):
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        vectors = None
        bar = tqdm(total=len(texts), desc=f"teacher {self.name}", unit="text", disable=not show_progress_bar)
        with bar, torch.inference_mode(), self._autocast():  # around all batches: weights are cast once
            for start in range(0, len(order), CHUNK):
                rows = order[start : start + CHUNK]
                ids = self._token_ids([self.prompts[role] + texts[row] for row in rows])
                for batch in self._batches([len(row) for row in ids], batch_size):
                    out = self._forward([ids[index] for index in batch])  # (B, D)
                    if vectors is None:
                        vectors = np.empty((len(texts), out.shape[1]), dtype=np.float32)
                    vectors[[rows[index] for index in batch]] = out
                    bar.update(len(batch))
        return vectors

    def _token_ids(self, texts):
        only_ids = {"return_attention_mask": False, "return_token_type_ids": False}
        return self.model.tokenizer(texts, truncation=True, **only_ids)["input_ids"]

    def _batches(self, lengths, batch_size):
        if batch_size is None:
            budget = TOKEN_BUDGET.get(self.model.device.type, TOKEN_BUDGET["cpu"])
            return token_budget_batches(lengths, budget)
        order = np.argsort(-np.asarray(lengths), kind="stable").tolist()
        return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]

    def _forward(self, ids):
        input_ids, attention_mask = pad_batch(ids, self.model.tokenizer.pad_token_id, self.model.device)
        out = self.model({"input_ids": input_ids, "attention_mask": attention_mask})
        return F.normalize(out["sentence_embedding"].float(), dim=-1).cpu().numpy()

    def _autocast(self):
        return torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=self.bfloat16)


def _in_order(tokens, encode, token_budget):
    """The vectors of all tokens (U, D) in the order of their texts, computed by length in padded batches."""
    if not tokens:
        return encode([[0]])[:0]
    lengths = [len(text) for text in tokens]
    parts = [None] * len(tokens)
    for batch in token_budget_batches(lengths, token_budget):
        vectors = encode([tokens[index].ids for index in batch])
        for index, part in zip(batch, vectors.split([lengths[index] for index in batch])):
            parts[index] = part
    return torch.cat(parts)


def _no_token_vectors(name, why):
    return ValueError(
        f"teacher {name} says nothing of single tokens: {why}. Word by word only a teacher can be matched whose "
        "vector is the mean of its tokens' vectors, brought to unit length"
    )


def open_sentence_transformer(folder, device=None):
    """The SentenceTransformer in a folder: float32, safetensors only, no remote code, no network, no bar."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as library_logging

    bar = library_logging.is_progress_bar_enabled()
    library_logging.disable_progress_bar()
    try:
        model = SentenceTransformer(
            str(folder),
            device=None if device is None else str(device),
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True, "dtype": "float32"},
        )
        body = getattr(model[0], "model", None)
        if model.device.type == "cpu" and hasattr(body, "set_attn_implementation"):
            body.set_attn_implementation(
                "eager"
            )  # short texts on a CPU: 1.35 times the speed of the fused kernel
        return model
    finally:
        if bar:
            library_logging.enable_progress_bar()


def state_identity(model):
    """sha256 over the names, types, shapes and bytes of all tensors that a module computes with."""
    digest = hashlib.sha256()
    for name, tensor in sorted(computed_weights(model).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def config_identity(config):
    """sha256 over what a transformers configuration says of the model, not over notes about its file."""
    values = {} if config is None else config.to_dict()
    return _hash(json.dumps({key: values[key] for key in sorted(values) if key not in NOTES}, default=str))


def tokenizer_identity(tokenizer):
    """sha256 over a tokenizer's vocabulary and rules, not over padding and truncation of its last call."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):
        return _hash(type(tokenizer).__name__, *sorted(getattr(tokenizer, "get_vocab", dict)()))
    rules = json.loads(backend.to_str())
    return _hash(json.dumps({**rules, "truncation": None, "padding": None}, sort_keys=True))


def _library_prompt(model, role):
    """The prompt that encode_query and encode_document of sentence-transformers choose."""
    names = ("query",) if role == "query" else ("document", "passage", "corpus")
    name = next((name for name in names if name in model.prompts), model.default_prompt_name)
    return model.prompts.get(name) or ""


def _hash(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()
