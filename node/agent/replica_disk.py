"""The open replica file, its connection's thread, and its place in the prefix."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from store.replica_file.aside import set_aside
from store.replica_file.file import ReplicaFile
from store.sqlite import Connection

Answer = TypeVar("Answer")


class ReplicaDisk:
    """Opened when it is first needed, and anew when somebody has put another file in its place.

    What goes wrong is raised: see ``store.replica_file.file.problem_of``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: ReplicaFile | None = None
        self._thread: Connection | None = None
        self._inode = 0

    async def file(self) -> ReplicaFile:
        """The file, open; its methods are for ``call`` alone."""
        if self._file is not None and self._inode != _inode(self.path):
            await self.close()
        if self._file is None:
            # Opened before aiosqlite has it: it doesn't wait for its thread when opening fails.
            opened = await asyncio.to_thread(ReplicaFile, self.path)
            self._thread = Connection(lambda: opened.connection, iter_chunk_size=64)
            await self._thread
            self._file = opened
            self._inode = _inode(self.path)
        return self._file

    async def call(self, function: Callable[[], Answer]) -> Answer:
        """Run something that uses the file in its thread, whole."""
        assert self._thread is not None, "the file isn't open"
        return await self._thread.call(lambda _: function())

    async def set_aside(self) -> Path:
        """Close it and keep it under a dated name; answers that."""
        await self.close()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return await asyncio.to_thread(set_aside, self.path, stamp)

    async def close(self) -> None:
        """Close it; ``file`` opens it again."""
        thread, self._thread, self._file = self._thread, None, None
        if thread is not None:
            await thread.close()


def _inode(path: Path) -> int:
    """Which file is there; 0 for none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
