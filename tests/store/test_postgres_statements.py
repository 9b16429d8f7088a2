"""What a connection that is opened anew asks the database: who it is, and nothing else."""

from typing import Any

import asyncpg
import pytest

from store import postgres_connection
from store.authority import Create
from store.plan import POSTGRES
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress


class Listening:
    """asyncpg, and what all its connections ask."""

    create_pool = staticmethod(asyncpg.create_pool)

    def __init__(self) -> None:
        self.connections = 0
        self.statements: list[str] = []

    async def connect(self, **how: Any) -> asyncpg.Connection:
        connection = await asyncpg.connect(**how)
        connection.add_query_logger(lambda record: self.statements.append(record.query))
        self.connections += 1
        return connection

    def take(self) -> list[str]:
        """What was asked since it was taken last."""
        taken, self.statements = self.statements, []
        return taken


async def anew(authority: PostgresAuthority) -> None:
    """Have idle connections closed, as they are after ``pg_keepalive_timeout``."""
    assert authority._pool is not None
    await authority._pool.expire_connections()


async def write(authority: PostgresAuthority, *names: str) -> None:
    mutations = [Create("services", {"name": name, "host": "a.test"}) for name in names]
    await authority.write(mutations, origin="n")


async def test_a_new_connection_asks_who_answers_and_then_what_a_kept_one_asks(
    postgres_database: PostgresAddress,
) -> None:
    driver = Listening()
    authority = PostgresAuthority(postgres_database, driver=driver)
    await authority.open()
    await write(authority, "first")
    driver.take()
    await write(authority, "kept")
    on_a_kept_one = driver.take()
    assert len(on_a_kept_one) == 5, "begin, an entity, its name, the log, commit"
    await anew(authority)
    await write(authority, "new")
    assert driver.connections == 2
    assert driver.take() == [POSTGRES.server, *on_a_kept_one]
    await authority.close()


@pytest.mark.parametrize("because", ["failure", "opening", "time"])
async def test_whether_sessions_keep_settings_is_looked_at_again(
    postgres_database: PostgresAddress, because: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if because == "time":
        monkeypatch.setattr(postgres_connection, "SETTINGS_CHECKED_SECONDS", 0.0)
    driver = Listening()
    authority = PostgresAuthority(postgres_database, driver=driver)
    await authority.open()
    driver.take()
    if because == "failure":
        await authority._expire()
    await anew(authority)
    if because == "opening":
        await authority.open()
    else:
        await write(authority, "new")
    assert driver.connections == 2
    assert "settings ignored" in driver.take()[0]
    await authority.close()
