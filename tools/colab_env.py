"""A second environment with Colab's widget packages over the first one's everything else.

    python tools/colab_env.py .venv-colab

Only what constraints-colab.txt names is installed, without dependencies: a few megabytes. The rest is found
in the environment that runs this script, through a line in a .pth file; nothing of it is copied or changed.
"""

import argparse
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from notebook_header import ROOT


def make(folder, constraints=ROOT / "constraints-colab.txt"):
    """Make the environment in `folder`, anew if it is there; returns its python's path."""
    folder = Path(folder).absolute()
    venv.create(folder, with_pip=False, clear=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    # before the line below: pip must not see the first environment, or it would find newer widgets there
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "-r", str(constraints)], check=True)
    own, shared = (sysconfig.get_path("purelib", vars=paths) for paths in ({"base": str(folder)}, None))
    # addsitedir and not the bare path: it also reads that folder's .pth files, the editable package's among them
    Path(own, "shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n", "utf-8")
    return python


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", default=ROOT / ".venv-colab", type=Path)
    python = make(parser.parse_args(arguments).folder)
    versions = "import ipywidgets, plotly, torch; print(ipywidgets.__version__, plotly.__version__, torch.__version__)"
    print("ipywidgets, plotly, torch:", subprocess.check_output([python, "-c", versions], text=True).strip())


if __name__ == "__main__":
    sys.exit(main())
