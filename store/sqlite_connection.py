"""SQLite as an engine for plans: opening, placeholders, transactions, and what its errors mean.

Synchronous, with the plain ``sqlite3`` module. ``store.sqlite`` runs it in a connection's thread;
simulations call it directly.
"""

import hashlib
import re
import sqlite3
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from store.errors import AuthorityUnavailable, CommitLost, SchemaMismatch
from store.limits import BUSY_SECONDS_MAX
from store.plan import Batch, Plan, Result, Row, Rows, Statement
from store.read import BOOTSTRAP_NEEDED

BUSY_SLICE_SECONDS = 0.02
"""SQLite's own wait for a lock backs off to 100 ms between looks; waiting in short slices keeps the
looks a few milliseconds apart, and so the wait of a second writer short."""


_PLACEHOLDER = re.compile(r"\$([0-9]+)")


@lru_cache(maxsize=1024)
def _positional(sql: str) -> tuple[str, tuple[int, ...]]:
    """The text with ``?`` for each ``$n``, and the n in their order.

    Python 3.14 refuses to fill a named parameter (``$1``) from a tuple, and early 3.12 took even
    ``?1`` for one (python/cpython#117995).
    """
    order = tuple(int(number) - 1 for number in _PLACEHOLDER.findall(sql))
    return _PLACEHOLDER.sub("?", sql), order


def execute(connection: sqlite3.Connection, statement: Statement | Batch) -> Rows:
    """Execute one statement of a plan, or all of a batch; the rows."""
    sql, order = _positional(statement.sql)
    if isinstance(statement, Statement):
        parameters = [statement.parameters[index] for index in order]
        return connection.execute(sql, parameters).fetchall()
    rows: list[Row] = []
    for values in statement.parameters:
        rows.extend(connection.execute(sql, [values[index] for index in order]))
    return rows


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing database file; it is never created here.

    Raises SchemaMismatch when there is no file, sqlite3.Error when it can't be opened.
    """
    if not path.exists():
        raise SchemaMismatch(f"{path}: {BOOTSTRAP_NEEDED}")
    uri = f"file:{quote(str(path.absolute()))}?mode=rw"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=BUSY_SLICE_SECONDS, check_same_thread=False
    )
    try:
        configure(connection, read_only=read_only)
    except BaseException:
        connection.close()
        raise
    return connection


def configure(connection: sqlite3.Connection, *, read_only: bool = False) -> None:
    """The settings that the write rule relies on (DESIGN 3), and the chain's hash function."""
    connection.create_function("sha256", 2, _sha256_of_two, deterministic=True)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    if read_only:
        connection.execute("PRAGMA query_only = ON")


def _sha256_of_two(first: bytes, second: bytes) -> bytes:
    return hashlib.sha256(first + second).digest()


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection's lock is the reason (also in its extended forms)."""
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def unavailable(error: sqlite3.Error, path: Path) -> AuthorityUnavailable:
    """The error for whoever asked; missing tables are SchemaMismatch (also after a reset)."""
    if str(error).startswith("no such table"):
        return SchemaMismatch(f"{path}: {BOOTSTRAP_NEEDED}")
    if is_busy(error):
        return AuthorityUnavailable(
            f"{path} is locked by another process for over {BUSY_SECONDS_MAX:g} s"
        )
    return AuthorityUnavailable(f"{path}: {error}")


def run(connection: sqlite3.Connection, plan: Plan[Result]) -> Result:
    """Run a plan's statements; the transaction is the caller's."""
    try:
        statement = next(plan)
        while True:
            statement = plan.send(execute(connection, statement))
    except StopIteration as finished:
        result: Result = finished.value
        return result
    finally:
        plan.close()


def read(connection: sqlite3.Connection, make_plan: Callable[[], Plan[Result]]) -> Result:
    """Run a plan in one read transaction: all it reads is of one moment."""
    return _retried(connection, "BEGIN", make_plan)


def change(connection: sqlite3.Connection, make_plan: Callable[[], Plan[Result]]) -> Result:
    """Run a plan in one write transaction. Raises CommitLost when COMMIT reports an error."""
    return _retried(connection, "BEGIN IMMEDIATE", make_plan)


def _retried(
    connection: sqlite3.Connection, begin: str, make_plan: Callable[[], Plan[Result]]
) -> Result:
    deadline = time.monotonic() + BUSY_SECONDS_MAX
    while True:
        try:
            return _transaction(connection, begin, make_plan)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise


def _transaction(
    connection: sqlite3.Connection, begin: str, make_plan: Callable[[], Plan[Result]]
) -> Result:
    connection.execute(begin)
    try:
        result = run(connection, make_plan())
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if is_busy(error) or begin == "BEGIN":
                raise
            raise CommitLost(str(error), result) from error
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
