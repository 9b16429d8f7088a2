"""``migrations bootstrap`` as a process of its own, in virtual time."""

import asyncio
from pathlib import Path
from sqlite3 import Error as SqliteError

from node.cli.attempts import Attempts
from simulations.authority.loop import ProcessLoop
from simulations.authority.sqlite import SqliteFile
from simulations.clock import Clock
from store.sqlite_connection import unavailable


class MigrationsCommand:
    """Tries for ``seconds`` (``--db-timeout``). Its task's result is the reason why it gave up."""

    def __init__(self, clock: Clock, file: SqliteFile, seconds: float) -> None:
        self._clock = clock
        self._file = file
        self._seconds = seconds
        self.attempts = 0
        loop = ProcessLoop.on(clock)
        self.task = loop.create_task(self._run())

    async def _run(self) -> str:
        attempts = Attempts(self._seconds, self._clock.now)
        while True:
            self.attempts += 1
            try:
                self._file.bootstrap()
                return ""
            except SqliteError as error:
                reason = str(unavailable(error, Path("authority.db")))
            pause = attempts.pause(self._clock.now)
            if pause is None:
                return reason
            await asyncio.sleep(pause)
