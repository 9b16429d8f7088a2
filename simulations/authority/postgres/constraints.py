"""Types, checks and foreign keys: what the tables promise whatever the statements say."""

from collections.abc import Generator, Sequence
from typing import Any

import asyncpg

from simulations.authority.postgres.definitions import TYPES, Definition, ForeignKey
from simulations.authority.postgres.syntax import Environment, LockMode
from simulations.authority.postgres.tables import (
    Database,
    Row,
    Table,
    Transaction,
    Values,
    key_of,
)

_INTEGERS = {"integer": 2**31, "bigint": 2**63}
_KEY_SHARE: LockMode = "KEY SHARE"


def check_values(definition: Definition, values: Values, env: Environment) -> None:
    """Raises asyncpg's exceptions for what a column or a CHECK doesn't take."""
    for column, kind in definition.columns.items():
        value: Any = values[column]
        if value is None:
            if column in definition.not_null:
                raise asyncpg.NotNullViolationError(f"{definition.name}.{column} is null")
            continue
        fits: bool = isinstance(value, TYPES[kind]) and not isinstance(value, bool)
        if not fits:
            raise asyncpg.DataError(
                f"{definition.name}.{column} takes {kind}, not {type(value).__name__}"
            )
        if kind in _INTEGERS and not -_INTEGERS[kind] <= value < _INTEGERS[kind]:
            raise asyncpg.NumericValueOutOfRangeError(f"{definition.name}.{column}: {value}")
    bound = env.bind(definition.name, values)
    for check in definition.checks:
        if check.value(bound) is False:
            raise asyncpg.CheckViolationError(f"a row of {definition.name} breaks a CHECK")


def check_parents(
    database: Database, transaction: Transaction, table: Table, changed: Sequence[Values]
) -> Generator[Sequence[Transaction], None, None]:
    """Every row that these refer to must be there, and is held against deletion.

    Like Postgres' triggers: after the statement, with a look at what is committed by then.
    """
    for foreign in table.definition.foreign:
        target = database.tables[foreign.target]
        for values in changed:
            key = key_of(foreign.columns, values)
            if not (yield from _holds_parent(database, transaction, target, foreign, key)):
                raise asyncpg.ForeignKeyViolationError(
                    f"a row of {table.definition.name} refers to {key}, which isn't there"
                )


def _holds_parent(
    database: Database,
    transaction: Transaction,
    target: Table,
    foreign: ForeignKey,
    key: tuple[Any, ...],
) -> Generator[Sequence[Transaction], None, bool]:
    for row in target.with_key(foreign.target_columns, key):
        if row.newest(transaction) is None:
            continue  # not yet there, or gone
        while blockers := row.blockers(_KEY_SHARE, transaction):
            yield blockers
        newest = row.newest(transaction)
        if newest is not None and key_of(foreign.target_columns, newest.values) == key:
            database.hold(transaction, row, _KEY_SHARE)
            return True
    return False


def check_children(
    database: Database, transaction: Transaction, table: Table, gone: Sequence[Values]
) -> Generator[Sequence[Transaction], None, None]:
    """No row may refer to these any more. One that somebody is deleting is waited for; one that
    isn't committed can't be seen, but holds the row that it refers to."""
    name = table.definition.name
    for child in database.tables.values():
        for foreign in child.definition.foreign:
            if foreign.target != name:
                continue
            for values in gone:
                key = key_of(foreign.target_columns, values)
                for row in _referring(child, foreign, key, transaction):
                    while blockers := row.blockers(_KEY_SHARE, transaction):
                        yield blockers
                    if row in _referring(child, foreign, key, transaction):
                        raise asyncpg.ForeignKeyViolationError(
                            f"a row of {child.definition.name} still refers to {key} in {name}"
                        )


def _referring(
    child: Table, foreign: ForeignKey, key: tuple[Any, ...], transaction: Transaction
) -> list[Row]:
    found = []
    for row in child.candidates({}):
        version = row.newest(transaction)
        if version is not None and key_of(foreign.columns, version.values) == key:
            found.append(row)
    return found
