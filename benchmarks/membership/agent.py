"""One agent's process: started, read line by line with the time of each, signalled, ended."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable

from benchmarks.membership.systems import Launch

LINE_BYTES_MAX = 65_536
TAIL_LINES = 20


class _Lines(asyncio.SubprocessProtocol):
    """Stamps each line as its bytes arrive, before any task gets its turn."""

    def __init__(self, hear: Callable[[float, str], None], ended: Callable[[], None]) -> None:
        self._hear = hear
        self._ended = ended
        self._rest = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        at = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LINE_BYTES_MAX:]
        for line in lines:
            self._hear(at, line.decode(errors="replace"))

    def process_exited(self) -> None:
        self._ended()


class Agent:
    """The process and all that it starts; it dies with this one, however this one ends.

    ``hear(at, line)`` is called for each line, with ``time.monotonic()`` of its arrival.
    """

    def __init__(self, hear: Callable[[float, str], None], ended: Callable[[], None]) -> None:
        self._on_line = hear
        self._on_end = ended
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._transport: asyncio.SubprocessTransport | None = None
        self._end = asyncio.Event()
        self._wanted = True

    @property
    def pid(self) -> int:
        assert self._transport is not None
        return self._transport.get_pid()

    @property
    def running(self) -> bool:
        return self._transport is not None and not self._end.is_set()

    async def start(self, launch: Launch, prefix: list[str]) -> None:
        """``prefix`` is what the command is run by: a namespace to enter, a niceness."""
        bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Lines(self._hear, self._ended),
            *(*bound, *prefix, *launch.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **launch.environment},
            start_new_session=True,  # a group of its own, which a Ctrl-C here doesn't reach
        )

    def signal(self, number: signal.Signals) -> float:
        """Signal the process and its children; when that was."""
        at = time.monotonic()
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
        return at

    async def kill(self) -> float:
        """kill -9, and wait for the end of the process; when it was killed."""
        self._wanted = False
        at = self.signal(signal.SIGKILL)
        if self._transport is not None:
            await self._end.wait()
            self._transport.close()
        return at

    def tail(self) -> str:
        """The last lines."""
        return "\n".join(self._tail)

    def _hear(self, at: float, line: str) -> None:
        self._tail.append(line)
        self._on_line(at, line)

    def _ended(self) -> None:
        self._end.set()
        if self._wanted:
            self._on_end()
