"""What is Postgres' own: connections, locks, races, and what an operator reads."""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import asyncpg
import pytest

from simulations.real.postgres import connected, execute, fetch
from store import postgres, postgres_connection
from store.authority import Committed, Create, Delete, Mutation, Patch, Put
from store.canonical import encode_entity
from store.errors import AuthorityUnavailable, EntityError, SchemaMismatch
from store.plan import POSTGRES
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress, PostgresHost
from store.postgres_connection import CHANGE, connect, transaction
from store.write import WriteRequest, write
from tests.store.history import check_history
from tests.store.test_write_rule import IDS, SCHEMAS, changes_of

BOOTSTRAP = "database needs bootstrapping; run 'grapevine migrations bootstrap'"
DEADLINE_SECONDS = 10.0
CHILD = encode_entity({"id": IDS[1], "parent": {"id": IDS[8]}, "sibling": None, "guard": None})


@pytest.fixture
async def authority(postgres_database: PostgresAddress) -> AsyncIterator[PostgresAuthority]:
    authority = PostgresAuthority(postgres_database)
    await authority.open()
    yield authority
    await authority.close()


@pytest.fixture
async def other(postgres_database: PostgresAddress) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection, in a transaction of theirs."""
    connection = await connected(postgres_database)
    await connection.execute("SET search_path = grapevine; BEGIN")
    yield connection
    await connection.close()


async def until(address: PostgresAddress, sql: str) -> None:
    """Wait until a query's answer is true."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (await fetch(address, sql))[0][0]:
            await asyncio.sleep(0.01)


SOMEBODY_WAITS = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"
OURS = "FROM pg_stat_activity WHERE application_name = 'grapevine' AND datname = current_database()"


