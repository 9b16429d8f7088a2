"""A backup that is put back under running nodes: whoever reads meanwhile is told to come again."""

import asyncio

import pytest

from node.demo.local_postgres import LocalPostgres
from simulations.real.postgres import connected, fetch
from store.authority import Create
from store.errors import AuthorityUnavailable
from store.postgres import PostgresAuthority
from store.version import GENESIS
from tests.postgres_server import PostgresDatabases

RESTORED = """
    LOCK TABLE grapevine.head IN ACCESS EXCLUSIVE MODE;
    CREATE TABLE grapevine.put_back (LIKE grapevine.head INCLUDING ALL);
    INSERT INTO grapevine.put_back SELECT * FROM grapevine.head;
    DROP TABLE grapevine.head CASCADE;
    ALTER TABLE grapevine.put_back RENAME TO head;
"""
"""What ``pg_restore --clean --single-transaction`` does to each table."""

SOMEBODY_WAITS = "SELECT 1 FROM pg_locks WHERE NOT granted"


@pytest.mark.parametrize("what", ["head", "log", "state"])
async def test_who_reads_while_the_tables_are_replaced_finds_the_authority_away_and_then_there(
    own_postgres: LocalPostgres, what: str
) -> None:
    """A snapshot that is older than the restore's end sees the new tables empty."""
    address = await PostgresDatabases(own_postgres.address()).create()
    authority = PostgresAuthority(address)
    await authority.open()
    await authority.write([Create("services", {"host": "h"})], origin="")
    before = await authority.head()
    assert before.version != GENESIS
    operator = await connected(address)
    transaction = operator.transaction()
    await transaction.start()
    await operator.execute(RESTORED)
    asks = {"head": authority.head, "log": lambda: authority.log(before), "state": authority.state}
    reading = asyncio.ensure_future(asks[what]())
    async with asyncio.timeout(4):
        while not await fetch(own_postgres.address(), SOMEBODY_WAITS):
            await asyncio.sleep(0.02)
    await transaction.commit()
    with pytest.raises(AuthorityUnavailable, match="being restored"):
        await reading
    assert await authority.head() == before
    await operator.close()
    await authority.close()
