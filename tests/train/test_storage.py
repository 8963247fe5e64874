import contextlib
import json

import pytest

from egemma_lab.train.storage import new_file, new_folder, remove_unfinished, sha256, write_json, write_text


def test_a_file_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with contextlib.suppress(RuntimeError), new_file(path) as file:
        file.write(b"half of i")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_folder_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "folder"
    with new_folder(path) as folder:
        (folder / "inside").mkdir()
        (folder / "inside" / "a").write_text("old")
    with contextlib.suppress(RuntimeError), new_folder(path) as folder:
        (folder / "b").write_text("new")
        raise RuntimeError
    assert [p.name for p in path.iterdir()] == ["inside"]
    with new_folder(path) as folder:
        assert list(folder.iterdir()) == []  # nothing left of the attempt before
        (folder / "c").write_text("newer")
    assert [p.name for p in path.iterdir()] == ["c"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_what_a_kill_leaves_is_removed(tmp_path):
    write_text(tmp_path / "keep", "x")
    (tmp_path / ".unfinished-a").write_text("")
    (tmp_path / ".unfinished-b").mkdir()
    (tmp_path / ".unfinished-b" / "c").write_text("")
    remove_unfinished(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["keep"]


def test_sha256(tmp_path):
    write_text(tmp_path / "x", "abc")
    assert sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")
