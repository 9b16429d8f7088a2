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
from store.sqlite import SqliteAuthority

settings.register_profile("shared-machine", deadline=None)  # others' load is no failure
settings.load_profile("shared-machine")


@dataclass
class Engine:
    """One bootstrapped authority, and as many connections to it as a test wants."""

    name: str
    address: str
    """What another process needs to connect: a path, a DSN."""
    opened: list[Authority] = field(default_factory=list)

    async def connect(self) -> Authority:
        """Another node's connection to the same authority."""
        authority = SqliteAuthority(self.address)
        self.opened.append(authority)
        await authority.open()
        return authority

    def sql(self, text: str) -> list[Any]:
        """Do to the database what only an operator or an accident does."""
        with sqlite3.connect(self.address) as connection:
            rows = connection.execute(text).fetchall()
        connection.close()
        return rows


@pytest.fixture(params=["sqlite"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(request.param, str(tmp_path / "authority.db"))
    await SqliteMigrations(engine.address).bootstrap()
    yield engine
    for authority in engine.opened:
        await authority.close()


@pytest.fixture
async def authority(engine: Engine) -> Authority:
    return await engine.connect()
