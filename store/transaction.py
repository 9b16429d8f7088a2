"""One write's work on the rows: merging, validating, claiming, referring, deleting.

The rules that the write rule's third step needs; ``store.write`` says in which order they run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from store.authority import Create, Delete, Entity, Mutation, Patch, Put
from store.canonical import decode_entity, encode_entity
from store.changeset import Change
from store.errors import EntityError
from store.limits import CASCADE_DEPTH_MAX, ENTITY_BYTES_MAX
from store.plan import Dialect, Plan, Statement
from store.read import entity_text, id_of_key
from store.schema import Schema
from store.schema import schema as schema_of
from store.schema.completion import random_secret
from store.schema.parts import Collected, random_id
from store.schema.values import is_uuid
from store.schema.violations import (
    ENTITY,
    foreign_key_missing,
    foreign_key_restricts,
    foreign_key_unresolved,
    not_found,
    primary_key_violation,
    schema_violation,
    unique_violation,
)

Key = tuple[str, str]
"""(kind, id)"""


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One transaction to be."""

    mutations: tuple[Mutation, ...]
    write_id: bytes
    """16 bytes."""
    origin: str
    now: float
    """The writer's wall clock, Unix seconds."""
    new_id: Callable[[], str] = random_id
    new_secret: Callable[[], str] = random_secret
    schemas: Callable[[str], Schema] = schema_of


def too_big(what: str, allowed: str) -> EntityError:
    """Code 2: something exceeds a bound of ``store.limits``."""
    return schema_violation({ENTITY: [f"{what}; at most {allowed} are allowed"]})


