"""pyproject.toml (ranges), constraints.txt (exact versions) and environment.yml (conda) say the same."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from bounds import oldest
from constraints import direct_dependencies, environment_text, read_pins

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def constraints():
    return (ROOT / "constraints.txt").read_text("utf-8")


@pytest.fixture(scope="module")
def conda():
    return yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))


def exact_version(line):
    """The version of a line `name==version`, or None where the line pins nothing, or not exactly."""
    clauses = list(Requirement(line).specifier)
    exact = len(clauses) == 1 and clauses[0].operator == "==" and "*" not in clauses[0].version
    return clauses[0].version if exact else None


def pinning_problems(direct, pins):
    """Direct dependencies that `pins` lacks, pins outside their range, and lines that are no exact pins."""
    found = [f"{line!r} is not name==version" for line in pins.values() if exact_version(line) is None]
    for name, requirement in direct.items():
        if name not in pins:
            found.append(f"{name} is not in constraints.txt")
        elif (version := exact_version(pins[name])) and version not in requirement.specifier:
            found.append(f"{pins[name]} is outside {requirement}")
    return found


def test_every_direct_dependency_is_pinned_within_its_range(pyproject, constraints):
    assert pinning_problems(direct_dependencies(pyproject), read_pins(constraints)) == []


@pytest.mark.parametrize(
    ("pins", "words"),
    [
        ("", "numpy is not in constraints.txt"),
        ("numpy==1.26.4", "outside numpy>=2.0"),
        ("numpy>=2.1", "is not name==version"),
        ("numpy==2.*", "is not name==version"),
    ],
)
def test_a_wrong_pin_is_found(pins, words):
    found = pinning_problems({"numpy": Requirement("numpy>=2.0")}, read_pins(pins))
    assert any(words in line for line in found)


def test_every_pin_installs_on_the_first_release_of_each_python(constraints):
    """Debian 12 ships 3.11.2; a pin that wants 3.11.5 would leave its users without an installation."""
    pins = read_pins(constraints)
    installed = {
        f"{canonicalize_name(d.name)}=={d.version.partition('+')[0]}": d for d in metadata.distributions()
    }
    here = [installed.get(f"{name}=={exact_version(line)}") for name, line in pins.items()]
    here = [each for each in here if each is not None]
    assert len(here) > 0.9 * len(pins)  # a few belong to other systems, or to Colab's older widgets
    wanted = {each.name: SpecifierSet(each.metadata["Requires-Python"] or "") for each in here}
    assert {n: str(w) for n, w in wanted.items() if any(f"{p}.0" not in w for p in PYTHONS)} == {}


def test_the_oldest_versions_are_those_the_ranges_begin_with(pyproject):
    direct, pins = direct_dependencies(pyproject), read_pins("\n".join(oldest(pyproject)))
    core = {canonicalize_name(Requirement(line).name) for line in pyproject["project"]["dependencies"]}
    assert core <= set(pins)
    for name in core - {"torch"}:
        assert f">={exact_version(pins[name])}" in str(direct[name].specifier)
    assert pins["torch"] == "torch==2.13.0"


def test_constraints_name_each_package_once(constraints):
    lines = [line for line in constraints.splitlines() if line and not line.startswith("#")]
    assert len(read_pins(constraints)) == len(lines)


def test_constraints_hold_for_every_build_of_torch(constraints):
    pins = read_pins(constraints)
    assert pins["torch"] == "torch==2.13.0"
    assert not [line for line in pins.values() if "+" in line]  # "+cpu" would refuse the CUDA build


def test_environment_yml_is_what_the_other_two_say(pyproject, constraints):
    text = (ROOT / "environment.yml").read_text("utf-8")
    assert text == environment_text(pyproject, read_pins(constraints)), "run `make constraints`"


def test_environment_yml_read_as_conda_reads_it(pyproject, constraints, conda):
    pip = next(each["pip"] for each in conda["dependencies"] if isinstance(each, dict))
    assert pip[0] == "-c constraints.txt"
    assert pip[-1] == "-e .[all]"
    named = {canonicalize_name(Requirement(line).name): exact_version(line) for line in pip[1:-1]}
    pins = read_pins(constraints)
    assert named == {name: exact_version(pins[name]) for name in direct_dependencies(pyproject)}


def test_all_extra_holds_every_other_extra(pyproject):
    extras = pyproject["project"]["optional-dependencies"]
    (everything,) = (Requirement(line) for line in extras["all"])
    (plots,) = (each for each in map(Requirement, extras["lab"]) if each.name == "egemma-lab")
    assert everything.extras | plots.extras == set(extras) - {"all"}


def test_python_versions_agree_everywhere(pyproject, conda):
    allowed = SpecifierSet(pyproject["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(9, 20) if f"3.{minor}" in allowed] == list(PYTHONS)
    python = next(each for each in conda["dependencies"] if str(each).startswith("python="))
    assert python == f"python={PYTHONS[0]}"
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert set(matrix) <= set(PYTHONS)
    assert {PYTHONS[0], PYTHONS[-1]} <= set(matrix)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"for p in (.*?) python3 ", makefile)[1].split() == [f"python{each}" for each in PYTHONS]
    assert pyproject["tool"]["ruff"]["target-version"] == "py" + PYTHONS[0].replace(".", "")


def test_ci_does_nothing_of_its_own():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    commands = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert commands == [".ci/run"]
    assert "make test" in (ROOT / ".ci/run").read_text("utf-8")


def test_contributing_says_why_each_dependency_is_there(pyproject):
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = {canonicalize_name(name) for name in re.findall(r"^\| `([\w.-]+)` \|", text, re.MULTILINE)}
    assert rows == set(direct_dependencies(pyproject))
