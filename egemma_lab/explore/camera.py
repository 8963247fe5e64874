"""A plotly figure as a small JPEG, through kaleido and the Chrome or Chromium of this machine.

JPEG and not PNG, because of JupyterLab: its plotly extension shows a PNG that travels with a figure instead of
the figure, at the size of its pixels, until the pointer enters it.

One browser is opened for the whole session and kept: the first picture takes a few seconds, each later one
a fraction of a second. kaleido's own server would do the same, but waits for ever when its browser fails.
"""

import asyncio
import atexit
import io
import threading
import warnings

from egemma_lab.explore.style import HEIGHT, WIDTH

MAX_BYTES = 150_000  # what a picture may weigh in a committed notebook
TIMEOUT = 60  # seconds; a cold browser on a busy machine needs about five

_state = {"browser": None, "failed": None}


def browser_path():
    """Where Chrome or Chromium is on this machine, or None (also when kaleido is not installed)."""
    try:
        from choreographer.browsers.chromium import Chromium
    except ImportError:
        return None
    return Chromium.find_browser(skip_local=False)


def photograph(fig, *, width=None, height=None, scale=2):
    """JPEG of a plotly figure as bytes, or None where there is no browser to draw it.

    Where a browser exists but drawing fails, the reason is said once as a warning, and the rest of the
    session goes on without static pictures (the interactive figures are unaffected).

    `scale` is pixels per layout pixel: 2 is what high-density screens show. A picture of more than 150 kB
    (hundreds of points) is drawn again at 1.5 and then at 1, so that notebooks stay small.
    """
    if _state["failed"] is not None or browser_path() is None:
        return None
    layout = fig.layout
    options = {"format": "png", "width": int(width or layout.width or WIDTH)}
    options["height"] = int(height or layout.height or HEIGHT)
    figure = fig.to_dict()
    try:
        for candidate in (scale, 0.75 * scale, 0.5 * scale):
            picture = _compressed(_draw(figure, {**options, "scale": candidate}))
            if len(picture) <= MAX_BYTES:
                break
    except Exception as error:
        _state["failed"] = error
        warnings.warn(
            f"no static pictures in this session: drawing with {browser_path()} failed with "
            f"{type(error).__name__}: {error}. Interactive figures are not affected; to have the static ones "
            "too, check that this browser starts with --headless, or run `kaleido_get_chrome`.",
            stacklevel=3,
        )
        return None
    return picture


def _compressed(png):
    """The same picture as JPEG; at this quality the edges of lines and letters show no artefacts."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, "jpeg", quality=82, optimize=True, progressive=True)
    return out.getvalue()


def _draw(figure, options):
    if _state["browser"] is None:
        _state["browser"] = _Browser()
    return _state["browser"].call(lambda kaleido: kaleido.calc_fig(figure, opts=options))


class _Browser:
    """kaleido on an event loop of its own thread, since a notebook's main thread already runs one."""

    def __init__(self):
        from kaleido import Kaleido

        self._kaleido = Kaleido(n=1, timeout=TIMEOUT, mathjax=False)  # mathjax would come from the network
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="figure-camera", daemon=True).start()
        self._run(self._kaleido.open())
        atexit.register(self.close)

    def call(self, job):
        return self._run(job(self._kaleido))

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT)

    def close(self):
        atexit.unregister(self.close)
        self._run(self._kaleido.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        _state["browser"] = None
