"""The rendered site: README, docs/ and the stored notebooks as HTML; nothing is executed. `make docs` builds it.

The source folder is the repository itself (`sphinx-build -c docs . build/docs`), so that links between README,
docs/ and notebooks mean on the site what they mean in a checkout.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "site"))

project = "egemma-lab"
author = "the authors of egemma-lab"
html_title = "egemma-lab"
extensions = ["myst_nb", "contents", "live_figures", "formulas"]

root_doc = "README"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/explorers/*.md",
    "notebooks/*.ipynb",
    "experiments/*/README.md",
    "egemma_lab/assets/nano/README.md",
]
exclude_patterns = [".*", "build", "dist", "runs", "tests", "notebooks/runs", "**/.ipynb_checkpoints"]

nb_execution_mode = "off"  # what is shown is what is stored
nb_merge_streams = True
nb_render_markdown_format = "myst"  # links in computed sentences lead to pages too
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath", "html_image"]
html_math_renderer = "mathml"  # of formulas.py
nitpicky = True
suppress_warnings = [
    "myst.header",  # a notebook may skip a level of headings where an exercise is small
]

html_theme = "furo"
html_static_path = ["site/static", "../build/films"]  # the second is written by tools/site_films.py
html_css_files = ["site.css"]
html_js_files = [("live_figures.js", {"defer": "defer"})]
html_show_sourcelink = False
html_show_copyright = False
html_copy_source = False
