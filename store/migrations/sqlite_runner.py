"""Runs migrations on a SQLite file.

Every command holds the file exclusively and is one transaction: of two at once one waits, and one
that is killed has done nothing.
"""

import asyncio
import os
import secrets
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from store.authority import AuthorityInfo
from store.errors import MigrationRefused, SchemaMismatch
from store.limits import BUSY_SECONDS_MAX
from store.migrations import catalogue
from store.migrations.catalogue import Applied, Migration, Phase, Status
from store.migrations.runner import Bootstrapped, never_bootstrapped, to_run
from store.read import BOOTSTRAP_NEEDED
from store.sqlite_connection import connect, unavailable
from store.version import GENESIS_DIGEST

Answer = TypeVar("Answer")

_MIGRATION_TABLE = """
CREATE TABLE migration (
    number     INTEGER NOT NULL,
    phase      TEXT    NOT NULL CHECK (phase IN ('pre', 'post')),
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL,
    applied_at REAL    NOT NULL,
    PRIMARY KEY (number, phase)
) STRICT
"""


class SqliteMigrations:
    """``store.migrations.runner.Migrations`` for one file.

    ``clock`` gives Unix seconds, ``random_bytes`` n random bytes.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        migrations: Sequence[Migration] | None = None,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._path = Path(path)
        self._migrations = tuple(migrations or catalogue.load("sqlite"))
        self._clock = clock
        self._random_bytes = random_bytes

    @property
    def target(self) -> str:
        """The file's path."""
        return str(self._path)

    @property
    def confirmation(self) -> str:
        """The file's name."""
        return self._path.name

    async def bootstrap(self) -> Bootstrapped:
        """Make the file (mode 0600) and its tables, the authority id, the cluster key and epoch 1.

        Refuses a file that holds tables of something else.
        """
        return await asyncio.to_thread(self._bootstrap)

    async def status(self) -> Status:
        """What was run and what is pending."""
        return await asyncio.to_thread(self._status)

    async def up(self) -> tuple[str, ...]:
        """Run all pending ``pre`` files; answers their labels."""
        return await self._run("pre")

    async def finish(self) -> tuple[str, ...]:
        """Run all pending ``post`` files. Refuses while a ``pre`` file is pending."""
        return await self._run("post")

    async def reset(self, confirmation: str) -> None:
        """Drop the authority's tables. ``confirmation`` must be the file's name, typed by hand.

        The file stays: nodes that have it open would otherwise go on writing to a deleted one.
        """
        await asyncio.to_thread(self._reset, confirmation)

    async def _run(self, phase: Phase) -> tuple[str, ...]:
        def work(connection: sqlite3.Connection) -> tuple[str, ...]:
            wanted = to_run(self._migrations, _applied(connection), phase, self.target)
            for item in wanted:
                self._apply(connection, item)
            return tuple(item.label for item in wanted)

        return await asyncio.to_thread(self._existing, work)

    def _bootstrap(self) -> Bootstrapped:
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise MigrationRefused(f"{self._path}: {error.strerror}") from error

        def work(connection: sqlite3.Connection) -> Bootstrapped:
            tables = _tables(connection)
            if "migration" in tables and "authority" in tables:
                return Bootstrapped(_info(connection), created=False)
            if tables:
                raise MigrationRefused(
                    f"{self._path} holds tables that aren't grapevine's ({', '.join(tables)});"
                    " name another file with sqlite_path"
                )
            self._create(connection)
            return Bootstrapped(_info(connection), created=True)

        return self._exclusively(work)

    def _create(self, connection: sqlite3.Connection) -> None:
        self._path.chmod(0o600)  # also when the file was there, empty: it will hold the key
        connection.execute(_MIGRATION_TABLE)
        for item in self._migrations:
            if item.number == 1:
                self._apply(connection, item)
        authority_id = str(uuid.UUID(bytes=self._random_bytes(16), version=4))
        connection.execute(
            "INSERT INTO authority (singleton, id, cluster_key, schema_version)"
            " VALUES (1, ?, ?, 1)",
            (authority_id, self._random_bytes(32)),
        )
        connection.execute(
            "INSERT INTO head (singleton, epoch, tag, revision, chain) VALUES (1, 1, ?, 0, ?)",
            (self._random_bytes(8), GENESIS_DIGEST),
        )
        for item in self._migrations:
            if item.number > 1:
                self._apply(connection, item)

    def _apply(self, connection: sqlite3.Connection, item: Migration) -> None:
        for statement in statements(item.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO migration (number, phase, name, checksum, applied_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (item.number, item.phase, item.name, item.checksum, self._clock()),
        )
        if item.phase == "pre":
            connection.execute("UPDATE authority SET schema_version = ?", (item.number,))

    def _status(self) -> Status:
        try:
            return self._existing(
                lambda connection: catalogue.status(self._migrations, _applied(connection))
            )
        except SchemaMismatch:
            return never_bootstrapped(self._migrations)

    def _reset(self, confirmation: str) -> None:
        if confirmation != self.confirmation:
            raise MigrationRefused(
                f"to delete everything in {self._path}, confirm with its name, {self._path.name}"
            )

        def drop(connection: sqlite3.Connection) -> None:
            for table in _tables(connection):
                connection.execute(f'DROP TABLE "{table}"')

        self._existing(drop)

    def _existing(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Like ``_exclusively``, for a database that was bootstrapped."""

        def checked(connection: sqlite3.Connection) -> Answer:
            if not {"migration", "authority"} <= set(_tables(connection)):
                raise SchemaMismatch(f"{self._path}: {BOOTSTRAP_NEEDED}")
            return work(connection)

        return self._exclusively(checked)

    def _exclusively(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Do the work in a transaction that nobody else can read or write beside."""
        try:
            with closing(connect(self._path)) as connection:
                connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS_MAX * 1000)}")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA foreign_keys = OFF")  # tables may be rebuilt
                connection.execute("BEGIN EXCLUSIVE")
                try:
                    answer = work(connection)
                    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
                    if broken is not None:
                        raise MigrationRefused(
                            f"{self._path}: rows of {broken[0]} refer to nothing"
                        )
                    connection.execute("COMMIT")
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                return answer
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: ``executescript`` would commit in between."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if any(line.strip() and not line.strip().startswith("--") for line in pending.splitlines()):
        raise ValueError(f"not a complete statement: {pending.strip()[:80]}")


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " ORDER BY name"
    )
    return [name for (name,) in rows]


def _applied(connection: sqlite3.Connection) -> list[Applied]:
    rows = connection.execute(
        "SELECT number, phase, name, checksum FROM migration ORDER BY number, phase DESC"
    )
    return [Applied(*row) for row in rows]


def _info(connection: sqlite3.Connection) -> AuthorityInfo:
    row = connection.execute("SELECT id, cluster_key, schema_version FROM authority").fetchone()
    return AuthorityInfo(*row)
