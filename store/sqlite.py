"""The authority in a SQLite file, which all nodes of one machine share (DESIGN 3).

Write-ahead log, foreign keys on, ``synchronous=FULL``: what is answered is on the disk. A write is
one call of its connection's thread, so that no other coroutine can stand inside the transaction;
reads have a connection of their own and see the last committed state while a write is under way.
"""

import asyncio
import contextlib
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiosqlite

from store import read as reads
from store.authority import (
    AuthorityInfo,
    Committed,
    Mutation,
)
from store.engine import Engine
from store.errors import AuthorityUnavailable, CommitLost
from store.history import Server
from store.limits import BUSY_SECONDS_MAX, DATA_VERSION_SECONDS
from store.log_trim import LogBounds
from store.plan import SQLITE, Plan, Result, Row
from store.schema import Schema, schema
from store.schema.parts import random_id
from store.sqlite_connection import change, connect, read, unavailable
from store.version import EMPTY, Head
from store.write import Outcome, WriteRequest, logged, write_all
from store.write_queue import WriteQueue
from store.writer import LookedUp, Writer

Answer = TypeVar("Answer")


class Connection(aiosqlite.Connection):
    """An aiosqlite connection whose thread runs whole functions."""

    async def call(self, function: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Run a function with the sqlite3 connection, in the connection's thread, whole.

        When the awaiting task is cancelled the function still runs to its end.
        """
        answer: Answer = await self._execute(function, self._conn)  # type: ignore[no-untyped-call]
        return answer


async def _connection(path: Path, *, read_only: bool = False) -> Connection:
    # Opened before aiosqlite has it: it doesn't wait for its thread when opening fails.
    opened = await asyncio.to_thread(connect, path, read_only=read_only)
    connection = Connection(lambda: opened, iter_chunk_size=64)
    await connection
    return connection


class SqliteAuthority(Engine):
    """``store.authority.Authority`` over a SQLite file.

    ``clock`` gives Unix seconds, ``draw_write_id`` 16 random bytes, ``new_id`` a random UUID,
    ``schemas`` the schema of a kind, ``confirmed`` the newest head that is known to be the
    authority's (every write is compared with it; EMPTY: none), ``draw_tag`` the tag of an epoch.
    """

    _dialect = SQLITE

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], float] = time.time,
        draw_write_id: Callable[[], bytes] = lambda: secrets.token_bytes(16),
        new_id: Callable[[], str] = random_id,
        log_bounds: LogBounds | None = None,
        schemas: Callable[[str], Schema] = schema,
        confirmed: Callable[[], Head] = lambda: EMPTY,
        draw_tag: Callable[[], int] = lambda: secrets.randbits(64),
    ) -> None:
        self._new_id = new_id
        self._path = Path(path)
        self._clock = clock
        self._draw_write_id = draw_write_id
        self._log_bounds = log_bounds or LogBounds()
        self._schemas = schemas
        self._confirmed = confirmed
        self._draw_tag = draw_tag
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self.writes = Writer(self._execute, self._look_up, self.trim_log, BUSY_SECONDS_MAX)

    async def open(self) -> AuthorityInfo:
        """Open the file and check its schema; SchemaMismatch says what to type."""
        await self.close()
        try:
            self._writer = await self._connect(read_only=False)
            self._reader = await self._connect(read_only=True)
            return await self._read(reads.read_info)
        except sqlite3.Error as error:
            await self.close()
            raise unavailable(error, self._path) from error
        except BaseException:
            await self.close()
            raise

    def _queues(self) -> Sequence[WriteQueue]:
        return (self.writes.queue,)

    async def _connect(self, *, read_only: bool) -> Connection:
        return await _connection(self._path, read_only=read_only)

    async def close(self) -> None:
        """Close both connections; without effect when they are closed."""
        writer, self._writer = self._writer, None
        reader, self._reader = self._reader, None
        self.writes.close(f"{self._path} isn't open")
        for connection in (reader, writer):
            if connection is not None:
                await connection.close()

    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        """Apply all mutations in one transaction, or none."""
        if self._writer is None:
            raise AuthorityUnavailable(f"{self._path} isn't open")
        return await self.writes.write(self._request(mutations, origin, write_id))

    async def watch(self, heard: Callable[[int], None]) -> None:
        try:
            # A plain handle: asking it costs microseconds, a thread's hop many times as much.
            with contextlib.closing(connect(self._path, read_only=True)) as handle:
                seen = None
                while True:
                    (version,) = handle.execute("PRAGMA data_version").fetchone()
                    if version != seen:
                        seen = version
                        heard(handle.execute("SELECT revision FROM head").fetchone()[0])
                    await asyncio.sleep(DATA_VERSION_SECONDS)
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error

    def _server(self, row: Row | None) -> Server:
        return Server(f"{socket.gethostname()}:{self._path.resolve()}", 0)

    async def walk(self, visitor: reads.Visitor, slice_rows: int) -> None:
        if self._reader is None:
            raise AuthorityUnavailable(f"{self._path} isn't open")
        try:
            connection = await self._connect(read_only=True)  # others' reads would wait for its end
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error
        plan = partial(reads.walk_state, visitor, slice_rows)
        try:
            await self._call(connection, lambda opened: read(opened, plan))
        finally:
            await connection.close()

    async def _execute(self, requests: Sequence[WriteRequest]) -> list[Outcome]:
        plan = partial(write_all, requests, SQLITE, self._comparison())
        return await self._call(self._writer, lambda connection: change(connection, plan))

    async def _look_up(self, requests: Sequence[WriteRequest], lost: CommitLost) -> LookedUp:
        write_ids = [request.write_id for request in requests]
        return LookedUp(await self._read(lambda: logged(write_ids)))

    async def _read(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        return await self._call(self._reader, lambda connection: read(connection, make_plan))

    async def _change(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        try:
            return await self._call(self._writer, lambda connection: change(connection, make_plan))
        except CommitLost as lost:  # doing it again does no harm
            raise AuthorityUnavailable(f"{self._path}: {lost}") from lost

    async def _call(
        self, connection: Connection | None, function: Callable[[sqlite3.Connection], Result]
    ) -> Result:
        if connection is None:
            raise AuthorityUnavailable(f"{self._path} isn't open")
        try:
            return await connection.call(function)
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # the write rule leaves none of these to chance: they are mistakes of ours
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error
