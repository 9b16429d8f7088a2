"""The authority in Postgres, for clusters over several machines (DESIGN 3).

Writes are READ COMMITTED and lock what they change; reads that must agree are one REPEATABLE READ
transaction. Connections are few, opened on demand and closed when idle, so that their number does
not grow with the number of nodes.
"""

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import asyncpg

from store import read as reads
from store.authority import (
    AuthorityInfo,
    Committed,
    Mutation,
    Put,
)
from store.engine import Engine
from store.errors import AuthorityUnavailable, EntityError, OutcomeUnknown
from store.limits import ATTEMPTS_MAX, CLOSE_SECONDS_MAX
from store.plan import POSTGRES, Plan, Result, Statement
from store.postgres_address import FAILURES, PostgresAddress, unavailable
from store.postgres_connection import (
    CHANGE,
    GIVEN_UP,
    READ,
    CommitLost,
    ConnectionGone,
    connect,
    transaction,
)
from store.schema.entity import random_id
from store.write import WriteRequest, find_write, write

LOOKUP_PAUSE_SECONDS = 0.1
"""Between attempts to reach the server again after a COMMIT that was not answered."""

COMMITS_MAX = 2
"""How often a write is committed whose COMMIT is known to have come to nothing."""

_RACED = (3, 5)
"""Kong's codes for an id and a unique value that somebody else has taken."""


class PostgresAuthority(Engine):
    """``store.authority.Authority`` over Postgres.

    ``clock`` gives Unix seconds, ``draw_write_id`` 16 random bytes, ``new_id`` a random UUID;
    ``driver`` has asyncpg's ``connect`` and ``create_pool`` (the simulator's has its own).
    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        clock: Callable[[], float] = time.time,
        draw_write_id: Callable[[], bytes] = lambda: secrets.token_bytes(16),
        new_id: Callable[[], str] = random_id,
        driver: Any = asyncpg,
    ) -> None:
        self._address = address
        self._new_id = new_id
        self._driver = driver
        self._clock = clock
        self._draw_write_id = draw_write_id
        self._pool: asyncpg.Pool | None = None
        self._host = 0
        """Number of the host that was writable last."""

    async def open(self) -> AuthorityInfo:
        """Connect and check the schema; SchemaMismatch says what to type."""
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

    async def close(self) -> None:
        """Close all connections; statements still under way after CLOSE_SECONDS_MAX are dropped."""
        pool, self._pool = self._pool, None
        if pool is not None:
            with contextlib.suppress(TimeoutError, OSError, asyncpg.PostgresError):
                await asyncio.wait_for(pool.close(), CLOSE_SECONDS_MAX)

    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        """Apply all mutations in one transaction, or none.

        Raises OutcomeUnknown when COMMIT was not answered and can't be looked up in time.
        """
        drawn = write_id if write_id is not None else self._draw_write_id()
        request = WriteRequest(tuple(mutations), drawn, origin, self._clock(), self._new_id)
        repeatable = write_id is not None
        try:
            return await self._write(request, repeatable)
        except EntityError as error:
            upserts = any(isinstance(mutation, Put) for mutation in mutations)
            if not upserts or error.code not in _RACED:
                raise
        # Nothing was there to replace, and then somebody else created it: now there is something.
        return await self._write(request, repeatable)

    async def _write(self, request: WriteRequest, repeatable: bool) -> Committed:
        def plan() -> Plan[Committed]:
            if repeatable:
                yield _one_at_a_time(request.write_id)
            return (yield from write(request, POSTGRES))

        for _ in range(COMMITS_MAX):
            try:
                return await self._transaction(CHANGE, plan)
            except CommitLost as error:
                lost = error
            found = await self._look_up(request, lost)
            if found is not None:
                return found
        raise AuthorityUnavailable(
            f"{self._address}: the connection was lost in COMMIT ({lost}); nothing was written"
        ) from lost

    async def _look_up(self, request: WriteRequest, lost: CommitLost) -> Committed | None:
        """What became of a COMMIT that was not answered; None when it never will be.

        The transaction held the head row: whoever gets that row's lock after it knows that it has
        ended, and sees whether it left its log row.
        """

        def plan() -> Plan[Committed | None]:
            yield Statement("SELECT revision FROM head FOR UPDATE")
            return (yield from find_write(request))

        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._address.timeout
        while True:
            try:
                return await self._transaction(CHANGE, plan)
            except (AuthorityUnavailable, CommitLost) as error:
                if loop.time() + LOOKUP_PAUSE_SECONDS >= deadline:
                    raise OutcomeUnknown(
                        f"{self._address}: the connection was lost in COMMIT ({lost}), and the"
                        f" outcome can't be looked up: {error}",
                        request.write_id,
                    ) from lost
            await asyncio.sleep(LOOKUP_PAUSE_SECONDS)

    async def _read(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        return await self._transaction(READ, make_plan)

    async def _change(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        """A change of a row that is no entity: doing it again after a COMMIT that was lost does no
        harm."""
        try:
            return await self._transaction(CHANGE, make_plan)
        except CommitLost as lost:
            raise AuthorityUnavailable(f"{self._address}: {lost}") from lost

    async def _transaction(self, begin: str, make_plan: Callable[[], Plan[Result]]) -> Result:
        """Run a plan, again when Postgres gave it up for others' sake or the connection was dead:
        at most ATTEMPTS_MAX times, and none begun later than pg_timeout after the first.

        Raises CommitLost, AuthorityUnavailable and what the plan raises.
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
        connection, self._host = await connect(self._address, self._host, self._driver)
        return connection

    async def _expire(self) -> None:
        """After one connection died, don't try the others one by one: they went the same way."""
        if self._pool is not None:
            await self._pool.expire_connections()


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """Nothing of a session outlives its transaction here: a reset would cost a round trip."""


def _one_at_a_time(write_id: bytes) -> Statement:
    """Let a client's retry wait for its first try, which may still be under way."""
    number = hashlib.sha256(b"grapevine write " + write_id).digest()[:8]
    return Statement(
        "SELECT pg_advisory_xact_lock($1)", (int.from_bytes(number, "big", signed=True),)
    )
