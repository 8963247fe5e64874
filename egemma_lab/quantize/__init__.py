"""Smaller vectors and smaller weights: what rounding saves, what it costs, and files that other programs run.

Each name is imported when it is first used.

>>> from egemma_lab import quantize
>>> "quantize_vectors" in quantize.__all__
True
"""

import importlib

# public name -> module that defines it
_PUBLIC = {
    # weights
    "FORMATS": "formats",
    "fake_quantize": "weights",
    "pack": "formats",
    "save_packed": "packing",
    "unpack": "formats",
    # files for other programs
    "Export": "exporting",
    "export": "exporting",
    # vectors
    "Index": "index",
    "bytes_per_vector": "vectors",
    "calibrate": "vectors",
    "dequantize_vectors": "vectors",
    "quantize_vectors": "vectors",
    "recall_against_exact": "searching",
    "search": "searching",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(
            f"module 'egemma_lab.quantize' has no attribute {name!r}; it offers {', '.join(__all__)}"
        )
    value = getattr(importlib.import_module(f"egemma_lab.quantize.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
