"""A notebook open in JupyterLab in a real browser: run it, move its widgets, read and photograph its pictures."""

import re
import time

RUNNING = 240_000  # milliseconds that all cells together may take
DRAWING = 30_000  # milliseconds until a move shows
WINDOW = {"width": 1280, "height": 900}
HIGH = 2400  # pixels of a photograph at most: an explorer of one column
OUTSIDE = re.compile(r"https?://(?!127\.0\.0\.1[:/]).*")
# controls in an aria snapshot that have no name: `- slider`, `- combobox [expanded]`, `- button ""` of an icon
NAMELESS = re.compile(
    r'- (?:button|checkbox|combobox|listbox|radio|slider|spinbutton|tab|textbox)(?: "[^\w"]*")?(?= \[|:|$)',
    re.MULTILINE,
)
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"  # all that a notebook fetches from outside
# Seen in every JupyterLab, whatever the notebook does.
HARMLESS = (
    "Failed to load resource: the server responded with a status of 404",  # no workspace or setting saved yet
    "The kernel '",  # ... is unknown: the moment in which a test's kernel is shut down
)

_READY = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  return panel?.context?.isReady && panel.sessionContext?.isReady && !!panel.sessionContext.session?.kernel;
}"""
# What a plotly picture shows, as plain lists; every value that a widget's trace can move.
_SHOWN = """(gd) => {
  const plain = (value) => ArrayBuffer.isView(value) ? Array.from(value)
    : Array.isArray(value) ? value.map(plain) : value;
  const trace = (t) => ({
    name: t.name ?? null, type: t.type, visible: t.visible, x: plain(t.x), y: plain(t.y), z: plain(t.z),
    text: plain(t.text), size: plain(t.marker?.size), color: plain(t.marker?.color),
    opacity: plain(t.marker?.opacity), selected: plain(t.selectedpoints),
  });
  return { title: gd._fullLayout?.title?.text ?? "", traces: (gd._fullData ?? []).map(trace),
           shapes: (gd._fullLayout?.shapes ?? []).map((s) => [s.x0, s.y0, s.x1, s.y1]) };
}"""


class NotebookPage:
    """Made by the fixture `open_notebook`. `page` is playwright's own, for all that is not here."""

    def __init__(self, page, screenshots):
        self.page, self.screenshots = page, screenshots
        self.place = page.locator("body")  # where widgets and pictures are looked for
        self.errors = []
        page.set_default_timeout(DRAWING)
        page.route(OUTSIDE, self._outside)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))

    def _heard(self, message):
        if message.type == "error" and not message.text.startswith(HARMLESS):
            self.errors.append(f"console: {message.text[:1000]}")

    def _outside(self, route):
        if route.request.url == BADGE:
            route.fulfill(
                status=200, content_type="image/svg+xml", body='<svg xmlns="http://www.w3.org/2000/svg"/>'
            )
        else:
            self.errors.append(f"asked for {route.request.url}: nothing may leave the machine")
            route.abort()

    def goto(self, url):
        self.page.goto(url)
        self.page.wait_for_function(_READY, timeout=RUNNING)

    def run(self, until=None):
        """Run all cells, or those up to the first that contains `until`; AssertionError where one failed."""
        commands = ["notebook:run-all-cells"]
        if until is not None:
            self.go_to(until)
            commands = ["notebook:run-all-above", "notebook:run-cell"]
        self.page.set_default_timeout(RUNNING)
        for command in commands:
            self.page.evaluate("(command) => jupyterapp.commands.execute(command)", command)
        self.page.set_default_timeout(DRAWING)
        failed = self.failures()
        assert not failed, "\n".join(failed)

    def add(self, source):
        """Append a cell and `rerun` it."""
        self.page.evaluate(
            """() => {
              const { sharedModel } = jupyterapp.shell.currentWidget.content.model;
              sharedModel.insertCell(sharedModel.cells.length, { cell_type: "code" });
            }"""
        )
        self.rerun(source)

    def rerun(self, source):
        """Write this into the last cell, run it, and from now on look at it alone; AssertionError where it failed."""
        index = self.page.evaluate(
            """async (source) => {
              const notebook = jupyterapp.shell.currentWidget.content;
              const index = notebook.widgets.length - 1;
              notebook.model.sharedModel.getCell(index).setSource(source);
              notebook.activeCellIndex = index;
              await jupyterapp.commands.execute("notebook:run-cell");
              await notebook.scrollToItem(index, "start");
              return index;
            }""",
            source,
        )
        self.place = self.page.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')
        failed = self.failures()
        assert not failed, "\n".join(failed)

    def drop(self):
        """Delete the last cell with all that it shows, and forget what went wrong."""
        self.page.evaluate(
            """() => {
              const { sharedModel } = jupyterapp.shell.currentWidget.content.model;
              sharedModel.deleteCell(sharedModel.cells.length - 1);
            }"""
        )
        self.errors.clear()

    def close(self):
        """Shut the kernel down and close the page."""
        self.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()

    def failures(self):
        """What went wrong, a line each: in cells, inside Output widgets, and in the browser's console."""
        outputs = self.page.evaluate(
            """() => jupyterapp.shell.currentWidget.content.model.sharedModel.cells.flatMap(
                 (cell) => cell.toJSON().outputs ?? [])"""
        )
        found = [f"{each['ename']}: {each['evalue']}" for each in outputs if each["output_type"] == "error"]
        shown = self.page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]')
        found += [text for text in shown.all_inner_texts() if "Traceback" in text]
        alerts = self.page.locator('.widget-html [role="alert"], .jp-RenderedJavaScript[data-error]')
        return found + alerts.all_inner_texts() + self.errors

    def nameless(self):
        """Controls here of which a screen reader could not say what they are, as it would read them."""
        outputs = self.place.locator(".jp-OutputArea-output").all()
        return [f"{each} has no name" for one in outputs for each in NAMELESS.findall(one.aria_snapshot())]

    def go_to(self, source):
        """Scroll to the first cell that contains `source`, and from now on look at that cell alone.

        JupyterLab draws only what is in sight, and keeps some of what no longer is.
        """
        index = self.page.evaluate(
            """async (source) => {
              const notebook = jupyterapp.shell.currentWidget.content;
              const index = notebook.widgets.findIndex((cell) => cell.model.sharedModel.source.includes(source));
              if (index >= 0) {
                notebook.activeCellIndex = index;
                await notebook.scrollToItem(index, "start");
              }
              return index;
            }""",
            source,
        )
        assert index >= 0, f"no cell contains {source!r}"
        self.place = self.page.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')

    def figure(self, index=0):
        """The `index`-th plotly picture here, from the top; waits until it is drawn."""
        return Figure(self.page, self.place.locator(".js-plotly-plot").nth(index))

    def slider(self, name):
        """The slider with this description: `.press("ArrowRight")` moves it by one step."""
        handle = self._control(name).get_by_role("slider")
        handle.scroll_into_view_if_needed()
        handle.focus()
        return handle

    def button(self, name):
        return self.place.get_by_role("button", name=name)

    def choose(self, name, option):
        """Choose in the menu with this description."""
        self._control(name).get_by_role("combobox").select_option(label=option)

    def _control(self, name):
        label = self.place.locator(".widget-label", has_text=re.compile(f"^{re.escape(name)}$"))
        return label.locator("visible=true").last.locator("..")

    def write(self, name, text):
        """Write into the field with this description, Enter at the end."""
        field = self._control(name).locator("input")
        field.fill(text)
        field.press("Enter")

    def press(self, name, key="Enter"):
        """Go to the button with this name and press a key, as who has no mouse does."""
        self.button(name).focus()
        self.page.keyboard.press(key)

    def tabbed(self, most=60):
        """The names of what the tab key reaches from the focused control on, in order, up to the last one here."""
        names = []
        for _ in range(most):
            self.page.keyboard.press("Tab")
            name = self.page.evaluate(
                """() => {
                  const it = document.activeElement;
                  if (!it.closest(".jp-OutputArea-output")) return null;
                  return it.ariaLabel || it.labels?.[0]?.textContent || it.textContent;
                }"""
            )
            if name is None:
                break
            names.append(name.strip())
        return names

    @property
    def play(self):
        """The button that plays and pauses."""
        return self.place.locator(".widget-play button").first

    def look(self, name):
        """Photographs at 1280 and 800 pixels, in the light and the dark theme; back to how it was.

        They are as high as what is looked at, so that all of it is on them.
        """
        for theme in ("Dark", "Light"):
            self.page.evaluate(
                "(theme) => jupyterapp.commands.execute('apputils:change-theme', { theme })",
                f"JupyterLab {theme}",
            )
            self.page.wait_for_function(
                "(light) => document.body.dataset.jpThemeLight === light", arg=str(theme == "Light").lower()
            )
            for width in (800, 1280):
                self.page.set_viewport_size({"width": width, "height": HIGH})
                self.page.wait_for_timeout(400)  # plotly follows the window's width after a pause of its own
                self.page.evaluate(
                    """() => {
                      const notebook = jupyterapp.shell.currentWidget.content;
                      return notebook.scrollToItem(notebook.activeCellIndex, "start");
                    }"""
                )
                # none in a cell; of a whole notebook the last one is looked at, passing over those that are hidden
                cells = self.place.locator(".jp-Cell:visible")
                box = (cells.last if cells.count() else self.place).bounding_box()
                clip = {"x": 0, "y": 0, "width": width, "height": min(HIGH, box["y"] + box["height"] + 20)}
                self.page.screenshot(path=self.screenshots / f"{name}-{width}-{theme.lower()}.png", clip=clip)
        self.page.set_viewport_size(WINDOW)


