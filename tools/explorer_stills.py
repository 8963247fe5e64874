"""Make the stills of docs/explorers anew, each by its explorer, in the state that its page describes.

    python tools/explorer_stills.py [NAME ...]    # docs/explorers/NAME.png (default: all)

Prints what each shows in the explorer's own words, for the alt text of its page. Needs a Chrome or Chromium. Those of
anatomy, flips, matryoshka and search are due when the nano changes, all when their look does.
"""

import io
import sys

from chosen import chosen
from notebook_header import ROOT

FOLDER = ROOT / "docs" / "explorers"
SHARP = 1.5  # pixels a layout pixel, of stills with small print
COLUMNS = 984  # pixels of the table of results, which takes the width that it is given


def anatomy():
    from egemma_lab import explore, load_model

    question = "How do plants drink water from the soil?"
    panel = explore.anatomy(load_model("nano"), question, prompt_name="query")
    return drawn(panel.live, scale=SHARP), panel.alt


def compare_runs():
    from egemma_lab import explore

    panel = explore.compare_runs()
    panel.maps.word.value = "cooking"
    return drawn(panel.curves, panel.maps.figure), panel.alt


def flips():
    from egemma_lab import explore, load_model

    texts = explore.topic_corpus()["text"].tolist()
    vectors = load_model("nano").encode(texts, show_progress_bar=False)
    panel = explore.flips(vectors, {"width 64": vectors[:, :64]}, texts)
    return drawn(panel.live), panel.alt


def loss_playground():
    from egemma_lab import explore
    from egemma_lab.explore.playground_panel import PACE
    from egemma_lab.explore.playground_sides import describe_both

    panel = explore.loss_playground("the paper's", "collapse")
    for _ in range(120 // PACE):  # as it plays: the curves go through every picture
        panel.advance(PACE)
    return drawn(panel.live, scale=SHARP), describe_both(panel.sides)


def matryoshka():
    from egemma_lab import explore

    space = explore.matryoshka("nano")
    costs = explore.precision(space)
    space.width.value, space.vectors.value = 64, "binary"
    return drawn(space.live, costs.live), f"{space.describe()} {costs.describe()}"


def search():
    from egemma_lab import explore

    lists = explore.search("nano", k=6).lists
    return photographed(lists._repr_html_()), lists.alt


def teacher_student():
    from egemma_lab import explore

    panel = explore.teacher_student()
    return drawn(panel.live, scale=SHARP), panel.alt


def training_replay():
    from egemma_lab import explore

    panel = explore.training_replay()
    return drawn(panel.live, scale=SHARP), panel.alt


# name of the page and of its picture -> function that makes (picture, what it shows in words)
STILLS = {
    "anatomy": anatomy,
    "compare_runs": compare_runs,
    "flips": flips,
    "loss_playground": loss_playground,
    "matryoshka": matryoshka,
    "search": search,
    "teacher_student": teacher_student,
    "training_replay": training_replay,
}


def drawn(*figures, scale=1):
    """Plotly figures as one picture, below each other; `scale`: pixels a layout pixel."""
    import kaleido

    from egemma_lab.explore.camera import TIMEOUT
    from egemma_lab.explore.style import WIDTH

    pictures = []
    for figure in figures:
        size = {"width": figure.layout.width or WIDTH, "height": figure.layout.height, "scale": scale}
        browser = {"timeout": TIMEOUT, "mathjax": False}  # mathjax would come from the network
        png = kaleido.calc_fig_sync(figure.to_dict(), {"format": "png", **size}, kopts=browser)
        pictures.append(opened(png))
    return stacked(pictures)


def photographed(html):
    """A piece of HTML as a picture, `COLUMNS` wide and as high as it needs."""
    from playwright.sync_api import sync_playwright

    from egemma_lab.explore.camera import browser_path
    from egemma_lab.explore.style import FONT, INK

    style = f"body {{ margin: 8px; font: 15px {FONT}; color: {INK} }}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": COLUMNS, "height": 100})
        page.set_content(f"<!doctype html><style>{style}</style>{html}")
        picture = page.screenshot(full_page=True)
        browser.close()
    return opened(picture)


def opened(png):
    """PNG bytes as an opaque picture."""
    from PIL import Image

    return Image.open(io.BytesIO(png)).convert("RGB")


def stacked(pictures):
    """Pictures below each other on white, as wide as the widest.

    >>> from PIL import Image
    >>> stacked([Image.new("RGB", (4, 2)), Image.new("RGB", (3, 5))]).size
    (4, 7)
    """
    from PIL import Image

    size = max(each.width for each in pictures), sum(each.height for each in pictures)
    whole = Image.new("RGB", size, "white")
    top = 0
    for each in pictures:
        whole.paste(each, (0, top))
        top += each.height
    return whole


def main(arguments=None):
    names = chosen(__doc__.partition("\n")[0], STILLS, "still", arguments)
    for name in names:
        picture, words = STILLS[name]()
        picture.save(FOLDER / f"{name}.png", optimize=True)
        print(f"{name}, {picture.width} x {picture.height}: {words}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
