"""The few switches that come from outside: fast mode, and where caches and data live."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def fast_mode():
    """True where `EGEMMA_FAST` is set (CI, nbmake): everything runs, only smaller.

    This is the one place that reads the variable; ask for sizes through `sized`.
    """
    return os.environ.get("EGEMMA_FAST", "") not in ("", "0")


def sized(full, fast):
    """`full` in ordinary use, `fast` in fast mode: the size of one run, never whether it happens.

    >>> sized(400, 8) in (400, 8)
    True
    """
    return fast if fast_mode() else full


def cache_dir(*parts):
    """Folder for caches (`EGEMMA_CACHE`, or the user's cache folder), created when it is missing."""
    root = os.environ.get("EGEMMA_CACHE")
    folder = Path(root) if root else user_cache_path("egemma_lab")
    folder = folder.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def data_dir():
    """Folder with evaluation and training sets as plain files (`EGEMMA_DATA`), or None."""
    root = os.environ.get("EGEMMA_DATA")
    return Path(root) if root else None
