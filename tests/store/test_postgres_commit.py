"""A COMMIT that isn't answered: every answer says what happened, or that it isn't known."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from node.demo.local_postgres import LocalPostgres
from simulations.real.postgres import execute, fetch
from store.authority import Committed, Create, Patch, Query
from store.errors import AuthorityUnavailable, OutcomeUnknown
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress
from tests.postgres_server import PostgresDatabases, running_server
from tests.postgres_standby import running_standby
from tests.store.history import check_history
from tests.store.postgres_proxy import CommitProxy

A_WRITE = b"w" * 16
A_PATCH = b"p" * 16
KILLS = 20
DATABASE_IS_THERE = "SELECT 1 FROM pg_database WHERE datname = $1"


async def create(authority: PostgresAuthority, write_id: bytes = A_WRITE) -> Committed:
    return await authority.write([Create("services", {"host": "h"})], origin="", write_id=write_id)


async def is_logged(address: PostgresAddress, write_id: bytes = A_WRITE) -> bool:
    rows = await fetch(address, "SELECT 1 FROM grapevine.log WHERE write_id = $1", write_id)
    return bool(rows)


async def test_a_commit_that_took_effect_is_found_and_answered(
    postgres_database: PostgresAddress,
) -> None:
    proxy = CommitProxy(postgres_database, fate="delivered")
    async with proxy.running() as address:
        authority = PostgresAuthority(address)
        await authority.open()
        proxy.arm()
        committed = await create(authority)
        assert committed.head == await authority.head()
        assert committed.head.version.revision == 1
        assert committed == await create(authority)
        await authority.close()
    assert await is_logged(postgres_database)


async def test_a_commit_that_never_arrived_is_made_again(
    postgres_database: PostgresAddress,
) -> None:
    proxy = CommitProxy(postgres_database, fate="lost")
    async with proxy.running() as address:
        authority = PostgresAuthority(address)
        await authority.open()
        proxy.arm()
        committed = await create(authority)
        assert committed.head.version.revision == 1
        assert await check_history(authority) == 1
        await authority.close()


async def test_commits_that_never_arrive_are_told_as_nothing_written(
    postgres_database: PostgresAddress,
) -> None:
    proxy = CommitProxy(postgres_database, fate="lost")
    async with proxy.running() as address:
        authority = PostgresAuthority(address)
        await authority.open()
        proxy.arm(1, 3)  # the second is that of the look-up
        with pytest.raises(AuthorityUnavailable, match=r"lost in COMMIT .*; nothing was written"):
            await create(authority)
        assert not await is_logged(postgres_database)
        assert (await create(authority)).head.version.revision == 1
        await authority.close()


async def test_a_commit_that_can_not_be_looked_up_is_unknown_and_names_its_id(
    postgres_database: PostgresAddress,
) -> None:
    proxy = CommitProxy(postgres_database, fate="delivered", refuse=True)
    async with proxy.running() as address:
        authority = PostgresAuthority(replace(address, timeout=0.5))
        await authority.open()
        proxy.arm()
        with pytest.raises(OutcomeUnknown, match="can't be looked up") as caught:
            await create(authority)
        await authority.close()
    assert caught.value.write_id == A_WRITE


async def test_a_transaction_that_may_still_commit_is_not_told_as_undone(
    postgres_database: PostgresAddress,
) -> None:
    proxy = CommitProxy(postgres_database, fate="delayed")
    async with proxy.running() as address:
        authority = PostgresAuthority(replace(address, timeout=0.5))
        await authority.open()
        proxy.arm()
        with pytest.raises(OutcomeUnknown, match="can't be looked up"):
            await create(authority)
        await authority.close()


@contextlib.asynccontextmanager
async def split() -> AsyncIterator[tuple[PostgresAddress, PostgresAddress]]:
    """One database at two servers that both take writes."""
    with running_server() as primary, running_standby(primary) as standby:
        old = await PostgresDatabases(primary.address()).create()
        new = replace(old, hosts=standby.address().hosts)
        async with asyncio.timeout(30):
            while not await fetch(standby.address(), DATABASE_IS_THERE, old.database):
                await asyncio.sleep(0.02)
        await execute(standby.address(), "SELECT pg_promote()")
        yield old, new


async def test_what_a_lost_commit_did_at_a_server_is_unknown_if_another_refuses_it() -> None:
    """The promoted server knows nothing of it, which is no proof: the old one lives."""
    async with split() as (old, new):
        proxy = CommitProxy(old, fate="delivered", refuse=True)
        async with proxy.running() as address:
            authority = PostgresAuthority(replace(address, hosts=(*address.hosts, *new.hosts)))
            await authority.open()
            await create(authority)
            services = await authority.list(Query("services"))
            patch = Patch("services", services.entities[0]["id"], {"host": "i"}, if_match=("*",))
            proxy.arm()
            with pytest.raises(OutcomeUnknown, match="may have committed it") as caught:
                await authority.write([patch], origin="", write_id=A_PATCH)
            await authority.close()
        assert caught.value.write_id == A_PATCH
        assert await is_logged(old, A_PATCH), "it has happened there"
        assert not await is_logged(new, A_PATCH)


async def test_what_a_lost_commit_did_at_a_server_is_made_at_the_promoted_one_too() -> None:
    async with split() as (old, new):
        proxy = CommitProxy(old, fate="delivered", refuse=True)
        async with proxy.running() as address:
            authority = PostgresAuthority(replace(address, hosts=(*address.hosts, *new.hosts)))
            await authority.open()
            proxy.arm()
            assert (await create(authority)).head.version.revision == 1
            await authority.close()
        assert await is_logged(new)


async def test_every_answer_is_true_when_postgres_is_killed_in_commit(
    own_postgres: LocalPostgres,
) -> None:
    database = await PostgresDatabases(own_postgres.address()).create()
    restarts: list[asyncio.Task[None]] = []

    def crash() -> None:
        own_postgres.kill()
        restarts.append(asyncio.create_task(asyncio.to_thread(own_postgres.start)))

    proxy = CommitProxy(database, fate="delivered", then=crash)
    told: dict[bytes, bool | None] = {}
    async with proxy.running() as address:
        authority = PostgresAuthority(replace(address, timeout=20.0))
        await authority.open()
        for number in range(KILLS):
            write_id = number.to_bytes(16, "big")
            proxy.arm()
            try:
                told[write_id] = (await create(authority, write_id)).changeset is not None
            except OutcomeUnknown:
                told[write_id] = None
            except AuthorityUnavailable:
                told[write_id] = False
            await restarts[-1]
        assert len(restarts) == KILLS
        for write_id, written in told.items():
            assert written in (None, await is_logged(database, write_id))
        assert None not in told.values()  # it came back in time, each time
        assert await check_history(authority) == sum(map(bool, told.values()))
        await authority.close()
