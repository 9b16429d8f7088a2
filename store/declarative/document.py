"""From a document's values to complete entities, each with its id and validated by its schema.

Entities stand in lists by kind at the top, or nested in the entity that they refer to: a route in
its service's ``routes``. References are the other entity's endpoint key or id. What a document
doesn't say is filled in so that the same document always makes the same bytes, on every node and
every day: ids are UUIDv5 of the endpoint key, as Kong makes them, else of the content; times are
``MADE_AT``.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from store.authority import Entity, Source
from store.canonical import encode_entity
from store.changeset import Change
from store.declarative.agreements import disagreements
from store.declarative.items import (
    Item,
    children_of,
    declared_twice,
    made_id,
    mark_regexes,
    name_for_id,
    record_errors,
)
from store.declarative.standing import Standing
from store.declarative.text import TextRefused, parse
from store.errors import EntityError
from store.limits import DOCUMENT_ERRORS_MAX, MUTATIONS_MAX
from store.schema import Schema, kinds, schema
from store.schema.typedefs import TAGS
from store.schema.values import UNKNOWN, errors_of, is_uuid
from store.schema.violations import ENTITY, FieldErrors, declarative_violation, lua_text

FORMAT_VERSIONS = ("1.1", "2.1", "3.0")

MADE_AT = 1
"""``created_at`` and ``updated_at`` of what a document doesn't date, Unix seconds: Kong's least."""

_META = ("_format_version", "_transform", "_comment", "_ignore", "_info", "_workspace")
"""Beside the lists of entities. The last two are decK's, and mean nothing to a gateway."""


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

    Raises EntityError code 14, naming everything that is wrong at once, up to a bound; how the
    entities go together is told when each of them is right, as Kong does.
    """
    return read_values(parse_document(text))


def parse_document(text: str) -> dict[str, Any]:
    """A document's values, whatever they say. Raises EntityError code 14 when it has none."""
    try:
        return parse(text)
    except TextRefused as error:
        raise declarative_violation(
            {"error": f"failed parsing declarative configuration: {error}"}
        ) from error


def read_beside(
    values: Mapping[str, Any], standing: Standing, schemas: Callable[[str], Schema]
) -> Document:
    """The same of what was parsed already, for a database: entities that stand there keep their
    ids, and what stays there may be referred to."""
    return _read(values, _Reading(standing=standing, schemas=schemas))


