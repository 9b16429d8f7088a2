"""Runs migrations in a schema of a Postgres database.

Every command is one transaction under an advisory lock: of two at once one waits, and one that is
killed has done nothing. Nothing outside the schema is read but the catalogue, nothing is written.
"""

import contextlib
import hashlib
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence

import asyncpg

from store.authority import AuthorityInfo
from store.errors import MigrationRefused, SchemaMismatch
from store.limits import CLOSE_SECONDS_MAX, MIGRATION_SECONDS_MAX
from store.migrations import catalogue
from store.migrations.catalogue import Applied, Migration, Phase, Status
from store.migrations.runner import Bootstrapped, never_bootstrapped, to_run
from store.postgres_address import FAILURES, PostgresAddress, reason, unavailable
from store.postgres_connection import connect
from store.read import BOOTSTRAP_NEEDED, SCHEMA_VERSION
from store.version import GENESIS_DIGEST

TABLES = (
    "authority",
    "entity",
    "entity_reference",
    "entity_tag",
    "entity_unique",
    "head",
    "keyring",
    "log",
    "migration",
    "node",
    "removed_node",
)
"""What a reset drops, and nothing besides."""

_NAMES_SHOWN = 10

_MIGRATION_TABLE = """
CREATE TABLE migration (
    number     integer NOT NULL,
    phase      text    NOT NULL CHECK (phase IN ('pre', 'post')),
    name       text    NOT NULL,
    checksum   text    NOT NULL,
    applied_at double precision NOT NULL,
    PRIMARY KEY (number, phase)
)
"""


