"""A terminal of a test's own: a process behind it, its keys, and what it has been sent."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class TestedTerminal:
    """Starts a process with this as its controlling terminal. Closed by ``close``."""

    __test__ = False

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self._ours, self._theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.resize(rows, columns)
        self.before = self.attributes()
        self.text = ""
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    def attributes(self) -> list[Any]:
        """What stty shows."""
        return termios.tcgetattr(self._theirs)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def start(self, *command: str, **environment: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("KONG_", "GRAPEVINE_")) and name != "NO_COLOR"
            }
            | {"TERM": "xterm"}
            | environment,
        )
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def frame(self) -> str:
        """What stands on the screen: the text of the last whole picture."""
        pictures = self.text.rpartition("\x1b[J")[0].rpartition("\x1b[H")[2]
        return SEQUENCES.sub("", pictures).replace("\r", "").replace("\xa0", " ")

    def after(self) -> str:
        """What has been written since the alternate screen was left; empty while it stands."""
        return self.text.rpartition("\x1b[?1049l")[2] if "\x1b[?1049l" in self.text else ""

    async def until_frame(self, pattern: str, *, seconds: float = 40.0) -> str:
        """Wait until the picture matches; answers it."""
        return await self._until(pattern, self.frame, seconds)

    async def until_text(self, pattern: str, *, seconds: float = 40.0) -> str:
        """Wait until all that was ever written matches; answers it."""
        return await self._until(pattern, lambda: self.text, seconds)

    async def _until(self, pattern: str, look: Callable[[], str], seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, look()):
            assert time.monotonic() < deadline, (
                f"no {pattern!r} in {seconds:g} s: {self.frame()}\n{self.text[-2000:]!r}"
            )
            await asyncio.sleep(0.02)
        return look()

    async def until_attributes(self, wanted: bool) -> None:
        """Wait until they are as they were (or aren't)."""
        async with asyncio.timeout(40):
            while (self.attributes() == self.before) is not wanted:
                await asyncio.sleep(0.02)

    async def until_stopped(self) -> None:
        """Wait until the process stands still, as Ctrl-Z has it."""
        async with asyncio.timeout(40):
            while self._state() != "T":
                await asyncio.sleep(0.02)

    def _state(self) -> str:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0]

    async def end(self, *, seconds: float = 40.0) -> int:
        """Wait for the exit of the process; answers its code."""
        code = await asyncio.wait_for(self.process.wait(), seconds)
        self._read()
        return code

    async def close(self) -> None:
        """End the process if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
        os.close(self._theirs)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 65536)
            except (BlockingIOError, OSError):
                return
            self.text += data.decode(errors="replace")
