"""Makes commits take longer, as a slower disk would: the locks are held for that time.

For Postgres a proxy: ``python -m benchmarks.slow_commit HOST PORT SECONDS`` prints its own port.
For SQLite a connection that sleeps before COMMIT.
"""

import asyncio
import contextlib
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from store import sqlite, sqlite_connection

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class SleepyConnection:
    """A sqlite3 connection whose COMMIT takes longer."""

    def __init__(self, connection: sqlite3.Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            time.sleep(self._seconds)
        return self._connection.execute(sql, *parameters)


def delay_sqlite(seconds: float) -> None:
    """From now on, for connections that write."""

    def connect(path: Path, *, read_only: bool = False) -> Any:
        connection = sqlite_connection.connect(path, read_only=read_only)
        return connection if read_only else SleepyConnection(connection, seconds)

    setattr(sqlite, "connect", connect)  # noqa: B010 (mypy: it is no name that sqlite exports)


async def serve(host: str, port: int, seconds: float) -> None:
    """Forward everything, and each COMMIT later."""

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if data.endswith(COMMIT):
                    await asyncio.sleep(seconds)
                target.write(data)
        target.close()

    async def forward(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        replies, server = await asyncio.open_connection(host, port)
        await asyncio.gather(copy(client, server), copy(replies, answers))

    listener = await asyncio.start_server(forward, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
