"""Engines under test: the contract suite runs once per engine that stands here."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from store.authority import Authority
from store.migrations.sqlite_runner import SqliteMigrations
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress
from store.sqlite import SqliteAuthority
from tests.postgres_server import PostgresDatabases, dsn_of, execute
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

    @property
    def where(self) -> str:
        """What another process needs to connect."""
        assert self.model is None, "a model lives in one process"
        return str(self.address) if isinstance(self.address, Path) else dsn_of(self.address)

    def authority(self, **options: Any) -> Authority:
        """Another node's tie to the same authority, not yet open."""
        if self.model is not None:
            return self.model.authority(**options)
        if isinstance(self.address, Path):
            return SqliteAuthority(self.address, **options)
        return PostgresAuthority(self.address, **options)

    async def connect(self) -> Authority:
        """Another node's tie to the same authority."""
        authority = self.authority()
        self.opened.append(authority)
        await authority.open()
        return authority

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
    engine = Engine(address)
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
