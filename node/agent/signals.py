"""Signals as nginx and Kong have them (DESIGN 9)."""

import asyncio
import signal
import time
from collections.abc import Callable

from node.agent.limits import SIGNAL_ONCE_SECONDS


def _nothing() -> None:
    return None


class Signals:
    """TERM and INT drain within a bound, QUIT without; a second one later ends at once.

    ``stop`` resolves to the bound in seconds, or None. HUP and USR1 call what is set here.
    """

    def __init__(self, shutdown_timeout: float) -> None:
        loop = asyncio.get_running_loop()
        self.stop: asyncio.Future[float | None] = loop.create_future()
        self.at_once: asyncio.Future[None] = loop.create_future()
        self.on_reload: Callable[[], None] = _nothing
        self.on_reopen: Callable[[], None] = _nothing
        self._first_at = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.terminate, shutdown_timeout)
        loop.add_signal_handler(signal.SIGQUIT, self.terminate, None)
        loop.add_signal_handler(signal.SIGHUP, lambda: self.on_reload())
        loop.add_signal_handler(signal.SIGUSR1, lambda: self.on_reopen())

    def terminate(self, seconds: float | None) -> None:
        """Ask for the end: the first time with ``seconds`` to drain, then at once."""
        now = time.monotonic()
        if not self.stop.done():
            self._first_at = now
            self.stop.set_result(seconds)
        elif now - self._first_at > SIGNAL_ONCE_SECONDS and not self.at_once.done():
            self.at_once.set_result(None)
