"""What every notebook begins with: the Colab badge in its first cell, the same short install cell after it.

The repository's address stands in pyproject.toml alone; everything here is made from it.
"""

import tomllib
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
BADGE_TEXT = "Open this notebook in Colab"
BADGE_PICTURE = "https://colab.research.google.com/assets/colab-badge.svg"

# Naming the installed versions as requirements is what keeps Colab's own builds: pip finds them satisfied.
INSTALL_TEMPLATE = """\
# In Colab only: install the lab beside the numpy, torch, plotly and ipywidgets that Colab ships.
import subprocess
import sys
from importlib.metadata import version

if "google.colab" in sys.modules:
    kept = [f"{{name}}=={{version(name)}}" for name in ("numpy", "torch", "plotly", "ipywidgets")]
    package = "egemma-lab[plots] @ git+https://github.com/{slug}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package, *kept], check=True)"""


def repository_slug(pyproject=ROOT / "pyproject.toml"):
    """`owner/name` of the public repository, from `[project.urls] Repository` in `pyproject.toml`.

    Raises `ValueError` for an address that is not on github.com: Colab opens notebooks from nowhere else.
    """
    address = tomllib.loads(pyproject.read_text("utf-8"))["project"]["urls"]["Repository"]
    host, _, slug = address.removesuffix("/").removesuffix(".git").partition("https://github.com/")
    if host or slug.count("/") != 1:
        raise ValueError(
            f"Repository = {address!r} in {pyproject.name}: badges need https://github.com/<owner>/<name> "
            "because Colab opens notebooks from GitHub only"
        )
    return slug


def badge(name, slug=None):
    """The badge of `notebooks/<name>.ipynb` as one line of Markdown.

    >>> badge("00_start_here", "someone/egemma-lab")[:32]
    '[![Open this notebook in Colab]('
    """
    slug = slug or repository_slug()
    target = f"https://colab.research.google.com/github/{slug}/blob/main/notebooks/{name}.ipynb"
    return f"[![{BADGE_TEXT}]({BADGE_PICTURE})]({target})"


def install_source(slug=None):
    """Source of the install cell: the same in every notebook.

    >>> print(install_source("someone/egemma-lab").splitlines()[-2].strip())
    package = "egemma-lab[plots] @ git+https://github.com/someone/egemma-lab"
    """
    return INSTALL_TEMPLATE.format(slug=slug or repository_slug())


def header_cells(name, title="Title", slug=None):
    """The first two cells of `notebooks/<name>.ipynb`: title with badge (Markdown), installation (code).

    >>> [cell.cell_type for cell in header_cells("00_start_here", "Start here", "someone/egemma-lab")]
    ['markdown', 'code']
    """
    return [
        nbformat.v4.new_markdown_cell(f"# {title}\n\n{badge(name, slug)}"),
        nbformat.v4.new_code_cell(install_source(slug)),
    ]
