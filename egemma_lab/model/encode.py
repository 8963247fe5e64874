"""From texts to unit vectors: what `EmbeddingGemma` offers to whoever has text."""

import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from tqdm.std import tqdm

from egemma_lab.model.batching import is_out_of_memory, pad_batch, token_budget_batches
from egemma_lab.model.prompts import document_prompt
from egemma_lab.model.shared_words import tokens_with_ends
from egemma_lab.model.tokenizing import check_texts, clean_text, token_ids, whole_texts
from egemma_lab.model.vector_codes import ranges_of_call, to_codes

logger = logging.getLogger(__name__)

# Padded tokens in one batch: enough to keep the device busy, few enough for its memory with the 300m. A CPU
# is fastest while a batch stays in its caches: larger ones made the nano slower.
TOKEN_BUDGET = {"cpu": 2048, "cuda": 65_536, "mps": 16_384}
CHUNK = 4096  # texts tokenised at a time, while the chunk before is computed
LONG_INPUT = 2000  # texts from which a progress bar appears by itself


class Encoder:
    """`encode` and its relatives, for a module that has `tokenizer`, `prompts`, `widths` and a `forward`."""

    def encode(
        self,
        texts,
        prompt_name=None,
        truncate_dim=None,
        precision="float32",
        batch_size=None,
        convert_to_tensor=False,
        show_progress_bar=None,
        ranges=None,
    ):
        """Embed texts: unit rows (n, d), float32; one string gives one vector (d,).

        Parameters: `prompt_name`, a key of `model.prompts` whose prompt is put before every text (default:
        `model.default_prompt_name`; where that is None, no prompt at all, which is seldom what a user wants:
        see `encode_query` and `encode_document`; the prompt used is logged at level INFO); `truncate_dim`,
        one of `model.widths`: the vector is cut there and brought back to unit length; `precision`, "float32",
        or "int8", "uint8", "binary", "ubinary" for codes instead of vectors, as
        `egemma_lab.quantize.quantize_vectors` makes them; `batch_size`, texts in a batch (default: as many as
        fit a budget of tokens for the device); `convert_to_tensor`, a tensor on the model's device instead of a
        numpy array; `show_progress_bar` (default: from 2,000 texts); `ranges`, (2, d), for int8 and uint8, from
        `egemma_lab.quantize.calibrate`.

        Without `ranges` those of this call's own vectors are taken, as sentence-transformers does, with a
        warning: the same code then stands for another value in every call, so a query encoded in one call
        cannot be compared with documents from another, and the ranges are lost. Binary codes need none.

        Texts are cut at `model.max_seq_length` tokens, with one warning a call; lone surrogates count as
        U+FFFD; an empty string is embedded as its prompt. An empty list gives (0, d). ValueError for an
        unknown prompt, width or precision, for ranges of another width, and for int8 of one text without any;
        TypeError naming the first text that is not a string.

        >>> from egemma_lab.model import new_model, train_tokenizer
        >>> model = new_model("micro", train_tokenizer(["some text", "some more text"], vocab_size=400))
        >>> model.encode(["text", "more"], prompt_name="STS", truncate_dim=32).shape
        (2, 32)
        """
        return self._encode(
            texts,
            self.default_prompt_name if prompt_name is None else prompt_name,
            truncate_dim=truncate_dim,
            precision=precision,
            batch_size=batch_size,
            convert_to_tensor=convert_to_tensor,
            show_progress_bar=show_progress_bar,
            ranges=ranges,
        )

    def encode_query(self, texts, prompt_name="query", **options):
        """Embed queries, each behind the prompt "task: search result | query: "; options as in `encode`."""
        return self._encode(texts, prompt_name, **options)

    def encode_document(self, texts, titles=None, **options):
        """Embed documents, each behind "title: {title or none} | text: "; options as in `encode`.

        `titles`, one for each text, None where it has none (default: none has one); a real title helps.
        """
        if titles is None:
            return self._encode(texts, **{"prompt_name": "document", **options})
        return self._encode(texts, titles=titles, **options)

    def similarity(self, a, b):
        """Cosine similarity of all rows of a with all rows of b, in float32: (n, d), (m, d) -> (n, m).

        Rows need not have unit length; a single vector counts as one row. Tensors give a tensor, arrays an
        array. In lower precision close scores tie, so whatever comes in is compared in float32.

        >>> Encoder().similarity(np.array([[3.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 2.0]])).tolist()
        [[1.0, 0.0]]
        """
        tensors = isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor)
        device = next((x.device for x in (a, b) if isinstance(x, torch.Tensor)), None)
        a, b = (torch.atleast_2d(torch.as_tensor(x, device=device).float()) for x in (a, b))
        cosine = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T  # (n, m)
        return cosine if tensors else cosine.numpy()

    def tokenize(self, texts, prompt="", max_length=None):
        """Token ids of `prompt` + text with BOS and EOS, cut to `max_length` with EOS kept last.

        Training and `encode` both come through here. `max_length` defaults to `model.max_seq_length`.
        """
        return self._tokenize([prompt + text for text in check_texts(texts)], max_length)[0]

    def tokenize_with_ends(self, texts, prompt="", max_length=None):
        """As `tokenize`, but a `TextTokens` a text, which knows where in the text each token ends."""
        limit, texts = self._limit(max_length), [clean_text(text) for text in check_texts(texts)]
        return tokens_with_ends(
            whole_texts(self.tokenizer), texts, prompt, limit, self.tokenizer.eos_token_id
        )

    def _tokenize(self, texts, max_length=None):
        limit = self._limit(max_length)
        return token_ids(self.tokenizer, texts, limit)

    def _limit(self, max_length):
        if self.tokenizer is None:
            raise ValueError(
                "this model has no tokenizer: it takes token ids, model(input_ids, attention_mask)"
            )
        limit = self.max_seq_length if max_length is None else max_length
        if not 3 <= limit <= self.config.text.max_position_embeddings:
            raise ValueError(
                f"max_length={limit} must lie between 3 (BOS, one token, EOS) "
                f"and {self.config.text.max_position_embeddings}, the positions this model knows"
            )
        return limit

    def _encode(
        self,
        texts,
        prompt_name=None,
        *,
        titles=None,
        truncate_dim=None,
        precision="float32",
        batch_size=None,
        convert_to_tensor=False,
        show_progress_bar=None,
        ranges=None,
    ):
        single = isinstance(texts, str)
        texts = self._with_prompts(check_texts([texts] if single else texts), prompt_name, titles)
        width = self._width(truncate_dim)
        ranges = ranges_of_call(precision, ranges, width, len(texts))
        if batch_size is not None and batch_size < 1:
            raise ValueError(
                f"batch_size={batch_size} must be at least 1, or None for batches by token count"
            )
        distinct = list(dict.fromkeys(sorted(texts, key=len, reverse=True)))  # each once, longest first
        bar = len(texts) >= LONG_INPUT if show_progress_bar is None else show_progress_bar
        progress = tqdm(total=len(distinct), desc=f"encode {self.name}", unit="text", disable=not bar)
        vectors = torch.empty(len(distinct), width, device=self.device if convert_to_tensor else "cpu")
        cut = set()
        with progress, evaluating(self):
            for start, ids, cut_here in self._tokenized_ahead(distinct):
                cut.update(start + row for row in cut_here)
                self._embed(ids, vectors[start : start + len(ids)], batch_size, progress)
        row_of = {text: row for row, text in enumerate(distinct)}
        rows = [row_of[text] for text in texts]
        if cut:
            count, limit = sum(row in cut for row in rows), self.max_seq_length
            warnings.warn(
                f"{count} of {len(rows)} texts are longer than {limit} tokens: cut there", stacklevel=3
            )
        vectors = vectors[torch.tensor(rows, dtype=torch.long, device=vectors.device)]
        vectors = vectors[0] if single else vectors
        if precision != "float32":
            codes = to_codes(vectors.cpu().numpy(), precision, ranges)
            return torch.from_numpy(codes).to(vectors.device) if convert_to_tensor else codes
        return vectors if convert_to_tensor else vectors.numpy()

    def _with_prompts(self, texts, prompt_name, titles):
        if titles is not None:
            if prompt_name is not None:
                raise ValueError("titles= makes the prompt itself; leave out prompt_name, or titles")
            titles = [titles] if isinstance(titles, str) else list(titles)
            if len(titles) != len(texts):
                raise ValueError(
                    f"{len(titles)} titles for {len(texts)} texts: give one for each, None for none"
                )
            return [document_prompt(title) + text for title, text in zip(titles, texts)]
        if prompt_name is None:
            logger.info("encoding without a prompt")
            return texts
        prompt = self.prompt_text(prompt_name)
        logger.info("encoding with prompt %r: %r", prompt_name, prompt)
        return [prompt + text for text in texts]

    def prompt_text(self, prompt_name):
        """The prompt of that name, "" for None. ValueError names the model's prompts."""
        if prompt_name is None:
            return ""
        if prompt_name not in self.prompts:
            known = ", ".join(self.prompts)
            raise ValueError(
                f"prompt_name={prompt_name!r} is not one of this model's prompts ({known}), or None"
            )
        return self.prompts[prompt_name]

    def _width(self, truncate_dim):
        if truncate_dim is None:
            return self.config.output_width
        if truncate_dim not in self.widths:
            allowed = ", ".join(map(str, self.widths))
            raise ValueError(f"truncate_dim={truncate_dim} is not one of this model's widths ({allowed})")
        return truncate_dim

    def _tokenized_ahead(self, texts):
        """Yield (start, token ids, rows cut) chunk by chunk, the next chunk being tokenised meanwhile."""
        starts = range(0, len(texts), CHUNK)
        with ThreadPoolExecutor(max_workers=1) as background:
            ahead = [background.submit(self._tokenize, texts[start : start + CHUNK]) for start in starts[:1]]
            for start in starts:
                ids, cut = ahead.pop().result()
                following = start + CHUNK
                if following < len(texts):
                    ahead.append(background.submit(self._tokenize, texts[following : following + CHUNK]))
                yield start, ids, cut

    def _embed(self, ids, out, batch_size, progress):
        """Fill `out` (n, width) with the unit vectors of n lists of token ids."""
        lengths = [len(row) for row in ids]
        if batch_size is None:
            batches = token_budget_batches(lengths, TOKEN_BUDGET.get(self.device.type, TOKEN_BUDGET["cpu"]))
        else:
            order = np.argsort(-np.array(lengths), kind="stable").tolist()
            batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        pad_id = self.tokenizer.pad_token_id or 0
        for batch in batches:
            vectors = self._unit_vectors([ids[row] for row in batch], pad_id, out.shape[1])  # (B, width)
            out[torch.tensor(batch, device=out.device)] = vectors.to(out.device)
            progress.update(len(batch))

    def _unit_vectors(self, ids, pad_id, width):
        """(B, width) of B lists of token ids, in halves where memory is too small for all at once."""
        try:
            with torch.inference_mode():
                return F.normalize(self(*pad_batch(ids, pad_id, self.device))[:, :width], dim=-1)
        except (RuntimeError, MemoryError) as error:
            if len(ids) == 1 or not is_out_of_memory(error):
                raise
        # behind the except block: what the failed attempt held is free by now
        warnings.warn("memory is too small for a whole batch: encoding in smaller ones", stacklevel=2)
        middle = len(ids) // 2
        return torch.cat([self._unit_vectors(part, pad_id, width) for part in (ids[:middle], ids[middle:])])


@contextmanager
def evaluating(model):
    """Evaluation mode inside, each submodule's own mode again afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
