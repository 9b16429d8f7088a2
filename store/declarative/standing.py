"""What is there already, as far as a declarative document has to do with it.

A document that is brought to a database names entities that the database may hold: by id, by name,
or by whatever else no two of them share. Those keep their ids, and what was drawn for them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from store.authority import Entity
from store.canonical import decode_entity
from store.limits import COMPARED_ENTITIES_MAX
from store.plan import Rows
from store.rows import Key
from store.schema import Schema
from store.schema.values import errors_of
from store.version import EMPTY


class StateTooLarge(Exception):
    """There are too many entities to be compared with a document; the message says so."""


class WholeState:
    """Keeps what it sees of a walk through the authority (``store.read.Visitor``)."""

    def __init__(self, entities_max: int = COMPARED_ENTITIES_MAX) -> None:
        self.head = EMPTY
        self.texts: dict[Key, str] = {}
        self._entities_max = entities_max

    def begin(self, head: Any) -> None:
        self.head = head
        self.texts.clear()

    def take(self, rows: Rows) -> None:
        """Raises StateTooLarge."""
        if len(self.texts) + len(rows) > self._entities_max:
            raise StateTooLarge(
                f"the database holds more than {self._entities_max} entities, too many to be "
                "compared with a document; write what has changed entity by entity"
            )
        self.texts.update(((kind, entity_id), text) for kind, entity_id, text in rows)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a document speaks for: what is in this selection and not in the document goes."""

    prune: bool = True
    """Whether anything goes."""
    tags: tuple[str, ...] = ()
    """Only what has all of these; the document's own entities get them."""

    def covers(self, schema: Schema, entity: Mapping[str, Any]) -> bool:
        """Whether an entity that the document doesn't list is to go."""
        if not self.prune or schema.runtime:
            return False
        return set(self.tags) <= set(entity.get("tags") or ())


class Standing:
    """A whole state, and which part of it a document speaks for.

    Entities of kinds that this version doesn't know stand outside: none is ever found or covered.
    """

    def __init__(
        self, state: WholeState, selection: Selection, schemas: Callable[[str], Schema]
    ) -> None:
        self.head = state.head
        self.selection = selection
        self.covered: set[Key] = set()
        """Those that go unless the document lists them."""
        self.holders: dict[tuple[str, str, str], str] = {}
        """(kind, index, value) -> id of the entity that has this unique value."""
        self._texts = state.texts
        for (kind, entity_id), text in state.texts.items():
            try:
                schema = schemas(kind)
            except KeyError:
                continue
            entity = decode_entity(text)
            for index, value in schema.claims(entity).items():
                self.holders[kind, index, value] = entity_id
            if selection.covers(schema, entity):
                self.covered.add((kind, entity_id))

    def entity(self, key: Key) -> Entity | None:
        """As it is stored."""
        text = self._texts.get(key)
        return None if text is None else decode_entity(text)

    def others(self, leave_out: Callable[[Key], bool]) -> Iterator[tuple[Key, Entity]]:
        """All entities but some."""
        for key, text in self._texts.items():
            if not leave_out(key):
                yield key, decode_entity(text)

    def id_of(self, schema: Schema, fields: Mapping[str, Any]) -> str | None:
        """The id of the entity that a document's fields speak of, if it is there."""
        said = {name: _spelled(schema, name, value) for name, value in fields.items()}
        claims = schema.claims(said)
        first = schema.endpoint_key or ""
        for index in sorted(claims, key=lambda index: index != first):
            found = self.holders.get((schema.kind, index, claims[index]))
            if found is not None:
                return found
        return None

    def remaining(self, schema: Schema, value: str) -> str | None:
        """The id of an entity that stays though the document doesn't list it, by id or by endpoint
        key."""
        found = value.lower() if (schema.kind, value.lower()) in self._texts else None
        if found is None and schema.endpoint_key is not None:
            found = self.holders.get((schema.kind, schema.endpoint_key, value))
        return None if (schema.kind, found) in self.covered else found

    def drawn(self, schema: Schema, entity_id: str) -> dict[str, str]:
        """The texts that were drawn for an entity, or given in their place: a document that leaves
        them out means these."""
        entity = self.entity((schema.kind, entity_id)) or {}
        return {
            name: entity[name]
            for name, field in schema.fields.items()
            if field.auto and field.type == "string" and not field.uuid and entity.get(name)
        }


def _spelled(schema: Schema, name: str, value: Any) -> Any:
    """A value as it would be stored, where it can be."""
    field = schema.fields.get(name)
    if field is None or field.canonical is None or errors_of(field, value) is not None:
        return value
    return None if value is None else field.canonical(value)
