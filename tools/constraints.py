"""Resolve the dependencies anew and write down what came out: constraints.txt and environment.yml.

    python tools/constraints.py                  # ask pip for today's versions, then write both files
    python tools/constraints.py --environment    # only make environment.yml again from constraints.txt

pip resolves `.[all]` without installing anything. Left out of constraints.txt is what belongs to one platform
and is pinned exactly by torch itself (CUDA, triton), and the tools that build rather than run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from notebook_header import ROOT

PLATFORM_ONLY = ("nvidia-", "cuda-", "triton")  # beginnings of names
# What a fresh resolution would get wrong, and why; a line goes when its reason does.
HELD = [
    "torch==2.13.0",  # the build that everything here was measured with
    "soupsieve<3",  # later ones want Python 3.11.5, and Debian 12 ships 3.11.2
]
NOT_RUN = {"setuptools", "pip", "wheel", "egemma-lab"}

ENVIRONMENT = """\
# The conda way: `conda env create -f environment.yml && conda activate egemma-lab`.
# conda brings Python and pip; everything else comes from the wheels that `make lab` installs, in the same
# versions. Made from pyproject.toml and constraints.txt by `make constraints`; tests/test_environment.py
# holds the three together.
name: egemma-lab
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
      - -c constraints.txt
{pins}
      - -e .[all]
"""


def read_pins(text):
    """{canonical name: line} of a constraints file; comments and empty lines left out.

    >>> read_pins("# made by hand\\nPyYAML==6.0.3\\n")
    {'pyyaml': 'PyYAML==6.0.3'}
    """
    lines = [line.strip() for line in text.splitlines()]
    return {
        canonicalize_name(Requirement(line).name): line for line in lines if line and not line.startswith("#")
    }


def direct_dependencies(pyproject):
    """{canonical name: Requirement} of everything `pyproject` (parsed TOML) names, core and extras."""
    project = pyproject["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(line) for lines in lists for line in lines]
    named = {canonicalize_name(each.name): each for each in requirements}
    named.pop(canonicalize_name(project["name"]), None)  # extras that name other extras
    return named


def environment_text(pyproject, pins):
    """The text of environment.yml: the direct dependencies at the versions of constraints.txt."""
    lines = [f"      - {pins[name]}" for name in sorted(direct_dependencies(pyproject))]
    return ENVIRONMENT.format(pins="\n".join(lines))


def resolve(root=ROOT):
    """Today's versions of `.[all]` and all it needs, as sorted lines; pip installs nothing."""
    with tempfile.TemporaryDirectory() as folder:
        report, held = Path(folder) / "report.json", Path(folder) / "held.txt"
        held.write_text("\n".join(HELD), "utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", str(report), "-c", str(held), f"{root}[all]"], check=True)
        found = [item["metadata"] for item in json.loads(report.read_text("utf-8"))["install"]]
    lines = {}
    for each in found:
        name = canonicalize_name(each["name"])
        if name not in NOT_RUN and not name.startswith(PLATFORM_ONLY):
            # "2.13.0+cpu" is one build of 2.13.0: any build will do
            lines[name] = f"{each['name']}=={each['version'].partition('+')[0]}"
    return [lines[name] for name in sorted(lines)]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--environment", action="store_true", help="make environment.yml only")
    only_environment = parser.parse_args(arguments).environment
    constraints = ROOT / "constraints.txt"
    old = constraints.read_text("utf-8")
    if not only_environment:
        header = [line for line in old.splitlines() if line.startswith("#")]
        constraints.write_text("\n".join([*header, *resolve()]) + "\n", "utf-8")
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    pins = read_pins(constraints.read_text("utf-8"))
    (ROOT / "environment.yml").write_text(environment_text(pyproject, pins), "utf-8")


if __name__ == "__main__":
    main()
