"""What a retrieval task is made of: queries, a corpus, and which documents answer which query."""

import json
import re
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from egemma_lab.evaluate.corpus_file import FIELDS, CorpusFile, check_title
from egemma_lab.evaluate.json_lines import json_lines, numbered_lines

IN_MEMORY = 1 << 30  # bytes of a corpus.jsonl above which its texts stay in the file
CANDIDATES = 5  # documents kept a query when a task is made smaller


@dataclass
class RetrievalData:
    """`queries` {id: text}, `corpus` {id: text}, `qrels` {query id: {document id: relevance, 0 or more}}.

    `titles` {document id: title} holds those that have one. Only queries with an answer are kept; ids in the
    qrels that name no query or no document are an error, since each would lower every score without a word.
    """

    queries: dict
    corpus: dict
    qrels: dict
    titles: dict

    def __post_init__(self):
        asked = {query: judged for query, judged in self.qrels.items() if any(r > 0 for r in judged.values())}
        unknown = [query for query in asked if query not in self.queries]
        if unknown:
            raise ValueError(
                f"qrels name {len(unknown)} queries that are not among the queries: {_some(unknown)}"
            )
        lost = sorted({document for judged in asked.values() for document in judged} - self.corpus.keys())
        if lost:
            raise ValueError(f"qrels name {len(lost)} documents that are not in the corpus: {_some(lost)}")
        if not asked:
            raise ValueError("no query has a relevant document: there is nothing to measure")
        self.qrels = asked
        self.queries = {query: self.queries[query] for query in asked}

    def limited(self, limit):
        """The same task with at most `limit` queries and five candidates a query, all answers among them.

        Which ones is a matter of their ids alone. Fewer candidates make a task easier: compare scores only at
        equal limits.
        """
        if limit is None or limit >= len(self.queries):
            return self
        queries = sorted(self.queries, key=_shuffle)[:limit]
        qrels = {query: self.qrels[query] for query in queries}
        judged = {document for answers in qrels.values() for document in answers}
        others = sorted(self.corpus.keys() - judged, key=_shuffle)
        kept = judged | set(others[: max(0, CANDIDATES * limit - len(judged))])
        return RetrievalData(
            {query: self.queries[query] for query in queries},
            {document: text for document, text in self.corpus.items() if document in kept},
            qrels,
            {document: title for document, title in self.titles.items() if document in kept},
        )

    @property
    def fingerprint(self):
        """Changes with any text, id or judgement."""
        of_file = getattr(self.corpus, "fingerprint", None)  # a corpus that stays in its file knows its own
        corpus, titles = (self.corpus, self.titles) if of_file is None else (of_file, {})
        content = json.dumps([self.queries, corpus, self.qrels, titles], sort_keys=True)
        return blake2b(content.encode(), digest_size=8).hexdigest()

    def full_texts(self):
        """The documents' texts with their titles before them, for whoever knows no separate titles."""
        return [
            f"{self.titles[document]} {text}" if document in self.titles else text
            for document, text in self.corpus.items()
        ]


def read_folder(folder, in_memory=IN_MEMORY):
    """A task from a folder in BEIR's layout: `corpus.jsonl`, `queries.jsonl`, `qrels.tsv`.

    Lines of the first two hold `_id`, `text` and, for documents, perhaps `title`; the third holds query id,
    document id and relevance, tab-separated, with or without a header; it may also be `qrels/test.tsv`. The
    texts of a corpus of more than `in_memory` bytes are left in the file. FileNotFoundError or ValueError
    name file and line.
    """
    folder = Path(folder)
    if (folder / "corpus.jsonl").stat().st_size > in_memory:
        corpus = CorpusFile(folder / "corpus.jsonl")
        titles = corpus.titles
    else:
        corpus, titles = {}, {}
        for row in json_lines(folder / "corpus.jsonl", FIELDS):
            _add(corpus, row, folder / "corpus.jsonl")
            if row.get("title"):
                titles[row["_id"]] = check_title(row["title"], row["_id"], folder / "corpus.jsonl")
    queries = {}
    for row in json_lines(folder / "queries.jsonl", FIELDS):
        _add(queries, row, folder / "queries.jsonl")
    judgements = folder / "qrels.tsv"
    if not judgements.is_file():
        judgements = folder / "qrels" / "test.tsv"
    return RetrievalData(queries, corpus, _read_qrels(judgements), titles)


def _add(texts, row, path):
    if row["_id"] in texts:
        raise ValueError(f"{path} has the _id {row['_id']!r} twice: only one of the texts could be found")
    texts[row["_id"]] = row["text"]


def is_task_folder(folder):
    """True where `read_folder` has something to read."""
    return all((Path(folder) / name).is_file() for name in ("corpus.jsonl", "queries.jsonl"))


def _read_qrels(path):
    qrels = {}
    for number, line in numbered_lines(path):
        fields = line.rstrip("\n\r").split("\t")
        relevance = re.fullmatch(r"-?[0-9]{1,9}", fields[2]) if len(fields) == 3 else None
        if number == 1 and len(fields) == 3 and relevance is None:
            continue  # header
        if relevance is None:
            raise ValueError(
                f"{path}:{number}: expected query id, document id and a whole number between tabs, "
                f"got {line[:80]!r}"
            )
        qrels.setdefault(fields[0], {})[fields[1]] = int(fields[2])
    return qrels


def _shuffle(name):
    return blake2b(name.encode(), digest_size=8).digest(), name


def _some(names):
    return ", ".join(map(repr, names[:3])) + (" ..." if len(names) > 3 else "")
