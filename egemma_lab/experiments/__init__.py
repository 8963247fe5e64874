"""The paper's ablations as experiments that anyone can repeat: one factor, all else equal, several seeds.

An experiment is a folder `experiments/<name>` with a config.yaml. `run_experiment` trains its arms and measures them,
`comparisons` says which differ and how sure that is; both are what `egemma-lab experiment NAME` does.
"""

import importlib

# public name -> module that defines it
_PUBLIC = {
    "Experiment": "plan",
    "comparisons": "results",
    "experiment_names": "shipped",
    "find_experiment": "shipped",
    "paired": "statistics",
    "run_experiment": "runner",
    "scores": "results",
    "shipped_results": "shipped",
    "verdicts": "results",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(
            f"module 'egemma_lab.experiments' has no attribute {name!r}; it offers {', '.join(__all__)}"
        )
    value = getattr(importlib.import_module(f"egemma_lab.experiments.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
