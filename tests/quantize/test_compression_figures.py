"""The figures of experiments/compression, and the tables of the README and the nano's card that are made from them."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "compression"


def script(name):
    spec = importlib.util.spec_from_file_location(f"compression_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables():
    return script("tables")


def test_readme_and_card_hold_the_tables_of_the_figures(tables):
    readme, card = tables.README.read_text("utf-8"), tables.CARD.read_text("utf-8")
    assert tables.between_marks(readme, "vectors", tables.vectors_table()) == readme
    assert tables.between_marks(readme, "weights", tables.weights_table()) == readme
    assert tables.with_section(card, tables.card_section()) == card


def test_a_section_comes_once_and_gives_way_to_its_successor(tables):
    card = "# m\n\n## Figures\n\na\n\n## How it was made\n\nb\n\n## Limits\n\nc\n"
    first = tables.with_section(card, "## Smaller\n\none\n\n")
    assert first == card.replace("## How", "## Smaller\n\none\n\n## How")
    assert tables.with_section(first, "## Smaller\n\ntwo\n\n") == first.replace("one", "two")
    with pytest.raises(ValueError, match="no section 'How it was made'"):
        tables.with_section("# m\n", "## Smaller\n")
    with pytest.raises(ValueError, match="<!-- weights:begin --> and <!-- weights:end --> once each"):
        tables.between_marks("nothing", "weights", "table")


def test_the_shipped_figures_are_means_of_the_seeds(tables):
    weights = script("weights")
    by_seed = pd.read_csv(FOLDER / "weights_by_seed.csv")
    shipped = pd.read_csv(FOLDER / "weights.csv")
    pd.testing.assert_frame_equal(weights.over_seeds(by_seed), shipped)
    assert set(shipped[shipped["way"] == "rounded"]["seeds"]) == {1}
    assert shipped[shipped["way"] == "trained"]["seeds"].min() >= 3
    assert set(shipped["task"]) == {*weights.TASKS, "mean"}


def test_means_and_extremes_over_seeds():
    weights = script("weights")
    row = {
        "format": "ternary",
        "way": "trained",
        "bytes": 10,
        "task": "mean",
        "metric": "m",
        "n": 5,
        "float32": 1.0,
    }
    by_seed = pd.DataFrame(
        {
            **row,
            "seed": seed,
            "value": share,
            "share": share,
            "share_low": share - 0.1,
            "share_high": share + 0.1,
        }
        for seed, share in enumerate((0.5, 0.9, 0.7))
    )
    (found,) = weights.over_seeds(by_seed).to_dict("records")
    assert found["seeds"] == 3
    assert [
        found[name] for name in ("share", "share_low", "share_high", "lowest", "highest")
    ] == pytest.approx([0.7, 0.6, 0.8, 0.5, 0.9])
