"""A real Postgres for the tests, and a database of its own for each.

The server is the one that GRAPEVINE_TEST_PG_DSN names, else one that each test process starts from
the newest binaries on the machine. Where there are none the tests fail: they are never skipped.
"""

import asyncio
import contextlib
import itertools
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit

import pytest

from node.demo.local_postgres import LocalPostgres
from simulations.real.postgres import execute
from store.migrations.postgres_runner import PostgresMigrations
from store.postgres_address import PostgresAddress, PostgresHost

DSN_VARIABLE = "GRAPEVINE_TEST_PG_DSN"
USER = "kong"
"""An ordinary user: what works for a superuser only would not work for ours."""


class PostgresDatabases:
    """Makes databases on one server. ``admin`` may create databases and roles there."""

    def __init__(self, admin: PostgresAddress) -> None:
        self.admin = admin
        self._user: PostgresAddress | None = None
        self._template = ""
        self._names = (f"test_{os.getpid()}_{number}" for number in itertools.count())

    async def create(self, *, bootstrapped: bool = True) -> PostgresAddress:
        """A database that nobody else uses, owned by ``USER``.

        A bootstrapped one is a copy with an authority id, a cluster key and a tag of its own.
        """
        if not bootstrapped:
            return await self._create("template0")
        if not self._template:
            template = await self._create("template0")
            await PostgresMigrations(template).bootstrap()
            self._template = template.database
        address = await self._create(self._template)
        await execute(
            address,
            f"UPDATE grapevine.authority SET id = '{uuid.uuid4()}',"
            f" cluster_key = '\\x{os.urandom(32).hex()}';"
            f"UPDATE grapevine.head SET tag = '\\x{os.urandom(8).hex()}'",
        )
        return address

    async def drop(self, address: PostgresAddress) -> None:
        """Drop a database, whoever is connected."""
        await execute(self.admin, f'DROP DATABASE IF EXISTS "{address.database}" WITH (FORCE)')

    async def copy(self, address: PostgresAddress) -> PostgresAddress:
        """A copy of a database as it is; whoever is connected to it loses the connection."""
        await self._end_sessions(address)
        return await self._create(address.database)

    async def replace(self, address: PostgresAddress, copy: PostgresAddress) -> None:
        """Put a copy in the place of a database, under its name."""
        await self.drop(address)
        await execute(
            self.admin, f'ALTER DATABASE "{copy.database}" RENAME TO "{address.database}"'
        )

    async def _end_sessions(self, address: PostgresAddress) -> None:
        await execute(
            self.admin,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            f" WHERE datname = '{address.database}'",
        )

    async def _create(self, template: str) -> PostgresAddress:
        name = next(self._names)
        user = self._user or await self._create_user()
        await execute(
            self.admin, f'CREATE DATABASE "{name}" OWNER "{user.user}" TEMPLATE "{template}"'
        )
        return replace(user, database=name)

    async def _create_user(self) -> PostgresAddress:
        password = uuid.uuid4().hex
        name = f"{USER}_{os.getpid()}"
        await execute(self.admin, f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
        self._user = replace(self.admin, user=name, password=password)
        return self._user

    async def close(self) -> None:
        """Leave nothing behind on a server that isn't ours."""
        if self._template:
            await execute(self.admin, f'DROP DATABASE "{self._template}" WITH (FORCE)')
        if self._user is not None:
            await execute(self.admin, f'DROP ROLE "{self._user.user}"')


def parse_dsn(dsn: str) -> PostgresAddress:
    """``postgresql://user:password@host:port/database``"""
    parts = urlsplit(dsn)
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.username:
        raise ValueError(f"{DSN_VARIABLE}: write postgresql://user:password@host:port/database")
    return PostgresAddress(
        (PostgresHost(parts.hostname, parts.port or 5432),),
        parts.path.lstrip("/") or "postgres",
        unquote(parts.username),
        unquote(parts.password or ""),
    )


def dsn_of(address: PostgresAddress) -> str:
    """The other way round, for another process's command line."""
    (host,) = address.hosts
    login = f"{quote(address.user, safe='')}:{quote(address.password, safe='')}"
    return f"postgresql://{login}@{host}/{address.database}"


_made: list[LocalPostgres] = []
"""What those of tests' own are copies of, from the first of them on."""


class CopiedPostgres(LocalPostgres):
    """A server whose files are a copy of what initdb made once, which takes most of a second.

    All copies have one system identifier, and the shared server another.
    """

    def create(self) -> None:
        if not _made:
            made = LocalPostgres()
            _made.append(made)
            made.create()
        self.binaries, self.password = _made[0].binaries, _made[0].password
        self._own(self.home)
        subprocess.run(["cp", "-pR", _made[0].data, self.data], check=True, timeout=60)


def pytest_sessionfinish(session: pytest.Session) -> None:
    while _made:
        _made.pop().remove()


@contextlib.contextmanager
def running_server(
    kind: type[LocalPostgres] = CopiedPostgres, **settings: str
) -> Iterator[LocalPostgres]:
    """A server of a test's own, which it may stop, kill and start again."""
    # Deadlocks that tests provoke by the dozen are found sooner than after the second of its own.
    server = kind({"deadlock_timeout": "100ms", **settings})
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_admin() -> Iterator[PostgresAddress]:
    """The superuser of a server that the tests of this process share: leave it running."""
    dsn = os.environ.get(DSN_VARIABLE)
    if dsn:
        yield parse_dsn(dsn)
        return
    with running_server(LocalPostgres) as server:
        yield server.address()


@pytest.fixture(scope="session")
def postgres_databases(postgres_admin: PostgresAddress) -> Iterator[PostgresDatabases]:
    """Makes databases on the shared server, for fixtures that choose at run time."""
    databases = PostgresDatabases(postgres_admin)
    yield databases
    if DSN_VARIABLE in os.environ:
        asyncio.run(databases.close())


@pytest.fixture
async def postgres_database(
    postgres_databases: PostgresDatabases,
) -> AsyncIterator[PostgresAddress]:
    """A bootstrapped database of the test's own."""
    address = await postgres_databases.create()
    yield address
    await postgres_databases.drop(address)


@pytest.fixture
async def empty_postgres_database(
    postgres_databases: PostgresDatabases,
) -> AsyncIterator[PostgresAddress]:
    """A database of the test's own with nothing in it."""
    address = await postgres_databases.create(bootstrapped=False)
    yield address
    await postgres_databases.drop(address)


@pytest.fixture
def own_postgres() -> Iterator[LocalPostgres]:
    """A server of the test's own, which it may stop, kill and start again."""
    with running_server() as server:
        yield server
