"""How a notebook begins and ends: what it runs on, and what it cost."""

import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version

from egemma_lab.explore.prose import Prose

NAMED = ("torch", "transformers", "sentence-transformers", "numpy", "plotly", "umap-learn")


def start():
    """Note the time, and say which versions and which hardware this notebook runs on.

    The object that is returned shows the versions; `.report()` at the end tells minutes and memory.

    >>> clock = start()
    >>> clock.versions["python"] == platform.python_version()
    True
    """
    return Clock()


class Clock(Prose):
    """See `start`."""

    def __init__(self):
        import egemma_lab

        self.began = time.monotonic()
        self.versions = {"egemma-lab": egemma_lab.__version__, "python": platform.python_version()}
        self.versions |= {name: _version(name) for name in NAMED}
        self.hardware = _hardware()

    @property
    def blocks(self):
        listed = ", ".join(f"{name} {number or 'not installed'}" for name, number in self.versions.items())
        return [("open", f"{listed}. Running on {self.hardware}.")]

    def report(self):
        """Minutes since the start and the most memory this process has held, as text to show."""
        minutes = (time.monotonic() - self.began) / 60
        return _Report(minutes, peak_memory(), self.hardware)


class _Report(Prose):
    def __init__(self, minutes, gigabytes, hardware):
        self.minutes, self.gigabytes, self.hardware = minutes, gigabytes, hardware

    @property
    def blocks(self):
        memory = "" if self.gigabytes is None else f" and at most {self.gigabytes:.1f} GB of memory"
        return [("open", f"This run took {self.minutes:.1f} minutes{memory} on {self.hardware}.")]


def peak_memory():
    """Most memory this process has held, in GB (10^9 bytes); None on Windows, which does not tell.

    >>> peak_memory() is None or peak_memory() > 0.01
    True
    """
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9  # macOS counts bytes, Linux kibibytes


def _hardware():
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processor = f"{cores} CPU cores"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} and {processor}"
    return processor if not torch.backends.mps.is_available() else f"Apple GPU and {processor}"


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
