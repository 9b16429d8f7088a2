"""From a document's values to complete entities, each with its id and validated by its schema.

Entities stand in lists by kind at the top, or nested in the entity that they refer to: a route in
its service's ``routes``. References are the other entity's endpoint key or id. What a document
doesn't say is filled in so that the same document always makes the same bytes, on every node and
every day: ids are UUIDv5 of the endpoint key, as Kong makes them, else of the content; times are
``MADE_AT``.
"""

import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from store.authority import Entity
from store.canonical import encode_entity
from store.changeset import Change
from store.declarative.text import TextRefused, parse
from store.errors import EntityError
from store.limits import DOCUMENT_ERRORS_MAX, MUTATIONS_MAX
from store.schema import Schema, kinds, schema
from store.schema.values import UNKNOWN
from store.schema.violations import ENTITY, FieldErrors, declarative_violation

FORMAT_VERSIONS = ("1.1", "2.1", "3.0")

MADE_AT = 1
"""``created_at`` and ``updated_at`` of what a document doesn't date, Unix seconds: Kong's least."""

_META = ("_format_version", "_transform", "_comment", "_ignore", "_info", "_workspace")
"""Beside the lists of entities. The last two are decK's, and mean nothing to a gateway."""

_NAMESPACE = uuid.UUID("fd02801f-0957-4a15-a55a-c8d9606f30b5")
"""Kong's, so that a document makes the ids there that it makes here."""

_PLAIN_PATH = re.compile(r"[a-zA-Z0-9.\-_~/%]*")
"""A path that no format ever took for a regular expression."""


@dataclass(slots=True, eq=False)
class _Item:
    """One entity as it stands in the document."""

    kind: str
    place: tuple[tuple[str, int], ...]
    """(kind, index from 0) of each entity around it and of itself."""
    fields: dict[str, Any]
    parent: "_Item | None" = None
    reference: str = ""
    """The field that refers to the parent."""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """What a declarative document says."""

    format_version: str
    entities: tuple[tuple[str, Entity], ...]
    """(kind, complete entity), those referred to first."""

    def changes(self) -> tuple[Change, ...]:
        """The same as a state's entities: stored texts by kind and id."""
        changes = [Change(kind, one["id"], encode_entity(one)) for kind, one in self.entities]
        return tuple(sorted(changes, key=lambda change: (change.kind, change.id)))


def read_document(text: str) -> Document:
    """Read, complete and validate a document, YAML or JSON.

    Raises EntityError code 14, naming everything that is wrong at once, up to a bound.
    """
    try:
        values = parse(text)
    except TextRefused as error:
        raise declarative_violation(
            {"error": f"failed parsing declarative configuration: {error}"}
        ) from error
    return read_values(values)


def read_values(values: Mapping[str, Any]) -> Document:
    """The same of what was parsed already: a JSON body."""
    reading = _Reading()
    version = reading.header(values)
    for kind in kinds():
        if kind in values:
            reading.collect(kind, values[kind], None, "")
    reading.raise_errors()
    if version != FORMAT_VERSIONS[-1]:
        _mark_regexes(reading.items)
    reading.identify()
    reading.resolve()
    reading.raise_errors()
    return Document(version, tuple(reading.complete()))


