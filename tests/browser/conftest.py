"""A JupyterLab and a Chromium for the whole session, and a page of its own for each test. See README below.

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
from notebook_page import NotebookPage
from playwright.sync_api import sync_playwright
from served import serve

from egemma_lab.explore.camera import browser_path

ROOT = Path(__file__).resolve().parents[2]


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
        yield chromium.new_context(viewport={"width": 1280, "height": 900})
        chromium.close()


@pytest.fixture
def open_notebook(server, browser, screenshots, request):
    """`open_notebook("00_start_here")`, a scratch copy of a notebook of the course, or `open_notebook([cells])`.

    Gives a `NotebookPage`. After the test it is photographed, and whatever went wrong in a cell, a widget or the
    browser's console fails the test.
    """
    pages = []

    def opened(what):
        name = what if isinstance(what, str) else request.node.name
        path = server.folder / f"{name}.ipynb"
        if isinstance(what, str):
            shutil.copy(ROOT / "notebooks" / path.name, path)
        else:
            cells = [nbformat.v4.new_code_cell(source) for source in what]
            kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
            nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        page = NotebookPage(browser.new_page(), screenshots)
        pages.append(page)
        page.goto(f"{server.url}doc/tree/{path.name}?token={server.token}&reset")
        return page

    yield opened
    for page in pages:
        page.page.screenshot(path=screenshots / f"{request.node.name}-end.png")
        failures = page.failures()
        page.close()
        assert not failures, "\n".join(failures)
