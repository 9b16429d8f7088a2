"""Writes what a transaction made of its rows: the difference to what it found, in few batches.

Unique values and rows are claimed by ``INSERT … ON CONFLICT DO NOTHING RETURNING``: a violation is
a missing row, not an aborted transaction. Every batch is in key order, so that writers can't
deadlock on each other's new rows.
"""

from typing import Any

from store.authority import Entity
from store.errors import EntityError
from store.limits import PAUSE_ROWS
from store.plan import PAUSE, Plan
from store.rows import Claim, Key, Rows, in_parts
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
_REFER = (
    "INSERT INTO entity_reference (kind, id, field, target_kind, target_id)"
    " VALUES ($1, $2, $3, $4, $5)"
)
_TAG = "INSERT INTO entity_tag (tag, kind, id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"

_ORDER = (
    *(_FORGET_REFERENCES, _FORGET_CLAIMS, _FORGET_TAGS, _DROP_REFERENCE, _DROP_CLAIM, _DROP_TAG),
    *(_DELETE, _INSERT, _UPDATE, _CLAIM, _REFER, _TAG),
)
"""What is given up goes before what is taken, and nothing refers to a row when it goes."""

Work = dict[str, list[tuple[Any, ...]]]


class Raced(Exception):
    """Another node took a row or a unique value between this transaction's look and its claim.

    ``maker`` is the number of the writer whose it was to be, ``error`` what to tell it.
    """

    def __init__(self, maker: int, error: EntityError) -> None:
        super().__init__(str(error))
        self.maker = maker
        self.error = error


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
    for sql in _ORDER:
        parameters = sorted(work[sql])
        answered = yield from in_parts(sql, parameters)
        width = {_INSERT: 2, _CLAIM: 3}.get(sql)
        if width is not None and len(answered) < len(parameters):
            taken = {tuple(row) for row in answered}
            lost = next(item[:width] for item in parameters if item[:width] not in taken)
            raise Raced(rows.made_by(lost), _violation(lost))


def _violation(lost: Key | Claim) -> EntityError:
    if len(lost) == 2:
        return primary_key_violation(lost[1])
    return unique_violation(lost[1], lost[2])


def _index(work: Work, schema: Schema, old: Entity, new: Entity) -> None:
    """Bring unique values, references and tags from ``old`` ({} for none) to ``new``."""
    kind, entity_id = schema.kind, new["id"]
    old_claims, new_claims = claims(schema, old), claims(schema, new)
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


def claims(schema: Schema, entity: Entity) -> dict[str, str]:
    """The unique values that an entity has, by field."""
    return {field: entity[field] for field in schema.unique if entity.get(field) is not None}
