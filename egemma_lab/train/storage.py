"""Files that are either whole or not there: what a run writes survives being killed in the middle of it."""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path

from egemma_lab.model.full_disk import naming_a_full_disk

_UNFINISHED = ".unfinished-"  # prefix of what is being written; a killed process leaves it behind


@contextlib.contextmanager
def new_file(path):
    """A binary file to fill, which becomes `path` in one step when the block ends without an error.

    Any reader sees the old content or the new, never a part.
    """
    path = Path(path)
    temporary = path.with_name(f"{_UNFINISHED}{path.name}")
    with naming_a_full_disk(path), open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def write_text(path, text):
    """Write `text` to `path`, whole or not at all."""
    with new_file(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path, value):
    """Write `value` as JSON, whole or not at all; NaN is no JSON and refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def new_folder(path):
    """A temporary folder to fill, which becomes `path` in one step when the block ends without an error.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "checkpoint"
    >>> with new_folder(target) as folder:
    ...     _ = (folder / "weights").write_text("1")
    ...     target.exists()
    False
    >>> (target / "weights").read_text()
    '1'
    """
    path = Path(path)
    temporary = path.with_name(f"{_UNFINISHED}{path.name}")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(parents=True)
    with naming_a_full_disk(path):
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                sync_file(file)
            else:
                _sync_folder(file)
        _sync_folder(temporary)
    if path.exists():
        replaced = path.with_name(f"{_UNFINISHED}replaced-{path.name}")
        if replaced.exists():
            shutil.rmtree(replaced)
        os.rename(path, replaced)
        os.rename(temporary, path)
        shutil.rmtree(replaced)
    else:
        os.rename(temporary, path)
    _sync_folder(path.parent)


def remove_unfinished(folder):
    """Delete what a killed process left half written directly inside `folder`."""
    for path in Path(folder).glob(f"{_UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def sha256(path):
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path):
    """Wait until a file's content is on the disk itself, so that it survives the machine stopping."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(path):
    if os.name == "nt":  # Windows opens no folders; its rename is durable enough without
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
