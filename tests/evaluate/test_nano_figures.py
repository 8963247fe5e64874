"""The README's table of the bundled nano is made from experiments/nano/results.csv, and from nothing else."""

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

import egemma_lab as lab
from egemma_lab.quantize.index import fingerprint

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "nano"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("nano_tables", FOLDER / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_holds_the_table_of_the_figures(tables):
    assert f"<!-- nano:begin -->\n{tables.section()}\n<!-- nano:end -->" in tables.README.read_text("utf-8")


def test_shares_by_hand(tables):
    rows = [("nano", 256, 0.4), ("nano", 64, 0.3), (tables.TEACHER, 384, 0.5), (tables.TEACHER, 64, 0.4)]
    found = pd.DataFrame(
        [(model, task, width, value) for task in tables.COMPARED for model, width, value in rows],
        columns=["model", "task", "width", "value"],
    )
    assert tables.shares(found) == pytest.approx((0.8, 0.75, 0.8))


def test_the_figures_are_those_of_the_bundled_weights():
    """Stored as float16, the weights have another fingerprint than those measured; the card says what was shipped."""
    notes = json.loads((FOLDER / "results.json").read_text("utf-8"))
    assert notes["shipped"] == fingerprint(lab.load_model("nano"))
