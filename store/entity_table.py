"""All entities of one kind in memory, with the indexes that Admin reads need.

The same questions as ``store.read`` asks of the database, answered from the replica: by id, by
endpoint key, a page by id, by reference, by tags.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sortedcontainers import SortedDict, SortedSet

from store.authority import Entity, Page, Query
from store.canonical import decode_entity
from store.limits import PAGE_SIZE_MAX
from store.schema import Schema, schema
from store.schema.values import is_uuid
from store.schema.violations import invalid_size

Term = tuple[str, str]
"""(field, value) by which entities are found: a reference's id, a tag."""

Claim = tuple[str, str]
"""(index, value) of ``Schema.claims``, which one entity has."""


class EntityTable:
    """One kind. Unknown kinds have no indexes but that of tags."""

    def __init__(self, kind: str) -> None:
        self._schema: Schema | None
        try:
            self._schema = schema(kind)
        except KeyError:
            self._schema = None
        self._references = tuple(self._schema.references) if self._schema else ()
        self._texts: SortedDict[str, str] = SortedDict()
        self._ids_of_claims: dict[Claim, str] = {}
        self._ids_of_terms: dict[Term, SortedSet[str]] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def items(self) -> Iterator[tuple[str, str]]:
        """(id, stored text), by id."""
        return iter(self._texts.items())

    def put(self, entity_id: str, text: str | None, entity: Entity | None) -> None:
        """Store an entity's text, ``entity`` being the same decoded; None deletes it."""
        old = self._texts.get(entity_id)
        if old is not None:
            self._forget(entity_id, decode_entity(old))
        if text is None or entity is None:
            self._texts.pop(entity_id, None)
            return
        self._texts[entity_id] = text
        for claim in self._claims(entity):
            self._ids_of_claims[claim] = entity_id
        for term in self._terms(entity):
            self._ids_of_terms.setdefault(term, SortedSet()).add(entity_id)

    def find(self, key: str) -> str | None:
        """The text of the entity with this id or endpoint key."""
        entity_id = key.lower() if is_uuid(key) else None
        if entity_id is None and self._schema and self._schema.endpoint_key:
            entity_id = self._ids_of_claims.get((self._schema.endpoint_key, key))
        return None if entity_id is None else self._texts.get(entity_id)

    def page(self, query: Query) -> Page:
        """One page, ordered by id."""
        if not 1 <= query.size <= PAGE_SIZE_MAX:
            raise invalid_size(PAGE_SIZE_MAX)
        if query.claim is not None:
            text = self._texts.get(self._ids_of_claims.get(query.claim, ""))
            return Page((decode_entity(text),) if text is not None else (), None)
        found: list[str] = []
        for entity_id in self._candidates(query):
            if self._fits(entity_id, query):
                found.append(entity_id)
                if len(found) > query.size:
                    break
        shown = found[: query.size]
        entities = tuple(decode_entity(self._texts[entity_id]) for entity_id in shown)
        return Page(entities, shown[-1] if len(found) > query.size else None)

    def _candidates(self, query: Query) -> Iterable[str]:
        """Ids after the page's beginning, in order, from the narrowest index that applies."""
        terms = self._needed(query)
        sets = [self._ids_of_terms.get(term) for term in terms]
        if any(ids is None for ids in sets):
            return ()
        after = query.after_id or ""
        narrowest = min((ids for ids in sets if ids is not None), key=len, default=None)
        if narrowest is not None:
            return narrowest.irange(minimum=after, inclusive=(False, True))
        return self._texts.irange(minimum=after, inclusive=(False, True))

    def _needed(self, query: Query) -> list[Term]:
        """Terms that every entity of the page has."""
        references = [(field, target.lower()) for field, target in query.references.items()]
        return references + [("tags", tag) for tag in query.tags_all]

    def _fits(self, entity_id: str, query: Query) -> bool:
        def has(term: Term) -> bool:
            return entity_id in self._ids_of_terms.get(term, ())

        return all(has(term) for term in self._needed(query)) and (
            not query.tags_any or any(has(("tags", tag)) for tag in query.tags_any)
        )

    def _forget(self, entity_id: str, entity: Entity) -> None:
        for claim in self._claims(entity):
            if self._ids_of_claims.get(claim) == entity_id:
                del self._ids_of_claims[claim]
        for term in self._terms(entity):
            ids = self._ids_of_terms.get(term)
            if ids is not None:
                ids.discard(entity_id)
                if not ids:
                    del self._ids_of_terms[term]

    def _claims(self, entity: Entity) -> Iterable[Claim]:
        return self._schema.claims(entity).items() if self._schema else ()

    def _terms(self, entity: Entity) -> Iterator[Term]:
        """Written to stand whatever a newer version puts into these fields."""
        for field in self._references:
            reference: Any = entity.get(field)
            if isinstance(reference, dict) and isinstance(reference.get("id"), str):
                yield field, reference["id"]
        tags: Any = entity.get("tags")
        if isinstance(tags, list):
            yield from (("tags", tag) for tag in tags if isinstance(tag, str))
