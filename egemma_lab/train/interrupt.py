"""Ctrl-C and SIGTERM as requests: the step that is under way is finished, then the run saves and ends."""

import signal
import threading


class InterruptFlag:
    """While it is entered, the first Ctrl-C only sets `pressed`; a second one raises KeyboardInterrupt as
    usual. SIGTERM, with which clusters announce that a machine is taken away, sets `pressed` too; `pass_on()` obeys it
    once the run is saved.

    A KeyboardInterrupt can strike between two parameters' updates; weights saved after that belong to no
    step. Signals reach the main thread only, so in another thread this changes nothing.
    """

    def __init__(self):
        self.pressed = self.terminated = False

    def __enter__(self):
        self._installed = threading.current_thread() is threading.main_thread()
        if self._installed:
            self._previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            signal.signal(signal.SIGINT, self._on_signal)
            signal.signal(signal.SIGTERM, self._on_terminate)
        return self

    def __exit__(self, *_):
        if self._installed:
            defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
            for number, previous in self._previous.items():
                # None: set by C code that Python cannot put back
                signal.signal(number, defaults[number] if previous is None else previous)

    def pass_on(self):
        """Let a SIGTERM that came meanwhile do what it would have done at once: by default, end the process."""
        if self.terminated:
            signal.raise_signal(signal.SIGTERM)

    def _on_terminate(self, number, frame):
        self.pressed = self.terminated = True

    def _on_signal(self, number, frame):
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
