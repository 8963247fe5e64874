"""The two ends of the ranges in pyproject.toml as constraints for pip.

    python tools/bounds.py oldest    # every dependency of the core at the lower end of its range
    python tools/bounds.py newest    # whatever is newest, but for what tools/constraints.py holds

`make test-oldest` and `make test-newest` install `.[all]` under them. torch is the same in both, the build that
everything here was measured with: other versions bring other CUDA libraries, several GB of them.
"""

import argparse
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from constraints import HELD
from notebook_header import ROOT


def oldest(pyproject):
    """Lines `name==version` for the core's dependencies, at the versions their ranges begin with.

    >>> oldest({"project": {"dependencies": ["numpy>=2.0", "torch>=2.9"]}})[0]
    'numpy==2.0'
    """
    held = {canonicalize_name(Requirement(line).name) for line in HELD}
    lines = []
    for requirement in map(Requirement, pyproject["project"]["dependencies"]):
        if canonicalize_name(requirement.name) not in held:
            (lower,) = (each.version for each in requirement.specifier if each.operator == ">=")
            lines.append(f"{requirement.name}=={lower}")
    return [*lines, *HELD]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("end", choices=("oldest", "newest"))
    end = parser.parse_args(arguments).end
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    print("\n".join(oldest(pyproject) if end == "oldest" else HELD))


if __name__ == "__main__":
    main()
