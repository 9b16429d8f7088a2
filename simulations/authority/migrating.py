"""``migrations bootstrap`` as a process of its own, in virtual time."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Error as SqliteError

from simulations.authority.loop import ProcessLoop
from simulations.authority.sqlite import SqliteFile
from simulations.clock import Clock
from store.sqlite_connection import unavailable


class MigrationsCommand:
    """Tries as long as ``pause(now)``, asked after each attempt that failed, gives seconds to the
    next one. Its task's result is the reason why it gave up; empty when it didn't."""

    def __init__(
        self, clock: Clock, file: SqliteFile, pause: Callable[[float], float | None]
    ) -> None:
        self._clock = clock
        self._file = file
        self._pause = pause
        self.attempts = 0
        loop = ProcessLoop.on(clock)
        self.task = loop.create_task(self._run())

    async def _run(self) -> str:
        while True:
            self.attempts += 1
            try:
                self._file.bootstrap()
                return ""
            except SqliteError as error:
                reason = str(unavailable(error, Path("authority.db")))
            pause = self._pause(self._clock.now)
            if pause is None:
                return reason
            await asyncio.sleep(pause)
