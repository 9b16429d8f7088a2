"""One writer's work on its transaction's rows: merging, validating, claiming, referring, deleting.

The rules that the write rule's third step needs; ``store.write`` says in which order they run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from store.authority import (
    ANY_CONTENT,
    Create,
    Delete,
    Entity,
    IfMatch,
    Mutation,
    Patch,
    Put,
    Replace,
    weight,
)
from store.canonical import content_hash, decode_entity, encode_entity
from store.changeset import Change
from store.errors import EntityError, PreconditionFailed
from store.limits import CASCADE_DEPTH_MAX, ENTITY_BYTES_MAX, PAUSE_MUTATIONS, PAUSE_ROWS
from store.plan import PAUSE, Plan
from store.relations import agree, listed, taken_elsewhere
from store.replacement import replacement
from store.rows import Claim, Key, Rows, Stored, differ
from store.schema import Schema
from store.schema import schema as schema_of
from store.schema.completion import random_secret
from store.schema.parts import random_id
from store.schema.values import errors_of, is_uuid
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


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One write: what is to be done in one transaction, and becomes one changeset."""

    mutations: tuple[Mutation, ...]
    write_id: bytes
    """16 bytes."""
    origin: str
    now: float
    """The writer's wall clock, Unix seconds."""
    is_new: bool = False
    """Whether the write id was drawn for it just now, so that the log can't have it yet."""
    new_id: Callable[[], str] = random_id
    new_secret: Callable[[], str] = random_secret
    schemas: Callable[[str], Schema] = schema_of


def too_big(what: str, allowed: str) -> EntityError:
    """Code 2: something exceeds a bound of ``store.limits``."""
    return schema_violation({ENTITY: [f"{what}; at most {allowed} are allowed"]})


