"""Reads of entities go to a standby, and only as long as it knows what this node knows."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest

from node.demo.local_postgres import HOST, LocalPostgres
from simulations.real.postgres import execute, fetch
from store.authority import Create, Query
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress, PostgresHost
from store.version import Version
from tests.postgres_server import PostgresDatabases
from tests.postgres_standby import Standby, running_standby
from tests.system.waiting import until

ANYTHING = Version(0, 0, 0)
"""What every standby has."""


@dataclass
class Pair:
    """An authority with a standby, and the version that the node says it knows."""

    authority: PostgresAuthority
    address: PostgresAddress
    standby: PostgresAddress
    databases: PostgresDatabases
    known: Version = ANYTHING

    async def add(self, name: str) -> None:
        committed = await self.authority.write(
            [Create("services", {"name": name, "host": "a.test"})], origin=""
        )
        self.known = committed.head.version

    async def sees(self, name: str) -> bool:
        return await self.authority.get("services", name) is not None


@pytest.fixture
def standby(own_postgres: LocalPostgres) -> Iterator[Standby]:
    with running_standby(own_postgres) as server:
        yield server


@pytest.fixture
async def pair(own_postgres: LocalPostgres, standby: Standby) -> AsyncIterator[Pair]:
    databases = PostgresDatabases(own_postgres.address())
    address = await databases.create()
    read_only = replace(
        address, hosts=(PostgresHost(HOST, standby.port),), read_only=True, timeout=2.0
    )
    pair: Pair
    authority = PostgresAuthority(address, standby=read_only, known=lambda: pair.known)
    pair = Pair(authority, address, standby.address(address.database), databases)

    async def is_there() -> bool:
        rows = await fetch(
            standby.address(), f"SELECT 1 FROM pg_database WHERE datname = '{address.database}'"
        )
        return bool(rows)

    await until(is_there, "the standby has the database")
    await authority.open()
    yield pair
    await authority.close()


async def test_entities_and_pages_are_read_at_the_standby(
    pair: Pair,
) -> None:
    await pair.add("one")

    async def caught_up() -> bool:
        pair.known = ANYTHING
        return await pair.sees("one")

    await until(caught_up, "the standby has the service")
    await execute(pair.standby, "SELECT pg_wal_replay_pause()")
    await execute(pair.address, "UPDATE grapevine.entity SET body = replace(body, 'a.test', 'b')")
    found = await pair.authority.get("services", "one")
    assert found is not None
    assert found["host"] == "a.test", "the primary says b"
    page = await pair.authority.list(Query("services"))
    assert page.entities[0]["host"] == "a.test"


async def test_one_that_lags_behind_this_node_is_passed_over(pair: Pair) -> None:
    await pair.add("one")
    await execute(pair.standby, "SELECT pg_wal_replay_pause()")
    await pair.add("two")
    assert await pair.sees("two"), "the standby doesn't know it yet"
    page = await pair.authority.list(Query("services"))
    assert {entity["name"] for entity in page.entities} == {"one", "two"}


async def test_one_that_is_gone_costs_no_read(pair: Pair, standby: Standby) -> None:
    await pair.add("one")
    standby.kill()
    for _ in range(20):
        assert await pair.sees("one")


async def test_one_that_copies_another_authority_is_not_read(
    pair: Pair,
) -> None:
    other = await pair.databases.create()
    wrong = PostgresAuthority(pair.address, standby=replace(other, read_only=True))
    await wrong.open()
    await pair.add("one")
    assert await wrong.get("services", "one") is not None
    await wrong.close()
