"""A kind of entity: its fields, its rules, and what becomes of a client's input.

Everything here is a pure function of its arguments: time and new ids are handed in.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from store.authority import Entity
from store.schema.checks import EntityCheck
from store.schema.completion import complete_fields, merge
from store.schema.field import Field
from store.schema.values import UNKNOWN, errors_of, infer, is_uuid
from store.schema.violations import FieldErrors, schema_violation

IMMUTABLE = "immutable field cannot be updated"
SHORTHAND = tuple[Field, Callable[[Any], dict[str, Any]]]
"""A field that stands for others, and how it expands to them."""


def random_id() -> str:
    """A version 4 UUID."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Subschema:
    """What changes for one value of a schema's ``subschema_key``."""

    fields: Mapping[str, Field]
    checks: tuple[EntityCheck, ...] = ()


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
    subschema_key: str = ""
    """A set of strings; the first that names a subschema selects it."""
    subschemas: Mapping[str, Subschema] = field(default_factory=dict)

    @cached_property
    def unique(self) -> tuple[str, ...]:
        """Fields whose value no two entities of this kind share."""
        return tuple(name for name, item in self.fields.items() if item.unique)

    @cached_property
    def references(self) -> dict[str, str]:
        """Foreign key field -> the kind it refers to."""
        return {name: item.reference for name, item in self.fields.items() if item.reference}

    def infer(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Turn the texts of a form or query string into the types of their fields."""
        known = {name: item for name, (item, _) in self.shorthands.items()} | dict(self.fields)
        return {
            name: infer(known[name], value) if name in known else value
            for name, value in fields.items()
        }

    def validate_new(
        self, fields: Mapping[str, Any], now: float, new_id: Callable[[], str] = random_id
    ) -> Entity:
        """The whole entity that a POST of ``fields`` makes; ``now`` in Unix seconds.

        Raises EntityError code 2, naming everything that is wrong at once.
        """
        entity, errors = self._expand(fields)
        if entity.get("id") is None:
            entity["id"] = new_id()
        if entity.get("created_at") is None and "created_at" in self.fields:
            entity["created_at"] = int(now)
        return self._finish(entity, errors, now)

    def validate_patch(self, current: Entity, fields: Mapping[str, Any], now: float) -> Entity:
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
        unknown = {name: value for name, value in current.items() if name not in self.fields}
        merged = {name: current[name] for name in self.fields if name in current}
        for name, value in changes.items():
            merged[name] = merge(self.fields.get(name), merged.get(name), value)
        return unknown | self._finish(merged, errors, now)

    def validate_put(
        self,
        existing: Entity | None,
        key: str,
        fields: Mapping[str, Any],
        now: float,
        new_id: Callable[[], str] = random_id,
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
        return self.validate_new(wanted, now, new_id)

    def describe(self) -> dict[str, Any]:
        """The answer to ``GET /schemas/{entity}``."""
        shown: dict[str, Any] = {
            "fields": [{name: item.describe()} for name, item in self.fields.items()],
            "entity_checks": [check.describe() for check in self.checks],
        }
        if self.shorthands:
            shown["shorthand_fields"] = [
                {name: item.describe()} for name, (item, _) in self.shorthands.items()
            ]
        return shown

    def _expand(self, fields: Mapping[str, Any]) -> tuple[dict[str, Any], FieldErrors]:
        """Replace shorthands by what they stand for, and name unknown fields."""
        expanded: dict[str, Any] = {}
        errors: FieldErrors = {}
        for name, value in fields.items():
            if name in self.fields:
                expanded[name] = value
            elif name not in self.shorthands:
                errors[name] = UNKNOWN
        for name, (item, expand) in self.shorthands.items():
            if fields.get(name) is None:
                continue
            wrong = errors_of(item, fields[name])
            if wrong is None:
                expanded |= expand(fields[name])
            else:
                errors[name] = wrong
        return expanded, errors

    def _finish(self, entity: dict[str, Any], errors: FieldErrors, now: float) -> Entity:
        """Complete, validate and check; ``errors`` are those found so far."""
        if "updated_at" in self.fields:
            entity["updated_at"] = int(now)
        subschema = self._subschema(entity)
        fields = {**self.fields, **subschema.fields} if subschema else dict(self.fields)
        entity = complete_fields(fields, entity)
        for name, item in fields.items():
            wrong = errors_of(item, entity.get(name))
            if wrong is not None:
                errors.setdefault(name, wrong)
        for check in (*self.checks, *(subschema.checks if subschema else ())):
            check.run(entity, errors)
        if errors:
            raise schema_violation(errors)
        return {name: _plain(item, entity.get(name)) for name, item in fields.items()}

    def _subschema(self, entity: Mapping[str, Any]) -> Subschema | None:
        if not self.subschema_key:
            return None
        chosen = entity.get(self.subschema_key, self.fields[self.subschema_key].default)
        if isinstance(chosen, list):
            for name in chosen:
                if isinstance(name, str) and name in self.subschemas:
                    return self.subschemas[name]
        return None


def _plain(item: Field, value: Any) -> Any:
    """One spelling of ids: lower case, and nothing but the id in a reference."""
    if value is None:
        return None
    if item.type == "foreign":
        return {"id": value["id"].lower()}
    return value.lower() if item.uuid else value
