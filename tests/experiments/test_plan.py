"""Experiments as files: what they may say, and that arms differ in their factor alone."""

import dataclasses

import pytest
import yaml

from egemma_lab.experiments import Experiment, experiment_names, find_experiment
from egemma_lab.experiments.plan import fingerprint

CONFIG = {
    "name": "tiny",
    "question": "?",
    "factor": "temperature",
    "baseline": "cold",
    "preset": "micro",
    "data": {"pairs": {"file": "pairs.jsonl", "hold_out": 10}},
    "texts": ["pairs"],
    "development": {"sets": ["pairs"], "queries": 10},
    "stages": {"train": {"sources": ["pairs"], "recipe": {"batch_size": 6, "weights": {"matching": 0}}}},
    "scales": {"micro": {"stages": {"train": {"recipe": {"steps": 2}}}}},
    "arms": {"cold": None, "warm": {"stages": {"train": {"recipe": {"temperature": 0.5}}}}},
}


def write(folder, **changes):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **changes}))
    return path


def differences(one, other, path=()):
    """Paths of the leaves in which two plain values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from differences(one.get(key), other.get(key), (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, pair in enumerate(zip(one, other)):
            yield from differences(*pair, (*path, i))
    elif one != other:
        yield path


def leaves(changes, path=()):
    for key, value in (changes or {}).items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def test_a_config_is_its_base_and_its_own_lines(tmp_path):
    (tmp_path / "base.yaml").write_text(
        yaml.safe_dump({k: CONFIG[k] for k in ("data", "texts", "stages", "scales")})
    )
    inside = tmp_path / "tiny"
    inside.mkdir()
    own = {k: v for k, v in CONFIG.items() if k not in ("data", "texts", "stages", "scales")}
    path = inside / "config.yaml"
    path.write_text(yaml.safe_dump({"base": "../base.yaml", **own}))
    assert Experiment.from_yaml(path) == Experiment.from_yaml(write(tmp_path))
    recipe, place = find_experiment(path).recipe("warm", 3, "micro")
    assert (recipe.seed, recipe.preset, place) == (3, "micro", None)
    assert recipe.stages[0]["recipe"] == {
        "batch_size": 6,
        "weights": {"matching": 0},
        "steps": 2,
        "temperature": 0.5,
    }


@pytest.mark.parametrize("name", experiment_names())
def test_shipped_experiments_vary_their_factor_and_nothing_else(name):
    experiment = find_experiment(name)
    assert {"micro", "small", "full"} <= set(experiment.scales)
    for scale in experiment.scales:
        base, _ = experiment.recipe(experiment.baseline, 0, scale)
        for arm in experiment.arms:
            recipe, _ = experiment.recipe(arm, 0, scale)
            sides = [experiment.arms[side] or {} for side in (arm, experiment.baseline)]
            allowed = {"/".join(map(str, path)) for side in sides for path in leaves(side)}
            if any("batch_times" in side for side in sides):
                allowed |= {"stages/train/recipe/batch_size", "stages/train/recipe/steps"}
            for path in differences(dataclasses.asdict(base), dataclasses.asdict(recipe)):
                # a stage is a list's entry in the recipe and a name in the config
                words = [str(part) for part in path]
                if words[0] == "stages" and len(words) > 1:
                    words[1] = base.stages[int(words[1])]["name"]
                joined = "/".join(words)
                assert any(
                    joined == each or joined.startswith(f"{each}/") or each.startswith(joined)
                    for each in allowed
                )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"baseline": "hot"}, "baseline='hot' is none of the arms cold, warm"),
        ({"arms": {"cold": {"preset": "gigantic"}}}, "gigantic"),
        ({"arms": {"cold": {"stages": {"train": {"recipe": {"temprature": 1}}}}}}, "arm 'cold'.*temperature"),
        ({"measure": {"width": ["full"]}}, "measure: no field 'width'"),
        ({"measure": {"precisions": ["int3"]}}, "precisions: 'int3' is not one of"),
        ({"published": [{"of": "x", "over": "cold", "difference": 1}]}, "of='x' is none of the arms"),
        ({"questions": 3}, "questions"),
    ],
)
def test_experiments_that_cannot_be_are_refused_when_read(changes, words, tmp_path):
    with pytest.raises(ValueError, match=f"config.yaml.*{words}"):
        Experiment.from_yaml(write(tmp_path, **changes))


def test_unknown_names_get_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'spread-out'"):
        find_experiment("spreadout")
    experiment = Experiment.from_yaml(write(tmp_path))
    with pytest.raises(ValueError, match="tiny has no arm 'wram'; did you mean 'warm'"):
        experiment.recipe("wram", 0, "micro")


def test_fingerprints_stand_for_values():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1, "b": 3})
