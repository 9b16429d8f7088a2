"""Signals as nginx and Kong have them (DESIGN 9)."""

import asyncio
import signal
import time
from typing import Protocol

from node.agent.limits import SIGNAL_ONCE_SECONDS


class Obedient(Protocol):
    """What signals ask of a node."""

    def shutdown_timeout(self) -> float:
        """How long TERM and INT let requests finish, in seconds; a reload may have changed it."""

    def reload(self) -> None: ...

    def reopen_logs(self) -> None: ...


class Signals:
    """TERM and INT drain within a bound, QUIT without; a second one later ends at once.

    ``stop`` resolves to the bound in seconds, or None.
    """

    def __init__(self, node: Obedient) -> None:
        loop = asyncio.get_running_loop()
        self.stop: asyncio.Future[float | None] = loop.create_future()
        self.at_once: asyncio.Future[None] = loop.create_future()
        self._first_at = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: self.terminate(node.shutdown_timeout()))
        loop.add_signal_handler(signal.SIGQUIT, self.terminate, None)
        loop.add_signal_handler(signal.SIGHUP, node.reload)
        loop.add_signal_handler(signal.SIGUSR1, node.reopen_logs)

    def terminate(self, seconds: float | None) -> None:
        """Ask for the end: the first time with ``seconds`` to drain, then at once."""
        now = time.monotonic()
        if not self.stop.done():
            self._first_at = now
            self.stop.set_result(seconds)
        elif now - self._first_at > SIGNAL_ONCE_SECONDS and not self.at_once.done():
            self.at_once.set_result(None)
