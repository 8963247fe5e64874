"""Files of evaluation tasks that are broken or odd: named with their line, or read right; never a score of nonsense."""

import pytest

from egemma_lab.evaluate.retrieval_data import read_folder
from egemma_lab.evaluate.text_data import is_pair_folder, read_labelled, read_pairs

GOOD = b'{"sentence1": "a", "sentence2": "b", "score": 1}\n'
SCORE = '{{"sentence1": "a", "sentence2": "b", "score": {}}}'


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("test.jsonl", b'{"sentence1": "\xe9", "sentence2": "b", "score": 2}', r"test\.jsonl:2: not UTF-8"),
        ("test.jsonl", b"[" * 100_000, r"test\.jsonl:2: not JSON"),
        ("test.jsonl", b"\0\0", r"test\.jsonl:2: not JSON"),
        ("test.jsonl", SCORE.format("9" * 5000), r"test\.jsonl:2: not JSON"),
        *(
            ("test.jsonl", SCORE.format(score), r"test\.jsonl:2: expected .* score \(number\)")
            for score in ("NaN", "-Infinity", "1e999", "9" * 400, '"3"', "true", "null", "[]")
        ),
        ("corpus.jsonl", '{"_id": "1", "text": "again"}', r"corpus\.jsonl.* '1'"),
        ("corpus.jsonl", '{"_id": "2", "text": "b", "title": 7}', r"corpus\.jsonl.*title of '2' is 7"),
        ("corpus.jsonl", '{"_id": 2, "text": "b"}', r"corpus\.jsonl:2: expected"),
        ("corpus.jsonl", b'{"_id": "2", "text": "\xff"}', r"corpus\.jsonl:2: not"),
        ("queries.jsonl", '{"_id": "q", "text": "again"}', r"queries\.jsonl has the _id 'q' twice"),
        ("qrels.tsv", b"q\t\xe9\t1", r"qrels\.tsv:2: not UTF-8"),
        *(
            ("qrels.tsv", f"q\t1\t{n}", r"qrels\.tsv:2: expected")
            for n in ("9" * 5000, "²", "1.5", "", "--1")
        ),
        ("qrels.tsv", "q\t1", r"qrels\.tsv:2: expected"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, file, line, words, in_memory):
    (tmp_path / "test.jsonl").write_bytes(GOOD)
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "text": "a"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "a"}\n')
    (tmp_path / "qrels.tsv").write_text("q\t1\t1\n")
    with open(tmp_path / file, "ab") as appended:
        appended.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    with pytest.raises(ValueError, match=words) as refusal:
        read_pairs(tmp_path) if file == "test.jsonl" else read_folder(tmp_path, in_memory)
    assert len(str(refusal.value)) < 1000


def test_marks_of_windows_are_no_part_of_a_text(tmp_path):
    mark = "\ufeff"
    (tmp_path / "test.jsonl").write_text(mark + SCORE.format(2) + "\r\n" + SCORE.format(1), encoding="utf-8")
    assert read_pairs(tmp_path).scores == [2, 1]
    (tmp_path / "corpus.jsonl").write_text(mark + '{"_id": "1", "text": "a"}\r\n', encoding="utf-8")
    (tmp_path / "queries.jsonl").write_text(mark + '{"_id": "q", "text": "a"}\r\n', encoding="utf-8")
    (tmp_path / "qrels.tsv").write_text(mark + "q\t1\t1\r\n", encoding="utf-8")
    assert read_folder(tmp_path).qrels == {"q": {"1": 1}}


def test_what_is_no_task_is_taken_for_none(tmp_path):
    for content in (b"[" * 100_000, b"\xff", b"", b"null"):
        (tmp_path / "test.jsonl").write_bytes(content)
        assert not is_pair_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"train\.jsonl"):
        read_labelled(tmp_path)
