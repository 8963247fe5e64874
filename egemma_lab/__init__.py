"""A laboratory for small text-embedding models in the manner of EmbeddingGemma.

Everything a notebook needs hangs off this module; each name is imported when it is first used, so that
`import egemma_lab` itself costs next to nothing.

>>> import egemma_lab as lab
>>> sorted(lab.__all__)[:3]
['EmbeddingGemma', 'Recipe', 'data']
"""

import importlib

__version__ = "0.1.0"

# public name -> module that defines it; None: the name is a subpackage of its own
_PUBLIC = {
    "EmbeddingGemma": "egemma_lab.model",
    "load_model": "egemma_lab.model",
    "new_model": "egemma_lab.model",
    "load_teacher": "egemma_lab.model",
    "doctor": "egemma_lab.model",
    "Recipe": "egemma_lab.train",
    "load_run": "egemma_lab.train",
    "soup": "egemma_lab.train",
    "model": None,
    "losses": None,
    "data": None,
    "geometry": None,
    "explore": None,
    "train": None,  # a package that is also a verb, see _callable.py
    "evaluate": None,
    "experiments": None,
    "quantize": None,
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'egemma_lab' has no attribute {name!r}; it offers {', '.join(__all__)}")
    home = _PUBLIC[name]
    if home is None:
        value = importlib.import_module(f"egemma_lab.{name}")
    else:
        value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