class PostgresMigrations:
    """``store.migrations.runner.Migrations`` for one schema.

    ``clock`` gives Unix seconds, ``random_bytes`` n random bytes.
    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        migrations: Sequence[Migration] | None = None,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._address = address
        self._migrations = tuple(migrations or catalogue.load("postgres"))
        self._clock = clock
        self._random_bytes = random_bytes

    @property
    def target(self) -> str:
        """The schema and the database."""
        return f"schema {self._address.schema} of {self._address}"

    @property
    def confirmation(self) -> str:
        """The database's name."""
        return self._address.database

    async def bootstrap(self) -> Bootstrapped:
        """Make the schema and its tables, the authority id, the cluster key and epoch 1.

        Refuses a schema that holds tables of something else.
        """
        async with self._exclusively() as connection:
            tables = await self._tables(connection)
            if _is_ours(tables):
                return Bootstrapped(await _info(connection), created=False)
            if tables:
                shown = ", ".join(tables[:_NAMES_SHOWN])
                more = len(tables) - _NAMES_SHOWN
                raise MigrationRefused(
                    f"{self.target} holds tables that aren't grapevine's"
                    f" ({shown}{f' and {more} more' if more > 0 else ''});"
                    " name another schema with pg_schema"
                )
            await self._create(connection)
            return Bootstrapped(await _info(connection), created=True)

    async def status(self) -> Status:
        """What was run and what is pending."""
        async with self._exclusively() as connection:
            if not _is_ours(await self._tables(connection)):
                return never_bootstrapped(self._migrations)
            return catalogue.status(self._migrations, await _applied(connection))

    async def up(self) -> tuple[str, ...]:
        """Run all pending ``pre`` files; answers their labels."""
        return await self._run("pre")

    async def finish(self) -> tuple[str, ...]:
        """Run all pending ``post`` files. Refuses while a ``pre`` file is pending."""
        return await self._run("post")

    async def reset(self, confirmation: str) -> None:
        """Drop our tables, and the schema if nothing else is in it.

        ``confirmation`` must be the database's name, typed by hand.
        """
        if confirmation != self.confirmation:
            raise MigrationRefused(
                f"to delete everything in {self.target}, confirm with the database's name,"
                f" {self.confirmation}"
            )
        async with self._existing() as connection:
            info = await _info(connection)
            if info.schema_version > SCHEMA_VERSION:
                raise MigrationRefused(
                    f"{self.target} was migrated by a newer version of grapevine, whose tables this"
                    " one doesn't know; reset it with that version"
                )
            await self._drop(connection)

    async def _run(self, phase: Phase) -> tuple[str, ...]:
        async with self._existing() as connection:
            wanted = to_run(self._migrations, await _applied(connection), phase, self.target)
            for item in wanted:
                await self._apply(connection, item)
            return tuple(item.label for item in wanted)

    async def _create(self, connection: asyncpg.Connection) -> None:
        # CREATE SCHEMA IF NOT EXISTS asks for the right to create even when it exists.
        if not await self._owner_of_schema(connection):
            await connection.execute(f'CREATE SCHEMA "{self._address.schema}"')
        await connection.execute(_MIGRATION_TABLE)
        for item in self._migrations:
            if item.number == 1:
                await self._apply(connection, item)
        authority_id = str(uuid.UUID(bytes=self._random_bytes(16), version=4))
        await connection.execute(
            "INSERT INTO authority (singleton, id, cluster_key, schema_version)"
            " VALUES (1, $1, $2, 1)",
            authority_id,
            self._random_bytes(32),
        )
        await connection.execute(
            "INSERT INTO head (singleton, epoch, tag, revision, chain, predecessor)"
            " VALUES (1, 1, $1, 0, $2, $2)",
            self._random_bytes(8),
            GENESIS_DIGEST,
        )
        for item in self._migrations:
            if item.number > 1:
                await self._apply(connection, item)

    async def _apply(self, connection: asyncpg.Connection, item: Migration) -> None:
        await connection.execute(item.sql, timeout=MIGRATION_SECONDS_MAX)
        await connection.execute(
            "INSERT INTO migration (number, phase, name, checksum, applied_at)"
            " VALUES ($1, $2, $3, $4, $5)",
            *(item.number, item.phase, item.name, item.checksum, self._clock()),
        )
        if item.phase == "pre":
            await connection.execute("UPDATE authority SET schema_version = $1", item.number)

    async def _drop(self, connection: asyncpg.Connection) -> None:
        """Without CASCADE: what somebody else has built upon our tables stops the reset."""
        ours = [name for name in await self._tables(connection) if name in TABLES]
        await connection.execute(f"DROP TABLE {', '.join(ours)}")
        owner = await self._owner_of_schema(connection)
        if self._address.schema == "public" or owner != self._address.user:
            return
        with contextlib.suppress(asyncpg.DependentObjectsStillExistError):
            async with connection.transaction():  # a savepoint
                await connection.execute(f'DROP SCHEMA "{self._address.schema}"')

    async def _tables(self, connection: asyncpg.Connection) -> list[str]:
        """Tables and whatever else can be selected from, whoever made it."""
        rows = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1",
            self._address.schema,
        )
        return [row[0] for row in rows]

    async def _owner_of_schema(self, connection: asyncpg.Connection) -> str | None:
        owner: str | None = await connection.fetchval(
            "SELECT r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner"
            " WHERE n.nspname = $1",
            self._address.schema,
        )
        return owner

    @contextlib.asynccontextmanager
    async def _existing(self) -> AsyncIterator[asyncpg.Connection]:
        """Like ``_exclusively``, for a schema that was bootstrapped."""
        async with self._exclusively() as connection:
            if not _is_ours(await self._tables(connection)):
                raise SchemaMismatch(f"{self.target}: {BOOTSTRAP_NEEDED}")
            yield connection

    @contextlib.asynccontextmanager
    async def _exclusively(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction beside which no other migration runs."""
        connection, _ = await connect(self._address)
        try:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(
                    f"{connection.preamble};"
                    f"SET LOCAL statement_timeout = {int(MIGRATION_SECONDS_MAX * 1000)}"
                )
                await connection.execute("SELECT pg_advisory_xact_lock($1)", self._lock_number())
                yield connection
            with contextlib.suppress(OSError, asyncpg.InterfaceError):  # the work is done
                await connection.close(timeout=CLOSE_SECONDS_MAX)
        except asyncpg.DependentObjectsStillExistError as error:
            raise MigrationRefused(
                f"{self.target}: {error} ({error.detail}); remove those first"
            ) from error
        except asyncpg.SyntaxOrAccessError as error:  # trying again would not help
            raise MigrationRefused(f"{self.target}: {reason(error, self._address)}") from error
        except FAILURES as error:
            raise unavailable(error, self._address) from error
        finally:
            connection.terminate()

    def _lock_number(self) -> int:
        """Of this schema alone: clusters in other schemas don't wait for each other."""
        name = f"grapevine migrations {self._address.schema}".encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)


def _is_ours(tables: Sequence[str]) -> bool:
    return {"migration", "authority"} <= set(tables)


async def _applied(connection: asyncpg.Connection) -> list[Applied]:
    rows = await connection.fetch(
        "SELECT number, phase, name, checksum FROM migration ORDER BY number, phase DESC"
    )
    return [Applied(*row) for row in rows]


async def _info(connection: asyncpg.Connection) -> AuthorityInfo:
    row = await connection.fetchrow("SELECT id, cluster_key, schema_version FROM authority")
    return AuthorityInfo(*row)
