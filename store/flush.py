"""Writes what a transaction made of its rows: the difference to what it found, in few batches.

Unique values and rows are claimed by ``INSERT … ON CONFLICT DO NOTHING RETURNING``: a violation is
a missing row, not an aborted transaction. Every batch is in key order, so that writers can't
deadlock on each other's new rows.
"""

from collections.abc import Callable, Mapping
from typing import Any

from store.authority import Entity
from store.limits import PAUSE_ROWS
from store.plan import PAUSE, Plan
from store.rows import Key, Raced, Rows, in_parts
from store.schema import Schema
from store.schema.violations import primary_key_violation, unique_violation

_FORGET_REFERENCES = "DELETE FROM entity_reference WHERE kind = $1 AND id = $2"
_FORGET_CLAIMS = "DELETE FROM entity_unique WHERE kind = $1 AND id = $2"
_FORGET_TAGS = "DELETE FROM entity_tag WHERE kind = $1 AND id = $2"
_DROP_REFERENCE = "DELETE FROM entity_reference WHERE kind = $1 AND id = $2 AND field = $3"
_DROP_CLAIM = "DELETE FROM entity_unique WHERE kind = $1 AND field = $2 AND id = $3"
_DROP_TAG = "DELETE FROM entity_tag WHERE tag = $1 AND kind = $2 AND id = $3"
_DELETE = "DELETE FROM entity WHERE kind = $1 AND id = $2"
_INSERT = (
    "INSERT INTO entity (kind, id, body) VALUES ($1, $2, $3)"
    " ON CONFLICT DO NOTHING RETURNING kind, id"
)
_UPDATE = "UPDATE entity SET body = $3 WHERE kind = $1 AND id = $2"
_CLAIM = (
    "INSERT INTO entity_unique (kind, field, value, id) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT DO NOTHING RETURNING kind, field, value"
)
_TAKE = (
    "INSERT INTO entity_unique (kind, field, value, id) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT DO NOTHING RETURNING kind, field, value, id"
)
_GIVE_BACK = "DELETE FROM entity_unique WHERE kind = $1 AND field = $2 AND value = $3 AND id = $4"
_REFER = (
    "INSERT INTO entity_reference (kind, id, field, target_kind, target_id)"
    " VALUES ($1, $2, $3, $4, $5)"
)
_TAG = "INSERT INTO entity_tag (tag, kind, id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"

_ORDER = (
    *(_FORGET_REFERENCES, _FORGET_CLAIMS, _FORGET_TAGS, _DROP_REFERENCE, _DROP_CLAIM, _DROP_TAG),
    *(_INSERT, _TAKE, _GIVE_BACK, _DELETE, _UPDATE, _CLAIM, _REFER, _TAG),
)
"""What is given up goes before what is taken, and nothing refers to a row when it goes. What one
writer made and another one undid is made and undone here, too: a changeset shows it, so nobody else
may have made it in the meantime."""

_CLAIMED = {_INSERT: 2, _CLAIM: 3, _TAKE: 4}
"""How many of the values say what was to be claimed."""

Work = dict[str, list[tuple[Any, ...]]]


def flush(rows: Rows) -> Plan[None]:
    """Bring the database to where the rows are. Raises Raced; then all must be rolled back."""
    work: Work = {sql: [] for sql in _ORDER}
    for number, key in enumerate(rows.changed(), 1):
        if number % PAUSE_ROWS == 0:
            yield PAUSE
        found, now = rows.found(key), rows.now(key)
        if now is None:
            for sql in (_FORGET_REFERENCES, _FORGET_CLAIMS, _FORGET_TAGS, _DELETE):
                work[sql].append(key)
        else:
            work[_UPDATE if found else _INSERT].append((*key, now.text))
            _index(work, rows.schemas(key[0]), found.entity if found else {}, now.entity)
    _pass(work, rows)
    for sql in _ORDER:
        if not work[sql]:
            continue
        parameters = sorted(work[sql])
        answered = yield from in_parts(sql, parameters)
        width = _CLAIMED.get(sql)
        if width is not None and len(answered) < len(parameters):
            taken = {tuple(row) for row in answered}
            lost = next(item for item in parameters if item[:width] not in taken)
            raise _raced(rows, sql, lost)


def reindex(entities: Mapping[Key, Entity | None], schemas: Callable[[str], Schema]) -> Plan[None]:
    """Make the indexes say what these rows say (None: they are gone), whatever they said before.

    The caller has seen to it that nobody else has their unique values, and that what they refer to
    is there.
    """
    work: Work = {sql: [] for sql in _ORDER}
    for number, (key, entity) in enumerate(entities.items(), 1):
        if number % PAUSE_ROWS == 0:
            yield PAUSE
        for sql in (_FORGET_REFERENCES, _FORGET_CLAIMS, _FORGET_TAGS):
            work[sql].append(key)
        if entity is not None:
            _index(work, schemas(key[0]), {}, entity)
    for sql in _ORDER:
        yield from in_parts(sql, sorted(work[sql]))


def _pass(work: Work, rows: Rows) -> None:
    for key, row in rows.passing_rows():
        work[_INSERT].append((*key, row.text))
        work[_DELETE].append(key)
    passing = rows.passing_claims()
    if not passing:
        return
    ours = {
        (kind, *claim)
        for (kind, _), row in rows.known_rows()
        for claim in rows.schemas(kind).claims(row.entity).items()
    }
    for claim, entity_id in passing:
        if claim not in ours:  # else its owner is locked, and nobody can have taken it
            work[_TAKE].append((*claim, entity_id))
            work[_GIVE_BACK].append((*claim, entity_id))


def _raced(rows: Rows, sql: str, lost: tuple[Any, ...]) -> Raced:
    """Whose the row or claim was to be that wasn't inserted, and what to tell that writer."""
    if sql == _INSERT:
        return Raced(rows.made_by(lost[:2]), primary_key_violation(lost[1]))
    kind, index, value, entity_id = lost
    maker = (rows.made_by if sql == _CLAIM else rows.taken_by)((kind, index, value))
    schema, row = rows.schemas(kind), rows.now((kind, entity_id))
    fields = {index: value}
    if row is not None and schema.claims(row.entity).get(index) == value:
        fields = schema.claimed_fields(index, row.entity)
    return Raced(maker, unique_violation(fields))


def _index(work: Work, schema: Schema, old: Entity, new: Entity) -> None:
    """Bring unique values, references and tags from ``old`` ({} for none) to ``new``."""
    kind, entity_id = schema.kind, new["id"]
    old_claims, new_claims = schema.claims(old), schema.claims(new)
    for field in old_claims:
        if new_claims.get(field) != old_claims[field]:
            work[_DROP_CLAIM].append((kind, field, entity_id))
    for field, value in new_claims.items():
        if old_claims.get(field) != value:
            work[_CLAIM].append((kind, field, value, entity_id))
    for field, target in schema.references.items():
        if new.get(field) != old.get(field):
            if old.get(field) is not None:
                work[_DROP_REFERENCE].append((kind, entity_id, field))
            if new.get(field) is not None:
                work[_REFER].append((kind, entity_id, field, target, new[field]["id"]))
    old_tags, new_tags = set(old.get("tags") or ()), set(new.get("tags") or ())
    work[_DROP_TAG].extend((tag, kind, entity_id) for tag in old_tags - new_tags)
    work[_TAG].extend((tag, kind, entity_id) for tag in new_tags - old_tags)
