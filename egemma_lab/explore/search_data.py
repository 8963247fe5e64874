"""One question, several ways to search: what each finds, how fast, and in how many bytes."""

import dataclasses
import time

import numpy as np

from egemma_lab.quantize.index import Index

DEEPEST = 1000  # ranks looked at to say where a text stood in another list
RUNS = 5  # searches timed, of which the middle one counts


@dataclasses.dataclass(frozen=True)
class SearchSetting:
    """A way to search. `name`, what it is called; `model`, an EmbeddingGemma or Teacher, or the name of a teacher,
    which is opened when it is first asked; `width`, one of the model's (None: the full one); `precision`, `rescore` and
    `rescore_precision`, as in `lab.quantize.search`; `prompts`, whether texts and question get the model's."""

    name: str
    model: object
    width: int | None = None
    precision: str = "float32"
    rescore: int = 4
    rescore_precision: str | None = None
    prompts: bool = True


@dataclasses.dataclass(frozen=True)
class Found:
    """What one setting finds: `ids` and `scores` (depth,), best first; `encode_ms`, until the question was a vector,
    `search_ms`, until the first k were found; `nbytes` of all stored vectors; `width` of each; `k`, results to show."""

    setting: SearchSetting
    ids: np.ndarray
    scores: np.ndarray
    encode_ms: float
    search_ms: float
    nbytes: int
    width: int
    k: int

    def places(self):
        """{row: rank} of all that was looked at, 1 for the best."""
        return {int(row): rank for rank, row in enumerate(self.ids, start=1)}


class Searcher:
    """Texts to be searched under any `SearchSetting`: encoded once a model, with and without prompts; one index each.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> texts = ["the moon orbits the earth", "bread rises in the oven", "a comet passes the sun"]
    >>> searcher = Searcher(texts)
    >>> bits = SearchSetting("bits", new_model("micro", train_tokenizer(texts, vocab_size=400)), 32, "binary")
    >>> found = searcher.ask("what passes the sun?", bits, k=2)
    >>> len(found.ids), found.nbytes
    (3, 12)
    """

    def __init__(self, texts):
        self.texts = list(texts)
        self._models, self._encoded, self._indexes, self._asked = {}, {}, {}, {}

    def knows(self, setting):
        """Whether the texts are encoded for this setting."""
        return self._key(setting) in self._encoded

    def ask(self, question, setting, k=10):
        """Search for one question: a `Found` of up to 1,000 ranks, of which k are to be shown."""
        k = min(k, len(self.texts))
        vector, encode_ms = self._question(question, setting)
        index = self._index(setting)
        vector = vector[: index.stored.width]
        seconds = []
        for _ in range(RUNS):
            began = time.perf_counter()
            index.search(vector, k, setting.rescore)
            seconds.append(time.perf_counter() - began)
        depth = min(DEEPEST, len(self.texts))
        scores, ids = index.search(vector, k, setting.rescore)
        if depth > k:  # what follows never changes the first k
            later_scores, later = index.search(vector, depth, setting.rescore)
            rest = ~np.isin(later, ids)
            ids = np.concatenate([ids, later[rest]])
            scores = np.concatenate([scores, later_scores[rest]])
        return Found(
            setting,
            ids,
            scores,
            encode_ms,
            1000 * sorted(seconds)[RUNS // 2],
            index.nbytes,
            index.stored.width,
            k,
        )

    def _key(self, setting):
        return setting.model if isinstance(setting.model, str) else id(setting.model), setting.prompts

    def _model(self, setting):
        if not isinstance(setting.model, str):
            return setting.model
        if setting.model not in self._models:
            from egemma_lab.model import load_teacher

            self._models[setting.model] = load_teacher(setting.model)
        return self._models[setting.model]

    def _question(self, question, setting):
        key = (self._key(setting), question)
        if key not in self._asked:
            model = self._model(setting)
            self._vectors(setting)  # so that the model is warm before the clock runs
            began = time.perf_counter()
            vector = encode(model, [question], "query", setting.prompts)[0]
            self._asked = {
                **dict(list(self._asked.items())[-50:]),
                key: (vector, 1000 * (time.perf_counter() - began)),
            }
        return self._asked[key]

    def _vectors(self, setting):
        key = self._key(setting)
        if key not in self._encoded:
            self._encoded[key] = encode(self._model(setting), self.texts, "document", setting.prompts)
        return self._encoded[key]

    def _index(self, setting):
        if setting not in self._indexes:
            self._indexes[setting] = Index.build(
                None,
                self._vectors(setting),
                truncate_dim=setting.width,
                precision=setting.precision,
                rescore_precision=setting.rescore_precision,
            )
        return self._indexes[setting]


def encode(model, texts, role, prompts=True):
    """Unit vectors of queries or documents: role "query" or "document"; `prompts=False` leaves the prompts out.

    ValueError where a model has prompts that cannot be left out.
    """
    quiet = {"show_progress_bar": False}
    if not hasattr(model, "encode_query"):  # a Teacher
        if not prompts and model.prompts_differ:
            raise ValueError(f"{model.name} puts its own prompts before texts: search it with prompts=True")
        return model.encode(texts, role=role, **quiet)
    if prompts:
        return (model.encode_query if role == "query" else model.encode_document)(texts, **quiet)
    if getattr(model, "default_prompt_name", None) is not None:
        raise ValueError(
            f"{model.name} has a default prompt, {model.default_prompt_name!r}: set it to None first"
        )
    return model.encode(texts, **quiet)


def default_settings(model):
    """Ways to search with a model: full, cut, in bits with and without a second look, without prompts; its teacher."""
    from egemma_lab.model.minilm import MINILM

    widths = sorted(model.widths)
    narrow = widths[len(widths) // 2 - 1] if len(widths) > 1 else widths[0]
    return [
        SearchSetting(f"{model.name}, full", model),
        SearchSetting(f"width {narrow}", model, narrow),
        SearchSetting("binary", model, precision="binary", rescore=0),
        SearchSetting("binary, rescored", model, precision="binary"),
        SearchSetting("binary, rescored by int8", model, precision="binary", rescore_precision="int8"),
        SearchSetting("int8", model, precision="int8"),
        SearchSetting("no prompts", model, prompts=False),
        SearchSetting("teacher (MiniLM)", MINILM),
    ]
