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


Plan = Generator[Statement, Rows, Result]
"""Yields a statement, is sent its rows, returns the result. Whatever it raises must roll back."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the engines' SQL differs."""

    name: str
    for_update: str
    """Appended to a SELECT of rows that this transaction will change."""
    for_key_share: str
    """Appended to a SELECT of rows that this transaction refers to."""
    append_log: str
    """One statement that bumps the head, extends the chain in the database and inserts the log row.

    Parameters: write id, blake3 of the body, body, time of commit. Answers the new revision, epoch,
    tag, predecessor and chain. It holds the row that every writer needs, so it comes last.
    """


SQLITE = Dialect(
    name="sqlite",
    for_update="",  # BEGIN IMMEDIATE has locked everything
    for_key_share="",
    # The trigger log_moves_head then copies the new row's version into the head row.
    append_log=(
        "INSERT INTO log (revision, epoch, tag, write_id, predecessor, chain, body, committed_at)"
        " SELECT revision + 1, epoch, tag, $1, chain, sha256(chain, $2), $3, $4 FROM head"
        " RETURNING revision, epoch, tag, predecessor, chain"
    ),
)

POSTGRES = Dialect(
    name="postgres",
    for_update=" FOR UPDATE",
    for_key_share=" FOR KEY SHARE",
    # An UPDATE waits for the row and then computes with its newest values, which a SELECT before it
    # would not have seen (READ COMMITTED). RETURNING shows new values alone, so the head row keeps
    # the chain that it had before in a column of its own.
    append_log=(
        "WITH bumped AS (UPDATE head SET revision = revision + 1, predecessor = chain,"
        " chain = sha256(chain || $2) RETURNING revision, epoch, tag, predecessor, chain)"
        " INSERT INTO log (revision, epoch, tag, write_id, predecessor, chain, body, committed_at)"
        " SELECT revision, epoch, tag, $1, predecessor, chain, $3, $4 FROM bumped"
        " RETURNING revision, epoch, tag, predecessor, chain"
    ),
)
