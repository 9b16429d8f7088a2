"""Postgres as an engine for plans: connecting, transactions, and which failures are tried again."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg

from store.errors import AuthorityUnavailable, CommitLost
from store.history import Server
from store.limits import (
    IDLE_IN_TRANSACTION_SECONDS_MAX,
    LOCK_SECONDS_MAX,
    SETTINGS_CHECKED_SECONDS,
    STATEMENT_SECONDS_MAX,
)
from store.plan import PAUSE, POSTGRES, Batch, Plan, Result, Rows, Statement
from store.postgres_address import (
    FAILURES,
    PostgresAddress,
    PostgresHost,
    reason,
    server_of,
)

READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""All that a plan reads is of one moment."""

CHANGE = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Each statement sees what was committed before it: the write rule locks, then reads. READ WRITE is
left out, since it would override a server that was made read-only to fence it off."""

GIVEN_UP = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,  # a migration changed a table under a prepared statement
)
"""Postgres gave the transaction up for others' sake: the same again may well succeed."""

_GONE = (
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # demoted: the writable server is another one now
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # out of step: the server's last word came between two statements
    OSError,
)


class ConnectionGone(Exception):
    """The server closed the connection, or is no longer the one to ask. What was not yet being
    committed has not happened."""


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection, and what every transaction on it begins with."""

    preamble = ""
    """Statements that make our settings hold for this transaction alone: behind a pooler that lends
    a server's session for one transaction at a time (PgBouncer), nothing else of a session may."""

    identity: Server | None = None
    """Whom it leads to; None behind a pooler, which may lead anywhere, and at a read replica."""

    async def close(self, *, timeout: float | None = None) -> None:
        """Close it in order; where the server says nothing to that, drop it, which is no error.

        asyncpg's pool closes what it has expired in tasks that nobody awaits, so that an error
        would be found by the garbage collector and told in the log as if something were wrong.
        """
        with contextlib.suppress(TimeoutError, OSError, asyncpg.PostgresError):
            await super().close(timeout=timeout)


class Checked:
    """Hosts whose sessions were seen to keep our settings: what it takes to see that isn't done for
    each connection, but again after a while, or when something has failed (``forget``): a pooler
    may come to stand before a server."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def holds(self, host: int, now: float) -> bool:
        """Whether a host's sessions keep them as far as is known."""
        return now < self._until.get(host, -math.inf)

    def note(self, host: int, now: float) -> None:
        """A host's session keeps them."""
        self._until[host] = now + SETTINGS_CHECKED_SECONDS

    def forget(self) -> None:
        """Look again."""
        self._until.clear()


