"""Engines under test: the contract suite runs once per engine that stands here."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from simulations.real.postgres import execute
from store.authority import Authority
from store.migrations.sqlite_runner import SqliteMigrations
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress
from store.sqlite import SqliteAuthority
from tests.postgres_server import PostgresDatabases, dsn_of
from tests.store.models import PostgresModelUnderTest, SqliteModelUnderTest

settings.register_profile("shared-machine", deadline=None)  # others' load is no failure
settings.load_profile("shared-machine")

ENGINES = ("sqlite", "postgres")
MODELS: dict[str, type[SqliteModelUnderTest | PostgresModelUnderTest]] = {
    "sqlite-model": SqliteModelUnderTest,
    "postgres-model": PostgresModelUnderTest,
}


@dataclass
class Engine:
    """One bootstrapped authority, and as many connections to it as a test wants."""

    address: Path | PostgresAddress
    opened: list[Authority] = field(default_factory=list)
    model: SqliteModelUnderTest | PostgresModelUnderTest | None = None
    """In the place of the address, which then leads nowhere."""
    databases: PostgresDatabases | None = None
    """Where a Postgres database is."""

    @property
    def where(self) -> str:
        """What another process needs to connect."""
        assert self.model is None, "a model lives in one process"
        return str(self.address) if isinstance(self.address, Path) else dsn_of(self.address)

    @property
    def is_postgres(self) -> bool:
        return self.databases is not None or isinstance(self.model, PostgresModelUnderTest)

    def authority(self, **options: Any) -> Authority:
        """Another node's tie to the same authority, not yet open."""
        if self.model is not None:
            return self.model.authority(**options)
        if isinstance(self.address, Path):
            return SqliteAuthority(self.address, **options)
        return PostgresAuthority(self.address, **options)

    async def connect(self, **options: Any) -> Authority:
        """Another node's tie to the same authority."""
        authority = self.authority(**options)
        self.opened.append(authority)
        await authority.open()
        return authority

    async def backup(self) -> Any:
        """An image of the database as it is, for ``restore``."""
        if self.model is not None:
            return self.model.backup()
        if self.databases is not None:
            assert isinstance(self.address, PostgresAddress)
            return await self.databases.copy(self.address)
        image = sqlite3.connect(":memory:", check_same_thread=False)
        with contextlib.closing(sqlite3.connect(self.where)) as connection:
            connection.backup(image)
        return image

    async def restore(self, image: Any) -> None:
        """Put a backup in the place of the database: what came after it is lost."""
        if self.model is not None:
            self.model.restore(image)
        elif self.databases is not None:
            assert isinstance(self.address, PostgresAddress)
            await self.databases.replace(self.address, image)
        else:
            with contextlib.closing(sqlite3.connect(self.where)) as connection:
                image.backup(connection)
            image.close()

    async def sql(self, text: str) -> None:
        """Do to the database what only an operator or an accident does."""
        if self.model is not None:
            await self.model.sql(text)
            return
        if isinstance(self.address, PostgresAddress):
            await execute(self.address, f"SET search_path = grapevine; {text}")
            return
        with sqlite3.connect(self.address) as connection:
            connection.execute(text)
        connection.close()


EVERY_ENGINE = pytest.mark.parametrize("engine", [*ENGINES, *MODELS], indirect=True)
"""For tests that the simulator's models pass as well: those that see no more than an Authority."""


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    if request.param in MODELS:
        engine = Engine(Path(), model=MODELS[request.param]())
        yield engine
        await close(engine)
        return
    if request.param == "sqlite":
        engine = Engine(tmp_path / "authority.db")
        await SqliteMigrations(tmp_path / "authority.db").bootstrap()
        yield engine
        await close(engine)
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    address = await databases.create()
    engine = Engine(address, databases=databases)
    yield engine
    await close(engine)
    await databases.drop(address)


async def close(engine: Engine) -> None:
    """Close every tie."""
    for authority in engine.opened:
        await authority.close()


@pytest.fixture
async def authority(engine: Engine) -> Authority:
    return await engine.connect()
