"""SQL without I/O: a plan yields statements and is sent their rows.

Reads and writes of the authority are written once as generators, and every engine runs them: SQLite
in its connection's thread, Postgres over asyncpg, the simulator in virtual time. What differs
between engines is data, in a ``Dialect``.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")
Row = Sequence[Any]
Rows = Sequence[Row]


class Statement(NamedTuple):
    """SQL text with ``$1`` placeholders, and their values."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Batch(NamedTuple):
    """One SQL text and the values of many executions, in order: one round trip (Postgres).

    None sees another's rows early: each execution sees what those before it did. The rows of all
    come back in one sequence, so a text that may answer nothing must name its key in its rows.
    """

    sql: str
    parameters: Sequence[tuple[Any, ...]]


PAUSE = Batch("", ())
"""Nothing to do: a plan that computes for long yields it so that an event loop can go on."""

Plan = Generator[Statement | Batch, Rows, Result]
"""Yields a statement or a batch, is sent its rows, returns the result. Whatever it raises must roll
back."""


LogEntry = tuple[bytes, bytes, bytes, float]
"""(write id, blake3 of the body, body, time of commit)"""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the engines' SQL differs."""

    name: str
    for_update: str
    """Appended to a SELECT of rows that this transaction will change."""
    for_key_share: str
    """Appended to a SELECT of rows that this transaction refers to."""
    append_log: str
    """Bumps the head, extends the chain in the database and inserts log rows. It holds the row that
    every writer needs, so it comes last.

    Parameters: write id, blake3 of the body, body, time of commit; the confirmed revision. Answers
    the revision, epoch, tag, predecessor and chain of each row, in order, and with it the chain
    that the log held before at the confirmed revision (NULL: trimmed, or not that far), by which
    ``store.history`` tells whether this history may be written to.
    """
    appends_arrays: bool
    """Whether ``append_log`` takes the values of all rows as arrays, in one execution."""
    append_one: str
    """The same for one row, in one execution with its values as they are; empty where
    ``append_log`` takes no arrays. Most transactions log one row, and for an array a driver may
    first have to ask what that is: asyncpg does on each new connection, with three statements."""
    server: str
    """Answers which server this is: its address and port, NULL when it doesn't know them, and the
    name of the WAL file that it writes to. Empty: there is none."""

    def append(self, entries: Sequence[LogEntry], confirmed_revision: int) -> Statement | Batch:
        """Log rows, in order."""
        if self.append_one and len(entries) == 1:
            return Statement(self.append_one, (*entries[0], confirmed_revision))
        if self.appends_arrays:
            columns = [list(column) for column in zip(*entries, strict=True)]
            return Statement(self.append_log, (*columns, confirmed_revision))
        return Batch(self.append_log, [(*entry, confirmed_revision) for entry in entries])


SQLITE = Dialect(
    name="sqlite",
    for_update="",  # BEGIN IMMEDIATE has locked everything
    for_key_share="",
    # The trigger log_moves_head then copies the new row's version into the head row.
    append_log=(
        "INSERT INTO log (revision, epoch, tag, write_id, predecessor, chain, body, committed_at)"
        " SELECT revision + 1, epoch, tag, $1, chain, sha256(chain, $2), $3, $4 FROM head"
        " RETURNING revision, epoch, tag, predecessor, chain,"
        " (SELECT held.chain FROM log held WHERE held.revision = $5)"
    ),
    appends_arrays=False,
    append_one="",
    server="",
)

# Of the snapshot, too, which is that of before the wait for the head row. Where its head is below
# what was confirmed before the statement began, commits were lost, and others may be in their place
# by now: then the head's chain is answered, which is another than the confirmed one.
_HELD = (
    "held AS (SELECT chain FROM log WHERE revision ="
    " LEAST($5, (SELECT revision FROM head WHERE singleton = 1)))"
)

# FOR UPDATE waits for the row and then shows its newest values, whatever the statement's snapshot
# saw (READ COMMITTED); the UPDATE comes after it, since it needs the last link. By its key the
# planner knows that the row is one: else it would compile the recursion (JIT, 400 ms).
_TAKEN = (
    "taken AS MATERIALIZED"
    " (SELECT revision, epoch, tag, chain FROM head WHERE singleton = 1 FOR UPDATE)"
)

_LOGGED = "INSERT INTO log (revision, epoch, tag, write_id, predecessor, chain, body, committed_at)"

# Once, at COMMIT, whoever listens is told (``PostgresAuthority.watch``).
_APPENDED = (
    " SELECT revision, epoch, tag, predecessor, chain, (SELECT held.chain FROM held)"
    " FROM appended WHERE (SELECT pg_notify("
    "'grapevine', current_schema() || ' ' || (SELECT max(revision) FROM appended))) IS NOT NULL"
    " ORDER BY revision"
)

POSTGRES = Dialect(
    name="postgres",
    for_update=" FOR UPDATE",
    for_key_share=" FOR KEY SHARE",
    append_log=(
        f"WITH RECURSIVE {_HELD}, {_TAKEN},"
        " link (number, predecessor, chain) AS ("
        "SELECT 0, chain, chain FROM taken UNION ALL"
        " SELECT number + 1, chain, sha256(chain || ($2::bytea[])[number + 1]) FROM link"
        " WHERE number < cardinality($2::bytea[])),"
        " moved AS (UPDATE head SET revision = taken.revision + link.number,"
        " predecessor = link.predecessor, chain = link.chain FROM taken, link"
        " WHERE singleton = 1 AND link.number = cardinality($2::bytea[])),"
        f" appended AS ({_LOGGED}"
        " SELECT taken.revision + number, epoch, tag, ($1::bytea[])[number], link.predecessor,"
        " link.chain, ($3::bytea[])[number], ($4::float8[])[number]"
        " FROM taken, link WHERE number > 0"
        f" RETURNING revision, epoch, tag, predecessor, chain){_APPENDED}"
    ),
    appends_arrays=True,
    append_one=(
        f"WITH {_HELD}, {_TAKEN},"
        " link (revision, epoch, tag, predecessor, chain) AS"
        " (SELECT revision + 1, epoch, tag, chain, sha256(chain || $2::bytea) FROM taken),"
        " moved AS (UPDATE head SET revision = link.revision,"
        " predecessor = link.predecessor, chain = link.chain FROM link WHERE singleton = 1),"
        f" appended AS ({_LOGGED}"
        " SELECT revision, epoch, tag, $1::bytea, predecessor, chain, $3::bytea, $4::float8"
        f" FROM link RETURNING revision, epoch, tag, predecessor, chain){_APPENDED}"
    ),
    # The control file tells the timeline only after the first checkpoint that follows a promotion.
    server=(
        "SELECT host(inet_server_addr()), inet_server_port(), pg_walfile_name(pg_current_wal_lsn())"
    ),
)