class TestConnections:
    async def test_are_opened_on_demand_and_closed_when_idle(
        self, postgres_database: PostgresAddress
    ) -> None:
        authority = PostgresAuthority(replace(postgres_database, idle_seconds=0.05))
        await authority.open()
        await until(postgres_database, f"SELECT count(*) = 0 {OURS}")
        await authority.head()
        await authority.close()

    async def test_are_never_more_than_the_pool_allows(
        self, postgres_database: PostgresAddress
    ) -> None:
        authority = PostgresAuthority(replace(postgres_database, connections_max=2))
        await authority.open()
        await asyncio.gather(*(authority.head() for _ in range(20)))
        rows = await fetch(postgres_database, f"SELECT count(*) {OURS}")
        assert rows[0][0] <= 2
        await authority.close()

    async def test_carry_the_limits_that_keep_a_paused_node_from_stopping_others(
        self, postgres_database: PostgresAddress
    ) -> None:
        connection, _ = await connect(postgres_database)
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        shown = [await connection.fetchval(f"SHOW {name}") for name in names]
        assert shown == ["2s", "5s", "5s"]
        assert await connection.fetchval("SHOW search_path") == '"grapevine"'
        await connection.close()

    async def test_are_kept_while_a_long_write_computes(
        self, postgres_database: PostgresAddress, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgres_connection, "IDLE_IN_TRANSACTION_SECONDS_MAX", 0.5)

        def slow_id() -> str:
            time.sleep(0.01)
            return str(uuid.uuid4())

        authority = PostgresAuthority(postgres_database)
        await authority.open()
        mutations = (Create("services", {"host": "h"}),) * 100
        request = WriteRequest(mutations, b"w" * 16, "", 1.0, new_id=slow_id)
        committed = await authority.bulk_writes.write(request)
        assert len(committed.entities) == 100
        assert authority.bulk_writes.queue.counters["transactions"] == 1
        await authority.close()

    async def test_that_died_while_idle_are_replaced_without_an_error(
        self, authority: PostgresAuthority, postgres_database: PostgresAddress
    ) -> None:
        await asyncio.gather(*(authority.head() for _ in range(5)))
        await fetch(postgres_database, f"SELECT pg_terminate_backend(pid) {OURS}")
        await authority.write([Create("services", {"host": "h"})], origin="")
        assert (await authority.head()).version.revision == 1

    async def test_a_closed_authority_is_unavailable_and_may_be_opened_again(
        self, postgres_database: PostgresAddress
    ) -> None:
        authority = PostgresAuthority(postgres_database)
        with pytest.raises(AuthorityUnavailable, match="isn't open"):
            await authority.head()
        first = await authority.open()
        await authority.close()
        await authority.close()
        assert await authority.open() == first
        await authority.close()

    async def test_closing_does_not_wait_for_a_statement_that_waits(
        self,
        authority: PostgresAuthority,
        other: asyncpg.Connection,
        postgres_database: PostgresAddress,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(postgres, "CLOSE_SECONDS_MAX", 0.1)
        await other.execute("SELECT revision FROM head FOR UPDATE")
        writing = asyncio.create_task(
            authority.write([Create("services", {"host": "h"})], origin="")
        )
        await until(postgres_database, SOMEBODY_WAITS)
        async with asyncio.timeout(1.0):
            await authority.close()
        with pytest.raises(AuthorityUnavailable):
            await writing


class TestHosts:
    async def test_the_first_that_takes_writes_is_taken(
        self, postgres_database: PostgresAddress
    ) -> None:
        with listening() as silent:
            hosts = (PostgresHost("127.0.0.1", 1), silent, *postgres_database.hosts)
            authority = PostgresAuthority(replace(postgres_database, hosts=hosts, timeout=1.0))
            await authority.open()
            assert await check_history(authority) == 0
            await authority.close()

    async def test_that_fail_are_all_named_with_their_reasons(
        self, postgres_database: PostgresAddress
    ) -> None:
        with listening() as silent:
            hosts = (PostgresHost("127.0.0.1", 1), silent, PostgresHost("/nowhere"))
            address = replace(postgres_database, hosts=hosts, timeout=0.5)
            with pytest.raises(AuthorityUnavailable) as caught:
                await PostgresAuthority(address).open()
        assert str(caught.value) == (
            f"database {address.database} at 127.0.0.1:1: connection refused; start Postgres, or"
            f" check pg_host, pg_port; {silent}: no answer in 0.5 s (pg_timeout);"
            " /nowhere/.s.PGSQL.5432: no such socket; start Postgres, or check pg_host, pg_port"
        )

    async def test_a_server_that_is_read_only_is_not_the_authority(
        self, postgres_database: PostgresAddress
    ) -> None:
        name = postgres_database.database
        await execute(
            postgres_database, f"ALTER DATABASE {name} SET default_transaction_read_only = on"
        )
        with pytest.raises(AuthorityUnavailable, match=r"is read-only .*name the primary"):
            await PostgresAuthority(postgres_database).open()

    async def test_ipv6_is_an_address_like_any_other(
        self, postgres_database: PostgresAddress
    ) -> None:
        (host,) = postgres_database.hosts
        address = replace(postgres_database, hosts=(PostgresHost("::1", host.port),))
        assert str(address) == f"database {address.database} at [::1]:{host.port}"
        authority = PostgresAuthority(address)
        await authority.open()
        await authority.close()

    async def test_the_password_is_in_no_message(self, postgres_database: PostgresAddress) -> None:
        address = replace(postgres_database, password="hunter2")
        assert "hunter2" not in repr(address)
        with pytest.raises(AuthorityUnavailable) as caught:
            await PostgresAuthority(address).open()
        assert "password authentication failed" in str(caught.value)
        assert "check pg_user, pg_password" in str(caught.value)
        assert "hunter2" not in str(caught.value)

    async def test_no_variable_of_libpqs_has_a_say(
        self, postgres_database: PostgresAddress, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in (
            ("PGSSLMODE", "verify-full"),
            ("PGHOST", "nowhere.invalid"),
            ("PGPASSWORD", "x"),
            ("PGTARGETSESSIONATTRS", "standby"),
            ("PGSSLNEGOTIATION", "direct"),
        ):
            monkeypatch.setenv(name, value)
        authority = PostgresAuthority(postgres_database)
        await authority.open()
        await authority.close()


@contextlib.contextmanager
def listening() -> Iterator[PostgresHost]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield PostgresHost("127.0.0.1", server.getsockname()[1])


class TestSchema:
    async def test_a_missing_one_says_what_to_type(
        self, empty_postgres_database: PostgresAddress
    ) -> None:
        authority = PostgresAuthority(empty_postgres_database)
        with pytest.raises(SchemaMismatch, match=BOOTSTRAP):
            await authority.open()
        await authority.close()

    async def test_a_missing_database_is_named(self, postgres_database: PostgresAddress) -> None:
        address = replace(postgres_database, database="none")
        with pytest.raises(AuthorityUnavailable, match=r'"none" does not exist; create it'):
            await PostgresAuthority(address).open()

    async def test_one_that_is_too_old_says_what_to_do(
        self, postgres_database: PostgresAddress
    ) -> None:
        await execute(postgres_database, "UPDATE grapevine.authority SET schema_version = 0")
        authority = PostgresAuthority(postgres_database)
        with pytest.raises(SchemaMismatch) as caught:
            await authority.open()
        assert "older than this software's (1); run 'grapevine migrations up'" in str(caught.value)
        await authority.close()

    async def test_after_a_reset_a_running_node_is_told_what_to_do(
        self, authority: PostgresAuthority, postgres_database: PostgresAddress
    ) -> None:
        await execute(postgres_database, "DROP SCHEMA grapevine CASCADE")
        with pytest.raises(SchemaMismatch, match=BOOTSTRAP):
            await authority.write([Create("services", {"host": "h"})], origin="")

    async def test_tables_that_changed_under_a_running_node_are_read_anew(
        self, authority: PostgresAuthority, postgres_database: PostgresAddress
    ) -> None:
        await authority.head()
        await execute(
            postgres_database, "ALTER TABLE grapevine.head ALTER COLUMN epoch TYPE numeric"
        )
        await execute(
            postgres_database, "ALTER TABLE grapevine.head ALTER COLUMN revision TYPE integer"
        )
        assert (await authority.head()).version.revision == 0


class TestLocks:
    async def test_one_that_is_not_given_back_is_unavailable(
        self,
        postgres_database: PostgresAddress,
        other: asyncpg.Connection,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(postgres_connection, "LOCK_SECONDS_MAX", 0.1)
        authority = PostgresAuthority(replace(postgres_database, timeout=0.5))
        await authority.open()
        await other.execute("SELECT revision FROM head FOR UPDATE")
        with pytest.raises(AuthorityUnavailable, match="another transaction holds"):
            await authority.write([Create("services", {"host": "h"})], origin="")
        assert (await authority.state()).entities == ()
        await other.execute("ROLLBACK")
        await authority.write([Create("services", {"host": "h"})], origin="")
        await authority.close()

    async def test_on_one_row_keeps_the_writes_that_share_its_transaction_waiting_only_once(
        self,
        postgres_database: PostgresAddress,
        other: asyncpg.Connection,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(postgres_connection, "LOCK_SECONDS_MAX", 0.1)
        authority = PostgresAuthority(postgres_database)
        await authority.open()
        service = {"name": "s", "host": "h"}
        await authority.write([Create("services", service)], origin="")
        await other.execute("SELECT body FROM entity FOR UPDATE")
        blocked = asyncio.create_task(
            authority.write([Patch("services", "s", {"retries": 1})], origin="")
        )
        free = [authority.write([Create("services", {"host": "h"})], origin="") for _ in range(3)]
        outcomes = await asyncio.gather(*free)
        assert [item.head.version.revision for item in outcomes] == [2, 3, 4]
        assert not blocked.done()
        await other.execute("ROLLBACK")
        assert (await blocked).head.version.revision == 5
        assert authority.writes.queue.counters["writes_blocked"] >= 2
        await authority.close()

    async def test_a_cancelled_write_gives_back_all_it_held(
        self,
        authority: PostgresAuthority,
        other: asyncpg.Connection,
        postgres_database: PostgresAddress,
    ) -> None:
        await other.execute("SELECT revision FROM head FOR UPDATE")
        writing = asyncio.create_task(
            authority.write([Create("services", {"name": "s", "host": "h"})], origin="")
        )
        await until(postgres_database, SOMEBODY_WAITS)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await other.execute("ROLLBACK")
        committed = await authority.write(
            [Create("services", {"name": "s", "host": "h"})], origin=""
        )
        assert committed.head.version.revision == 1

    async def test_transactions_that_block_each_other_both_succeed(
        self, authority: PostgresAuthority
    ) -> None:
        names = ("a", "b")
        await authority.write(
            [Create("services", {"name": name, "host": "h"}) for name in names], origin=""
        )
        for number in range(2):
            await asyncio.gather(
                *(
                    authority.write(
                        [
                            Create("routes", {"paths": ["/"], "service": {"name": one}}),
                            Patch("services", other, {"retries": number + 1}),
                        ],
                        origin="",
                    )
                    for one, other in (names, names[::-1])
                )
            )
        assert await check_history(authority) == 5


class TestRaces:
    async def test_two_upserts_of_one_new_name_both_succeed(
        self,
        authority: PostgresAuthority,
        other: asyncpg.Connection,
        postgres_database: PostgresAddress,
    ) -> None:
        theirs = PostgresAuthority(postgres_database)
        await theirs.open()
        await other.execute("SELECT revision FROM head FOR UPDATE")
        puts = [
            asyncio.create_task(tie.write([Put("services", "s", {"host": host})], origin=""))
            for tie, host in ((authority, "one"), (theirs, "two"))
        ]
        await until(postgres_database, "SELECT count(*) = 2 FROM pg_locks WHERE NOT granted")
        await other.execute("ROLLBACK")
        first, second = await asyncio.gather(*puts)
        assert first.entities[0] is not None
        assert second.entities[0] is not None
        assert first.entities[0]["id"] == second.entities[0]["id"]
        assert await check_history(authority) == 2
        await theirs.close()

    async def test_a_name_that_another_node_takes_at_the_last_moment_is_refused_alone(
        self,
        authority: PostgresAuthority,
        other: asyncpg.Connection,
        postgres_database: PostgresAddress,
    ) -> None:
        entity_id = str(uuid.uuid4())
        await other.execute(
            f"INSERT INTO entity VALUES ('services', '{entity_id}', '{{}}');"
            f"INSERT INTO entity_unique VALUES ('services', 'name', 'b', '{entity_id}')"
        )
        writes = [
            asyncio.create_task(
                authority.write([Create("services", {"name": name, "host": "h"})], origin="")
            )
            for name in "abc"
        ]
        await until(postgres_database, SOMEBODY_WAITS)
        await other.execute("COMMIT")
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        revisions = [item.head.version.revision for item in outcomes if isinstance(item, Committed)]
        assert revisions == [1, 2]
        assert isinstance(outcomes[1], EntityError)
        assert outcomes[1].code == 5
        assert authority.writes.queue.counters["writes_raced"] == 1

    async def test_a_child_that_came_after_it_was_looked_for_goes_with_its_parent(
        self, other: asyncpg.Connection, postgres_database: PostgresAddress
    ) -> None:
        """A row that was missing had nothing to lock."""
        authority = PostgresAuthority(postgres_database)
        await authority.open()

        async def commit(*mutations: Mutation) -> Committed:
            request = WriteRequest(mutations, os.urandom(16), "", 1.0, schemas=SCHEMAS.__getitem__)
            return await authority.writes.write(request)

        await commit(Create("parents", {"id": IDS[8], "name": "p"}))
        await other.execute(
            f"SELECT 1 FROM entity WHERE id = '{IDS[8]}' FOR KEY SHARE;"
            f"INSERT INTO entity VALUES ('children', '{IDS[1]}', '{CHILD}');"
            "INSERT INTO entity_reference VALUES"
            f" ('children', '{IDS[1]}', 'parent', 'parents', '{IDS[8]}')"
        )
        deleting = asyncio.create_task(commit(Delete("children", IDS[1]), Delete("parents", "p")))
        await until(postgres_database, SOMEBODY_WAITS)
        await other.execute("COMMIT")
        assert changes_of(await deleting) == [
            ("parents", IDS[8], False),
            ("children", IDS[1], False),
        ]
        assert (await authority.state()).entities == ()
        await authority.close()

    async def test_a_child_that_left_before_it_was_locked_is_not_deleted_with_its_parent(
        self, other: asyncpg.Connection, postgres_database: PostgresAddress
    ) -> None:
        async def commit(number: int, *mutations: Create | Delete) -> Committed:
            connection, _ = await connect(postgres_database)
            request = WriteRequest(
                mutations, number.to_bytes(16, "big"), "", 1.0, schemas=SCHEMAS.__getitem__
            )
            try:
                return await transaction(connection, CHANGE, lambda: write(request, POSTGRES))
            finally:
                await connection.close()

        await commit(
            0,
            Create("parents", {"id": IDS[0], "name": "p"}),
            Create("parents", {"id": IDS[1], "name": "q"}),
            Create("children", {"id": IDS[2], "parent": {"name": "p"}}),
            Create("children", {"id": IDS[3], "parent": {"name": "p"}}),
        )
        moving = ("children", IDS[2])
        await other.execute(
            "SELECT body FROM entity WHERE kind = $1 AND id = $2 FOR UPDATE", *moving
        )
        deleting = asyncio.create_task(commit(1, Delete("parents", "p")))
        await until(postgres_database, SOMEBODY_WAITS)
        await other.execute(
            "UPDATE entity_reference SET target_id = $3 WHERE kind = $1 AND id = $2",
            *moving,
            IDS[1],
        )
        await other.execute("COMMIT")
        assert sorted(changes_of(await deleting)) == [
            ("children", IDS[3], False),
            ("parents", IDS[0], False),
        ]