class Figure:
    """One plotly picture on the page."""

    def __init__(self, page, locator):
        self.page, self.locator = page, locator
        locator.wait_for()
        self._wait(lambda: self.shown()["traces"], "a picture without any traces")

    def shown(self):
        """Title, traces and shapes as drawn: {"title": ..., "traces": [{"x": [...], ...}], "shapes": [...]}."""
        return self.locator.evaluate(_SHOWN)

    def settled(self):
        """What it shows once that stands still: a move may arrive in several pieces."""
        seen = []

        def still():
            seen.append(self.shown())
            self.page.wait_for_timeout(300)
            return seen[-1] == self.shown()

        self._wait(still, "a picture that does not come to rest")
        return seen[-1]

    def wait_for_change(self, before):
        """What it shows as soon as that differs from `before`, an earlier `shown()`."""
        self._wait(lambda: self.shown() != before, f"the picture {before['title']!r} did not change")
        return self.shown()

    def wait_until(self, holds):
        """Wait for a state of the first two traces, as `shown` gives them."""
        self._wait(
            lambda: holds(*self.shown()["traces"][:2]), "a picture that does not come to the state awaited"
        )

    def wait_for_traces(self, count):
        """What it shows once it has so many traces; they may come one by one."""
        self._wait(lambda: len(self.shown()["traces"]) == count, f"a picture without {count} traces")
        return self.shown()

    def _wait(self, condition, otherwise):
        until = time.monotonic() + DRAWING / 1000
        while not condition():
            assert time.monotonic() < until, f"{otherwise} within {DRAWING / 1000:.0f} s"
            self.page.wait_for_timeout(100)

    def lasso(self, start=(0.1, 0.1), end=(0.9, 0.9), subplot="xy"):
        """Draw around a box of a subplot, between two corners in shares of its plot area, from the upper left."""
        area = self.locator.locator(f".draglayer .{subplot} .nsewdrag")
        area.scroll_into_view_if_needed()
        box = area.bounding_box()
        (left, top), (right, bottom) = (
            (box["x"] + s * box["width"], box["y"] + t * box["height"]) for s, t in (start, end)
        )
        self.page.mouse.move(left, top)
        self.page.mouse.down()
        for corner in ((right, top), (right, bottom), (left, bottom), (left, top)):
            self.page.mouse.move(*corner, steps=8)
        self.page.mouse.up()
