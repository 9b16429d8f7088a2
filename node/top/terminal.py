"""A terminal that is drawn on, and is as it was afterwards, whatever happens in between."""

import asyncio
import atexit
import contextlib
import fcntl
import os
import signal
import struct
import sys
import termios
import tty
from collections.abc import Callable

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"
"""The alternate screen, no cursor, lines cut off at the edge; then all is cleared."""
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_READ_BYTES = 64
_NAMES = {"\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down", "\t": "down"}


def usable(plain: bool) -> bool:
    """Whether there is a terminal to draw on and read keys from, and nobody wants it left alone."""
    if plain or os.environ.get("TERM", "") in ("", "dumb"):
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()


class Terminal:
    """Standard input and output. A context manager: within it, keys come one by one and unseen.

    Everything that can end the process but SIGKILL restores the terminal first: an exception, an
    exit, INT and TERM (``on_end`` is to end the block), QUIT (likewise), and TSTP stops only what
    is drawn; CONT draws anew.
    """

    def __init__(self, on_key: Callable[[str], None], on_end: Callable[[], None]) -> None:
        self._on_key = on_key
        self._on_end = on_end
        self._input = sys.stdin.fileno()
        self._output = sys.stdout.fileno()
        self._before: list[int | list[bytes | int]] | None = None
        self._drawn: tuple[str, tuple[int, int]] | None = None

    def __enter__(self) -> "Terminal":
        loop = asyncio.get_running_loop()
        atexit.register(self._leave)
        try:
            self._enter()
            loop.add_reader(self._input, self._read)
            loop.add_signal_handler(signal.SIGTSTP, self._suspend)
            loop.add_signal_handler(signal.SIGCONT, self._resume)
            loop.add_signal_handler(signal.SIGQUIT, self._on_end)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        self._leave()
        atexit.unregister(self._leave)
        loop.remove_reader(self._input)
        for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGQUIT):
            loop.remove_signal_handler(number)

    def size(self) -> tuple[int, int]:
        """Columns and rows, now."""
        columns = rows = 0
        with contextlib.suppress(OSError):
            answer = fcntl.ioctl(self._output, termios.TIOCGWINSZ, bytes(8))
            rows, columns, *_ = struct.unpack("HHHH", answer)
        return columns or 80, rows or 24

    def show(self, text: str) -> None:
        """Draw the lines of a text from the top on. What stands there already costs nothing, and
        nothing is written from the background."""
        size = self.size()
        if self._before is None or (text, size) == self._drawn:
            return
        cleared = "" if self._drawn is not None and self._drawn[1] == size else "\x1b[2J"
        lines = "\x1b[K\n".join(text.splitlines()[: size[1]])
        self._write(f"{cleared}\x1b[H{lines}\x1b[K\x1b[J")
        self._drawn = text, size

    def _enter(self) -> None:
        if self._before is not None or not self._is_ours():
            return
        self._before = termios.tcgetattr(self._input)
        tty.setcbreak(self._input, termios.TCSADRAIN)
        attributes = termios.tcgetattr(self._input)
        # Ctrl-S would stop this process at its next line, and with it what else it does.
        attributes[0] &= ~termios.IXON
        termios.tcsetattr(self._input, termios.TCSADRAIN, attributes)
        self._drawn = None
        self._write(_ENTER)

    def _leave(self) -> None:
        before, self._before = self._before, None
        if before is None or not self._is_ours():
            return
        # A terminal that is gone needs nothing.
        with contextlib.suppress(OSError):
            self._write(_LEAVE)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._input, termios.TCSADRAIN, before)

    def _is_ours(self) -> bool:
        """Whether this process is in the foreground; in the background, the terminal is the
        shell's, and who touches it is stopped."""
        try:
            return os.tcgetpgrp(self._input) == os.getpgrp()
        except OSError:
            return True  # no controlling terminal, so no job control either

    def _suspend(self) -> None:
        self._leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._enter()

    def _resume(self) -> None:
        """CONT. Whoever has stopped this process may have used the terminal meanwhile."""
        self._leave()
        self._enter()

    def _read(self) -> None:
        try:
            data = os.read(self._input, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._on_end()
            return
        text = data.decode(errors="replace")
        while text:
            name = next((sequence for sequence in _NAMES if text.startswith(sequence)), "")
            if not name and text.startswith("\x1b"):
                return  # a key that means nothing here
            self._on_key(_NAMES[name] if name else text[0])
            text = text[len(name) or 1 :]

    def _write(self, text: str) -> None:
        data = text.encode(sys.stdout.encoding or "utf-8", errors="replace")
        while data:
            data = data[os.write(self._output, data) :]
