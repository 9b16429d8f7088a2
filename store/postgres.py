"""The authority in Postgres, for clusters over several machines (DESIGN 3).

Writes are READ COMMITTED and lock what they change; reads that must agree are one REPEATABLE READ
transaction. Connections are few, opened on demand and closed when idle, so that their number does
not grow with the number of nodes.
"""

import asyncio
import contextlib
import hashlib
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import asyncpg

from store import read as reads
from store.authority import (
    AuthorityInfo,
    Committed,
    Entity,
    Mutation,
    Page,
    Query,
    weight,
)
from store.engine import Engine
from store.errors import AuthorityUnavailable, CommitLost
from store.history import Server
from store.limits import (
    ATTEMPTS_MAX,
    BULK_PATIENCE_SECONDS,
    CLOSE_SECONDS_MAX,
    MUTATIONS_TOGETHER_MAX,
    STANDBY_REST_SECONDS,
    WATCH_ANSWER_SECONDS,
    WATCH_PING_SECONDS,
)
from store.log_trim import LogBounds
from store.plan import POSTGRES, Batch, Plan, Result, Row, Statement
from store.postgres_address import FAILURES, PostgresAddress, server_of, unavailable
from store.postgres_connection import (
    CHANGE,
    GIVEN_UP,
    READ,
    Checked,
    ConnectionGone,
    connect,
    transaction,
)
from store.schema import Schema, schema
from store.schema.parts import random_id
from store.version import EMPTY, Head, Version
from store.write import Outcome, WriteRequest, logged, write_all
from store.write_queue import WriteQueue
from store.writer import Blocked, LookedUp, Writer

CHANNEL = "grapevine"
"""Of NOTIFY: one for all schemas of a database, which the payload names."""

LOOKUP_PAUSE_SECONDS = 0.1
"""Between attempts to reach the server again after a COMMIT that was not answered."""


