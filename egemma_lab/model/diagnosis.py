"""`doctor`: does a model compute on this machine what it should? Measured, not read from a configuration."""

from pathlib import Path

import torch

from egemma_lab.model.encode import evaluating
from egemma_lab.model.machine_report import machine_rows
from egemma_lab.model.model_checks import CHECKS
from egemma_lab.model.report import Check, Report


def doctor(model=None):
    """Check a model, and the machine it runs on: a Report that prints as a table.

    `model` is an EmbeddingGemma, or a name or folder for `load_model`; without one only versions and devices
    are listed. Each of the model's rows is a measurement that fails when the thing is wrong: attention is
    bidirectional, the window has its width, prompts, both Dense layers and the normalisation are applied,
    padding changes no vector, the dtype can hold the activations. `report.ok` says whether all of them hold,
    `report.failed` which do not; a check that cannot be made at all fails, its error being what was found.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> report = doctor(new_model("micro", train_tokenizer(["a text", "another text"], vocab_size=400)))
    >>> report.ok, report.failed
    (True, [])
    """
    rows = machine_rows()
    if isinstance(model, (str, Path)):
        from egemma_lab.model.folder import load_model

        try:
            model = load_model(model)
        except Exception as error:  # whatever is wrong with the model is what this report is for
            return Report([*rows, _broken("opens", error, "a model that load_model opens")])
    if model is not None:
        with torch.inference_mode(), evaluating(model):
            rows += [_measure(name, check, model) for name, check in CHECKS.items()]
    return Report(rows)


def _measure(name, check, model):
    try:
        ok, found, expected = check(model)
    except Exception as error:
        return _broken(name, error, "a check that runs")
    return Check(name, bool(ok), found, expected)


def _broken(name, error, expected):
    first = next(iter(str(error).splitlines()), "")
    return Check(name, False, f"{type(error).__name__}: {first}", expected)
