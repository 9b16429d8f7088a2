"""The worker's error log: lines on standard error, by level, and not without end."""

import sys
import time
from collections.abc import Callable

LEVELS = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")
LINES_PER_SECOND_MAX = 50
"""An upstream that is down fails every request; its log lines must not become the next problem."""


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class ErrorLog:
    """Writes lines of ``level`` and above. What is suppressed is counted, and the count logged."""

    def __init__(
        self,
        level: str,
        worker: int,
        write: Callable[[str], None] = _to_stderr,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._lowest = LEVELS.index(level) if level in LEVELS else LEVELS.index("notice")
        self._worker = worker
        self._write = write
        self._wall_clock = wall_clock
        self._second = 0
        self._lines = 0
        self._suppressed = 0

    def notice(self, text: str) -> None:
        self._log("notice", text)

    def warning(self, text: str) -> None:
        self._log("warn", text)

    def error(self, text: str) -> None:
        self._log("error", text)

    def _log(self, level: str, text: str) -> None:
        if LEVELS.index(level) < self._lowest:
            return
        second = int(self._wall_clock())
        if second != self._second:
            if self._suppressed:
                self._emit(self._second, "warn", f"{self._suppressed} more lines in that second")
            self._second, self._lines, self._suppressed = second, 0, 0
        self._lines += 1
        if self._lines > LINES_PER_SECOND_MAX:
            self._suppressed += 1
        else:
            self._emit(second, level, text)

    def _emit(self, second: int, level: str, text: str) -> None:
        stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(second))
        printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
        self._write(f"{stamp} [{level}] worker {self._worker}: {printable}")
