"""An index: the vectors of a corpus in few bytes, and what a query must be to be compared with them."""

from hashlib import blake2b

import numpy as np

from egemma_lab.quantize.coded_vectors import CodedVectors
from egemma_lab.quantize.index_files import read_index, write_index
from egemma_lab.quantize.searching import find, hold
from egemma_lab.quantize.vectors import as_numpy


class Index:
    """The quantized vectors of a corpus with model, prompts, width, precision and ranges they belong to.

    `Index.build` makes one, `save` and `Index.load` keep it in a folder, `search` asks it. `about` is a dictionary of
    all that is known of it; `len(index)` its vectors, `nbytes` their bytes. It holds no texts: ids are places in the
    corpus it was built from.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> texts = ["the moon orbits the earth", "bread rises in the oven", "a comet passes the sun"]
    >>> model = new_model("micro", train_tokenizer(texts, vocab_size=400))
    >>> index = Index.build(model, texts, precision="int8")
    >>> index
    Index of 3 vectors: width 64, int8, 192 bytes, model 'micro'
    >>> scores, ids = index.search("what orbits the earth?", k=2)
    >>> ids.shape
    (2,)
    """

    def __init__(self, stored, about, finer=None, model=None):
        self.stored, self.finer, self.about = stored, finer, about
        self.model = model

    @classmethod
    def build(
        cls,
        model,
        corpus,
        *,
        titles=None,
        truncate_dim=None,
        precision="binary",
        rescore_precision=None,
        ranges=None,
        prompt_name="document",
        query_prompt_name="query",
        batch_size=None,
        show_progress_bar=None,
    ):
        """An index of a corpus: texts, which the model embeds, or vectors (n, d) that it made.

        Parameters: `model`, an EmbeddingGemma; None for vectors of unknown origin, whose index takes vectors only and
        cannot refuse those of another model. `titles`, one for each text, as in `encode_document`. `truncate_dim`, one
        of the model's widths (default: the full one). `precision`, `rescore_precision` and `ranges`, as in `search`:
        in what the vectors are held, whether a finer copy is held beside them for the second look, and for int8 the
        ranges (default: those of this corpus; pass what `calibrate` gave where vectors are to join several indexes).
        `prompt_name`, the prompt of the corpus, and `query_prompt_name`, that of its queries: for tasks where both
        sides are alike, say "STS" for both. ValueError for whatever `encode` or `search` would refuse.
        """
        for name in (prompt_name, query_prompt_name):
            if model is not None and name not in model.prompts:
                known = ", ".join(model.prompts)
                raise ValueError(f"prompt {name!r} is not one of this model's prompts ({known})")
        if titles is not None and (_is_vectors(corpus) or prompt_name != "document"):
            raise ValueError(
                "titles= go into the document prompt: they need texts, and prompt_name='document'"
            )
        if _is_vectors(corpus):
            rows = as_numpy(corpus)[:, :truncate_dim]
            if model is not None and rows.shape[1] not in model.widths:
                widths = ", ".join(map(str, model.widths))
                raise ValueError(f"vectors of width {rows.shape[1]}: {model.name} makes those of {widths}")
        elif model is None:
            raise ValueError("texts need the model that is to embed them: Index.build(model, texts)")
        else:
            options = {
                "truncate_dim": truncate_dim,
                "batch_size": batch_size,
                "show_progress_bar": show_progress_bar,
            }
            if titles is None:
                rows = model.encode(corpus, prompt_name=prompt_name, **options)
            else:
                rows = model.encode_document(corpus, titles=titles, **options)
        stored, finer = hold(rows, precision, rescore_precision, ranges)
        about = {
            "model": None if model is None else model.name,
            "fingerprint": None if model is None else fingerprint(model),
            "prompt_name": prompt_name,
            "prompt": _prompt(model, prompt_name),
            "query_prompt_name": query_prompt_name,
            "query_prompt": _prompt(model, query_prompt_name),
            "width": stored.width,
            "precision": precision,
            "rescore_precision": rescore_precision,
            "count": len(stored),
        }
        return cls(stored, about, finer, model)

    def search(self, queries, k=10, rescore=4, *, model=None, prompt_name=None):
        """The k nearest vectors to each query: scores (q, k), ids (q, k); one query, a text or (d,), gives (k,).

        Parameters: `queries`, texts, embedded with the index's own query prompt at its width, or vectors made so;
        `k` and `rescore`, as in `egemma_lab.quantize.search`; `model`, who embeds the queries or has embedded them
        (default: who built the index, or was given to `load`; a model is checked when it is given, not again);
        `prompt_name`, what the caller takes the query prompt to be (default: what it is).

        ValueError for a query that cannot be compared: another model (by a fingerprint of weights and tokenizer),
        another prompt, by name or by its text, or another width. Of bare vectors only the width can be seen.
        """
        about = self.about
        if prompt_name not in (None, about["query_prompt_name"]):
            raise ValueError(
                f"prompt_name={prompt_name!r}, but this index is for queries with the prompt "
                f"{about['query_prompt_name']!r}: leave prompt_name out, or build the index with "
                f"query_prompt_name={prompt_name!r}"
            )
        if model is not None:
            self._check_model(model)
        if not _is_vectors(queries):
            model = self.model if model is None else model
            if model is None:
                raise ValueError(
                    f"texts need the model of this index, {about['model'] or 'unknown'}: pass model=, here or to "
                    "Index.load; or pass vectors"
                )
            self._check_prompt(model)
            queries = model.encode(
                queries,
                prompt_name=about["query_prompt_name"],
                truncate_dim=self.stored.width,
                show_progress_bar=False,
            )
        width = as_numpy(queries).shape[-1:]
        if width != (self.stored.width,):
            raise ValueError(
                f"queries of shape {as_numpy(queries).shape}, but this index holds vectors of width "
                f"{self.stored.width}: encode queries with truncate_dim={self.stored.width}, or build the index anew"
            )
        return find(queries, self.stored, k, rescore, self.finer)

    def save(self, folder):
        """Write the index into a folder: index.json and one safetensors file. Returns the folder as a Path.

        The description is written last and in one step, so a reader sees the old index or the new one. Other files
        in the folder are left alone.
        """
        tensors = {"codes": self.stored.as_quantized()}
        if self.finer is not None:
            tensors["finer"] = self.finer.as_quantized()
        for each in (self.stored, self.finer):
            if each is not None and each.ranges is not None:  # where both have them, they are the same
                tensors["ranges"] = each.ranges
        return write_index(folder, self.about, tensors)

    @classmethod
    def load(cls, folder, model=None):
        """The index in a folder. `model`, who is to embed its queries; ValueError where it is another than built it.

        FileNotFoundError where there is none, ValueError where its files are damaged.
        """
        about, tensors = read_index(folder)
        precisions = {"codes": about["precision"], "finer": about["rescore_precision"]}
        try:
            stored, finer = (
                None
                if precision is None
                else CodedVectors.of(tensors[name], precision, tensors.get("ranges"), about["width"])
                for name, precision in precisions.items()
            )
        except (KeyError, ValueError) as error:
            raise ValueError(f"{folder}: its arrays are no index ({error}): build the index anew") from error
        shapes = {(len(each), each.width) for each in (stored, finer) if each is not None}
        if shapes != {(about["count"], about["width"])}:
            raise ValueError(
                f"{folder} holds arrays of {shapes} vectors and columns, its description says {about['count']} and "
                f"{about['width']}: build the index anew"
            )
        index = cls(stored, about, finer)
        if model is not None:
            index._check_model(model)
            index._check_prompt(model)
            index.model = model
        return index

    def __len__(self):
        return len(self.stored)

    @property
    def nbytes(self):
        """Bytes of the codes, finer ones included."""
        return self.stored.nbytes + (0 if self.finer is None else self.finer.nbytes)

    def __repr__(self):
        about = self.about
        second = f" and {about['rescore_precision']}" if about["rescore_precision"] else ""
        return (
            f"Index of {len(self):,} vectors: width {about['width']}, {about['precision']}{second}, {self.nbytes:,} "
            f"bytes, model {about['model']!r}"
        )

    def _check_model(self, model):
        if model is self.model:
            return
        expected, found = self.about["fingerprint"], fingerprint(model)
        if expected is None:
            raise ValueError(
                "this index was built from vectors of unknown origin: ask it with vectors, without model="
            )
        if found != expected:
            raise ValueError(
                f"this index holds vectors of {self.about['model']!r} ({expected[:8]}), the query's model is "
                f"{model.name!r} ({found[:8]}): load the first, in the same dtype, or build the index anew"
            )

    def _check_prompt(self, model):
        name, expected = self.about["query_prompt_name"], self.about["query_prompt"]
        if _prompt(model, name) != expected:
            raise ValueError(
                f"the model's prompt {name!r} is {_prompt(model, name)!r} now, and was {expected!r} when this "
                "index was built: restore model.prompts, or build the index anew"
            )


def fingerprint(model):
    """A digest of what decides a model's vectors besides its prompts: weights and their type, tokenizer, pooling."""
    from egemma_lab.model.teacher_encoders import state_identity, tokenizer_identity

    parts = [state_identity(model), tokenizer_identity(model.tokenizer), model.config.pooling]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _prompt(model, name):
    return None if model is None else model.prompts.get(name)


def _is_vectors(values):
    return hasattr(values, "detach") or (isinstance(values, np.ndarray) and values.dtype.kind in "fiu")
