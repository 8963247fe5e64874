"""A run's folder: what is where, and that one process at a time writes to it.

recipe.yaml                    the recipe
run.json                       versions, machine, seed, fingerprints of data, teacher and model; written last
                               in the set-up, so its presence says that the set-up is complete
status.json                    running | interrupted | failed | finished, and the step it was written at
history.jsonl                  one line a step
start/                         the model before the first step, in sentence-transformers layout
checkpoints/step-000200/       see checkpoint.py
snapshots/                     probe.jsonl and one step-000200.npy a snapshot
teacher_rotation.safetensors   where the recipe asks for one
failed_batch.json              where a NaN stopped the run
final/                         the trained model, in sentence-transformers layout
"""

import contextlib
import json
import shutil
from pathlib import Path

from egemma_lab.train.storage import remove_unfinished, write_json

_OWN = {
    "recipe.yaml", "run.json", "status.json", "history.jsonl", "start", "checkpoints", "snapshots",
    "teacher_rotation.safetensors", "failed_batch.json", "final",
}  # fmt: skip


class RunFolder:
    """Paths inside a run's folder, and the few things that are asked of it."""

    def __init__(self, path):
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.info = self.path / "run.json"
        self.status = self.path / "status.json"
        self.history = self.path / "history.jsonl"
        self.start = self.path / "start"
        self.checkpoints = self.path / "checkpoints"
        self.snapshots = self.path / "snapshots"
        self.rotation = self.path / "teacher_rotation.safetensors"
        self.failed_batch = self.path / "failed_batch.json"
        self.final = self.path / "final"

    @property
    def holds_a_run(self):
        """Whether a run's set-up was completed here."""
        return self.info.is_file()

    def refuse_foreign_files(self):
        """Refuse a folder with other people's files in it: a run would be lost among them."""
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"output={str(self.path)!r} is a file; give a folder, new or of an earlier run")
        if self.holds_a_run or not self.path.is_dir():
            return
        found = [path.name for path in self.path.iterdir() if not path.name.startswith(".")]
        foreign = sorted(name for name in found if name not in _OWN)
        if foreign:
            raise ValueError(
                f"output={str(self.path)!r} holds no run but other files ({', '.join(foreign[:3])}"
                f"{', ...' if len(foreign) > 3 else ''}); give a new folder, or that of an earlier run"
            )

    def move_aside(self):
        """Rename an earlier run's folder to `<name>.previous`, replacing the one that was there before."""
        previous = self.path.with_name(self.path.name + ".previous")
        if previous.exists():
            shutil.rmtree(previous)
        self.path.rename(previous)

    def clean(self):
        """Delete what a killed process left half written, and all of a run whose set-up was not completed."""
        if not self.holds_a_run:
            for folder in (self.checkpoints, self.snapshots):
                if folder.exists():
                    shutil.rmtree(folder)
            self.history.unlink(missing_ok=True)
        for folder in (self.path, self.checkpoints, self.snapshots):
            remove_unfinished(folder)
        for pattern in (".start-*", ".final-*"):  # save_pretrained's
            for left in self.path.glob(pattern):
                shutil.rmtree(left)

    def read_info(self):
        return json.loads(self.info.read_text(encoding="utf-8"))

    def read_status(self):
        """(status, step it was written at)."""
        status = json.loads(self.status.read_text(encoding="utf-8"))
        return status["status"], status["step"]

    def write_status(self, status, step):
        write_json(self.status, {"status": status, "step": step})

    @contextlib.contextmanager
    def lock(self):
        """Hold the folder for this process; another one is refused and told who holds it.

        The operating system holds the lock, so it is gone when its process is, however that ended: no stale
        locks.
        """
        import os

        from filelock import FileLock, Timeout

        self.path.mkdir(parents=True, exist_ok=True)
        writer = self.path / ".writer"
        try:
            lock = FileLock(self.path / ".lock", timeout=0)
            lock.acquire()
        except Timeout:
            pid = writer.read_text() if writer.exists() else "unknown"
            raise RuntimeError(
                f"{self.path} is being written to by process {pid}; wait for it, stop it, or give another "
                "output"
            ) from None
        try:
            writer.write_text(str(os.getpid()))
            yield
        finally:
            lock.release()
