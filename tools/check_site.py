"""Follow every local link of the built site: to a file that is there, and to a place in it that is there.

python tools/check_site.py build/docs
"""

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "figure": "data-figure"}
FROM_SCRIPTS = {"", "#"}  # buttons of the theme


class Page(HTMLParser):
    """The links of a page and the names of its places.

    >>> page = Page('<h1 id="top">x</h1><a href="b.html#end">y</a><img src="https://host.org/c.png">')
    >>> page.links, page.places
    (['b.html#end', 'https://host.org/c.png'], {'top'})
    """

    def __init__(self, text):
        super().__init__()
        self.links, self.places = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        if given.get(LINKS.get(tag)):
            self.links.append(given[LINKS[tag]])


def broken_links(folder):
    """Local links of the pages under `folder` that lead nowhere, one line each."""
    folder = Path(folder).resolve()
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    if not pages:
        raise FileNotFoundError(f"no page in {folder}; `make docs` builds the site")
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in FROM_SCRIPTS:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not target.exists():
                found.append(f"{path.relative_to(folder)}: {link}: no such file")
            elif place and target in pages and place not in pages[target].places:
                found.append(f"{path.relative_to(folder)}: {link}: no such place on that page")
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    lines = broken_links(folder)
    print("\n".join(lines) or f"{len(list(folder.rglob('*.html')))} pages: every local link leads somewhere")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
