"""The experiments that come with the lab: their configurations and results."""

import json
from pathlib import Path

from egemma_lab.experiments.plan import Experiment
from egemma_lab.train.checks import did_you_mean


def experiments_folder():
    """The folder `experiments/` of the checkout, or its copy inside an installed package."""
    package = Path(__file__).parent.parent
    checkout = package.parent / "experiments"
    return checkout if (checkout / "base.yaml").is_file() else package / "assets" / "experiments"


def experiment_names():
    """Names of the shipped experiments.

    >>> "spread-out" in experiment_names()
    True
    """
    return sorted(path.parent.name for path in experiments_folder().glob("*/config.yaml"))


def find_experiment(name):
    """An `Experiment` by its name, or by the path of its config.yaml or of the folder that holds it.

    >>> find_experiment("spread-out").baseline
    'with'
    """
    for path in (Path(name), Path(name) / "config.yaml", experiments_folder() / str(name) / "config.yaml"):
        if path.is_file():
            return Experiment.from_yaml(path)
    raise ValueError(
        f"there is no experiment {str(name)!r}; {did_you_mean(str(name), experiment_names())} Or give the path of a "
        "config.yaml"
    )


def shipped_results(name):
    """The results that come with the lab for one experiment, as `run_experiment` returned them.

    FileNotFoundError where none come with it.
    """
    path = experiments_folder() / name / "results.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"no results of {name!r} come with this version; make them: egemma-lab experiment {name}"
        )
    return json.loads(path.read_text(encoding="utf-8"))
