"""What may happen to simulated Postgres servers, and what the engine makes of it."""

import asyncio
import random
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import pytest

from simulations.authority.loop import ProcessLoop
from simulations.authority.postgres.bootstrap import bootstrapped
from simulations.authority.postgres.cluster import Cluster
from simulations.authority.postgres.driver import Connection, Driver
from simulations.authority.postgres.server import Server
from simulations.clock import Clock
from store.authority import Committed, Create
from store.errors import AuthorityUnavailable, OutcomeUnknown
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress, PostgresHost

Result = TypeVar("Result")
ADDRESS = PostgresAddress((PostgresHost("db1"), PostgresHost("db2")), "grapevine", "u", timeout=3.0)


class Ground:
    """A primary db1, its standby db2, and one process per name."""

    def __init__(self, lag: float = 0.01, *, wait: bool = False) -> None:
        self.clock = Clock()
        self.rng = random.Random(1)
        self.loop = ProcessLoop.on(self.clock)
        self.cluster = Cluster(self.clock, self.rng, bootstrapped(self.rng))
        self.db1 = self.cluster.servers["db1"]
        self.db2 = self.cluster.add("db2", self.db1.database.copy())
        self.stream = self.cluster.follow(self.db2, self.db1, lambda: lag, wait=wait)
        self.drivers: dict[str, Driver] = {}
        self.authority = self.open("n1")

    def open(self, name: str) -> PostgresAuthority:
        self.drivers[name] = Driver(self.cluster, name)
        authority = PostgresAuthority(
            ADDRESS,
            clock=lambda: 1_700_000_000.0 + self.clock.now,
            draw_write_id=lambda: self.rng.randbytes(16),
            new_id=lambda: str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
            driver=self.drivers[name],
        )
        self.wait(authority.open())
        return authority

    def begin(self, work: Coroutine[Any, Any, Result]) -> "asyncio.Task[Result]":
        return self.loop.create_task(work)

    def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = self.begin(work)
        assert self.clock.run_until(task.done, 120.0) is not None
        return task.result()

    def write(self, authority: PostgresAuthority | None = None) -> Committed:
        mutations = [Create("services", {"host": "h"})]
        return self.wait((authority or self.authority).write(mutations, origin=""))

    def revision(self, server: Server) -> int:
        (head,) = server.database.rows("head")
        return int(head["revision"])

    def connect(self, name: str, host: str = "db1", **settings: str) -> Connection:
        driver = self.drivers.setdefault(name, Driver(self.cluster, name))
        return self.wait(
            driver.connect(
                host=host,
                port=5432,
                server_settings={"search_path": '"grapevine"', **settings},
                timeout=5.0,
                command_timeout=30.0,
            )
        )


@pytest.fixture
def ground() -> Ground:
    return Ground()


LOCK = "SELECT revision FROM head FOR UPDATE"


def test_a_standby_that_lags_loses_what_it_has_not_got_when_it_takes_over() -> None:
    ground = Ground(lag=5.0)
    ground.write()
    ground.write()
    ground.db1.crash()
    assert ground.cluster.promote(ground.db2) == 2
    assert ground.write().head.version.revision == 1
    assert (ground.db1.timeline, ground.db2.timeline) == (1, 2)


def test_a_commit_that_waits_for_the_standby_is_not_lost() -> None:
    ground = Ground(lag=0.5, wait=True)
    begun = ground.clock.now
    ground.write()
    assert ground.clock.now - begun > 0.5
    ground.db1.crash()
    assert ground.cluster.promote(ground.db2) == 0
    assert ground.write().head.version.revision == 2


def test_a_standby_takes_no_writes_and_no_locks(ground: Ground) -> None:
    connection = ground.connect("n2", "db2")
    assert ground.wait(connection.fetch("SELECT revision FROM head")) == [(0,)]
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        ground.wait(connection.fetch(LOCK))
    ground.db1.crash()
    with pytest.raises(AuthorityUnavailable, match=r"db2:5432: is read-only \(a standby\)"):
        ground.write()


def test_two_servers_that_take_writes_have_two_histories(ground: Ground) -> None:
    ground.cluster.cut("n1", "db1")
    other = ground.open("n2")
    ground.cluster.cut("n2", "db2")
    ground.cluster.promote(ground.db2)
    with pytest.raises(AuthorityUnavailable, match="no answer in 3 s"):
        ground.write()  # over its old connection
    assert ground.write().head.version.revision == 1
    assert ground.write(other).head.version.revision == 1
    heads = [next(server.database.rows("head")) for server in (ground.db1, ground.db2)]
    assert heads[0]["revision"] == heads[1]["revision"] == 1
    assert heads[0]["chain"] != heads[1]["chain"]


