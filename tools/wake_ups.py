"""A plugin for pytest's nbmake: an answer of the kernel is found although its wake-up was lost.

    python -m pytest -p wake_ups --nbmake ...        # with tools/ on PYTHONPATH

While nbclient awaits a cell's reply, it also sends messages of Output widgets on the same socket. ZeroMQ tells of a
new message only once (its file descriptor is edge-triggered), and that sending can swallow the signal: the reply has
arrived, and nobody looks until the cell's time is up, minutes later. So whoever imports this looks once a second.
"""

import math
from queue import Empty

from jupyter_client.channels import AsyncZMQSocketChannel

SECONDS = 1.0

_get_msg = AsyncZMQSocketChannel.get_msg


async def get_msg(self, timeout=None):
    """The channel's next message, as jupyter_client's own: `timeout` in seconds, None for ever; else `queue.Empty`."""
    left = math.inf if timeout is None else timeout
    while left > SECONDS:
        try:
            return await _get_msg(self, timeout=SECONDS)
        except Empty:
            left -= SECONDS
    return await _get_msg(self, timeout=left)


AsyncZMQSocketChannel.get_msg = get_msg
