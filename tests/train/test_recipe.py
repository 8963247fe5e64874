import dataclasses

import numpy as np
import pytest

from egemma_lab.train import Recipe

EXTREMES = {
    "words": 0.5,
    "steps": 7,
    "stop_after": 5,
    "batch_size": np.int64(16),
    "learning_rate": 2e-5,
    "table_rate": 0,
    "compile": True,
    "warmup": 3,
    "weight_decay": 0,
    "max_grad_norm": 0.5,
    "temperature": 0.02,
    "hardness": 0,
    "hard_negatives": "batch",
    "dims": [64, 16],
    "dim_weights": [1, 0.5],
    "distance": "cosine",
    "match": ["positive", "query"],
    "weights": {"matching": 0},
    "seed": 2**63 - 1,
    "save_every": 1,
    "keep_checkpoints": 1,
    "snapshot_every": 0,
    "evaluate_every": 5,
    "max_tokens": 8,
    "token_budget": 8,
    "gradient_cache": True,
    "gradient_checkpointing": True,
    "precision": "float32",
    "teacher_rotation": "pca",
    "fake_quantize": "int4_block",
    "warm_start": True,
}


def test_defaults_have_a_budget_and_all_weights():
    recipe = Recipe()
    assert (recipe.steps, recipe.minutes) == (1000, None)
    assert recipe.weights == {"contrastive": 1.0, "spread_out": 1.0, "matching": 1.0}


def test_every_field_may_be_set_and_survives_yaml(tmp_path):
    missing = {field.name for field in dataclasses.fields(Recipe)} - set(EXTREMES)
    missing -= {"minutes", "lora", "own_terms"}  # which exclude steps, fake_quantize and words
    assert not missing
    recipe = Recipe(**EXTREMES)
    assert recipe.dims == (64, 16)
    assert type(recipe.batch_size) is int
    recipe.to_yaml(tmp_path / "recipe.yaml")
    assert Recipe.from_yaml(tmp_path / "recipe.yaml") == recipe
    in_time = Recipe(minutes=2)
    in_time.to_yaml(tmp_path / "recipe.yaml")
    assert Recipe.from_yaml(tmp_path / "recipe.yaml") == in_time


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("steps", -3),
        ("steps", True),
        ("steps", 10.0),
        ("steps", "10"),
        ("minutes", 0),
        ("minutes", -1.0),
        ("minutes", float("inf")),
        ("minutes", float("nan")),
        ("minutes", True),
        ("minutes", "2"),
        ("batch_size", 1),
        ("batch_size", 0),
        ("batch_size", None),
        ("batch_size", 8.5),
        ("learning_rate", 0),
        ("learning_rate", -1e-3),
        ("learning_rate", 2),
        ("learning_rate", "1e-3"),
        ("learning_rate", float("nan")),
        ("table_rate", -0.1),
        ("table_rate", 1.1),
        ("table_rate", "0.1"),
        ("table_rate", None),
        ("table_rate", True),
        ("table_rate", float("nan")),
        ("warmup", 1.0),
        ("warmup", -1),
        ("warmup", -0.1),
        ("warmup", True),
        ("warmup", float("nan")),
        ("warmup", None),
        ("weight_decay", -0.01),
        ("weight_decay", False),
        ("max_grad_norm", 0),
        ("max_grad_norm", None),
        ("temperature", 0),
        ("temperature", -0.05),
        ("temperature", "warm"),
        ("hardness", -5),
        ("hardness", float("inf")),
        ("dims", []),
        ("dims", 64),
        ("dims", [64, 64]),
        ("dims", [32, 64]),
        ("dims", [64, 0]),
        ("dims", [64, True]),
        ("dims", ["64"]),
        ("dim_weights", []),
        ("dim_weights", [1, -1]),
        ("dim_weights", 1.0),
        ("distance", "manhattan"),
        ("distance", None),
        ("hard_negatives", "all"),
        ("match", []),
        ("match", "anchor"),
        ("match", ["query", "document"]),
        ("weights", None),
        ("weights", [1, 1, 1]),
        ("weights", {"matching": -1}),
        ("weights", {"matching": True}),
        ("weights", {"matching": None}),
        ("weights", {"contrastive": 0, "spread_out": 0, "matching": 0}),
        ("seed", -1),
        ("seed", 2**63),
        ("seed", 0.0),
        ("seed", None),
        ("save_every", 0),
        ("save_every", None),
        ("keep_checkpoints", 0),
        ("snapshot_every", -1),
        ("evaluate_every", 0),
        ("max_tokens", 7),
        ("token_budget", 0),
        ("gradient_cache", 1),
        ("gradient_cache", "yes"),
        ("gradient_checkpointing", None),
        ("precision", "float64"),
        ("precision", None),
        ("precision", "float16"),
        ("precision", "fp16"),
        ("teacher_rotation", "random"),
        ("teacher_rotation", True),
        ("warm_start", 1),
    ],
)
def test_impossible_values_are_refused_by_name(field, value, tmp_path):
    with pytest.raises(ValueError, match=field) as caught:
        Recipe(**{field: value})
    if not isinstance(value, (dict, list)):
        assert repr(value) in str(caught.value)


