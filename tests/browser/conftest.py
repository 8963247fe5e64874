"""A JupyterLab and a Chromium for the whole session, and a page of its own for each test.

    make test-browser                                    # all of it
    .venv/bin/python -m pytest tests/browser -k replay   # one test

Needs a Chrome or Chromium. Screenshots go to the folder named by EGEMMA_SCREENSHOTS (default:
build/screenshots). These tests are not among those of `make test`: pyproject.toml keeps pytest out of here
unless it is sent here.
"""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from notebook_page import DRAWING, WINDOW, NotebookPage
from playwright.sync_api import expect, sync_playwright
from served import serve

from egemma_lab.explore.camera import browser_path

expect.set_options(timeout=DRAWING)
ROOT = Path(__file__).resolve().parents[2]
SETUP = """
import egemma_lab as lab
nano = lab.load_model("nano")
corpus = lab.explore.topic_corpus().iloc[::4]
texts, labels = corpus["text"].tolist(), corpus["topic"].tolist()
"""


@pytest.fixture(scope="session")
def screenshots():
    folder = Path(os.environ.get("EGEMMA_SCREENSHOTS") or ROOT / "build" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("jupyterlab") / "work") as running:
        yield running


@pytest.fixture(scope="session")
def browser():
    path = browser_path()
    if path is None:
        pytest.fail("no Chrome or Chromium found; on Debian or Ubuntu: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        # one context: what JupyterLab loads is loaded once
        yield chromium.new_context(viewport=WINDOW)
        chromium.close()


@pytest.fixture
def open_notebook(server, browser, screenshots, request):
    """`open_notebook("00_start_here")`, a scratch copy of a notebook of the course, or `open_notebook([cells])`.

    Gives a `NotebookPage`. After the test it is photographed, and whatever went wrong in a cell, a widget or the
    browser's console fails the test.
    """
    pages = []

    def opened(what):
        if isinstance(what, str):
            path = server.folder / f"{what}.ipynb"
            shutil.copy(ROOT / "notebooks" / path.name, path)
        else:
            path = write_notebook(server.folder / f"{request.node.name}.ipynb", what)
        pages.append(open_page(browser, server, path, screenshots))
        return pages[-1]

    yield opened
    for page in pages:
        failures = finish(page, request)
        page.close()
        assert not failures, "\n".join(failures)


@pytest.fixture(scope="session")
def one_notebook(server, browser, screenshots):
    """One notebook with one kernel for all explorers: who opens many in a row is served as well as who opens one."""
    page = open_page(browser, server, write_notebook(server.folder / "explorers.ipynb", [SETUP]), screenshots)
    page.run()
    yield page
    page.close()


@pytest.fixture
def explore(one_notebook, request):
    """`explore(source)` runs a cell at the end of the one notebook: a `NotebookPage` that looks at this cell.

    `lab`, `nano`, and 200 `texts` with their `labels` are there. After the test the cell is photographed and deleted.
    """

    def added(source):
        one_notebook.add(source)
        return one_notebook

    yield added
    failures = finish(one_notebook, request)
    one_notebook.drop()
    assert not failures, "\n".join(failures)


def write_notebook(path, cells):
    cells = [nbformat.v4.new_code_cell(source) for source in cells]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def open_page(browser, server, path, screenshots):
    page = NotebookPage(browser.new_page(), screenshots)
    page.goto(f"{server.url}doc/tree/{path.name}?token={server.token}&reset")
    return page


def finish(page, request):
    """Photograph a page at the end of a test; what went wrong on it, a line each, and every control without a name."""
    page.page.screenshot(path=page.screenshots / f"{request.node.name}-end.png")
    return page.failures() + page.nameless()
