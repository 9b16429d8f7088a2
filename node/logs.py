"""The node's log: one line an event, on stdlib logging.

``2026-01-02T03:04:05.678Z notice cluster member joined name=gw2 address=[::1]:8005``: time in UTC,
level in Kong's words, component, message, then ``key=value`` fields. Control characters are
escaped, so that nothing a peer or client sends can forge a line or reach a terminal.
"""

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from node.log_file import LogFile, reopen_all

NOTICE, ALERT, EMERGENCY = 25, 55, 60
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": NOTICE,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "crit": logging.CRITICAL,
    "alert": ALERT,
    "emerg": EMERGENCY,
}
"""Kong's (nginx's) level names, in rising order."""
_NAMES = {number: name for name, number in LEVELS.items()}

LINE_CHARS_MAX = 16_384
REPEATED_INTERVAL_SECONDS = 60.0
REPEATED_KEYS_MAX = 1_024

_ROOT = "grapevine"
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN_VALUE = re.compile(r'[^\s"=]+')
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


class _Event(logging.LogRecord):
    """A line of ours. Made here: ``logging`` would first look for who has called it."""

    def __init__(self, name: str, level: int, message: str, fields: dict[str, Any]) -> None:
        super().__init__(name, level, "", 0, message, (), None)
        self.fields = fields


class Logger:
    """Logs for one component; keyword arguments become the line's fields."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def log(self, level: int, message: str, **fields: Any) -> None:
        """An event at one of the numbers of LEVELS."""
        if self._logger.isEnabledFor(level):
            self._logger.handle(_Event(self._logger.name, level, message, fields))

    def debug(self, message: str, **fields: Any) -> None:
        self.log(logging.DEBUG, message, **fields)

    def info(self, message: str, **fields: Any) -> None:
        self.log(logging.INFO, message, **fields)

    def notice(self, message: str, **fields: Any) -> None:
        """A normal event that an operator wants to see: Kong's default level."""
        self.log(NOTICE, message, **fields)

    def warning(self, message: str, **fields: Any) -> None:
        self.log(logging.WARNING, message, **fields)

    def error(self, message: str, **fields: Any) -> None:
        self.log(logging.ERROR, message, **fields)

    def exception(self, message: str, **fields: Any) -> None:
        """An error with the traceback of the exception being handled, in the same line."""
        self._logger.error("%s", message, extra={"fields": fields}, exc_info=True)

    def critical(self, message: str, **fields: Any) -> None:
        self.log(logging.CRITICAL, message, **fields)

    def alert(self, message: str, **fields: Any) -> None:
        self.log(ALERT, message, **fields)

    def emergency(self, message: str, **fields: Any) -> None:
        self.log(EMERGENCY, message, **fields)


class Repeated:
    """Lets a line through once per interval and key, and counts what it holds back.

    For lines that others can cause at will (a wrong key, garbage on a port): the number of lines is
    bounded by ``keys_max`` per interval, whatever the number of sources.
    """

    def __init__(
        self, interval: float = REPEATED_INTERVAL_SECONDS, keys_max: int = REPEATED_KEYS_MAX
    ) -> None:
        self._interval = interval
        self._keys_max = keys_max
        self._held: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._held_without_key = 0

    def admit(self, key: str, now: float) -> int | None:
        """None: hold this line back. Else: log it, with the number held back since the last one."""
        since, held = self._held.get(key, (None, 0))
        if since is not None and now - since < self._interval:
            self._held[key] = (since, held + 1)
            return None
        if since is None and not self._make_room(now):
            self._held_without_key += 1
            return None
        held += self._held_without_key
        self._held_without_key = 0
        self._held[key] = (now, 0)
        self._held.move_to_end(key)
        return held

    def _make_room(self, now: float) -> bool:
        """Whether a new key fits; the oldest whose interval has passed gives way."""
        if len(self._held) < self._keys_max:
            return True
        oldest, (since, held) = next(iter(self._held.items()))
        if now - since < self._interval:
            return False
        del self._held[oldest]
        self._held_without_key += held
        return True


