"""The authority in a SQLite file on a simulated machine's disk: the real library, in virtual time.

``SqliteModel`` is ``store.sqlite.SqliteAuthority`` with other connections: instead of a thread
there is the process's own loop, instead of the disk a database in memory. A call is one event, as
it is one call of the connection's thread; what may go wrong around it happens to the file.
"""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from simulations.authority.bootstrap import first_rows
from simulations.clock import Clock
from store.limits import BUSY_SECONDS_MAX
from store.migrations import catalogue
from store.migrations.sqlite_runner import statements
from store.sqlite import SqliteAuthority
from store.sqlite_connection import configure

Answer = TypeVar("Answer")
Fate = Literal["done", "undone"]
"""What becomes of a COMMIT that reports an error."""

_LOOK_SECONDS = 0.005
"""How often who waits for a lock looks again."""


class SqliteFile:
    """A file that all processes of one machine share, and what happens to it."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.clock = clock
        self.rng = rng
        self.broken = ""
        """Why no call succeeds now, if none does."""
        self.seconds = 0.000_2
        """What a call takes, on average."""
        self.next_commit: Fate | None = None
        """The next COMMIT reports an error; whether it took effect all the same."""
        self.dies_after: int | None = None
        """The next process that writes dies after so many statements of its transaction."""
        self._locked_until = 0.0
        self._connection: _Connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False, factory=_Connection
        )
        self._connection.file = self
        configure(self._connection)

    @classmethod
    def bootstrapped(cls, clock: Clock, rng: random.Random) -> "SqliteFile":
        """As ``store.migrations.sqlite_runner`` leaves it, but for its table ``migration``."""
        file = cls(clock, rng)
        file.bootstrap()
        return file

    @property
    def has_tables(self) -> bool:
        return bool(self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

    def bootstrap(self) -> None:
        """Make the tables. Raises sqlite3's errors."""
        self.call(self._bootstrap, read_only=False)

    def _bootstrap(self, connection: sqlite3.Connection) -> None:
        migrations = catalogue.load("sqlite")
        for migration in migrations:
            for statement in statements(migration.sql):
                connection.execute(statement)
        for table, values in first_rows(self.rng, migrations).items():
            columns, marks = ", ".join(values), ", ".join("?" * len(values))
            connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values())
            )

    def lock(self, seconds: float) -> None:
        """Another process holds the write lock for so long; it may stand still."""
        self._locked_until = max(self._locked_until, self.clock.now + seconds)

    @property
    def is_locked(self) -> bool:
        return self.clock.now < self._locked_until

    def image(self) -> bytes:
        """The file's bytes, as a backup or a copy has them."""
        return self._connection.serialize()

    def restore(self, image: bytes) -> None:
        """Put an older one in its place."""
        self._connection.deserialize(image)

    def log(self) -> list[Mapping[str, Any]]:
        """The rows of the authority's log, in order."""
        self._connection._left = None
        if not self.has_tables:
            return []
        cursor = self._connection.execute("SELECT * FROM log ORDER BY revision")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def copy(self) -> "SqliteFile":
        """The file on another machine's disk."""
        copied = SqliteFile(self.clock, self.rng)
        copied.restore(self.image())
        return copied

    def sql(self, text: str) -> None:
        """Do to it what only an operator or an accident does."""
        self.call(lambda connection: connection.execute(text), read_only=False)

    def call(self, function: Callable[[sqlite3.Connection], Answer], *, read_only: bool) -> Answer:
        """Run a function with the connection. Raises sqlite3's errors, and ProcessDied."""
        if self.broken:
            raise sqlite3.OperationalError(self.broken)
        self._connection._left = None
        self._connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
        try:
            return function(self._connection)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


class ProcessDied(BaseException):
    """The process that wrote was killed within its transaction. No code of its may handle it."""


class _Connection(sqlite3.Connection):
    """The real one, with the faults that the file has in store."""

    file: SqliteFile
    _left: int | None = None
    """Statements that the process has left to live for."""

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        file = self.file
        if sql == "BEGIN IMMEDIATE":
            self._left, file.dies_after = file.dies_after, None
        elif self._left is not None and sql != "ROLLBACK":
            if self._left == 0:
                self._left = None
                raise ProcessDied
            self._left -= 1
        if sql != "COMMIT" or file.next_commit is None:
            return super().execute(sql, parameters)
        fate, file.next_commit = file.next_commit, None
        super().execute("COMMIT" if fate == "done" else "ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")


class SqliteModel(SqliteAuthority):
    """``store.authority.Authority`` over a simulated file.

    ``died`` is called when the process was killed within a transaction: nothing after it happens in
    that process.
    """

    def __init__(
        self, file: SqliteFile, *, died: Callable[[], None] | None = None, **sources: Any
    ) -> None:
        super().__init__("authority.db", **sources)
        self._file = file
        self._died = died

    async def _connect(self, *, read_only: bool) -> Any:
        return _Handle(self._file, self._died, read_only=read_only)


class _Handle:
    """What SqliteAuthority uses of its Connection."""

    def __init__(
        self, file: SqliteFile, died: Callable[[], None] | None, *, read_only: bool
    ) -> None:
        self._file = file
        self._died = died
        self._read_only = read_only

    async def call(self, function: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Readers see the last commit while another process writes; writers wait."""
        file = self._file
        await asyncio.sleep(file.seconds * file.rng.uniform(0.5, 1.5))
        deadline = file.clock.now + BUSY_SECONDS_MAX
        while file.is_locked and not self._read_only:
            if file.clock.now >= deadline:
                busy = sqlite3.OperationalError("database is locked")
                busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise busy
            await asyncio.sleep(_LOOK_SECONDS)
        try:
            return file.call(function, read_only=self._read_only)
        except ProcessDied:
            if self._died is None:
                raise
            file.clock.after(0.0, self._died)
            await asyncio.get_running_loop().create_future()
            raise

    async def close(self) -> None:
        pass
