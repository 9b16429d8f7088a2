"""Many rows put and deleted at once (``store.authority.Replace``), made from a state seen before.

What others have written since that state was seen is no hindrance as long as it has nothing to do
with these rows: it stays, and all is as if it had been written afterwards. Else StateMoved.
"""

from collections.abc import Callable, Mapping

from store.authority import Entity, Replace
from store.canonical import decode_entity
from store.changeset import decode_body
from store.errors import StateMoved
from store.limits import PAUSE_ROWS, REPLACE_SINCE_MAX
from store.plan import PAUSE, Plan
from store.read import read_log
from store.rows import Key, Rows, Stored
from store.schema import Schema
from store.schema.violations import unique_violation
from store.version import Head

Wanted = dict[Key, Stored | None]
"""Rows as they are to be; None: deleted."""


def replacement(rows: Rows, mutation: Replace) -> Plan[Wanted]:
    """The rows as they are to be put, once their unique values are theirs.

    What all of them give up goes before what any of them takes: some may exchange their names.
    Raises StateMoved, and EntityError code 5.
    """
    wanted: Wanted = {}
    for number, (kind, entity_id, text) in enumerate(mutation.changes, 1):
        row = None if text is None else Stored(text, decode_entity(text))
        wanted[kind, entity_id] = row
        if number % PAUSE_ROWS == 0:
            yield PAUSE
    if not wanted:
        return wanted
    since = yield from _written_since(rows, mutation.at)
    if _meet(wanted, since, rows.schemas):
        raise StateMoved
    for key in wanted:
        rows.give_back(key)
    for number, (key, row) in enumerate(wanted.items(), 1):
        if row is not None:
            _take_values(rows, key, row)
        if number % PAUSE_ROWS == 0:
            yield PAUSE
    return wanted


def _take_values(rows: Rows, key: Key, row: Stored) -> None:
    kind, entity_id = key
    schema = rows.schemas(kind)
    for index, value in schema.claims(row.entity).items():
        if not rows.is_free((kind, index, value), entity_id):
            raise unique_violation(schema.claimed_fields(index, row.entity))
        rows.hold_value((kind, index, value), entity_id)


def _written_since(rows: Rows, at: Head) -> Plan[Mapping[Key, Entity | None]]:
    """What others have made of which rows since a head: committed, and in this transaction.

    Nobody commits any more until it ends. Raises StateMoved when that can't be told any more.
    """
    digest = yield from rows.take_head()
    since: dict[Key, Entity | None] = {}
    if digest != at.digest:
        changesets = yield from read_log(at, REPLACE_SINCE_MAX)
        if not changesets or changesets[-1].digest != digest:
            raise StateMoved
        for changeset in changesets:
            for kind, entity_id, text in decode_body(changeset.body).changes:
                since[kind, entity_id] = None if text is None else decode_entity(text)
    for key in rows.changed():
        row = rows.now(key)
        since[key] = None if row is None else row.entity
    return since


def _meet(
    wanted: Wanted, since: Mapping[Key, Entity | None], schemas: Callable[[str], Schema]
) -> bool:
    """Whether it matters in which order the two are done."""
    if not since:
        return False
    if any(key in wanted for key in since):
        return True
    try:
        referred = {
            target
            for (kind, _), entity in since.items()
            if entity is not None
            for target in schemas(kind).targets(entity)
        }
    except KeyError:  # of a kind that only a newer version knows
        return True
    if any(target in wanted and wanted[target] is None for target in referred):
        return True
    gone = {key for key, entity in since.items() if entity is None}
    return any(
        target in gone
        for (kind, _), row in (wanted.items() if gone else ())
        if row is not None
        for target in schemas(kind).targets(row.entity)
    )