def selected_tags(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags to which decK's ``_info.select_tags`` confines a document. Raises EntityError."""
    info = values.get("_info")
    tags = info.get("select_tags") if isinstance(info, dict) else None
    if tags is None:
        return ()
    wrong = errors_of(TAGS, tags)
    if wrong is not None:
        raise declarative_violation({"_info": {"select_tags": wrong}})
    return tuple(tags)


def read_values(values: Mapping[str, Any]) -> Document:
    """The same of what was parsed already: a JSON body."""
    return _read(values, _Reading())


def _read(values: Mapping[str, Any], reading: "_Reading") -> Document:
    version = reading.header(values)
    for kind in kinds():
        if kind in values:
            reading.collect(kind, values[kind], None, "")
    if ENTITY in reading.errors:
        reading.raise_errors()
    if version != FORMAT_VERSIONS[-1]:
        mark_regexes(reading.items)
    reading.identify()
    reading.resolve()
    reading.identify_by_references()
    return Document(version, tuple(reading.complete()))


@dataclass(slots=True)
class _Reading:
    """One document being read: its entities so far, and what is wrong with them."""

    items: list[Item] = field(default_factory=list)
    errors: FieldErrors = field(default_factory=dict)
    """Of the entities, each by itself."""
    discords: FieldErrors = field(default_factory=dict)
    """Of how they go together."""
    taken: list[tuple[Item, str, str]] = field(default_factory=list)
    """(item, its endpoint key, error) where another has its value of another unique field: Kong
    tells of these by that key, not by place, and so does this where no place is told."""
    discordant: set[Item] = field(default_factory=set)
    count: int = 0
    by_id: dict[tuple[str, str], Item] = field(default_factory=dict)
    by_key: dict[tuple[str, Any], Item] = field(default_factory=dict)
    given: set[tuple[str, str]] = field(default_factory=set)
    """(kind, id) of all that the document gives."""
    source: Source = "document"
    schemas: Callable[[str], Schema] = schema
    standing: Standing | None = None
    """What is in the database that the document is for."""

    def raise_errors(self) -> None:
        if self.errors:
            raise declarative_violation(self.errors)
        named: FieldErrors = {}
        for item, at, what in self.taken:
            if item.kind in self.discords:
                self._wrong(self.discords, item.place, what)
            else:
                named.setdefault(item.kind, {})[at] = what
        if named or self.discords:
            raise declarative_violation({**self.discords, **named})

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
        if transform is False:
            self.source = "store"
        return str(version)

    def collect(self, kind: str, found: Any, parent: Item | None, reference: str) -> None:
        """Take a list of entities, and the lists nested in them."""
        place = () if parent is None else parent.place
        if found is None:
            return
        if not isinstance(found, list):
            self._wrong(self.errors, (*place, (kind, -1)), "expected an array")
            return
        for index, fields in enumerate(found):
            item = Item(kind, (*place, (kind, index)), {}, parent, reference)
            if not isinstance(fields, dict):
                self._wrong(self.errors, item.place, "expected a record")
                continue
            if len(self.items) >= MUTATIONS_MAX:
                self.errors[ENTITY] = [f"more than {MUTATIONS_MAX} entities"]
                return
            item.fields = dict(fields)
            for name in ("_comment", "_ignore"):
                item.fields.pop(name, None)
            self.items.append(item)
            for name, collected in schema(kind).collected.items():
                texts = item.fields.get(name)
                if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
                    item.fields[name] = [{collected.field: text} for text in texts]
            for child_kind, field_name in children_of(kind):
                nested = item.fields.get(child_kind)
                if isinstance(nested, list) and all(isinstance(one, dict) for one in nested):
                    del item.fields[child_kind]
                    self.collect(child_kind, nested, item, field_name)

    def identify(self) -> None:
        """Give each entity its id, parents first, and find those that are declared twice."""
        alike: Counter[tuple[str, str]] = Counter()
        self.given = {(item.kind, str(item.fields.get("id")).lower()) for item in self.items}
        for item in self.items:
            own = schema(item.kind)
            if item.parent is not None:
                item.fields[item.reference] = {"id": item.parent.id}
            given = item.fields.get("id")
            if given is None:
                given = self._standing_id(own, item)
            if given is None:
                item.is_new = True
                key, is_its_own = name_for_id(own, item)
                alike[item.kind, key] += 1
                if alike[item.kind, key] > 1 and not is_its_own:
                    key = f"{key}:{alike[item.kind, key]}"
                given = made_id(item.kind, key)
            item.fields["id"] = given
            known = isinstance(given, str) and is_uuid(given)
            item.id = given.lower() if known else made_id(item.kind, str(given))
            self._declare(own, item)

    def identify_by_references(self) -> None:
        """Find those in the database that are known by what they refer to: a plugin by its service.

        Nothing that a document can hold refers to entities of such kinds.
        """
        for item in self.items:
            if not item.is_new or not schema(item.kind).unique_together:
                continue
            found = self._standing_id(schema(item.kind), item)
            if found is not None:
                del self.by_id[item.kind, item.id]
                item.id = item.fields["id"] = found
                self.by_id[item.kind, found] = item

    def _standing_id(self, own: Schema, item: Item) -> str | None:
        """The id of the entity in the database that an item without one stands for."""
        found = self.standing.id_of(own, item.fields) if self.standing is not None else None
        if found is None or (item.kind, found) in self.given or (item.kind, found) in self.by_id:
            return None
        return found

    def _declare(self, own: Schema, item: Item) -> None:
        key = own.endpoint_key
        value = item.fields.get(key) if key is not None else None
        if key is not None and isinstance(value, str):
            if (item.kind, value) in self.by_key:
                self._discord(item, declared_twice(item.kind, key, value))
                return
            self.by_key[item.kind, value] = item
        if (item.kind, item.id) in self.by_id:
            self._discord(item, declared_twice(item.kind, "primary key", item.id))
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
                if found is None and isinstance(value, dict) and len(value) > 1:
                    self._wrong(self.errors, item.place, {name: record_errors(target, value)})
                elif found is None:
                    told = value if isinstance(value, str) else encode_entity({"": value})[4:-1]
                    wrong = f"invalid reference '{name}: {told}' (no such entry in '{target}')"
                    self._discord(item, {name: wrong})
                item.fields[name] = {"id": found or made_id(target, "")}

    def _find(self, target: str, value: Any) -> str | None:
        """The id of what a reference names, in the document or beside it."""
        if isinstance(value, dict) and "id" in value:
            value = value["id"]
        elif isinstance(value, dict) and len(value) == 1:
            value = value.get(schema(target).endpoint_key or "")
        if not isinstance(value, str):
            return None
        found = self.by_key.get((target, value)) or self.by_id.get((target, value.lower()))
        if found is not None:
            return found.id
        return None if self.standing is None else self.standing.remaining(schema(target), value)

    def complete(self) -> Iterator[tuple[str, Entity]]:
        """The entities, validated, in the order of their dependencies."""
        made: list[tuple[Item, Entity]] = []
        claimed: dict[tuple[str, str, Any], None] = {}
        for item in self.items:
            own = self.schemas(item.kind)
            self._fill_in(own, item)
            try:
                entity = own.validate_new(item.fields, MADE_AT, source=self.source)
            except EntityError as error:
                self._wrong(self.errors, item.place, error.fields)
                continue
            for index, value in own.claims(entity).items():
                if (item.kind, index, value) in claimed and item not in self.discordant:
                    told = own.claimed_fields(index, entity)
                    shown = [lua_text(one).strip('"') for one in told.values()]
                    what = declared_twice(item.kind, ", ".join(told), ", ".join(shown))
                    self._discord(item, what, at=item.fields.get(own.endpoint_key or ""))
                claimed[item.kind, index, value] = None
            made.append((item, entity))
        if not self.errors and not self.discordant:
            for item, wrong in disagreements(made, self.standing, self.schemas):
                self._discord(item, wrong)
        self.raise_errors()
        order = {kind: number for number, kind in enumerate(kinds())}
        made.sort(key=lambda pair: order[pair[0].kind])
        yield from ((item.kind, entity) for item, entity in made)

    def _fill_in(self, own: Schema, item: Item) -> None:
        """What the database, and the document as a whole, say of an entity."""
        if self.standing is None:
            return
        for name, text in self.standing.drawn(own, item.id).items():
            if item.fields.get(name) is None:
                item.fields[name] = text
        tags = item.fields.get("tags") or []
        if self.standing.selection.tags and "tags" in own.fields and isinstance(tags, list):
            more = [tag for tag in self.standing.selection.tags if tag not in tags]
            item.fields["tags"] = [*tags, *more]

    def _discord(self, item: Item, what: Any, at: Any = None) -> None:
        """An error of how an entity goes with the others."""
        self.discordant.add(item)
        if item.parent is None and isinstance(at, str) and len(self.taken) < DOCUMENT_ERRORS_MAX:
            self.taken.append((item, at, what))
        else:
            self._wrong(self.discords, item.place, what)

    def _wrong(self, level: FieldErrors, place: Sequence[tuple[str, int]], what: Any) -> None:
        """Put an error where its entity stands: arrays are lists with None where all is well."""
        self.count += 1
        if self.count > DOCUMENT_ERRORS_MAX:
            level.setdefault(ENTITY, [f"more than {DOCUMENT_ERRORS_MAX} errors"])
            return
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
