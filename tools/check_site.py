"""Follow every local link of the built site: to a file that is there, and to a place in it that is there.

And look for formulas that were left as they were written, between two dollar signs.

python tools/check_site.py build/docs
"""

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "figure": "data-figure"}
FROM_SCRIPTS = {"", "#"}  # buttons of the theme
AS_WRITTEN = {"pre", "code", "script", "style"}  # where a dollar sign is no formula's


class Page(HTMLParser):
    """The links of a page, the names of its places, and whether a formula was left unset.

    >>> page = Page('<h1 id="top">x</h1><a href="b.html#end">y</a><img src="https://host.org/c.png">')
    >>> page.links, page.places
    (['b.html#end', 'https://host.org/c.png'], {'top'})
    >>> Page("<p>$$x^2$$</p>").unset, Page("<pre>$$</pre>").unset
    (True, False)
    """

    def __init__(self, text):
        super().__init__()
        self.links, self.places, self.unset = [], set(), False
        self._written = 0  # elements of AS_WRITTEN that are open
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        if given.get(LINKS.get(tag)):
            self.links.append(given[LINKS[tag]])
        self._written += tag in AS_WRITTEN

    def handle_endtag(self, tag):
        self._written -= tag in AS_WRITTEN

    def handle_data(self, data):
        self.unset |= not self._written and "$$" in data


def faults(folder):
    """Local links of the pages under `folder` that lead nowhere, and pages with an unset formula, one line each."""
    folder = Path(folder).resolve()
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    if not pages:
        raise FileNotFoundError(f"no page in {folder}; `make docs` builds the site")
    found = []
    for path, page in pages.items():
        if page.unset:
            found.append(f"{path.relative_to(folder)}: a formula between $$ was not set")
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
    lines = faults(folder)
    print(
        "\n".join(lines)
        or f"{len(list(folder.rglob('*.html')))} pages: every local link leads somewhere, every formula is set"
    )
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
