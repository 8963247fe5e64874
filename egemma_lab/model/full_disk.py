"""A full disk, said in words: which file, how much room there is, and that what was there before is still there."""

import contextlib
import errno
import os
import re
import shutil

_FULL = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
)  # the disk, the user's share of it, the longest file allowed


@contextlib.contextmanager
def naming_a_full_disk(path):
    """Around all that writes `path` in one step: libraries' own errors of a full disk become OSErrors that name it.

    Other errors pass as they are.

    >>> with naming_a_full_disk("model.gguf"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left on device: ... GB are free; not written, what was there stays: 'model.gguf'
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        number = _number(error)
        if number not in _FULL or getattr(error, "filename", None) is not None:
            raise
        free = shutil.disk_usage(_existing(path)).free
        words = f"{os.strerror(number)}: {free / 1e9:.3f} GB are free; not written, what was there stays"
        raise OSError(number, words, str(path)) from error


def _number(error):
    """The system's number of an error: safetensors has it in its words, numpy only says how little was written."""
    if isinstance(error, OSError):
        return errno.ENOSPC if re.fullmatch(r"\d+ requested and \d+ written", str(error)) else error.errno
    found = re.search(r"os error (\d+)", str(error))
    return int(found[1]) if found else None


def _existing(path):
    """The nearest folder above `path` that is there."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path
