"""Hearing of commits as they happen, by LISTEN and by SQLite's data version."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from node.demo.local_postgres import LocalPostgres
from simulations.real.postgres import fetch
from store.authority import Authority, Create
from store.errors import AuthorityUnavailable
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress
from tests.pgbouncer import pgbouncer
from tests.postgres_server import PostgresDatabases
from tests.store.conftest import Engine


class Watching:
    """One node that watches."""

    def __init__(self, authority: Authority) -> None:
        self._heard: asyncio.Queue[int] = asyncio.Queue()
        self.task = asyncio.create_task(authority.watch(self._heard.put_nowait))

    async def until(self, revision: int) -> None:
        """Wait until a revision as high as this was told."""
        async with asyncio.timeout(10):
            while await self._heard.get() < revision:
                pass


@contextlib.asynccontextmanager
async def watching(authority: Authority) -> AsyncIterator[Watching]:
    found = Watching(authority)
    try:
        yield found
    finally:
        found.task.cancel()
        await asyncio.wait({found.task})


async def write(authority: Authority, times: int = 1) -> None:
    for _ in range(times):
        await authority.write([Create("services", {"host": "a.test"})], origin="")


async def test_what_another_node_commits_is_heard_of(engine: Engine) -> None:
    watcher, writer = await engine.connect(), await engine.connect()
    await write(writer)
    async with watching(watcher) as found:
        await found.until(1)  # what was there already is told first
        await write(writer, 3)
        await found.until(4)


async def test_a_schema_hears_of_its_own_commits_alone(postgres_database: PostgresAddress) -> None:
    from store.migrations.postgres_runner import PostgresMigrations

    other = replace(postgres_database, schema="other")
    await PostgresMigrations(other).bootstrap()
    mine, theirs = PostgresAuthority(postgres_database), PostgresAuthority(other)
    await mine.open()
    await theirs.open()
    heard: list[int] = []
    task = asyncio.create_task(mine.watch(heard.append))
    async with watching(theirs) as found:
        await found.until(0)
        await write(theirs, 5)
        await found.until(5)
        await write(mine)
        async with asyncio.timeout(10):
            while 1 not in heard:
                await asyncio.sleep(0.01)
    assert set(heard) <= {0, 1}
    task.cancel()
    await asyncio.wait({task})
    await mine.close()
    await theirs.close()


async def test_a_server_that_dies_is_noticed(own_postgres: LocalPostgres) -> None:
    address = await PostgresDatabases(own_postgres.address()).create()
    authority = PostgresAuthority(replace(address, timeout=2.0))
    await authority.open()
    async with watching(authority) as found:
        await found.until(0)
        own_postgres.kill()
        with pytest.raises(AuthorityUnavailable):
            async with asyncio.timeout(15):
                await found.task
    await authority.close()


async def test_it_has_a_connection_of_its_own_beside_the_pool(
    postgres_database: PostgresAddress,
) -> None:
    authority = PostgresAuthority(replace(postgres_database, connections_max=1))
    await authority.open()
    async with watching(authority) as found:
        await found.until(0)
        await write(authority, 2)
        await found.until(2)
        rows = await fetch(
            postgres_database,
            "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'grapevine'"
            f" AND datname = '{postgres_database.database}'",
        )
        assert rows[0]["n"] == 2
    await authority.close()


async def test_a_pooler_is_told_apart_and_the_server_beside_it_is_listened_to(
    postgres_database: PostgresAddress,
) -> None:
    with pgbouncer(postgres_database, pool_size=2) as pooled:
        refused = PostgresAuthority(pooled)
        with pytest.raises(AuthorityUnavailable, match="pg_listen_host"):
            await refused.watch(lambda _: None)
        authority = PostgresAuthority(replace(pooled, listen_hosts=postgres_database.hosts))
        await authority.open()
        async with watching(authority) as found:
            await write(authority)
            await found.until(1)
        await authority.close()