def test_a_backup_brings_back_what_it_holds_and_no_more(ground: Ground) -> None:
    ground.write()
    backup = ground.db1.database.copy()
    ground.write()
    ground.cluster.restore(ground.db1, backup)
    assert ground.wait(ground.authority.head()).version.revision == 1


@pytest.mark.parametrize("deliver", [True, False])
def test_a_connection_lost_in_commit_is_looked_up(ground: Ground, deliver: bool) -> None:
    task = ground.begin(ground.authority.write([Create("services", {"host": "h"})], origin=""))
    ground.clock.run_until(lambda: bool(ground.db1.database.running), 1.0)
    ground.clock.run_until(lambda: _is_logged(ground.db1), 1.0)
    (connection,) = ground.drivers["n1"].connections
    connection.wire.to_client.hold()  # the answer to COMMIT, whether it has arrived or not
    ground.clock.run(0.000_4)
    connection.break_(deliver=deliver)
    assert ground.clock.run_until(task.done, 10.0) is not None
    assert task.result().head.version.revision == 1
    assert ground.revision(ground.db1) == 1


def _is_logged(server: Server) -> bool:
    """Whether some transaction has its log row, committed or not."""
    return bool(server.database.tables["log"].rows)


def test_a_commit_that_can_not_be_looked_up_is_unknown(ground: Ground) -> None:
    task = ground.begin(ground.authority.write([Create("services", {"host": "h"})], origin=""))
    ground.clock.run_until(lambda: ground.revision(ground.db1) == 1, 1.0)
    ground.cluster.cut("n1", "db1")
    assert ground.clock.run_until(task.done, 30.0) is not None
    with pytest.raises(OutcomeUnknown):
        task.result()


def test_who_holds_a_lock_and_says_nothing_loses_it_after_a_while(ground: Ground) -> None:
    silent = ground.connect("n2", idle_in_transaction_session_timeout="5000")
    ground.wait(silent.execute("BEGIN ISOLATION LEVEL READ COMMITTED"))
    ground.wait(silent.fetch(LOCK))
    begun = ground.clock.now
    waiting = ground.connect("n3")
    ground.wait(waiting.fetch(LOCK))
    assert 4.9 < ground.clock.now - begun < 5.1
    assert silent.is_closed()


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ("lock_timeout", asyncpg.LockNotAvailableError),
        ("statement_timeout", asyncpg.QueryCanceledError),
    ],
)
def test_a_wait_for_a_lock_ends_with_its_time(
    ground: Ground, setting: str, error: type[Exception]
) -> None:
    holder, waiting = ground.connect("n2"), ground.connect("n3", **{setting: "2000"})
    ground.wait(holder.execute("BEGIN ISOLATION LEVEL READ COMMITTED"))
    ground.wait(holder.fetch(LOCK))
    begun = ground.clock.now
    with pytest.raises(error):
        ground.wait(waiting.fetch(LOCK))
    assert 1.9 < ground.clock.now - begun < 2.1


def test_who_listens_is_told_of_commits_but_not_of_those_while_it_was_away(ground: Ground) -> None:
    heard: list[int] = []
    task = ground.begin(ground.authority.watch(heard.append))
    ground.clock.run(0.1)
    ground.write()
    ground.clock.run(0.1)
    assert heard == [0, 1]
    ground.db1.end_sessions()
    ground.clock.run(11.0)
    with pytest.raises(AuthorityUnavailable):
        task.result()
    ground.write()
    ground.clock.run(0.1)
    assert heard == [0, 1]
    again = ground.begin(ground.authority.watch(heard.append))
    ground.clock.run(0.1)
    assert heard == [0, 1, 2]
    again.cancel()
    ground.clock.run(0.1)


def test_a_killed_process_leaves_nothing_open(ground: Ground) -> None:
    task = ground.begin(ground.authority.write([Create("services", {"host": "h"})], origin=""))
    ground.clock.run_until(lambda: _is_logged(ground.db1), 1.0)
    ground.drivers["n1"].cut(deliver=False)
    ground.loop.kill()
    assert task.cancelled()
    ground.clock.run(1.0)
    assert ground.db1.database.running == []
    assert ground.db1.sessions == []
    assert ground.revision(ground.db1) == 0
    assert ground.write(ground.open("n2")).head.version.revision == 1