class Transaction:
    """The rows of one transaction: as they were found, and as they are now."""

    def __init__(self, request: WriteRequest, dialect: Dialect) -> None:
        self._request = request
        self._dialect = dialect
        self._found: dict[Key, str | None] = {}
        self._rows: dict[Key, str | None] = {}

    def changes(self) -> tuple[Change, ...]:
        """The final state of every row that isn't as it was found."""
        return tuple(
            Change(kind, entity_id, text)
            for (kind, entity_id), text in self._rows.items()
            if text != self._found[kind, entity_id]
        )

    def lock(self) -> Plan[None]:
        """Read and lock the rows that the mutations name and that exist now."""
        keys: set[Key] = set()
        for mutation in self._request.mutations:
            if not isinstance(mutation, Create):
                entity_id = yield from self._id(mutation.kind, mutation.key)
                if entity_id is not None:
                    keys.add((mutation.kind, entity_id))
        for kind, entity_id in sorted(keys):
            yield from self._row(kind, entity_id)

    def apply(self, mutation: Mutation) -> Plan[Entity | None]:
        """Do one mutation; answers its entity, None for a deletion."""
        match mutation:
            case Create(kind, fields):
                return (yield from self._create(kind, fields))
            case Patch(kind, key, fields):
                return (yield from self._patch(kind, key, fields))
            case Put(kind, key, fields):
                return (yield from self._put(kind, key, fields))
            case Delete(kind, key, expired_only):
                current = yield from self._existing(kind, key)
                if current is not None and not (expired_only and self._is_live(kind, current)):
                    yield from self._delete(kind, current["id"], depth=0)
                return None

    def _create(self, kind: str, fields: Mapping[str, Any]) -> Plan[Entity]:
        schema = self._request.schemas(kind)
        fields = yield from self._resolve(schema, fields)
        request = self._request
        entity = schema.validate_new(fields, request.now, request.new_id, request.new_secret)
        yield from self._insert(schema, entity)
        return (yield from self._collect(schema, entity, fields))

    def _patch(self, kind: str, key: str, fields: Mapping[str, Any]) -> Plan[Entity]:
        schema = self._request.schemas(kind)
        current = yield from self._existing(kind, key)
        if current is None or not self._is_live(kind, current):
            raise not_found("id" if is_uuid(key) else schema.endpoint_key or "id", key)
        fields = yield from self._resolve(schema, fields)
        request = self._request
        entity = schema.validate_patch(current, fields, request.now, request.new_secret)
        yield from self._update(schema, current, entity)
        return (yield from self._collect(schema, entity, fields))

    def _put(self, kind: str, key: str, fields: Mapping[str, Any]) -> Plan[Entity]:
        schema = self._request.schemas(kind)
        if not is_uuid(key) and not schema.endpoint_key:
            raise EntityError(
                1, "invalid primary key", f"invalid primary key: '{{id=\"{key}\"}}'", {"id": key}
            )
        current = yield from self._existing(kind, key)
        fields = yield from self._resolve(schema, fields)
        request = self._request
        entity = schema.validate_put(
            current, key, fields, request.now, request.new_id, request.new_secret
        )
        if current is None:
            yield from self._insert(schema, entity)
        else:
            yield from self._update(schema, current, entity)
        return (yield from self._collect(schema, entity, fields))

    def _is_live(self, kind: str, entity: Entity) -> bool:
        return self._request.schemas(kind).is_live(entity, self._request.now)

    def _existing(self, kind: str, key: str) -> Plan[Entity | None]:
        entity_id = yield from self._id(kind, key)
        text = (yield from self._row(kind, entity_id)) if entity_id else None
        return decode_entity(text) if text is not None else None

    def _id(self, kind: str, key: str) -> Plan[str | None]:
        """The id that a key names: itself, or what the endpoint key's index says now."""
        endpoint_key = self._request.schemas(kind).endpoint_key
        return (yield from id_of_key(kind, key, endpoint_key))

    def _row(self, kind: str, entity_id: str) -> Plan[str | None]:
        """A row's text as this transaction sees it, locked for changing."""
        key = (kind, entity_id)
        if key not in self._rows:
            text = yield from entity_text(kind, entity_id, lock=self._dialect.for_update)
            self._found[key] = self._rows[key] = text
        return self._rows[key]

    def _resolve(self, schema: Schema, fields: Mapping[str, Any]) -> Plan[dict[str, Any]]:
        """Replace references by endpoint key (``{"name": …}``) by references by id."""
        resolved = dict(fields)
        for name, target in schema.references.items():
            value = resolved.get(name)
            if not isinstance(value, dict) or value.get("id") is not None:
                continue
            try:
                endpoint_key = self._request.schemas(target).endpoint_key
            except KeyError:
                continue
            wanted = value.get(endpoint_key) if endpoint_key else None
            if endpoint_key and isinstance(wanted, str):
                found = yield from id_of_key(target, wanted, endpoint_key, names_only=True)
                if found is None:
                    raise foreign_key_unresolved(name, endpoint_key, wanted, target)
                resolved[name] = {"id": found}
        return resolved

    def _insert(self, schema: Schema, entity: Entity) -> Plan[None]:
        kind, entity_id = schema.kind, entity["id"]
        text = _text(entity)
        rows = yield Statement(
            "INSERT INTO entity (kind, id, body) VALUES ($1, $2, $3)"
            " ON CONFLICT DO NOTHING RETURNING id",
            (kind, entity_id, text),
        )
        if not rows:
            raise primary_key_violation(entity_id)
        self._found.setdefault((kind, entity_id), None)
        self._rows[kind, entity_id] = text
        yield from self._index(schema, {}, entity)

    def _update(self, schema: Schema, current: Entity, entity: Entity) -> Plan[None]:
        key = (schema.kind, entity["id"])
        text = _text(entity)
        yield Statement("UPDATE entity SET body = $3 WHERE kind = $1 AND id = $2", (*key, text))
        self._rows[key] = text
        yield from self._index(schema, current, entity)

    def _index(self, schema: Schema, old: Entity, new: Entity) -> Plan[None]:
        """Bring unique values, references and tags from ``old`` ({} for none) to ``new``."""
        kind, entity_id = schema.kind, new["id"]
        had, has = schema.claims(old), schema.claims(new)
        for index in sorted({*had, *has}):
            if had.get(index) == has.get(index):
                continue
            claimed = yield from self._claim(kind, entity_id, index, has.get(index), had.get(index))
            if not claimed:
                raise unique_violation(schema.claimed_fields(index, new))
        for field, target in schema.references.items():
            if new.get(field) != old.get(field):
                yield from self._refer(kind, entity_id, field, target, new.get(field))
        old_tags, new_tags = set(old.get("tags") or ()), set(new.get("tags") or ())
        for tag in sorted(old_tags - new_tags):
            yield Statement(
                "DELETE FROM entity_tag WHERE tag = $1 AND kind = $2 AND id = $3",
                (tag, kind, entity_id),
            )
        for tag in sorted(new_tags - old_tags):
            yield Statement(
                "INSERT INTO entity_tag (tag, kind, id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                (tag, kind, entity_id),
            )

    def _claim(
        self, kind: str, entity_id: str, index: str, new: str | None, old: str | None
    ) -> Plan[bool]:
        """Give a unique value back and take another; False when another entity has it."""
        if old is not None:
            yield Statement(
                "DELETE FROM entity_unique WHERE kind = $1 AND field = $2 AND id = $3",
                (kind, index, entity_id),
            )
        if new is None:
            return True
        rows = yield Statement(
            "INSERT INTO entity_unique (kind, field, value, id) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT DO NOTHING RETURNING id",
            (kind, index, new, entity_id),
        )
        return bool(rows)

    def _refer(self, kind: str, entity_id: str, field: str, target: str, value: Any) -> Plan[None]:
        """Point a foreign key elsewhere, holding the row it points to against deletion."""
        yield Statement(
            "DELETE FROM entity_reference WHERE kind = $1 AND id = $2 AND field = $3",
            (kind, entity_id, field),
        )
        if value is None:
            return
        lock = self._dialect.for_key_share
        if (yield from entity_text(target, value["id"], lock=lock)) is None:
            raise foreign_key_missing(field, value["id"], target)
        yield Statement(
            "INSERT INTO entity_reference (kind, id, field, target_kind, target_id)"
            " VALUES ($1, $2, $3, $4, $5)",
            (kind, entity_id, field, target, value["id"]),
        )

    def _collect(self, schema: Schema, entity: Entity, fields: Mapping[str, Any]) -> Plan[Entity]:
        """Make the entities that a transient list names, delete those that it no longer names.

        Answers the entity with the list. Texts are those of Kong's ``dao/certificates.lua``.
        """
        for name, collected in schema.collected.items():
            if name in fields:
                wanted = list(fields[name] or ())
                for place, value in enumerate(wanted):
                    if value in wanted[:place]:
                        raise schema_violation({name: f"{value} is duplicated"})
                had = yield from self._collected(schema.kind, entity["id"], collected)
                for value in sorted({*wanted} - {*had}):
                    yield from self._collect_one(schema, entity["id"], name, value)
                for value in sorted({*had} - {*wanted}):
                    yield from self._delete(collected.kind, had[value], depth=1)
                entity = {**entity, name: sorted(wanted)}
        return entity

    def _collected(self, kind: str, entity_id: str, collected: Collected) -> Plan[dict[str, str]]:
        """The ids of what is in an entity's transient list, by its text; locked."""
        rows = yield Statement(
            "SELECT id FROM entity_reference WHERE target_kind = $1 AND target_id = $2"
            " AND kind = $3 AND field = $4 ORDER BY id",
            (kind, entity_id, collected.kind, collected.reference),
        )
        found: dict[str, str] = {}
        for (child_id,) in rows:
            text = yield from self._row(collected.kind, child_id)
            if text is not None:
                found[decode_entity(text)[collected.field]] = child_id
        return found

    def _collect_one(self, schema: Schema, entity_id: str, name: str, value: str) -> Plan[None]:
        collected = schema.collected[name]
        there = yield from self._existing(collected.kind, value)
        if there is not None:
            other = there[collected.reference]["id"]
            raise schema_violation(
                {name: f"{value} already associated with existing {schema.entity_name} '{other}'"}
            )
        yield from self._create(
            collected.kind, {collected.field: value, collected.reference: {"id": entity_id}}
        )

    def _delete(self, kind: str, entity_id: str, depth: int) -> Plan[None]:
        """Delete a row that is locked, and before it those that go with it.

        Its own references go first, so that references in a circle come to an end.
        """
        key = (kind, entity_id)
        yield Statement("DELETE FROM entity_reference WHERE kind = $1 AND id = $2", key)
        children = yield from self._children(key, depth)
        for child in children:
            yield from self._row(*child)
        if children:
            # Asked again now that they are locked: until then, another writer may have pointed one
            # of them elsewhere. None can have come, since a reference needs this row's lock.
            children = yield from self._children(key, depth)
        for child in children:
            if (yield from self._row(*child)) is not None:
                yield from self._delete(*child, depth + 1)
        for table in ("entity_unique", "entity_tag"):
            yield Statement(f"DELETE FROM {table} WHERE kind = $1 AND id = $2", key)
        yield Statement("DELETE FROM entity WHERE kind = $1 AND id = $2", key)
        self._rows[key] = None

    def _children(self, parent: Key, depth: int) -> Plan[list[Key]]:
        """The rows that go with this one. Raises EntityError code 4 when one forbids it."""
        rows = yield Statement(
            "SELECT kind, id, field FROM entity_reference"
            " WHERE target_kind = $1 AND target_id = $2 ORDER BY kind, id",
            parent,
        )
        for kind, _, field in rows:
            if depth >= CASCADE_DEPTH_MAX or not self._cascades(kind, field):
                raise foreign_key_restricts(parent[0], kind)
        return [(kind, entity_id) for kind, entity_id, _ in rows]

    def _cascades(self, kind: str, field: str) -> bool:
        """Kinds and fields that only a newer version knows restrict: nothing is lost by it."""
        try:
            declared = self._request.schemas(kind).fields.get(field)
        except KeyError:
            return False
        return declared is not None and declared.on_delete == "cascade"


def _text(entity: Entity) -> str:
    text = encode_entity(entity)
    size = len(text.encode("utf-8"))
    if size > ENTITY_BYTES_MAX:
        raise too_big(f"an entity of {size} bytes", f"{ENTITY_BYTES_MAX} bytes")
    return text
