"""A kind of entity: its fields, its rules, and what becomes of a client's input.

Everything here is a pure function of its arguments: time, new ids and secrets are handed in.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from store.authority import Entity, Source
from store.schema.checks import EntityCheck
from store.schema.claims import claims, indexes
from store.schema.completion import (
    complete_fields,
    has_older_names,
    merge,
    random_secret,
    shown,
)
from store.schema.field import UNSET, Field
from store.schema.parts import (
    SHORTHAND,
    Agreement,
    Collected,
    Subschema,
    Transformation,
    random_id,
)
from store.schema.values import UNKNOWN, errors_of, infer, is_uuid
from store.schema.violations import FieldErrors, schema_violation

IMMUTABLE = "immutable field cannot be updated"
NO_TIME = "a document has no time to count from; set expires_at (Unix seconds) instead"
_EXPIRES_AT = "expires_at"
"""The internal field of kinds with ``ttl``: Unix seconds, or null for ever."""


@dataclass(frozen=True)
class Schema:
    """One kind of entity."""

    kind: str
    """Collection name: ``services``."""
    entity_name: str
    """Singular: ``service``, the name of foreign keys that refer to it."""
    endpoint_key: str | None
    """The unique field that may stand for the id in a URL."""
    fields: Mapping[str, Field]
    checks: tuple[EntityCheck, ...] = ()
    shorthands: Mapping[str, SHORTHAND] = field(default_factory=dict)
    """One that has the name of a field stands before it."""
    subschema_key: str = ""
    """A string, or a set of them; the first that names a subschema selects it."""
    subschemas: Mapping[str, Subschema] = field(default_factory=dict)
    unknown_subschema: Callable[[str], str] | None = None
    """What to say of a key without a subschema; None where there may be none."""
    cold: bool = False
    """There may be a million of them: they live in the replica file, and workers look one up when a
    request needs it (DESIGN 7)."""
    unique_together: tuple[tuple[str, ...], ...] = ()
    """Fields, foreign keys among them, whose values together no two entities share. Null is a value
    like any other."""
    scoped_key: tuple[str, str] | None = None
    """(foreign key, field): the field may stand for the id in a URL below the entity that the
    foreign key names. One of ``unique_together``."""
    ttl: bool = False
    """Entities may expire: ``ttl`` (seconds) of a write becomes ``expires_at``."""
    transformations: tuple[Transformation, ...] = ()
    collected: Mapping[str, Collected] = field(default_factory=dict)
    """Transient fields that are entities of other kinds."""
    agreements: tuple[Agreement, ...] = ()
    """Checked against what the authority holds as the entity is written, not when that changes."""
    admin_name: str = ""
    """The collection's name in URLs where it isn't the kind's."""
    nested_name: str = ""
    """Its name below another entity where it isn't ``admin_name``."""
    query_key: str = ""
    """A unique field by which the collection may be asked for one entity: ``?custom_id=``."""
    runtime: bool = False
    """Made by what goes through the gateway, so no file that says the whole configuration lists
    them all, and none of them goes because a file doesn't list it."""
    endpoints: Literal["everywhere", "nested", "nowhere"] = "everywhere"
    """Where the Admin API has this kind; nested: below the entity that it belongs to only."""

    @property
    def collection_name(self) -> str:
        """The collection's name in URLs: ``key-auths``."""
        return self.admin_name or self.kind

    @property
    def collection_name_below(self) -> str:
        """The collection's name in URLs below an entity it refers to: ``key-auth``."""
        return self.nested_name or self.collection_name

    @cached_property
    def unique(self) -> tuple[str, ...]:
        """Fields whose value no two entities of this kind share."""
        return tuple(name for name, item in self.fields.items() if item.unique)

    @cached_property
    def references(self) -> dict[str, str]:
        """Foreign key field -> the kind it refers to."""
        return {name: item.reference for name, item in self.fields.items() if item.reference}

    @property
    def variant_field(self) -> str:
        """The field that says what an entity of this kind is, where a single word does: the name of
        a plugin. Empty where there is none."""
        key = self.fields.get(self.subschema_key)
        return self.subschema_key if key is not None and key.type == "string" else ""

    @cached_property
    def indexes(self) -> Mapping[str, tuple[str, ...]]:
        """Name of each unique index -> its fields. That of one field has the field's name."""
        return indexes(self.unique, self.unique_together)

    def targets(self, entity: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """(kind, id) of what an entity refers to."""
        for name, target in self.references.items():
            if entity.get(name) is not None:
                yield target, entity[name]["id"]

    def claims(self, entity: Mapping[str, Any]) -> dict[str, str]:
        """What no other entity of this kind may have: name of the index -> value.

        It is what to look an entity up by, too.
        """
        return claims(self.indexes, entity)

    def claimed_fields(self, index: str, entity: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an index and their values, as an error shows them."""
        return {name: entity.get(name) for name in self.indexes[index]}

    def scoped_claim(self, parent_id: str, key: str) -> tuple[str, str]:
        """The index and value by which ``scoped_key`` finds an entity below another."""
        assert self.scoped_key, f"{self.kind} have no scoped key"
        parent, name = self.scoped_key
        canonical = self.fields[name].canonical
        if canonical is not None and errors_of(self.fields[name], key) is None:
            key = canonical(key)
        index = "+".join(self.scoped_key)
        return index, self.claims({parent: {"id": parent_id}, name: key})[index]

    def is_live(self, entity: Mapping[str, Any], now: float) -> bool:
        """Whether an entity hasn't expired at ``now`` (Unix seconds); readers ignore what has."""
        expires_at = entity.get(_EXPIRES_AT) if self.ttl else None
        return not isinstance(expires_at, int | float) or expires_at > now

    def show(self, entity: Entity, now: float) -> Entity:
        """The entity as clients see it: without what is internal, with what is left of ``ttl`` and
        with the older names of settings."""
        subschema = self._subschema(entity)
        if self._shown_as_stored and not (subschema and subschema.has_older_names):
            return dict(entity)
        fields = self._fields_of(subschema)
        answer = {
            name: shown(fields[name], value) if name in fields else value
            for name, value in entity.items()
            if name not in self._internal
        }
        if self.ttl:
            expires_at = entity.get(_EXPIRES_AT)
            answer["ttl"] = None if expires_at is None else math.floor(expires_at - now)
        return answer

    def label(self, entity: Mapping[str, Any]) -> str | None:
        """What people know an entity by beside its id; never a secret. None where there is nothing
        of the kind."""
        scoped = self.scoped_key[1] if self.scoped_key else None
        for name in (self.endpoint_key, scoped, "name", *self.unique):
            declared = self.fields.get(name) if name else None
            value = entity.get(name) if name else None
            if declared and not declared.encrypted and isinstance(value, str):
                return value
        return None

    def fields_of(self, entity: Mapping[str, Any]) -> dict[str, Field]:
        """All fields of an entity, those of its subschema among them."""
        return self._fields_of(self._subschema(entity))

    @cached_property
    def _shown_as_stored(self) -> bool:
        """Whether answers have what is stored and nothing else, unless the subschema adds to it. Of
        the time that a page of a thousand takes, looking into each of its fields is half."""
        adds = self.ttl or any(has_older_names(item) for item in self.fields.values())
        return not (adds or self._internal)

    @cached_property
    def _internal(self) -> frozenset[str]:
        return frozenset(name for name, item in self.fields.items() if item.internal)

    def infer(
        self, fields: Mapping[str, Any], current: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Turn the texts of a form or query string into the types of their fields.

        ``current``: the entity that they are to change, if any.
        """
        known = {name: item for name, (item, _) in self.shorthands.items()}
        known |= self._fields_of(self._subschema({**(current or {}), **fields}))
        return {
            name: infer(known[name], value) if name in known else value
            for name, value in fields.items()
        }

    def validate_new(
        self,
        fields: Mapping[str, Any],
        now: float,
        new_id: Callable[[], str] = random_id,
        new_secret: Callable[[], str] = random_secret,
        source: Source = "client",
    ) -> Entity:
        """The whole entity that a POST of ``fields`` makes; ``now`` in Unix seconds.

        Raises EntityError code 2, naming everything that is wrong at once.
        """
        entity, errors = self._expand(fields, source)
        if source == "document" and entity.get("ttl") is not None:
            errors["ttl"] = NO_TIME
        for name, item in self.fields.items():
            if item.auto and entity.get(name) is None:
                if item.uuid:
                    entity[name] = new_id()
                elif name == "created_at":
                    entity[name] = timestamp(item, now)
        return self._finish(entity, errors, now, fields, new_secret, source)

    def validate_patch(
        self,
        current: Entity,
        fields: Mapping[str, Any],
        now: float,
        new_secret: Callable[[], str] = random_secret,
    ) -> Entity:
        """The whole entity after merging ``fields`` into ``current``.

        Records are merged, everything else is replaced. Fields that only a newer version knows stay
        as they are. Raises EntityError code 2.
        """
        changes, errors = self._expand(fields)
        if str(changes.get("id") or current["id"]).lower() != current["id"]:
            errors["id"] = IMMUTABLE
        changes["id"] = current["id"]
        if changes.get("created_at") is None:
            changes.pop("created_at", None)
        declared = self._fields_of(self._subschema(current))
        unknown = {name: value for name, value in current.items() if name not in declared}
        merged = {name: current[name] for name in declared if name in current}
        for name, value in changes.items():
            merged[name] = merge(declared.get(name), merged.get(name), value)
        return unknown | self._finish(merged, errors, now, fields, new_secret)

    def validate_put(
        self,
        existing: Entity | None,
        key: str,
        fields: Mapping[str, Any],
        now: float,
        new_id: Callable[[], str] = random_id,
        new_secret: Callable[[], str] = random_secret,
        source: Source = "client",
    ) -> Entity:
        """The whole entity that a PUT of ``fields`` under ``key`` makes: fields and defaults.

        ``key`` is an id or an endpoint key and wins over the same field in ``fields``. Of
        ``existing`` only its id and creation time survive. Raises EntityError code 2.
        """
        wanted = dict(fields)
        entity_id = existing["id"] if existing else (key.lower() if is_uuid(key) else None)
        errors: FieldErrors = {}
        if entity_id is not None:
            if str(wanted.get("id") or entity_id).lower() != entity_id:
                errors["id"] = IMMUTABLE
            wanted["id"] = entity_id
        if not is_uuid(key):
            assert self.endpoint_key, f"{self.kind} have no endpoint key"
            wanted[self.endpoint_key] = key
        if existing and wanted.get("created_at") is None and "created_at" in existing:
            wanted["created_at"] = existing["created_at"]
        if errors:
            raise schema_violation(errors)
        return self.validate_new(wanted, now, new_id, new_secret, source)

    def describe(self) -> dict[str, Any]:
        """The answer to ``GET /schemas/{entity}``."""
        shown: dict[str, Any] = {
            "fields": _described(self.fields),
            "entity_checks": [check.describe() for check in self.checks],
        }
        if self.shorthands:
            shown["shorthand_fields"] = [
                {name: item.describe()} for name, (item, _) in self.shorthands.items()
            ]
        return shown

    def describe_subschema(self, name: str) -> dict[str, Any]:
        """The answer to ``GET /schemas/{kind}/{name}``. Raises KeyError for a name without one."""
        subschema = self.subschemas[name]
        return {
            "fields": _described(subschema.fields),
            "entity_checks": [check.describe() for check in subschema.checks],
        }

    def _expand(
        self, fields: Mapping[str, Any], source: Source = "client"
    ) -> tuple[dict[str, Any], FieldErrors]:
        """Replace shorthands by what they stand for, and name unknown fields."""
        expanded: dict[str, Any] = {}
        errors: FieldErrors = {}
        for name, value in fields.items():
            known = name in self.fields or name in self.shorthands
            if known and (name not in self._internal or source != "client"):
                expanded[name] = value
            else:
                errors[name] = UNKNOWN
        for name, (item, expand) in self.shorthands.items():
            if name not in expanded or (expanded[name] is None and name not in self.fields):
                expanded.pop(name, None)
                continue
            value = expanded.pop(name)
            wrong = errors_of(item, value)
            if wrong is None:
                expanded |= expand(value)
            else:
                errors[name] = wrong
        return expanded, errors

    def _finish(
        self,
        entity: dict[str, Any],
        errors: FieldErrors,
        now: float,
        given: Collection[str],
        new_secret: Callable[[], str],
        source: Source = "client",
    ) -> Entity:
        """Complete, validate, check and transform; ``errors`` are those found so far."""
        if "updated_at" in self.fields:
            entity["updated_at"] = timestamp(self.fields["updated_at"], now)
        subschema = self._subschema(entity, demanded=True)
        fields = self._fields_of(subschema)
        entity = complete_fields(fields, entity, new_secret)
        for name, item in fields.items():
            wrong = errors_of(item, entity.get(name))
            if wrong is not None:
                errors.setdefault(name, wrong)
        for check in (*self.checks, *(subschema.checks if subschema else ())):
            check.run(entity, errors)
        if errors:
            raise schema_violation(errors)
        plain = {name: _plain(item, entity.get(name)) for name, item in fields.items()}
        for transformation in self.transformations:
            if transformation.once and source == "store":
                continue
            if any(name in given for name in transformation.inputs):
                plain |= transformation.write(plain, now)
        return {name: value for name, value in plain.items() if not fields[name].transient}

    def _fields_of(self, subschema: Subschema | None) -> dict[str, Field]:
        return {**self.fields, **subschema.fields} if subschema else dict(self.fields)

    def _subschema(self, entity: Mapping[str, Any], *, demanded: bool = False) -> Subschema | None:
        """The subschema of an entity. Raises EntityError code 2 where one must be there: without
        it, nothing else can be said of the entity."""
        if not self.subschema_key:
            return None
        key = self.fields[self.subschema_key]
        default = None if key.default is UNSET else key.default
        chosen = entity.get(self.subschema_key, default)
        for name in chosen if isinstance(chosen, list) else [chosen]:
            if isinstance(name, str) and name in self.subschemas:
                return self.subschemas[name]
        if demanded and self.unknown_subschema is not None:
            first = chosen[0] if isinstance(chosen, list) and chosen else None
            wrong = None if isinstance(first, str) else errors_of(key, chosen)
            wrong = wrong or self.unknown_subschema(str(chosen if first is None else first))
            raise schema_violation({self.subschema_key: wrong})
        return None


def _described(fields: Mapping[str, Field]) -> list[dict[str, Any]]:
    return [{name: item.describe()} for name, item in fields.items() if not item.internal]


def timestamp(item: Field, now: float) -> int | float:
    """A time as the field stores it: whole seconds, or milliseconds where it takes fractions."""
    return int(now) if item.type == "integer" else round(now, 3)


def _plain(item: Field, value: Any) -> Any:
    """One spelling of ids and the like, and nothing but the id in a reference."""
    if value is None:
        return None
    if item.type == "foreign":
        return {"id": value["id"].lower()}
    if item.canonical is not None:
        return item.canonical(value)
    return value.lower() if item.uuid else value