class PostgresAuthority(Engine):
    """``store.authority.Authority`` over Postgres.

    ``clock`` gives Unix seconds, ``draw_write_id`` 16 random bytes, ``new_id`` a random UUID,
    ``schemas`` the schema of a kind, ``confirmed`` the newest head that is known to be the
    authority's (every write is compared with it; EMPTY: none), ``draw_tag`` the tag of an epoch;
    ``driver`` has asyncpg's ``connect`` and ``create_pool`` (the simulator's has its own). Single
    entities and pages are read at ``standby``, a read replica, as long as it is no older than
    ``known()``; all that tells of history is asked of the server that takes writes.
    """

    _dialect = POSTGRES

    def __init__(
        self,
        address: PostgresAddress,
        *,
        clock: Callable[[], float] = time.time,
        draw_write_id: Callable[[], bytes] = lambda: secrets.token_bytes(16),
        new_id: Callable[[], str] = random_id,
        driver: Any = asyncpg,
        standby: PostgresAddress | None = None,
        known: Callable[[], Version] = lambda: EMPTY.version,
        log_bounds: LogBounds | None = None,
        schemas: Callable[[str], Schema] = schema,
        confirmed: Callable[[], Head] = lambda: EMPTY,
        draw_tag: Callable[[], int] = lambda: secrets.randbits(64),
    ) -> None:
        self._address = address
        self._new_id = new_id
        self._driver = driver
        self._standby = None if standby is None else PostgresAuthority(standby, driver=driver)
        self._standby_opened = False
        self._standby_rests_until = -math.inf
        self._known = known
        self._clock = clock
        self._draw_write_id = draw_write_id
        self._log_bounds = log_bounds or LogBounds()
        self._schemas = schemas
        self._confirmed = confirmed
        self._draw_tag = draw_tag
        self._pool: asyncpg.Pool | None = None
        run = (self._execute, self._look_up, self.trim_log)
        self.writes = Writer(*run, address.timeout)
        self.bulk_writes = Writer(*run, BULK_PATIENCE_SECONDS)
        """Long ones, which would keep the others waiting."""
        self._checked = Checked()
        self._host = 0
        """Number of the host that was writable last."""

    async def open(self) -> AuthorityInfo:
        """Connect and check the schema; SchemaMismatch says what to type."""
        self._checked.forget()
        if self._pool is None:
            # No connection is opened here, so there is nothing to wait for.
            self._pool = await self._driver.create_pool(
                connect=self._connect,
                reset=_leave_as_it_is,
                min_size=0,
                max_size=self._address.connections_max,
                max_inactive_connection_lifetime=self._address.idle_seconds,
            )
        return await self._read(reads.read_info)

    def _queues(self) -> Sequence[WriteQueue]:
        return self.writes.queue, self.bulk_writes.queue

    async def close(self) -> None:
        """Close all connections; statements still under way after CLOSE_SECONDS_MAX are dropped."""
        if self._standby is not None:
            self._standby_opened = False
            await self._standby.close()
        pool, self._pool = self._pool, None
        for writer in (self.writes, self.bulk_writes):
            writer.close(f"{self._address} isn't open")
        if pool is not None:
            with contextlib.suppress(TimeoutError, OSError, asyncpg.PostgresError):
                await asyncio.wait_for(pool.close(), CLOSE_SECONDS_MAX)

    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        """Apply all mutations in one transaction, or none.

        Raises OutcomeUnknown when COMMIT was not answered and can't be looked up in time.
        """
        if self._pool is None:
            raise AuthorityUnavailable(f"{self._address} isn't open")
        request = self._request(mutations, origin, write_id)
        bulky = weight(mutations) > MUTATIONS_TOGETHER_MAX
        return await (self.bulk_writes if bulky else self.writes).write(request)

    async def watch(self, heard: Callable[[int], None]) -> None:
        address = self._address.for_listening()
        connection, _ = await connect(address, driver=self._driver)
        try:
            if connection.preamble:
                raise AuthorityUnavailable(
                    f"{address} is a pooler, through which nobody can listen; name the server in"
                    " pg_listen_host and pg_listen_port"
                )

            def told(_: object, __: int, ___: str, payload: str) -> None:
                schema, _____, revision = payload.rpartition(" ")
                if schema == address.schema and revision.isdecimal():
                    heard(int(revision))

            await connection.add_listener(CHANNEL, told)
            heard((await transaction(connection, READ, reads.read_head)).version.revision)
            while True:
                await asyncio.sleep(WATCH_PING_SECONDS)
                await connection.execute("SELECT 1", timeout=WATCH_ANSWER_SECONDS)
        except (TimeoutError, ConnectionGone, *FAILURES) as error:
            raise unavailable(error, address) from error
        finally:
            connection.terminate()

    def _server(self, row: Row | None) -> Server:
        assert row is not None, "Postgres says which server it is"
        return server_of(row, self._address.hosts[self._host])

    async def _execute(self, requests: Sequence[WriteRequest]) -> list[Outcome]:
        locks = sorted(_lock_number(item.write_id) for item in requests if not item.is_new)

        def plan() -> Plan[list[Outcome]]:
            if locks:
                # Lets a client's retry wait for its first try, which may be under way elsewhere.
                yield Batch("SELECT pg_advisory_xact_lock($1)", [(lock,) for lock in locks])
            return (yield from write_all(requests, POSTGRES, self._comparison()))

        return await self._transaction(CHANGE, plan, waits_again=False)

    async def _look_up(self, requests: Sequence[WriteRequest], lost: CommitLost) -> LookedUp:
        """What became of a COMMIT that was not answered.

        The transaction held the head row: whoever gets that row's lock after it knows that it has
        ended, and sees whether it left its log rows.
        """

        def plan() -> Plan[LookedUp]:
            yield Statement("SELECT revision FROM head FOR UPDATE")
            (row,) = yield Statement(POSTGRES.server)
            found = yield from logged([request.write_id for request in requests])
            here = lost.server in (None, self._server(row))
            return LookedUp(found, "" if lost.server is None or here else lost.server.address)

        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._address.timeout
        while True:
            try:
                return await self._transaction(CHANGE, plan)
            except CommitLost as again:
                found: LookedUp = again.result  # it has changed nothing
                return found
            except AuthorityUnavailable:
                if loop.time() + LOOKUP_PAUSE_SECONDS >= deadline:
                    raise
            await asyncio.sleep(LOOKUP_PAUSE_SECONDS)

    async def get(self, kind: str, key: str) -> Entity | None:
        endpoint_key = schema(kind).endpoint_key
        return await self._read_entities(lambda: reads.read_entity(kind, key, endpoint_key))

    async def list(self, query: Query) -> Page:
        return await self._read_entities(lambda: reads.read_page(query))

    async def _read_entities(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        """Ask the standby, unless it lags or fails; one that failed is left alone for a while."""

        def plan() -> Plan[tuple[Head, Result]]:
            head = yield from reads.read_head()
            return head, (yield from make_plan())

        loop = asyncio.get_running_loop()
        if self._standby is not None and loop.time() >= self._standby_rests_until:
            try:
                await self._open_standby(self._standby)
                head, answer = await self._standby._read(plan)
            except AuthorityUnavailable:
                self._standby_rests_until = loop.time() + STANDBY_REST_SECONDS
            else:
                if head.version >= self._known():
                    return answer
        return await self._read(make_plan)

    async def _open_standby(self, standby: "PostgresAuthority") -> None:
        """Once; it must be a copy of this very authority. Raises AuthorityUnavailable."""
        if self._standby_opened:
            return
        theirs, mine = await standby.open(), await self._read(reads.read_info)
        if theirs.id != mine.id:
            raise AuthorityUnavailable(f"{standby._address} is another authority ({theirs.id})")
        self._standby_opened = True

    async def _read(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        return await self._transaction(READ, make_plan)

    async def _change(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        """A change of a row that is no entity: doing it again after a COMMIT that was lost does no
        harm."""
        try:
            return await self._transaction(CHANGE, make_plan)
        except CommitLost as lost:
            raise AuthorityUnavailable(f"{self._address}: {lost}") from lost

    async def _transaction(
        self, begin: str, make_plan: Callable[[], Plan[Result]], *, waits_again: bool = True
    ) -> Result:
        """Run a plan, again when Postgres gave it up for others' sake or the connection was dead:
        at most ATTEMPTS_MAX times, and none begun later than pg_timeout after the first.

        Raises CommitLost, AuthorityUnavailable and what the plan raises; unless it ``waits_again``
        also Blocked, when another transaction has kept a lock for too long.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._address.timeout
        attempts = 0
        while True:
            attempts += 1
            try:
                async with self._connection() as connection:
                    return await transaction(connection, begin, make_plan)
            except (ConnectionGone, *GIVEN_UP) as error:
                if not waits_again and isinstance(error, asyncpg.LockNotAvailableError):
                    raise Blocked(unavailable(error, self._address)) from error
                if isinstance(error, ConnectionGone):
                    await self._expire()
                if attempts == ATTEMPTS_MAX or loop.time() >= deadline:
                    raise unavailable(error, self._address) from error
            except TimeoutError as error:
                await self._expire()
                raise unavailable(error, self._address) from error
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
                raise  # the write rule leaves none of these to chance: they are mistakes of ours
            except FAILURES as error:
                raise unavailable(error, self._address) from error

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        pool = self._pool
        if pool is None:
            raise AuthorityUnavailable(f"{self._address} isn't open")
        seconds = 2 * self._address.timeout  # a free place, then a connection: pg_timeout each
        try:
            connection = await pool.acquire(timeout=seconds)
        except TimeoutError as error:
            raise AuthorityUnavailable(
                f"{self._address}: all {self._address.connections_max} connections are busy for"
                f" over {seconds:g} s; raise pg_pool_size"
            ) from error
        try:
            yield connection
        finally:
            await pool.release(connection)

    async def _connect(self, *_: Any, **__: Any) -> asyncpg.Connection:
        """A new connection for the pool. What it passes are the defaults of asyncpg.connect."""
        connection, self._host = await connect(
            self._address, self._host, self._driver, self._checked
        )
        return connection

    async def _expire(self) -> None:
        """After one connection died, don't try the others one by one: they went the same way."""
        self._checked.forget()
        if self._pool is not None:
            await self._pool.expire_connections()


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """Nothing of a session outlives its transaction here: a reset would cost a round trip."""


def _lock_number(write_id: bytes) -> int:
    number = hashlib.sha256(b"grapevine write " + write_id).digest()[:8]
    return int.from_bytes(number, "big", signed=True)
