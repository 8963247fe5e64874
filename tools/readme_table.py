"""Write the README's table of notebooks, and a small picture of each, from the notebooks as they stand.

    python tools/readme_table.py [NAME ...]    # the lines between the marks in README.md, and docs/pictures/

Minutes come from the notebook's own table, the picture is one of its stored ones; what it teaches stands here.
"""

import argparse
import base64
import io
import re
import sys

import nbformat

from egemma_lab.experiments.marks import between_marks
from notebook_header import ROOT

# notebook -> (what it teaches, which of its stored pictures shows it best, counted from 0)
CHAPTERS = {
    "00_start_here": (
        "search your own Python by meaning: mine, train, ask, look at the map, before and after",
        2,
    ),
    "01_embeddings_and_their_geometry": (
        "the unit sphere, cosine, alignment and uniformity, anisotropy, what a prompt does, PCA and UMAP",
        4,
    ),
    "02_the_model": (
        "from a Gemma 3 decoder to a bidirectional encoder: a layer by hand, masks, the mean, Dense layers, prompts",
        1,
    ),
    "03_contrastive_learning": (
        "temperature, batch size and the gradient cache, hard negatives, false negatives, collapse",
        1,
    ),
    "04_distillation": (
        "what is matched and why, a teacher wider than the student, asymmetric search, what a teacher passes on",
        4,
    ),
    "05_spread_out": (
        "isotropy and its measures, the Welch bound, what even directions buy under rounding",
        4,
    ),
    "06_matryoshka": (
        "vectors that may be cut: the loss, cutting right and wrong, the frontier, two-stage search",
        4,
    ),
    "07_quantization": (
        "vectors in bytes and bits, weights rounded or trained under rounding, llama.cpp, onnxruntime",
        2,
    ),
    "08_souping": (
        "mixtures, the search over them, averaged weights, the loss along the line between two models",
        0,
    ),
    "09_train_on_a_gpu": (
        "from raw text to the real 300M on your pairs: dtype and memory, several GPUs, going on after a lost session",
        0,
    ),
    "10_judge_and_ship": (
        "tasks of your own, intervals, MTEB, an index, a service, a model card, four applications",
        0,
    ),
    "11_the_paper_in_miniature": (
        "all comparisons with their verdicts beside the published numbers, one re-run by you",
        0,
    ),
    "12_mistakes_everyone_makes": (
        "eight mistakes that raise no error: what one writes, what one sees, what to do",
        0,
    ),
}
PATHS = {
    "First time": ("00_start_here", "01_embeddings_and_their_geometry", "03_contrastive_learning", "05_spread_out",
                   "06_matryoshka"),
    "Practitioner": ("00_start_here", "02_the_model", "09_train_on_a_gpu", "10_judge_and_ship"),
}  # fmt: skip
PICTURES = ROOT / "docs" / "pictures"
WIDTH = 320  # pixels of a small picture; shown at 160
_MINUTES = re.compile(r"\| Time \| about (\d+)")


def minutes(notebook):
    """Minutes on two CPU cores, from the table in the first cell.

    >>> minutes(nbformat.from_dict({"cells": [{"source": "| Time | about 3 minutes on two CPU cores |"}]}))
    3
    """
    found = _MINUTES.search(notebook.cells[0].source)
    if not found:
        raise ValueError("the first cell has no row '| Time | about N minutes on two CPU cores'")
    return int(found[1])


def stored_pictures(notebook):
    """(JPEG as bytes, its description) of the notebook's figures, in order."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [
        (base64.b64decode("".join(output.data["image/jpeg"])), output.metadata["alt"])
        for output in outputs
        if "image/jpeg" in output.get("data", {})
    ]


def shown_picture(name, notebook):
    """The picture that stands for the notebook, with its description; None where it has none."""
    pictures = stored_pictures(notebook)
    return pictures[min(CHAPTERS[name][1], len(pictures) - 1)] if pictures else None


def small(picture):
    """The JPEG `picture` at `WIDTH` pixels."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture))
    out = io.BytesIO()
    image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.LANCZOS).save(
        out, "JPEG", quality=80
    )
    return out.getvalue()


def row(name, notebook):
    """The notebook's line of the table; ValueError where nothing is said here of what it teaches."""
    if name not in CHAPTERS:
        raise ValueError(
            f"{name} has no entry in CHAPTERS of tools/readme_table.py; say there what it teaches"
        )
    shown, teaches = "", CHAPTERS[name][0]
    if picture := shown_picture(name, notebook):
        alt = re.split(r"[.:;|]", picture[1])[0].strip().replace('"', "'")
        shown = f'<img src="docs/pictures/{name}.jpg" width="160" alt="{alt}">'
    return f"| {shown} | [{name}](notebooks/{name}.ipynb) | {teaches} | {minutes(notebook)} |"


def table(notebooks):
    """What stands between the marks, for {name: notebook}."""
    lines = ["| | notebook | what it teaches | minutes on two CPU cores |", "|---|---|---|---|"]
    lines += [row(name, notebook) for name, notebook in notebooks.items()]
    for path, names in PATHS.items():
        steps = [f"[{name[:2]}](notebooks/{name}.ipynb)" if name in notebooks else name[:2] for name in names]
        lines.append(f"\n**{path}**: " + ", ".join(steps) + ".")
    return "\n".join(lines)


def rewritten(readme, notebooks):
    """The text `readme` with its table made anew."""
    return between_marks(readme, "notebooks", table(notebooks))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="notebooks to list, without suffix (default: all there are)")
    names = parser.parse_args(arguments).names
    names = names or sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    notebooks = {name: nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4) for name in names}
    readme = ROOT / "README.md"
    readme.write_text(rewritten(readme.read_text("utf-8"), notebooks), "utf-8")
    PICTURES.mkdir(exist_ok=True)
    for name, notebook in notebooks.items():
        if picture := shown_picture(name, notebook):
            (PICTURES / f"{name}.jpg").write_bytes(small(picture[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