def escape(text: str) -> str:
    """A text without characters that end a line, move a cursor or turn the writing direction."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _value(value: Any) -> str:
    """As a line shows it, but for ``escape``."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value.hex() if isinstance(value, bytes) else str(value)
    if _PLAIN_VALUE.fullmatch(text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


@lru_cache(maxsize=1)
def _stamp(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class LineFormatter(logging.Formatter):
    """Formats a record, ours or a library's, as one line."""

    def format(self, record: logging.LogRecord) -> str:
        seconds, milliseconds = divmod(int(record.created * 1000), 1000)
        component = record.name.removeprefix(f"{_ROOT}.")
        level = _NAMES.get(record.levelno, record.levelname.lower())
        words = [f"{_stamp(seconds)}.{milliseconds:03d}Z", level, component, record.getMessage()]
        fields: dict[str, Any] = dict(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            fields["traceback"] = self.formatException(record.exc_info)
        words += [f"{key}={_value(value)}" for key, value in fields.items()]
        line = escape(" ".join(words))
        cut = len(line) - LINE_CHARS_MAX
        return line if cut <= 0 else f"{line[:LINE_CHARS_MAX]}… cut={cut}"


class FileHandler(logging.Handler):
    """Writes lines to a destination of node.log_file.

    A line that can't be written (disk full, nobody reads the pipe) is counted; the count is told
    with the next line that can.
    """

    def __init__(self, destination: str) -> None:
        """Raises OSError when the file can't be opened."""
        super().__init__()
        self.setFormatter(LineFormatter())
        self.file = LogFile(destination)
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if self.lost:
            line = f"{line} lines_lost={self.lost}"
        try:
            self.file.write(f"{line}\n".encode())
        except OSError:
            self.lost += 1
        else:
            self.lost = 0

    def close(self) -> None:
        self.file.close()
        super().close()


def _handler_to(destination: str) -> logging.Handler:
    return logging.NullHandler() if destination == "off" else FileHandler(destination)


# What no line shows isn't found out for each.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
_handler: logging.Handler = FileHandler("/dev/stderr")
logging.getLogger(_ROOT).addHandler(_handler)
logging.getLogger(_ROOT).setLevel(NOTICE)


def get(component: str) -> Logger:
    """The logger of a component, e.g. ``cluster``. Until configure(), lines go to stderr."""
    return Logger(logging.getLogger(f"{_ROOT}.{component}"))


def configure(level: str, destination: str) -> None:
    """Send everything, libraries' lines included, from ``level`` on to ``destination``.

    Libraries' debug lines are left out: they show the data that a statement carries.
    ``level`` is a key of LEVELS; ``destination`` is ``off``, /dev/stdout, /dev/stderr or a path.
    May be called again. Raises OSError when the file can't be opened; what was before then stays.
    """
    global _handler
    handler = _handler_to(destination)
    root, ours = logging.getLogger(), logging.getLogger(_ROOT)
    root.addHandler(handler)
    for logger in (root, ours):
        logger.removeHandler(_handler)
    set_level(level)
    _handler.close()
    _handler = handler


def set_level(level: str) -> None:
    """Let lines through from this level on, a key of LEVELS; where they go stays as it is."""
    logging.getLogger(_ROOT).setLevel(LEVELS[level])
    logging.getLogger().setLevel(max(LEVELS[level], logging.INFO))


@contextmanager
def apart(component: str, destination: str) -> Iterator[None]:
    """Within the context, one component's lines go to a destination of their own, as configure()'s.

    Raises OSError when the file can't be opened.
    """
    handler = _handler_to(destination)
    logger = logging.getLogger(f"{_ROOT}.{component}")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = True
        logger.removeHandler(handler)
        handler.close()


def reopen() -> None:
    """Open every log file of this process anew; where that fails, lines go on into the old file."""
    for problem in reopen_all():
        get("logs").error(problem)
