"""A recipe of anything: accepted, or refused by the field's name, never with a traceback from elsewhere."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egemma_lab.train import LanguageRecipe, Recipe

ODD = [
    None,
    True,
    -1,
    0,
    0.5,
    1e308,
    10**30,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\0",
    b"x",
    [],
    [[]],
    [None],
    [-1],
]
ODD += [
    {},
    {"a": 1},
    {"matching": "x"},
    {"contrastive": None},
    {1: 1},
    ("query", "query"),
    object(),
    Recipe,
    lambda: 0,
]


@pytest.mark.parametrize("cls", [Recipe, LanguageRecipe])
def test_any_value_for_any_field_is_taken_or_refused_by_name(cls):
    for field in dataclasses.fields(cls):
        for odd in ODD:
            try:
                recipe = cls(**{field.name: odd})
            except ValueError as refusal:
                assert field.name in str(refusal), (field.name, odd, refusal)  # noqa: PT017 - most are refused
            else:
                assert recipe.replace() == recipe


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=9), inside, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60) | st.dictionaries(st.text(max_size=9), ANYTHING, max_size=3).map(str))
def test_any_text_for_a_yaml_file_gives_a_recipe_or_names_the_file(text, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        Recipe.from_yaml(path)
    except ValueError as refusal:
        assert "recipe.yaml" in str(refusal)  # noqa: PT017 - most are refused


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "steps: " + "9" * 100_000,
        "steps: 2024-13-45",
        "!!python/object/apply:os.system ['true']",
        "a: &a [*a]",
        "? {steps: 1}\n: 2",
        "? [1, 2]\n: 2",
        "steps: 1\nsteps: 2",
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nsteps: *c",
    ],
)
def test_hostile_yaml_is_refused_by_the_files_name(tmp_path, text):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"recipe\.yaml"):
        Recipe.from_yaml(tmp_path / "recipe.yaml")
