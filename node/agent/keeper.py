"""Small files that follow what changes: written in a thread, the newest content, one at a time."""

import asyncio
from collections.abc import Callable

from node import logs

log = logs.get("node")


class Keeper:
    """Calls ``write()`` off the event loop soon after each ``changed()``, never twice at once.

    Changes that come while it writes are written together, next.
    """

    def __init__(self, what: str, write: Callable[[], None]) -> None:
        self._what = what
        self._write = write
        self.problem = ""
        """Why the last attempt to write failed; empty when it didn't."""
        self._again = False
        self._task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """There is something new to write."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def finish(self) -> None:
        """Wait until everything is written."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while self._again:
            self._again = False
            try:
                await asyncio.to_thread(self._write)
                self.problem = ""
            except OSError as error:
                self.problem = str(error)
                log.error(f"{self._what} can't be written", reason=str(error))