class Transaction:
    """One writer's mutations of rows that it may share with others."""

    def __init__(self, request: WriteRequest, rows: Rows) -> None:
        self._request = request
        self._rows = rows
        self._before: dict[Key, Stored | None] = {}
        """The rows that were made, changed or deleted here, as they were before it."""

    def __len__(self) -> int:
        """How many rows its mutations are about."""
        return weight(self._request.mutations)

    def changes(self) -> tuple[Change, ...]:
        """The final state of every row that isn't as it was before."""
        changed = []
        for key, before in self._before.items():
            row = self._rows.now(key)
            if differ(row, before):
                changed.append(Change(*key, row.text if row else None))
        return tuple(changed)

    def names(self, *, claimed: bool) -> Iterator[Claim]:
        """Names by which the mutations call rows; ``claimed``: and unique values they want."""
        for mutation in self._request.mutations:
            if isinstance(mutation, Replace):
                continue
            schema = self._request.schemas(mutation.kind)
            key = "" if isinstance(mutation, Create) else mutation.key
            if key and schema.endpoint_key and not is_uuid(key):
                yield mutation.kind, schema.endpoint_key, key
            if isinstance(mutation, Delete):
                continue
            for name, target in schema.references.items():
                found = self._named(mutation.fields.get(name), target)
                if found is not None:
                    yield found
            if claimed:
                for field in schema.unique:
                    if isinstance(mutation.fields.get(field), str):
                        yield mutation.kind, field, mutation.fields[field]

    def keys(self, *, made: bool) -> Plan[set[Key]]:
        """The rows that the mutations change, as far as can be told; ``made``: and those they want
        to make under an id of their own."""
        keys: set[Key] = set()
        for mutation in self._request.mutations:
            if isinstance(mutation, Replace):
                keys.update((change.kind, change.id) for change in mutation.changes)
                continue
            if isinstance(mutation, Create):
                entity_id = mutation.fields.get("id") if made else None
            else:
                entity_id = yield from self._id(mutation.kind, mutation.key)
            if isinstance(entity_id, str) and is_uuid(entity_id):
                keys.add((mutation.kind, entity_id.lower()))
        return keys

    def targets(self) -> Plan[set[Key]]:
        """The rows that the mutations refer to, as far as their names are known."""
        keys = set()
        for mutation in self._request.mutations:
            if isinstance(mutation, Delete | Replace):
                continue
            for name, target in self._request.schemas(mutation.kind).references.items():
                value = mutation.fields.get(name)
                named = self._named(value, target)
                if named is not None:
                    entity_id: Any = yield from self._rows.holder(named)
                else:
                    entity_id = value.get("id") if isinstance(value, dict) else None
                if isinstance(entity_id, str) and is_uuid(entity_id):
                    keys.add((target, entity_id.lower()))
        return keys

    def apply(self) -> Plan[tuple[Entity | None, ...]]:
        """Do all mutations; answers the entity of each, None for a deletion.

        Raises EntityError, and then the rows must be rolled back.
        """
        entities = []
        for number, mutation in enumerate(self._request.mutations, 1):
            entities.append((yield from self._apply(mutation)))
            if number % PAUSE_MUTATIONS == 0:
                yield PAUSE
        return tuple(entities)

    def _apply(self, mutation: Mutation) -> Plan[Entity | None]:
        match mutation:
            case Create(kind, fields):
                return (yield from self._create(kind, fields))
            case Patch():
                return (yield from self._patch(mutation))
            case Put():
                return (yield from self._put(mutation))
            case Replace():
                yield from self._replace(mutation)
                return None
            case Delete(kind, key, expired_only):
                found = yield from self._existing(kind, key)
                _check(mutation.if_match, found)
                if found is not None and not (expired_only and self._is_live(kind, found)):
                    yield from self._delete((kind, found.entity["id"]))
                return None

    def _create(self, kind: str, fields: Mapping[str, Any]) -> Plan[Entity]:
        schema = self._request.schemas(kind)
        fields = yield from self._resolve(schema, fields)
        request = self._request
        entity = schema.validate_new(fields, request.now, request.new_id, request.new_secret)
        yield from agree(self._rows, schema, entity, fields)
        yield from self._insert(schema, entity)
        return (yield from self._collect(schema, entity, fields))

    def _patch(self, mutation: Patch) -> Plan[Entity]:
        kind, key = mutation.kind, mutation.key
        schema = self._request.schemas(kind)
        current = yield from self._existing(kind, key)
        if current is None or not self._is_live(kind, current):
            raise not_found("id" if is_uuid(key) else schema.endpoint_key or "id", key)
        _check(mutation.if_match, current)
        fields = yield from self._resolve(schema, mutation.fields)
        request = self._request
        entity = schema.validate_patch(_copy(current), fields, request.now, request.new_secret)
        yield from agree(self._rows, schema, entity, entity)
        yield from self._store(schema, current.entity, entity)
        return (yield from self._collect(schema, entity, fields))

    def _put(self, mutation: Put) -> Plan[Entity]:
        kind, key = mutation.kind, mutation.key
        schema = self._request.schemas(kind)
        if not is_uuid(key) and not schema.endpoint_key:
            raise EntityError(
                1, "invalid primary key", f"invalid primary key: '{{id=\"{key}\"}}'", {"id": key}
            )
        current = yield from self._existing(kind, key)
        _check(mutation.if_match, current)
        fields = yield from self._resolve(schema, mutation.fields)
        request = self._request
        existing = _copy(current) if current else None
        entity = schema.validate_put(
            existing,
            key,
            fields,
            request.now,
            request.new_id,
            request.new_secret,
            mutation.source,
        )
        yield from agree(self._rows, schema, entity, fields)
        if current is None:
            yield from self._insert(schema, entity)
        else:
            yield from self._store(schema, current.entity, entity)
        return (yield from self._collect(schema, entity, fields))

    def _replace(self, mutation: Replace) -> Plan[None]:
        """Raises StateMoved."""
        wanted = yield from replacement(self._rows, mutation)
        for number, (key, row) in enumerate(wanted.items(), 1):
            if row is not None:
                check_size(row.text)
            self._put_row(key, row)
            if number % PAUSE_ROWS == 0:
                yield PAUSE

    def _is_live(self, kind: str, row: Stored) -> bool:
        return self._request.schemas(kind).is_live(row.entity, self._request.now)

    def _existing(self, kind: str, key: str) -> Plan[Stored | None]:
        entity_id = yield from self._id(kind, key)
        if entity_id is None:
            return None
        yield from self._rows.lock([(kind, entity_id)])
        return self._rows.now((kind, entity_id))

    def _id(self, kind: str, key: str) -> Plan[str | None]:
        """The id that a key names: itself, or whose name it is now."""
        if is_uuid(key):
            return key.lower()
        endpoint_key = self._request.schemas(kind).endpoint_key
        if endpoint_key is None:
            return None
        return (yield from self._rows.holder((kind, endpoint_key, key)))

    def _named(self, value: Any, target: str) -> Claim | None:
        """What a reference by endpoint key (``{"name": …}``) calls its target."""
        if not isinstance(value, dict) or value.get("id") is not None:
            return None
        try:
            endpoint_key = self._request.schemas(target).endpoint_key
        except KeyError:
            return None
        wanted = value.get(endpoint_key) if endpoint_key else None
        if endpoint_key is None or not isinstance(wanted, str) or not wanted:
            return None
        return target, endpoint_key, wanted

    def _resolve(self, schema: Schema, fields: Mapping[str, Any]) -> Plan[dict[str, Any]]:
        """Replace references by endpoint key by references by id."""
        resolved = dict(fields)
        for name, target in schema.references.items():
            named = self._named(resolved.get(name), target)
            if named is not None:
                _, key, value = named
                wrong = errors_of(self._request.schemas(target).fields[key], value)
                if wrong is not None:
                    raise schema_violation({name: {key: wrong}})
                found = yield from self._rows.holder(named)
                if found is None:
                    raise foreign_key_unresolved(name, *named[1:], target)
                resolved[name] = {"id": found}
            elif isinstance(given := resolved.get(name), dict) and given.get("id") is None:
                # Other fields of the target don't name it; what is missing then is the id.
                known = self._request.schemas(target).fields
                resolved[name] = {field: given[field] for field in given if field not in known}
        return resolved

    def _insert(self, schema: Schema, entity: Entity) -> Plan[None]:
        key = (schema.kind, entity["id"])
        if self._rows.is_known(key) and self._rows.now(key) is not None:
            raise primary_key_violation(entity["id"])
        yield from self._store(schema, {}, entity)

    def _store(self, schema: Schema, old: Entity, new: Entity) -> Plan[None]:
        """Make a row ``new`` that was ``old`` ({} for none)."""
        kind, entity_id = schema.kind, new["id"]
        text = _text(new)
        had, has = schema.claims(old), schema.claims(new)
        for index, value in has.items():
            if not self._rows.is_free((kind, index, value), entity_id):
                raise unique_violation(schema.claimed_fields(index, new))
        for index, value in had.items():
            if has.get(index) != value:
                self._rows.hold_value((kind, index, value), None)
        for index, value in has.items():
            if had.get(index) != value:
                self._rows.hold_value((kind, index, value), entity_id)
        itself = (kind, entity_id)
        for field, target in schema.references.items():
            reference = new.get(field)
            if reference is None or reference == old.get(field):
                continue
            referred = (target, reference["id"])
            if referred != itself:
                yield from self._rows.hold([referred])
                if not self._rows.exists(referred):
                    raise foreign_key_missing(field, reference["id"], target)
        self._put_row(itself, Stored(text, new))

    def _put_row(self, key: Key, row: Stored | None) -> None:
        if key not in self._before:
            self._before[key] = self._rows.now(key) if self._rows.is_known(key) else None
        self._rows.put(key, row)

    def _delete(self, key: Key) -> Plan[None]:
        """Delete a row that is locked, and those that go with it, one generation at a time.

        Parents go first, so that references in a circle come to an end.
        """
        parents = [key]
        for depth in range(CASCADE_DEPTH_MAX + 1):
            for parent in parents:
                self._forget(parent)
            children = yield from self._children(parents, depth)
            if not children:
                return
            yield from self._rows.lock(children)
            # Asked again now that they are locked: until then, another writer may have pointed one
            # of them elsewhere. None can have come, since a reference needs its target's lock.
            parents = yield from self._children(parents, depth)

    def _forget(self, key: Key) -> None:
        if self._rows.now(key) is not None:
            self._rows.give_back(key)
            self._put_row(key, None)

    def _children(self, parents: Sequence[Key], depth: int) -> Plan[list[Key]]:
        """The rows that go with these. Raises EntityError code 4 when one forbids it."""
        found = yield from self._rows.children(parents)
        for (kind, _, field), parent in found:
            if depth >= CASCADE_DEPTH_MAX or not self._cascades(kind, field):
                raise foreign_key_restricts(parent[0], kind)
        return list(dict.fromkeys((kind, entity_id) for (kind, entity_id, _), _ in found))

    def _collect(self, schema: Schema, entity: Entity, fields: Mapping[str, Any]) -> Plan[Entity]:
        """Make the entities that a transient list names, delete those that it no longer names.

        Answers the entity with the list.
        """
        for name, collected in schema.collected.items():
            if name not in fields:
                continue
            wanted = list(fields[name] or ())
            fresh, gone = yield from listed(self._rows, schema, entity["id"], name, wanted)
            for text in fresh:
                there = yield from self._existing(collected.kind, text)
                if there is not None:
                    raise taken_elsewhere(schema, name, text, there.entity)
                reference = {collected.reference: {"id": entity["id"]}}
                yield from self._create(collected.kind, {collected.field: text, **reference})
            for key in gone:
                yield from self._delete(key)
            entity = {**entity, name: sorted(wanted)}
        return entity

    def _cascades(self, kind: str, field: str) -> bool:
        """Kinds and fields that only a newer version knows restrict: nothing is lost by it."""
        try:
            declared = self._request.schemas(kind).fields.get(field)
        except KeyError:
            return False
        return declared is not None and declared.on_delete == "cascade"


def _check(condition: IfMatch, current: Stored | None) -> None:
    """Raises PreconditionFailed when a locked row isn't what its writer takes it for."""
    if not condition:
        return
    if current is None or not {ANY_CONTENT, content_hash(current.text)}.intersection(condition):
        raise PreconditionFailed


def _copy(row: Stored) -> Entity:
    """What a merge may take pieces of, and nobody else has."""
    return decode_entity(row.text)


def _text(entity: Entity) -> str:
    text = encode_entity(entity)
    check_size(text)
    return text


def check_size(text: str) -> None:
    """Raises EntityError for an entity's text that is too long."""
    size = len(text.encode("utf-8"))
    if size > ENTITY_BYTES_MAX:
        raise too_big(f"an entity of {size} bytes", f"{ENTITY_BYTES_MAX} bytes")
