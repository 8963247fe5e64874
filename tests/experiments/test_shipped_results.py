"""The results that come with the lab, and what is written about them."""

from pathlib import Path

import pandas as pd
import pytest

from egemma_lab.experiments import experiment_names, find_experiment, shipped_results, verdicts
from egemma_lab.experiments.page import page, verdict_table
from egemma_lab.experiments.shipped import experiments_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", experiment_names())
def test_results_hold_three_seeds_of_every_arm_and_are_what_the_page_says(name):
    results = shipped_results(name)
    assert list(results["arms"]) == list(find_experiment(name).arms)
    for arm in results["arms"].values():
        assert set(arm["runs"]) >= {"0", "1", "2"}
    assert (experiments_folder() / name / "README.md").read_text(encoding="utf-8") == page(results)


def test_the_table_of_verdicts_is_made_from_the_results():
    table = verdict_table([shipped_results(name) for name in experiment_names()])
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == table


def test_the_readme_counts_the_verdicts_as_they_are():
    published = [results for results in map(shipped_results, experiment_names()) if results["published"]]
    found = pd.concat(verdicts(results) for results in published)["verdict"].value_counts()
    said = (
        f"Of {found.sum()} differences whose sign was published, {found['same sign']} show the same sign here, "
        f"{found['the other sign']} the other one, and in {found['no difference to be seen']} no difference is to "
        "be seen"
    )
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert said in readme
