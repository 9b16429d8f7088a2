"""The worker's part of the node's log: the same lines, and not without end."""

import time
from collections.abc import Callable

from node import logs

LINES_PER_SECOND_MAX = 50
"""An upstream that is down fails every request; its log lines must not become the next problem."""


class ErrorLog:
    """Lines of one worker. What is suppressed is counted, and the count logged."""

    def __init__(self, worker: int, wall_clock: Callable[[], float] = time.time) -> None:
        self._log = logs.get("proxy")
        self._worker = worker
        self._wall_clock = wall_clock
        self._second = 0
        self._lines = 0
        self._suppressed = 0

    def notice(self, message: str, **fields: object) -> None:
        if self._admit():
            self._log.notice(message, worker=self._worker, **fields)

    def warning(self, message: str, **fields: object) -> None:
        if self._admit():
            self._log.warning(message, worker=self._worker, **fields)

    def error(self, message: str, **fields: object) -> None:
        if self._admit():
            self._log.error(message, worker=self._worker, **fields)

    def _admit(self) -> bool:
        """Whether one more line fits this second."""
        second = int(self._wall_clock())
        if second != self._second:
            suppressed, self._suppressed = self._suppressed, 0
            self._second, self._lines = second, 0
            if suppressed:
                self._log.warning("lines left out", worker=self._worker, lines=suppressed)
        self._lines += 1
        if self._lines > LINES_PER_SECOND_MAX:
            self._suppressed += 1
        return self._lines <= LINES_PER_SECOND_MAX
