"""Write the repository's public address, which stands in pyproject.toml, wherever it must be spelled out.

    python tools/urls.py            # rewrite README, CONTRIBUTING, CITATION.cff, notebooks, scripts
    python tools/urls.py --check    # change nothing; exit 1 and name the files that hold another address

Only addresses that are ours by their context are touched: Colab links, `git+https://`, `git clone` and the
`repository-code` of CITATION.cff.
"""

import argparse
import re
import sys

from notebook_header import ROOT, repository_slug

_SLUG = r"[\w.-]+/[\w-]+(?:\.(?!git\b)[\w-]+)*"
_OURS = [
    re.compile(rf"(colab\.research\.google\.com/github/){_SLUG}(?=/blob/)"),
    re.compile(rf"(git\+https://github\.com/){_SLUG}"),
    re.compile(rf"(git clone https://github\.com/){_SLUG}"),
    re.compile(rf"(repository-code: \"?https://github\.com/){_SLUG}"),
]


def rewrite(text, slug):
    """`text` with every address of this repository replaced by `slug` (`owner/name`).

    >>> rewrite("git clone https://github.com/OWNER/egemma-lab.git lab", "ada/egemma-lab")
    'git clone https://github.com/ada/egemma-lab.git lab'
    >>> rewrite("see https://github.com/huggingface/transformers", "ada/egemma-lab")
    'see https://github.com/huggingface/transformers'
    """
    for pattern in _OURS:
        text = pattern.sub(rf"\g<1>{slug}", text)
    return text


def addressed_files(root=ROOT):
    """The files under `root` that may spell the address out, those that exist, in a fixed order."""
    single = [root / name for name in ("README.md", "CONTRIBUTING.md", "CITATION.cff")]
    notebooks = [*root.glob("notebooks/*.ipynb"), *root.glob("notebooks/scripts/*.py")]
    return [path for path in [*single, *sorted(notebooks)] if path.exists()]


def update(root=ROOT, check=False):
    """Rewrite the files under `root` (or, with `check`, leave them) and return those that differ."""
    slug = repository_slug(root / "pyproject.toml")
    stale = []
    for path in addressed_files(root):
        text = path.read_text("utf-8")
        if (new := rewrite(text, slug)) != text:
            stale.append(path)
            if not check:
                path.write_text(new, "utf-8")
    return stale


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 where something is stale"
    )
    check = parser.parse_args(arguments).check
    stale = update(check=check)
    for path in stale:
        print(
            f"{path.relative_to(ROOT)}: {'holds another address; run `make urls`' if check else 'rewritten'}"
        )
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
