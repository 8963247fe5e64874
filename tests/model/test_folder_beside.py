"""What is written beside its place: gone afterwards, and what killed processes left goes with the next, no more."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from egemma_lab.model import load_model, saving
from egemma_lab.model.folder_beside import folder_beside, left_beside

KILLED = """
import os, sys
from pathlib import Path
from egemma_lab.model.folder_beside import folder_beside
with folder_beside(Path(sys.argv[1])) as beside:
    (beside / "half").write_text("h")
    print(beside, flush=True)
    if sys.argv[2] == "wait":
        sys.stdin.read()
    os.kill(os.getpid(), 9)
"""


def killed(path):
    """The folder that a killed process leaves beside `path`."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), "now"], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    return done.stdout.strip()


@pytest.fixture
def pid_of_nobody():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_it_is_gone_however_the_block_ends(tmp_path):
    with folder_beside(tmp_path / "new" / "a"):
        pass
    with contextlib.suppress(KeyError), folder_beside(tmp_path / "new" / "a") as beside:
        (beside / "half").touch()
        raise KeyError
    assert list((tmp_path / "new").iterdir()) == []


def test_leftovers_of_the_dead_go_and_nothing_else(tmp_path):
    target = tmp_path / "model.gguf"
    left = killed(target)
    assert os.path.exists(f"{left}/half")
    others = [killed(tmp_path / name) for name in ("model", "model.gguf-x", "model2gguf")]  # of other targets
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(target), "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        living = process.stdout.readline().strip()
        with folder_beside(target):
            pass
        assert not os.path.exists(left)
        assert os.path.exists(f"{living}/half")
        process.kill()
    assert all(map(os.path.exists, others))
    assert [str(path) for path in left_beside(target)] == [living]


def test_only_folders_with_exactly_such_a_name(tmp_path, pid_of_nobody):
    name = os.path.basename(killed(tmp_path / "m")).rsplit("-", 2)[0]  # .m-machine
    shutil.rmtree(next(tmp_path.glob(".m-*")))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"{name}-{pid_of_nobody}-link").symlink_to(elsewhere, target_is_directory=True)
    (tmp_path / f"{name}-{pid_of_nobody}-file").touch()
    kept = [
        f".m-othermachine-{pid_of_nobody}-abc",
        f"{name}-{os.getpid()}-abc",
        f"{name}-x-abc",
        ".m-abc",
        "m-1-a",
    ]
    kept += [f"{name}-{pid_of_nobody}-abc-1-x", f"{name}-99999999999999-abc"]
    for each in kept:
        (tmp_path / each).mkdir()
    gone = tmp_path / f"{name}-{pid_of_nobody}-abc"
    gone.mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    with folder_beside(tmp_path / "m"):
        pass
    assert sorted([*(path.name for path in tmp_path.iterdir()), gone.name]) == before
    assert elsewhere.is_dir()


def test_a_model_that_was_killed_between_old_and_new_comes_back(make_micro, copy):
    """Its README, written by people, above all."""
    (copy / "README.md").write_text("by hand")
    left = Path(killed(copy))
    os.rename(copy, left / "old")  # the first of the two steps; the second was not reached
    make_micro(seed=5).save_pretrained(copy)
    assert (copy / "README.md").read_text() == "by hand"
    assert load_model(copy).encode(["a"]).tolist() == make_micro(seed=5).encode(["a"]).tolist()
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_an_old_model_comes_back_even_if_the_new_one_fails(make_micro, copy, monkeypatch):
    os.rename(copy, Path(killed(copy)) / "old")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(saving, "_write_weights", full)
    with pytest.raises(OSError, match="No space left"):
        make_micro(seed=5).save_pretrained(copy)
    assert load_model(copy).encode(["a"]).shape == (1, 64)
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]
