"""The cluster's keyring in the authority: one row, read and exchanged, as plans without I/O.

What is wrapped in it is the nodes' business: the store sees a counter and opaque bytes.
"""

from store.authority import KeyringRow
from store.errors import SchemaMismatch
from store.plan import Plan, Statement

KEYRING_SCHEMA = 2
"""The schema since which there is a place for it. Asked for before the table is: in Postgres a
statement that fails would end the transaction."""


def read_keyring() -> Plan[KeyringRow | None]:
    """The keyring; None when there is none, or no place for one yet."""
    return (yield from read_row()) if (yield from _has_a_place()) else None


def read_row() -> Plan[KeyringRow | None]:
    """The keyring of a database that has a place for it."""
    rows = yield Statement("SELECT counter, author, tag, wrapped FROM keyring")
    for counter, author, tag, wrapped in rows:
        return KeyringRow(counter, author, int.from_bytes(tag, "big"), wrapped)
    return None


def store_keyring(row: KeyringRow, expected_counter: int) -> Plan[bool]:
    """Put a keyring in the place of the one with that counter (0: of none); whether it was there.

    Raises SchemaMismatch when there is no place for it yet.
    """
    if not (yield from _has_a_place()):
        raise SchemaMismatch(
            "the database has no place for the cluster's keyring yet; run 'grapevine migrations up'"
        )
    values = (row.counter, row.author, row.tag.to_bytes(8, "big"), row.wrapped)
    if expected_counter == 0:
        rows = yield Statement(
            "INSERT INTO keyring (singleton, counter, author, tag, wrapped)"
            " VALUES (1, $1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING counter",
            values,
        )
    else:
        # Of two at once the second waits for the row and then compares anew (READ COMMITTED).
        rows = yield Statement(
            "UPDATE keyring SET counter = $1, author = $2, tag = $3, wrapped = $4"
            " WHERE counter = $5 RETURNING counter",
            (*values, expected_counter),
        )
    return bool(rows)


def _has_a_place() -> Plan[bool]:
    rows = yield Statement("SELECT schema_version FROM authority")
    return bool(rows) and rows[0][0] >= KEYRING_SCHEMA
