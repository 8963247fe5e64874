"""Write the explorers' films for the site: what moves on docs/films.md without a kernel, and plotly.js, once.

    python tools/site_films.py build/films

A film is a plotly figure with frames, written as a script that hands it over (docs/site/live_figures.py). It runs in
the lab's own environment; the site's needs neither torch nor plotly.
"""

import argparse
import json
import sys
from pathlib import Path

from notebook_header import ROOT

sys.path.insert(0, str(ROOT / "docs" / "site"))
from live_figures import as_script


def films():
    """{name: function that makes the figure}; a picture of that name in docs/films.md is replaced by it."""
    from egemma_lab import explore

    return {
        "training_replay": explore.replay_page,
        "loss_playground": lambda: explore.playground_page("the paper's", "collapse"),
    }


def write_films(folder):
    """Write all films and plotly.js into `folder`; returns {file name: bytes}."""
    import plotly.offline

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in films().items():
        (folder / f"{name}.js").write_text(as_script(json.loads(make().to_json())), "utf-8")
    (folder / "plotly.min.js").write_text(plotly.offline.get_plotlyjs(), "utf-8")
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    for name, size in write_films(parser.parse_args(arguments).folder).items():
        print(f"{name}: {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
