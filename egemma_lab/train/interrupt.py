"""Ctrl-C as a request: the step that is under way is finished, then the run saves and ends."""

import signal
import threading


class InterruptFlag:
    """While it is entered, the first Ctrl-C only sets `pressed`; a second one raises KeyboardInterrupt as
    usual.

    A KeyboardInterrupt can strike between two parameters' updates; weights saved after that belong to no
    step. Signals reach the main thread only, so in another thread this changes nothing.
    """

    def __init__(self):
        self.pressed = False

    def __enter__(self):
        self._installed = threading.current_thread() is threading.main_thread()
        if self._installed:
            self._previous = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_):
        if self._installed:
            # None: set by C code that Python cannot put back
            signal.signal(signal.SIGINT, self._previous or signal.default_int_handler)

    def _on_signal(self, number, frame):
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