@dataclass(slots=True)
class _Reading:
    """One document being read: its entities so far, and what is wrong with them."""

    items: list[_Item] = field(default_factory=list)
    errors: FieldErrors = field(default_factory=dict)
    count: int = 0
    by_id: dict[tuple[str, str], _Item] = field(default_factory=dict)
    by_key: dict[tuple[str, Any], _Item] = field(default_factory=dict)

    def raise_errors(self) -> None:
        if self.errors:
            raise declarative_violation(self.errors)

    def header(self, values: Mapping[str, Any]) -> str:
        """Check what stands beside the entities; answers the format's version."""
        known = kinds()
        for name in values:
            if name not in known and name not in _META:
                self.errors[str(name)] = UNKNOWN
        version = values.get("_format_version")
        if version is None:
            self.errors["_format_version"] = "required field missing"
        elif version not in FORMAT_VERSIONS:
            self.errors["_format_version"] = f"expected one of: {', '.join(FORMAT_VERSIONS)}"
        transform = values.get("_transform")
        if transform is not None and not isinstance(transform, bool):
            self.errors["_transform"] = "expected a boolean"
        return str(version)

    def collect(self, kind: str, found: Any, parent: _Item | None, reference: str) -> None:
        """Take a list of entities, and the lists nested in them."""
        place = () if parent is None else parent.place
        if found is None:
            return
        if not isinstance(found, list):
            self._wrong((*place, (kind, -1)), "expected an array")
            return
        for index, fields in enumerate(found):
            item = _Item(kind, (*place, (kind, index)), {}, parent, reference)
            if not isinstance(fields, dict):
                self._wrong(item.place, "expected a record")
                continue
            if len(self.items) >= MUTATIONS_MAX:
                self.errors[ENTITY] = [f"more than {MUTATIONS_MAX} entities"]
                return
            item.fields = dict(fields)
            for name in ("_comment", "_ignore"):
                item.fields.pop(name, None)
            self.items.append(item)
            for child_kind, field_name in children_of(kind):
                nested = item.fields.get(child_kind)
                if isinstance(nested, list) and all(isinstance(one, dict) for one in nested):
                    del item.fields[child_kind]
                    self.collect(child_kind, nested, item, field_name)

    def identify(self) -> None:
        """Give each entity its id, parents first, and find those that are declared twice."""
        alike: Counter[tuple[str, str]] = Counter()
        for item in self.items:
            own = schema(item.kind)
            if item.parent is not None:
                item.fields[item.reference] = {"id": item.parent.id}
            given = item.fields.get("id")
            if given is None:
                key = _name_for_id(own, item)
                alike[item.kind, key] += 1
                if alike[item.kind, key] > 1 and own.endpoint_key not in item.fields:
                    key = f"{key}:{alike[item.kind, key]}"
                given = str(uuid.uuid5(uuid.uuid5(_NAMESPACE, item.kind), key))
                item.fields["id"] = given
            item.id = str(given).lower()
            self._declare(own, item)

    def _declare(self, own: Schema, item: _Item) -> None:
        key = own.endpoint_key
        value = item.fields.get(key) if key is not None else None
        if key is not None and isinstance(value, str) and own.fields[key].unique:
            if (item.kind, value) in self.by_key:
                self._wrong(item.place, _declared_twice(item.kind, key, value))
                return
            self.by_key[item.kind, value] = item
        if (item.kind, item.id) in self.by_id:
            self._wrong(item.place, _declared_twice(item.kind, "primary key", item.id))
            return
        self.by_id[item.kind, item.id] = item

    def resolve(self) -> None:
        """Replace references by endpoint key with references by id."""
        for item in self.items:
            own = schema(item.kind)
            for name, target in own.references.items():
                value = item.fields.get(name)
                if value is None or (item.parent is not None and name == item.reference):
                    continue
                found = self._find(target, value)
                if found is None:
                    told = value if isinstance(value, str) else encode_entity({"": value})[4:-1]
                    self._wrong(
                        item.place,
                        {name: f"invalid reference '{name}: {told}' (no such entry in '{target}')"},
                    )
                else:
                    item.fields[name] = {"id": found.id}

    def _find(self, target: str, value: Any) -> _Item | None:
        if isinstance(value, dict) and len(value) == 1:
            ((name, value),) = value.items()
            if name not in ("id", schema(target).endpoint_key):
                return None
        if not isinstance(value, str):
            return None
        return self.by_key.get((target, value)) or self.by_id.get((target, value.lower()))

    def complete(self) -> Iterator[tuple[str, Entity]]:
        """The entities, validated, in the order of their dependencies."""
        made: list[tuple[str, Entity]] = []
        claimed: dict[tuple[str, str, Any], None] = {}
        for item in self.items:
            own = schema(item.kind)
            try:
                entity = own.validate_new(item.fields, MADE_AT)
            except EntityError as error:
                self._wrong(item.place, error.fields)
                continue
            for name in own.unique:
                value = entity.get(name)
                if value is None:
                    continue
                if (item.kind, name, value) in claimed:
                    self._wrong(item.place, _declared_twice(item.kind, name, value))
                claimed[item.kind, name, value] = None
            made.append((item.kind, entity))
        self.raise_errors()
        order = {kind: number for number, kind in enumerate(kinds())}
        yield from sorted(made, key=lambda pair: order[pair[0]])

    def _wrong(self, place: Sequence[tuple[str, int]], what: Any) -> None:
        """Put an error where its entity stands: arrays are lists with None where all is well."""
        self.count += 1
        if self.count > DOCUMENT_ERRORS_MAX:
            self.errors.setdefault(ENTITY, [f"more than {DOCUMENT_ERRORS_MAX} errors"])
            return
        level = self.errors
        for depth, (kind, index) in enumerate(place, 1):
            last = depth == len(place)
            if index < 0:
                level[kind] = what
                return
            entries = level.setdefault(kind, [])
            entries.extend([None] * (index + 1 - len(entries)))
            if not last:
                entries[index] = entries[index] if isinstance(entries[index], dict) else {}
                level = entries[index]
            elif isinstance(what, dict) and isinstance(entries[index], dict):
                entries[index] |= what
            else:
                entries[index] = what


def children_of(kind: str) -> list[tuple[str, str]]:
    """(kind, field) of all kinds that refer to this one: they may be nested in it."""
    return [
        (child, name)
        for child in kinds()
        for name, target in schema(child).references.items()
        if target == kind
    ]


def _name_for_id(own: Schema, item: _Item) -> str:
    """What an entity's id is made of: its endpoint key, with its parents' ids where that is unique
    among siblings only; else all that is said of it."""
    key = own.endpoint_key
    value = item.fields.get(key) if key is not None else None
    if key is None or not isinstance(value, str):
        return encode_entity({"kind": item.kind, "fields": item.fields})
    if not own.fields[key].unique:
        for name, one in own.fields.items():
            if one.reference and one.on_delete == "cascade":
                parent = item.fields.get(name)
                told = parent.get("id") if isinstance(parent, dict) else parent
                value = f"{value}:{told}"
    return value


def _declared_twice(kind: str, key: str, value: Any) -> str:
    return f"uniqueness violation: '{kind}' entity with {key} set to '{value}' already declared"


def _mark_regexes(items: Sequence[_Item]) -> None:
    """Before 3.0 a path was a regular expression if it looked like one; since then it says so."""
    for item in items:
        paths = item.fields.get("paths")
        if item.kind == "routes" and isinstance(paths, list):
            item.fields["paths"] = [
                f"~{path}"
                if isinstance(path, str)
                and not path.startswith("~")
                and not _PLAIN_PATH.fullmatch(path)
                else path
                for path in paths
            ]
