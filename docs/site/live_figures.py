"""Sphinx extension: figures that can be moved on the site, without a kernel.

- A stored plotly output of a notebook becomes its static picture, which static/live_figures.js replaces with the live
  figure when it comes into sight. Picture and data lie beside the pages, in `_figures/`.
- In docs/films.md each picture whose name is a film's (tools/site_films.py) becomes that film in the same way.

Both need plotly.js, which is loaded once, from `_static/`, and only where there is a figure.
"""

import base64
import html
import json
import re
from pathlib import Path

PLOTLY = "application/vnd.plotly.v1+json"
PICTURES = {"image/jpeg": "jpg", "image/png": "png"}
_IMAGE = re.compile(r"!\[(?P<alt>[^\]]+)\]\((?P<path>[^)]+)\)")


def placed(alt, data, picture):
    """The HTML of one figure: addresses of its data and of its picture, relative to the page."""
    alt = html.escape(" ".join(alt.split()), quote=True)
    shown = f'<img src="{picture}" alt="{alt}" loading="lazy">' if picture else f"<p>{alt}</p>"
    return f'<figure class="live-figure" aria-label="{alt}" data-figure="{data}">{shown}</figure>'


def as_script(figure):
    """A figure as a script that hands it over: a page opened from a folder may load scripts, but not JSON."""
    return f"liveFigure({json.dumps(figure, separators=(',', ':'))});\n"


def with_live_outputs(text, name, folder, up):
    """The notebook `text` (JSON) with its plotly outputs as HTML; their data and pictures are written to `folder`.

    `name` is what those files begin with, `up` leads from the page to `folder`.
    """
    notebook = json.loads(text)
    number = 0
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            bundle = output.get("data", {})
            if PLOTLY not in bundle:
                continue
            number += 1
            kind = next((kind for kind in PICTURES if kind in bundle), None)
            picture = f"{name}-{number}.{PICTURES[kind]}" if kind else None
            if kind:
                (folder / picture).write_bytes(base64.b64decode("".join(bundle[kind])))
            (folder / f"{name}-{number}.js").write_text(as_script(bundle[PLOTLY]), "utf-8")
            alt = output["metadata"]["alt"]
            figure = placed(alt, f"{up}{name}-{number}.js", picture and up + picture)
            output["data"] = {"text/html": figure}
    return json.dumps(notebook)


def with_films(text, films, up):
    """MyST `text` in which a picture that has a film in the folder `films` is that film; `up` leads to `_static`."""

    def film(match):
        name = Path(match["path"]).stem
        if not (films / f"{name}.js").is_file():
            raise FileNotFoundError(
                f"docs/films.md shows {name}, and {films} has no such film; tools/site_films.py"
            )
        return f"```{{raw}} html\n{placed(match['alt'], f'{up}{name}.js', None)}\n```"

    return _IMAGE.sub(film, text)


def on_source_read(app, docname, source):
    up = "../" * docname.count("/")
    if docname.startswith("notebooks/"):
        folder = Path(app.outdir) / "_figures"
        folder.mkdir(parents=True, exist_ok=True)
        source[0] = with_live_outputs(source[0], docname.rpartition("/")[2], folder, f"{up}_figures/")
    elif docname == "docs/films":
        source[0] = with_films(source[0], Path(app.srcdir) / "build" / "films", f"{up}_static/")


def setup(app):
    app.connect("source-read", on_source_read)
    return {"parallel_read_safe": True}