async def connect(
    address: PostgresAddress, first: int = 0, driver: Any = asyncpg, checked: Checked | None = None
) -> tuple[Connection, int]:
    """Connect to the first host that takes writes, beginning with host number ``first``; ``driver``
    has asyncpg's ``connect``; ``checked`` is remembered from one connection to the next.

    Answers the connection and the number of its host. Every host gets an equal share of the time
    that is left, so that one that swallows packets doesn't use up the time of the next.

    Raises AuthorityUnavailable with every host's reason.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + address.timeout
    try:
        tls = address.tls.argument()
    except OSError as error:
        raise AuthorityUnavailable(
            f"{address}: a TLS file can't be used: {error.strerror}; check pg_ssl_ca, pg_ssl_cert,"
            " pg_ssl_cert_key"
        ) from error
    count = len(address.hosts)
    checked = Checked() if checked is None else checked
    reasons = []
    for position in range(count):
        number = (first + position) % count
        share = (deadline - loop.time()) / (count - position)
        try:
            connection = await _connect_to(address, number, tls, share, driver, checked)
            if not address.read_only and not connection.preamble:
                (row,) = await connection.fetch(POSTGRES.server)
                connection.identity = server_of(row, address.hosts[number])
            return connection, number
        except FAILURES as error:
            reasons.append(f"{address.hosts[number]}: {reason(error, address)}")
    raise AuthorityUnavailable(f"database {address.database} at {'; '.join(reasons)}")


async def _connect_to(
    address: PostgresAddress, number: int, tls: Any, seconds: float, driver: Any, checked: Checked
) -> Connection:
    """Connect and have our settings hold, for the session or else for each transaction."""
    loop = asyncio.get_running_loop()
    host, deadline = address.hosts[number], loop.time() + seconds
    settings = _settings(address)
    try:
        connection = await _open(address, host, tls, deadline, settings, driver)
        if checked.holds(number, loop.time()):
            return connection
        try:
            await connection.execute(_check(address))
            checked.note(number, loop.time())
            return connection
        except asyncpg.RaiseError:
            connection.terminate()
        except BaseException:
            connection.terminate()
            raise
    except asyncpg.ProtocolViolationError as error:
        if _UNSUPPORTED not in str(error):
            raise
    connection = await _open(address, host, tls, deadline, None, driver)
    connection.preamble = "; ".join(f"SET LOCAL {name} = {one}" for name, one in settings.items())
    return connection


_UNSUPPORTED = "unsupported startup parameter"
"""PgBouncer's words for settings that it can't keep for a client."""


async def _open(
    address: PostgresAddress,
    host: PostgresHost,
    tls: Any,
    deadline: float,
    settings: Mapping[str, str] | None,
    driver: Any,
) -> Connection:
    """Everything is named, so that no PG* variable says where to go or whether to encrypt.

    Without ``settings`` nothing is kept in the session, prepared statements included.
    """
    seconds = deadline - asyncio.get_running_loop().time()
    if seconds <= 0:
        raise TimeoutError
    connection: Connection = await driver.connect(
        host=host.host,
        port=host.port,
        user=address.user,
        password=address.password,
        database=address.database,
        ssl=tls,
        direct_tls=False,
        target_session_attrs="any" if address.read_only else "read-write",
        timeout=seconds,
        command_timeout=address.timeout,
        connection_class=Connection,
        statement_cache_size=0 if settings is None else 100,
        server_settings={"application_name": "grapevine", **(settings or {})},
    )
    return connection


def _settings(address: PostgresAddress) -> dict[str, str]:
    return {
        "search_path": f'"{address.schema}"',
        "lock_timeout": _milliseconds(LOCK_SECONDS_MAX),
        "statement_timeout": _milliseconds(STATEMENT_SECONDS_MAX),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION_SECONDS_MAX),
    }


def _check(address: PostgresAddress) -> str:
    """Fails unless the session has our settings: a pooler may have been told to ignore them."""
    return (
        f"DO $$ BEGIN IF current_setting('search_path') <> '\"{address.schema}\"'"
        " THEN RAISE EXCEPTION 'settings ignored'; END IF; END $$"
    )


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


async def run(connection: asyncpg.Connection, plan: Plan[Result]) -> Result:
    """Run a plan's statements; the transaction is the caller's.

    A plan that computes for long is no paused node: its pauses are used to say so to the server.
    """
    loop = asyncio.get_running_loop()
    heard_at = loop.time()
    try:
        statement = next(plan)
        while True:
            if statement != PAUSE:
                rows = await _execute(connection, statement)
                heard_at = loop.time()
            elif loop.time() - heard_at > IDLE_IN_TRANSACTION_SECONDS_MAX / 5:
                await connection.execute("SELECT 1")
                rows, heard_at = (), loop.time()
            else:
                await asyncio.sleep(0)
                rows = ()
            statement = plan.send(rows)
    except StopIteration as finished:
        result: Result = finished.value
        return result
    finally:
        plan.close()


async def _execute(connection: asyncpg.Connection, statement: Statement | Batch) -> Rows:
    if isinstance(statement, Statement):
        rows: Rows = await connection.fetch(statement.sql, *statement.parameters)
    else:
        rows = await connection.fetchmany(statement.sql, statement.parameters)
    return rows


async def transaction(
    connection: asyncpg.Connection, begin: str, make_plan: Callable[[], Plan[Result]]
) -> Result:
    """Run a plan in one transaction: ``READ`` or ``CHANGE``.

    Raises ConnectionGone and CommitLost; what the plan and Postgres raise comes out as it is, after
    a rollback. A connection that was left in mid-air is cut, which makes the server roll back.
    """
    server = connection.identity
    try:
        await connection.execute(f"{begin}; {connection.preamble}")
        result = await run(connection, make_plan())
    except BaseException as error:
        await _roll_back(connection, error)
        if _is_gone(connection, error):
            _cut(connection)
            raise ConnectionGone(str(error)) from error
        raise
    if _is_closed(connection):
        raise ConnectionGone("the server closed the connection before COMMIT")
    try:
        tag = await connection.execute("COMMIT")
    except GIVEN_UP:  # it says that nothing was committed
        raise
    except BaseException as error:
        _cut(connection)
        if not isinstance(error, Exception):
            raise
        if begin == READ:
            return result  # all has been read
        raise CommitLost(str(error) or type(error).__name__, result, server) from error
    if tag != "COMMIT":
        raise RuntimeError(f"Postgres answered COMMIT with {tag}")
    return result


async def _roll_back(connection: asyncpg.Connection, error: BaseException) -> None:
    """End a failed transaction on a connection that is still in step with its server."""
    in_step = isinstance(error, Exception) and not isinstance(
        error, OSError | asyncpg.InternalClientError
    )
    if not in_step:  # cancelled, timed out, broken: an answer may still be under way
        _cut(connection)
    elif not _is_closed(connection):
        try:
            await connection.execute("ROLLBACK")
        except Exception:
            _cut(connection)


def _is_gone(connection: asyncpg.Connection, error: BaseException) -> bool:
    if isinstance(error, TimeoutError):
        return False  # the time is used up
    broken = isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError)
    return isinstance(error, _GONE) or (broken and _is_closed(connection))


def _is_closed(connection: asyncpg.Connection) -> bool:
    """A pool takes a connection back as soon as it is lost; it then answers no question."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


def _cut(connection: asyncpg.Connection) -> None:
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()
