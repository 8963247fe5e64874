"""The built site (`make docs`), as a reader meets it: a notebook without a kernel, a search, a film that plays."""

import functools
import http.server
import threading

import pytest
from conftest import ROOT
from notebook_page import Figure

SITE = ROOT / "build" / "docs"
SLOW = 120_000  # milliseconds: plotly.js is large, and the machine may be busy


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *what):
        pass


@pytest.fixture(scope="module")
def address():
    assert (SITE / "index.html").is_file(), f"there is no site in {SITE}; `make docs` builds it"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def page(browser, address, screenshots, request):
    """A page that knows what it has fetched (`page.fetched`) and fails the test where a script failed."""
    page = browser.new_page()
    page.set_default_timeout(SLOW)
    page.errors, page.fetched = [], []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda request: page.fetched.append(request.url))
    yield page
    page.screenshot(path=screenshots / f"{request.node.name}.png")
    page.close()
    assert not page.errors


def test_the_door_leads_to_the_contents(page, address):
    page.goto(address)
    page.wait_for_url("**/README.html")
    page.locator(".sidebar-tree").get_by_text("01 Embeddings and their geometry").click()
    page.wait_for_url("**/01_embeddings_and_their_geometry.html")
    assert page.locator("h1").inner_text().startswith("Embeddings and their geometry")


def test_a_stored_figure_of_a_notebook_is_live(page, address):
    page.goto(address + "notebooks/01_embeddings_and_their_geometry.html")
    place = page.locator(".live-figure").first
    assert "unit circle" in place.get_attribute("aria-label")
    assert not page.locator("[role=alert]").count()
    place.scroll_into_view_if_needed()
    place.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    scripts = [url for url in page.fetched if url.endswith("plotly.min.js")]
    assert scripts == [f"{address}_static/plotly.min.js"]  # once, and from here


def test_a_page_without_figures_loads_no_plotly(page, address):
    page.goto(address + "docs/glossary.html")
    page.wait_for_load_state("networkidle")
    assert not any("plotly" in url for url in page.fetched)
    assert all(url.startswith(address) for url in page.fetched)


def test_the_search_finds_a_word(page, address):
    page.goto(address + "docs/notation.html")
    page.get_by_role("searchbox").or_(page.locator("input[name=q]")).first.fill("hubness")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html**")
    found = page.locator("ul.search li a")
    found.first.wait_for()
    assert any("Embeddings and their geometry" in title for title in found.all_inner_texts())


@pytest.mark.parametrize("index", [0, 1])
def test_a_film_plays_without_a_kernel(page, address, index):
    page.goto(address + "docs/films.html")
    film = page.locator(".live-figure").nth(index)
    film.scroll_into_view_if_needed()
    film.locator(".js-plotly-plot").wait_for()
    figure = Figure(page, film.locator(".js-plotly-plot"))
    end = figure.shown()
    film.get_by_text("▶ Play").click()
    first = figure.wait_for_change(end)
    assert first["traces"] != end["traces"]
    assert figure.wait_for_change(first)["traces"] != first["traces"]