def test_float16_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="65,504"):
        Recipe(precision="float16")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stepz": 5}, "no field 'stepz'; did you mean 'steps'"),
        ({"xyzzy": 5}, "no field 'xyzzy'; known are steps, minutes"),
        ({"weights": {"contrastiv": 1}}, "'contrastiv', which is no loss term; did you mean 'contrastive'"),
        ({"steps": 5, "minutes": 5}, "one budget"),
        ({"dims": [64, 32], "dim_weights": [1]}, "dim_weights has 1 entries and dims has 2"),
        ({"max_tokens": 128, "token_budget": 100}, "not fit into a micro-batch"),
    ],
)
def test_fields_that_do_not_fit_together(fields, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        Recipe(**fields)


def test_a_recipe_is_keyword_only_and_cannot_be_changed():
    with pytest.raises(TypeError):
        Recipe(100)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().steps = 5


def test_replace_changes_the_budget():
    assert Recipe(steps=100).replace(minutes=2.0).steps is None
    assert Recipe(minutes=2.0).replace(steps=100).minutes is None
    assert Recipe(steps=100).replace(seed=3) == Recipe(steps=100, seed=3)
    with pytest.raises(ValueError, match="did you mean 'seed'"):
        Recipe().replace(sed=3)


def test_differences_leave_out_what_changes_no_result():
    one, other = Recipe(steps=5, save_every=2), Recipe(steps=6, save_every=3, keep_checkpoints=9)
    assert one.differences(other) == {"steps": (5, 6)}


def test_yaml_as_people_write_it(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("learning_rate: 1e-3\nsteps: 20\ndims: [64, 32]\nweights: {matching: 2e0}\n# a comment\n")
    recipe = Recipe.from_yaml(path)
    assert recipe.learning_rate == 1e-3
    assert recipe.weights["matching"] == 2.0
    assert recipe.dims == (64, 32)
    path.write_text("")
    assert Recipe.from_yaml(path) == Recipe()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz: 5", "did you mean 'steps'"),
        ("learning_rate: '1e-3'", "learning_rate='1e-3' is not possible"),
        ("steps: 1e3", "steps=1000.0 is not possible"),
        ("gradient_cache: 1", "true or false"),
        ("steps: 5\nsteps: 6", "given twice"),
        ("- steps", "must hold"),
        ("5: 6", "must hold"),
        ("steps: [", "is not YAML"),
        ("steps: !!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_yaml_that_is_no_recipe_names_the_file(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        Recipe.from_yaml(path)
    assert "mine.yaml" in str(caught.value)


def test_yaml_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Recipe.from_yaml(tmp_path / "none.yaml")
