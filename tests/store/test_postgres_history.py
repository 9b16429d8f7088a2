"""What a real Postgres does to history: fail-overs, restores, waits; and which server it is."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from blake3 import blake3

from node.demo.local_postgres import HOST, LocalPostgres
from simulations.real.postgres import connected, execute, fetch
from store.authority import Create
from store.errors import AuthorityUnavailable, HistoryForked
from store.plan import POSTGRES
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress, PostgresHost, server_of
from store.version import EMPTY, Head
from tests.pgbouncer import pgbouncer
from tests.postgres_server import PostgresDatabases
from tests.postgres_standby import Standby, running_standby
from tests.store.history import check_history
from tests.store.test_postgres import SOMEBODY_WAITS
from tests.store.test_postgres import until as until_true
from tests.system.waiting import until


class Node:
    """One that remembers what it has committed, and compares with it."""

    def __init__(self, address: PostgresAddress) -> None:
        self.known = [EMPTY]
        self.authority = PostgresAuthority(address, confirmed=lambda: self.known[-1])

    @property
    def confirmed(self) -> Head:
        return self.known[-1]

    async def write(self, *names: str) -> Head:
        for name in names:
            mutation = Create("services", {"name": name, "host": "h"})
            self.known.append((await self.authority.write([mutation], origin="n1")).head)
        return self.confirmed

    async def raise_epoch(self) -> int:
        """With all it knows; answers the new epoch, 0 when there is none."""
        raised = await self.authority.raise_epoch(
            self.confirmed, origin="n1", known=self.known[::-1]
        )
        if raised.changeset is None:
            return 0
        self.known.append(raised.head)
        return raised.head.version.epoch


@asynccontextmanager
async def opened(address: PostgresAddress) -> AsyncIterator[Node]:
    node = Node(address)
    await node.authority.open()
    yield node
    await node.authority.close()


@pytest.fixture
def standby(own_postgres: LocalPostgres) -> Iterator[Standby]:
    with running_standby(own_postgres) as server:
        yield server


@pytest.fixture
async def address(own_postgres: LocalPostgres) -> PostgresAddress:
    return await PostgresDatabases(own_postgres.address()).create()


async def caught_up(standby: Standby, address: PostgresAddress, head: Head) -> None:
    async def has_it() -> bool:
        try:
            rows = await fetch(
                standby.address(address.database), "SELECT revision FROM grapevine.head"
            )
        except OSError:
            return False
        return bool(rows[0][0] == head.version.revision)

    await until(has_it, "the standby has what was written")


async def fail_over(primary: LocalPostgres, standby: Standby) -> None:
    """The primary is gone; what the standby, which is stopped, hasn't got is lost."""
    primary.kill()
    standby.start()
    await execute(standby.address(), "SELECT pg_promote()")


def restore(server: LocalPostgres, backup: Standby) -> None:
    """Start the server on the files of a base backup."""
    server.stop()
    shutil.rmtree(server.data)
    (backup.data / "standby.signal").unlink()
    subprocess.run(["cp", "-a", backup.data, server.data], check=True)
    server.start()


async def test_a_fail_over_that_loses_commits_is_proved_and_raised(
    own_postgres: LocalPostgres, address: PostgresAddress, standby: Standby
) -> None:
    hosts = (*address.hosts, PostgresHost(HOST, standby.port))
    async with opened(replace(address, hosts=hosts)) as node:
        kept = await node.write("a")
        await caught_up(standby, address, kept)
        standby.stop()
        lost = await node.write("b", "c")
        before = await node.authority.standing(lost)
        assert (before.head, before.proof) == (lost, "")
        await fail_over(own_postgres, standby)

        with pytest.raises(HistoryForked) as caught:
            await node.write("d")
        after = caught.value.standing
        assert (after.head, after.proof) == (kept, "below")
        # The control file says 1 until the first checkpoint.
        assert (before.server.timeline, after.server.timeline) == (1, 2)
        assert before.server.address != after.server.address

        assert await node.raise_epoch() == 2
        await node.write("d")
        assert await check_history(node.authority) == 3


async def test_revisions_that_a_promoted_standby_has_reused_are_proved(
    own_postgres: LocalPostgres, address: PostgresAddress, standby: Standby
) -> None:
    hosts = (*address.hosts, PostgresHost(HOST, standby.port))
    everywhere = replace(address, hosts=hosts)
    async with opened(everywhere) as node, opened(everywhere) as newcomer:
        kept = await node.write("a")
        await caught_up(standby, address, kept)
        standby.stop()
        lost = await node.write("b", "c")
        await fail_over(own_postgres, standby)
        other = await newcomer.write("x", "y", "z")

        with pytest.raises(HistoryForked) as caught:
            await node.write("d")
        assert (caught.value.standing.head, caught.value.standing.proof) == (other, "reused")
        assert await node.raise_epoch() == 2
        assert (await node.authority.standing(lost)).proof == ""
        await newcomer.write("w")
        assert await check_history(node.authority) == 6


