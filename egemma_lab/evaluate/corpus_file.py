"""A corpus that stays in its file: its texts are read when they are asked for."""

from array import array
from collections.abc import Mapping
from hashlib import blake2b

from egemma_lab.evaluate.json_lines import parse_line

FIELDS = {"_id": str, "text": str}  # what every line of a corpus or of queries has


class CorpusFile(Mapping):
    """{id: text} of a `corpus.jsonl`, for corpora larger than memory; `titles`, {id: title} of those with one.

    Only ids and places in the file are kept, about 150 bytes a document. The first pass checks every line as
    `json_lines` does and makes the `fingerprint`, a hash of the file's bytes. Leave the file as it is while
    this is in use.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "corpus.jsonl"
    >>> _ = path.write_text('{"_id": "a", "text": "one", "title": "T"}\\n{"_id": "b", "text": "two"}\\n')
    >>> corpus = CorpusFile(path)
    >>> dict(corpus), dict(corpus.titles)
    ({'a': 'one', 'b': 'two'}, {'a': 'T'})
    """

    def __init__(self, path):
        self._path = path
        self._row, self._start = {}, array("q")
        titled, digest, start = [], blake2b(digest_size=8), 0
        self._file = open(path, "rb")  # noqa: SIM115  read from for as long as the corpus lives
        for number, line in enumerate(self._file, 1):
            if line.strip():
                row = parse_line(path, number, line, FIELDS)
                if row["_id"] in self._row:
                    raise ValueError(f"{path}:{number}: the _id {row['_id']!r} stands in an earlier line too")
                self._row[row["_id"]] = len(self._start)
                self._start.append(start)
                if row.get("title"):
                    check_title(row["title"], row["_id"], path)
                    titled.append(row["_id"])
            digest.update(line)
            start += len(line)
        self.fingerprint = digest.hexdigest()
        self.titles = _Titles(self, titled)

    def __getitem__(self, document):
        return self.line(document)["text"]

    def __iter__(self):
        return iter(self._row)

    def __len__(self):
        return len(self._row)

    def line(self, document):
        """The whole object of a document. KeyError for an id that is not there."""
        row = self._row[document]
        self._file.seek(self._start[row])
        return parse_line(self._path, row + 1, self._file.readline(), FIELDS)


def check_title(title, document, path):
    """The title, or ValueError where it is no text."""
    if not isinstance(title, str):
        raise ValueError(f"{path}: the title of {document!r} is {title!r}, expected a string")
    return title


class _Titles(Mapping):
    def __init__(self, corpus, titled):
        self._corpus, self._titled = corpus, dict.fromkeys(titled)

    def __getitem__(self, document):
        if document not in self._titled:
            raise KeyError(document)
        return self._corpus.line(document)["title"]

    def __iter__(self):
        return iter(self._titled)

    def __len__(self):
        return len(self._titled)
