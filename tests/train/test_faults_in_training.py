"""What may happen to a training: SIGTERM, a full disk, a clock that is set. It goes on as if nothing had happened."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import At, assert_same, run_it

from egemma_lab.train import checkpoint, load_run, storage
from egemma_lab.train.interrupt import InterruptFlag


@pytest.fixture
def pairs(tiny_pairs):
    return tiny_pairs[:64]


@pytest.fixture
def whole(make_micro, pairs, tmp_path):
    return run_it(make_micro(), pairs, tmp_path / "whole")


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_sigterm_saves_first_and_then_is_obeyed(make_micro, pairs, tmp_path, whole, monkeypatch):
    obeyed = []
    before = signal.signal(signal.SIGTERM, lambda *_: obeyed.append(load_run(tmp_path / "part").status))
    try:
        run = run_it(
            make_micro(),
            pairs,
            tmp_path / "part",
            callbacks=[At(3, lambda _: os.kill(os.getpid(), signal.SIGTERM))],
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (run.status, run.step) == ("interrupted", 3)
    assert obeyed == ["interrupted"]  # once, and when all was on disk
    assert_same(whole, run_it(make_micro(), pairs, tmp_path / "part"))


def test_sigterm_ends_a_process_that_has_no_other_plans():
    script = (
        "import os, signal\n"
        "from egemma_lab.train.interrupt import InterruptFlag\n"
        "with InterruptFlag() as flag:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('saved', flag.pressed, flush=True)\n"
        "flag.pass_on()\n"
        "print('not reached')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "saved True\n")


def test_without_a_signal_nothing_is_passed_on():
    handler = signal.getsignal(signal.SIGTERM)
    with InterruptFlag() as flag:
        assert signal.getsignal(signal.SIGTERM) is not handler
    assert signal.getsignal(signal.SIGTERM) is handler
    flag.pass_on()


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors"])
def test_a_disk_that_is_full_in_the_middle_of_a_checkpoint(
    make_micro, pairs, tmp_path, whole, monkeypatch, file
):
    write = checkpoint.save_file

    def write_or_not(tensors, path):
        if "step-000004" in str(path) and Path(path).name == file:
            Path(path).write_bytes(b"half of it")
            full()
        write(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", write_or_not)
    with pytest.raises(OSError, match="No space left"):
        run_it(make_micro(), pairs, tmp_path / "part")
    assert load_run(tmp_path / "part").status == "failed"
    assert [path.name for path in (tmp_path / "part" / "checkpoints").glob("step-*")] == ["step-000002"]
    monkeypatch.undo()
    assert_same(whole, run_it(make_micro(), pairs, tmp_path / "part"))
    assert not [path for path in (tmp_path / "part").rglob("*") if "unfinished" in path.name]


def test_a_disk_that_is_full_when_the_final_model_is_written(make_micro, pairs, tmp_path, whole, monkeypatch):
    from egemma_lab.model import saving

    monkeypatch.setattr(saving, "_write_weights", full)
    # the start was written by an earlier call, as by a run whose disk fills up later
    with pytest.raises(OSError, match="No space left"):
        run_it(make_micro(), pairs, tmp_path / "part")
    monkeypatch.undo()
    assert_same(whole, run_it(make_micro(), pairs, tmp_path / "part"))
    assert not [
        path for path in (tmp_path / "part").iterdir() if path.name.startswith((".final-", ".start-"))
    ]


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    storage.write_text(tmp_path / "notes", "old")
    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.write_text(tmp_path / "notes", "new")
    assert (tmp_path / "notes").read_text() == "old"


def test_a_clock_that_jumps_changes_nothing(make_micro, pairs, tmp_path, whole, fake_teacher, monkeypatch):
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 2e9 * (next(jumps) % 2))  # between 1970 and 2033
    run = run_it(make_micro(), pairs, tmp_path / "part")
    assert_same(whole, run)
    assert (run.history["seconds"].diff().dropna() >= 0).all()


def test_a_teachers_cache_whose_clock_went_back_gives_what_it_gave(fake_teacher, tmp_path, monkeypatch):
    from egemma_lab.data import TeacherCache

    first = TeacherCache(fake_teacher, tmp_path).vectors(["a", "b"], "query")
    now = time.time_ns()
    for hours in (-48, 48, -480):
        monkeypatch.setattr(time, "time_ns", lambda hours=hours: now + hours * 3_600_000_000_000)
        with TeacherCache(fake_teacher, tmp_path) as cache:
            assert (cache.vectors(["a", "b", str(hours)], "query")[:2] == first).all()
    assert TeacherCache(fake_teacher, tmp_path).vectors(["a", "b"], "query").tolist() == first.tolist()


def test_a_second_process_on_a_run_is_refused_and_told_who_has_it(make_micro, pairs, tmp_path):
    script = (
        "import sys, time\n"
        "from egemma_lab.train.folder import RunFolder\n"
        f"with RunFolder({str(tmp_path / 'run')!r}).lock():\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RuntimeError, match=f"is being written to by process {other.pid}"):
            run_it(make_micro(), pairs, tmp_path / "run")
        other.kill()  # the lock goes with its process, however that ends
    assert run_it(make_micro(), pairs, tmp_path / "run").status == "finished"