async def test_a_fail_over_that_loses_nothing_proves_nothing(
    own_postgres: LocalPostgres, address: PostgresAddress, standby: Standby
) -> None:
    hosts = (*address.hosts, PostgresHost(HOST, standby.port))
    async with opened(replace(address, hosts=hosts)) as node:
        head = await node.write("a", "b")
        await caught_up(standby, address, head)
        own_postgres.kill()
        await execute(standby.address(), "SELECT pg_promote()")
        standing = await node.authority.standing(head)
        assert (standing.head, standing.proof, standing.server.timeline) == (head, "", 2)
        assert await node.raise_epoch() == 0
        await node.write("c")


async def test_a_restored_base_backup_is_proved_whatever_was_written_since(
    own_postgres: LocalPostgres, address: PostgresAddress
) -> None:
    async with opened(address) as node:
        kept = await node.write("a", "b")
        backup = Standby(own_postgres)
        try:
            backup.create()
            await node.write("c", "d")
            restore(own_postgres, backup)
        finally:
            backup.remove()

        standing = await node.authority.standing(node.confirmed)
        assert (standing.head, standing.proof) == (kept, "below")
        assert standing.server.timeline == 1, "only the history tells"
        async with opened(address) as newcomer:
            await newcomer.write("x", "y", "z")
        with pytest.raises(HistoryForked):
            await node.write("e")
        assert await node.raise_epoch() == 2
        await node.write("e")
        assert await check_history(node.authority) == 7


async def test_a_read_replica_that_lags_is_never_asked(
    own_postgres: LocalPostgres, address: PostgresAddress, standby: Standby
) -> None:
    at_standby = PostgresHost(HOST, standby.port)
    async with opened(replace(address, hosts=(at_standby, *address.hosts))) as node:
        await caught_up(standby, address, await node.write("a"))
        await execute(standby.address(), "SELECT pg_wal_replay_pause()")
        head = await node.write("b")
        standing = await node.authority.standing(head)
        assert (standing.head, standing.proof) == (head, "")
        assert standing.server.address.endswith(str(address.hosts[0]))
    async with opened(replace(address, hosts=(at_standby,), read_only=True)) as reader:
        with pytest.raises(AuthorityUnavailable):
            await reader.authority.standing(head)
        with pytest.raises(AuthorityUnavailable):
            await reader.authority.raise_epoch(head, origin="n1", forced=True)


async def test_revisions_reused_while_a_write_waits_for_the_head_row_are_seen(
    postgres_database: PostgresAddress, postgres_databases: PostgresDatabases
) -> None:
    """The write's snapshot is of before the wait; the head that it gets is of after."""
    async with opened(postgres_database) as node:
        await node.write("a")
        image = await postgres_databases.copy(postgres_database)
        await node.write("b")
        await postgres_databases.replace(postgres_database, image)
        other = await connected(postgres_database)
        try:
            await other.execute("SET search_path = grapevine; BEGIN")
            bodies = [b"x", b"y"]
            digests = [blake3(body).digest() for body in bodies]
            write_ids = [bytes([number]) * 16 for number in (1, 2)]
            await other.fetch(POSTGRES.append_log, write_ids, digests, bodies, [1.0, 1.0], 0)
            write = asyncio.create_task(node.write("c"))
            await until_true(postgres_database, SOMEBODY_WAITS)
            await other.execute("COMMIT")
        finally:
            await other.close()
        with pytest.raises(HistoryForked) as caught:
            await write
        assert caught.value.standing.proof == "reused"
        assert caught.value.standing.head.version.revision == 3


async def test_behind_a_pooler_it_is_the_server_that_is_named(
    postgres_database: PostgresAddress,
) -> None:
    async with opened(postgres_database) as direct:
        expected = (await direct.authority.standing(EMPTY)).server
    with pgbouncer(postgres_database, pool_size=2) as pooler:
        async with opened(pooler) as node:
            await node.write("a")
            assert (await node.authority.standing(EMPTY)).server == expected


async def test_over_a_socket_it_is_the_machine_and_the_path(
    own_postgres: LocalPostgres, address: PostgresAddress
) -> None:
    host = PostgresHost(str(own_postgres.home), own_postgres.port)
    async with opened(replace(address, hosts=(host,))) as node:
        server = (await node.authority.standing(EMPTY)).server
    assert server == (f"{socket.gethostname()}/{host}", 1)


@pytest.mark.parametrize(
    ("answered", "connected_to", "shown"),
    [
        ("192.0.2.7", "db.test", "192.0.2.7:5432"),
        ("2001:db8::7", "db.test", "[2001:db8::7]:5432"),
        ("127.0.0.1", "pooler.test", "pooler.test/127.0.0.1:5432"),
        ("::1", "pooler.test", "pooler.test/[::1]:5432"),
        ("127.0.0.1", "localhost", f"{socket.gethostname()}/127.0.0.1:5432"),
        (None, "pooler.test", "pooler.test:6432"),
    ],
)
def test_an_address_that_many_machines_have_is_told_with_its_machine(
    answered: str | None, connected_to: str, shown: str
) -> None:
    row = (answered, 5432 if answered else None, "0000001A0000000100000002")
    assert server_of(row, PostgresHost(connected_to, 6432)) == (shown, 26)
