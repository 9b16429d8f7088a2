"""The authority behind PgBouncer in transaction mode: a session lasts as long as a transaction."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from simulations.real.postgres import connected
from store.authority import Create, Patch, Query
from store.errors import AuthorityUnavailable
from store.migrations.postgres_runner import PostgresMigrations
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress
from tests.pgbouncer import pgbouncer
from tests.store.history import check_history

OURS = "search_path,lock_timeout,statement_timeout,idle_in_transaction_session_timeout"


@pytest.fixture(params=["", OURS], ids=["refusing", "ignoring"])
def pooled(
    request: pytest.FixtureRequest, postgres_database: PostgresAddress
) -> Iterator[PostgresAddress]:
    """A pooler that refuses our start-up parameters, as it comes, or was told to ignore them."""
    with pgbouncer(postgres_database, pool_size=3, ignored=request.param) as address:
        yield address


async def test_writes_and_reads_of_many_clients_share_few_sessions(pooled: PostgresAddress) -> None:
    nodes = [PostgresAuthority(pooled) for _ in range(3)]
    for node in nodes:
        await node.open()

    async def write(node: PostgresAuthority, name: str) -> None:
        await node.write([Create("services", {"name": name, "host": "a.test"})], origin="")
        await node.write([Patch("services", name, {"host": "b.test"})], origin="")
        found = await node.get("services", name)
        assert found is not None
        assert found["host"] == "b.test"

    await asyncio.gather(
        *(
            write(node, f"s{number}-{turn}")
            for number, node in enumerate(nodes)
            for turn in range(20)
        )
    )
    page = await nodes[0].list(Query("services", size=1000))
    assert len(page.entities) == 60
    assert await check_history(nodes[0]) == 120
    for node in nodes:
        await node.close()


async def test_a_lock_that_is_kept_is_given_up_as_without_a_pooler(
    pooled: PostgresAddress, postgres_database: PostgresAddress
) -> None:
    node = PostgresAuthority(pooled)
    await node.open()
    holder = await connected(postgres_database)
    async with holder.transaction():
        await holder.execute("SELECT 1 FROM grapevine.head FOR UPDATE")
        with pytest.raises(AuthorityUnavailable, match="another transaction holds"):
            await node.write([Create("services", {"host": "a.test"})], origin="")
    await holder.close()
    await node.write([Create("services", {"host": "a.test"})], origin="")
    await node.close()


async def test_migrations_run_through_it(empty_postgres_database: PostgresAddress) -> None:
    with pgbouncer(empty_postgres_database, pool_size=2) as address:
        migrations = PostgresMigrations(replace(address))
        assert (await migrations.bootstrap()).created
        assert not (await migrations.bootstrap()).created
        node = PostgresAuthority(address)
        await node.open()
        await node.write([Create("services", {"host": "a.test"})], origin="")
        await node.close()
