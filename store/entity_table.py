"""All entities of one kind in memory, with the indexes that Admin reads need.

The same questions as ``store.read`` asks of the database, answered from the replica: by id, by a
unique field, a page by id, by reference, by tags. Texts are kept as bytes. What an entity is found
by is read out of its text once and kept beside it, so that a later change knows what to forget.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import islice
from typing import Any

from store.authority import Page, Query
from store.canonical import decode_entity
from store.layered import Layered, settle
from store.limits import PAGE_SIZE_MAX, RELEASED_MAX
from store.postings import Postings
from store.schema import Schema, schema
from store.schema.values import is_uuid
from store.schema.violations import invalid_size
from store.sorted_rows import Keys, PinnedRows, Row, SortedRows

_NONE: Keys = ()


class EntityTable:
    """One kind. Unknown kinds have no indexes but that of tags.

    The keys of a row are the values of the unique indexes, then the ids of the references, then (of
    kinds that have variants) the variant, then the tags; what is empty at the end is left out.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._schema: Schema | None = None
        indexes: tuple[str, ...] = ()
        references: tuple[str, ...] = ()
        try:
            self._schema = schema(kind)
        except KeyError:
            pass
        else:
            indexes, references = tuple(self._schema.indexes), tuple(self._schema.references)
        self._together = self._schema is not None and bool(self._schema.unique_together)
        self._ids_of_values: dict[str, MutableMapping[str, str]] = {index: {} for index in indexes}
        self._ids_of_targets = {field: Postings() for field in references}
        self._variant = "" if self._schema is None else self._schema.variant_field
        self._ids_of_variants = Postings()
        self._ids_of_tags = Postings()
        self._tags_begin = len(indexes) + len(references) + bool(self._variant)
        self._rows = SortedRows()
        self._former = SortedRows()
        """Rows of before a shadow was taken over, to be let go of."""

    def __len__(self) -> int:
        return len(self._rows)

    def pin(self) -> PinnedRows:
        """The texts as they are now, however this goes on."""
        return self._rows.pin()

    def shadow(self) -> "ShadowTable":
        """The same entities, to be changed apart from these, which stay as they are meanwhile."""
        return ShadowTable(self)

    def read(self, text: str) -> Row:
        """What ``put`` is to store. Raises ValueError for what isn't the text of an entity."""
        return Row(text.encode(), self._keys_of(text))

    def _keys_of(self, text: str) -> Keys:
        entity = decode_entity(text)
        if self._together:
            assert self._schema is not None
            claimed = self._schema.claims(entity)
        else:
            claimed = entity  # an index of one field has the field's name, and holds strings
        keys = [_string(claimed.get(index)) for index in self._ids_of_values]
        for field in self._ids_of_targets:
            reference = entity.get(field)
            keys.append(_string(reference.get("id")) if isinstance(reference, dict) else None)
        if self._variant:
            keys.append(_string(entity.get(self._variant)))
        tags = entity.get("tags")
        if isinstance(tags, list):
            keys.extend(dict.fromkeys(tag for tag in tags if isinstance(tag, str)))
        while keys and keys[-1] is None:
            keys.pop()
        return tuple(keys)

    def put(self, entity_id: str, row: Row | None) -> bytes | None:
        """Store an entity, or delete it; the text that was there."""
        old = self._rows.pop(entity_id) if row is None else self._rows.put(entity_id, row)
        before = _NONE if old is None else old.keys
        after = _NONE if row is None else row.keys
        if before != after:
            if before:
                self._forget(entity_id, before)
            self._note(entity_id, after)
        return None if old is None else old.text

    def extend(self, entities: Mapping[str, Row]) -> bool:
        """Store entities, by id, behind all others, which costs less than one by one; False, and
        nothing is done, unless their ids ascend from above the last one."""
        if not self._rows.extend(entities):
            return False
        for entity_id, row in entities.items():
            self._note(entity_id, row.keys)
        return True

    def get(self, entity_id: str) -> bytes | None:
        """The text of the entity with this id."""
        row = self._rows.get(entity_id)
        return None if row is None else row.text

    def find(self, key: str) -> bytes | None:
        """The text of the entity with this id or endpoint key."""
        if is_uuid(key):
            return self.get(key.lower())
        endpoint_key = self._schema.endpoint_key if self._schema is not None else None
        return self.find_by(endpoint_key, key) if endpoint_key else None

    def find_by(self, index: str, value: str) -> bytes | None:
        """The text of the entity with this claim (``Schema.claims``)."""
        entity_id = self._ids_of_values.get(index, {}).get(value)
        return None if entity_id is None else self.get(entity_id)

    def rows_by(self, field: str, value: str, count_max: int) -> list[tuple[str, bytes]]:
        """(id, text) of the entities with this value in the id, a unique field or a reference."""
        if field in self._ids_of_targets:
            ids: Iterable[str] = self._ids_of_targets[field].after(value, "")
        elif field == "id":
            ids = (value,)
        else:
            found = self._ids_of_values.get(field, {}).get(value)
            ids = () if found is None else (found,)
        rows = ((entity_id, self.get(entity_id)) for entity_id in ids)
        held = ((entity_id, text) for entity_id, text in rows if text is not None)
        return list(islice(held, count_max))

    def variants(self) -> list[str]:
        """The variants that there is an entity of: names of plugins. It costs what it answers."""
        return list(self._ids_of_variants)

    def page(self, query: Query) -> Page:
        """One page, ordered by id."""
        if not 1 <= query.size <= PAGE_SIZE_MAX:
            raise invalid_size(PAGE_SIZE_MAX)
        if query.claim is not None:
            text = self.find_by(*query.claim)
            return Page((decode_entity(text.decode()),) if text is not None else (), None)
        found: list[tuple[str, bytes]] = []
        for entity_id in self._candidates(query):
            row = self._rows.get(entity_id)
            if row is not None and self._fits(row.keys, query):
                found.append((entity_id, row.text))
                if len(found) > query.size:
                    break
        shown = found[: query.size]
        entities = tuple(decode_entity(text.decode()) for _, text in shown)
        return Page(entities, shown[-1][0] if len(found) > query.size else None)

    def take_over(self, shadow: "ShadowTable") -> None:
        """Be as a shadow of this is, at once; the shadow isn't used any more."""
        self._former, self._rows = self._rows, shadow._rows
        self._ids_of_values = shadow._ids_of_values
        for field, postings in self._ids_of_targets.items():
            postings.take_over(shadow.targets[field])
        self._ids_of_tags.take_over(shadow.tags)

    def settle(self) -> Iterator[None]:
        """Get over having taken over a shadow, some at each step; nothing else changes by that."""
        former, self._former = self._former, SortedRows()
        yield from former.dismantle()
        for index, ids in self._ids_of_values.items():
            self._ids_of_values[index] = yield from settle(ids, RELEASED_MAX)
        for postings in (*self._ids_of_targets.values(), self._ids_of_tags):
            yield from postings.settle(RELEASED_MAX)

    def dismantle(self) -> Iterator[None]:
        """Let go of everything, some at each step."""
        yield from self.settle()
        yield from self._rows.dismantle()
        for ids in self._ids_of_values.values():
            while ids:
                for _ in range(min(RELEASED_MAX, len(ids))):
                    ids.popitem()
                yield
        others = (self._ids_of_variants, self._ids_of_tags)
        for postings in (*self._ids_of_targets.values(), *others):
            yield from postings.dismantle(RELEASED_MAX)

    def _candidates(self, query: Query) -> Iterable[str]:
        """Ids after the page's beginning, in order, from the narrowest index that applies."""
        after = query.after_id or ""
        indexes: list[tuple[Postings, str]] = []
        for field, target in query.references.items():
            if field not in self._ids_of_targets:
                return ()
            indexes.append((self._ids_of_targets[field], target.lower()))
        indexes += [(self._ids_of_tags, tag) for tag in query.tags_all]
        if not indexes:
            return (entity_id for entity_id, _ in self._rows.items(after))
        postings, term = min(indexes, key=lambda index: index[0].count(index[1]))
        return postings.after(term, after)

    def _fits(self, keys: Keys, query: Query) -> bool:
        targets = dict(zip(self._ids_of_targets, keys[len(self._ids_of_values) :], strict=False))
        tags = keys[self._tags_begin :]
        return (
            all(targets.get(field) == value.lower() for field, value in query.references.items())
            and all(tag in tags for tag in query.tags_all)
            and (not query.tags_any or any(tag in tags for tag in query.tags_any))
        )

    def _note(self, entity_id: str, keys: Keys) -> None:
        values = iter(keys)
        for ids, value in zip(self._ids_of_values.values(), values, strict=False):
            if value is not None:
                ids[value] = entity_id
        for postings, target in zip(self._ids_of_targets.values(), values, strict=False):
            if target is not None:
                postings.add(target, entity_id)
        if self._variant and (variant := next(values, None)) is not None:
            self._ids_of_variants.add(variant, entity_id)
        for tag in keys[self._tags_begin :]:
            if tag is not None:
                self._ids_of_tags.add(tag, entity_id)

    def _forget(self, entity_id: str, keys: Keys) -> None:
        values = iter(keys)
        for ids, value in zip(self._ids_of_values.values(), values, strict=False):
            # In one changeset two entities may swap a value: it may be another's by now.
            if value is not None and ids.get(value) == entity_id:
                del ids[value]
        for postings, target in zip(self._ids_of_targets.values(), values, strict=False):
            if target is not None:
                postings.discard(target, entity_id)
        if self._variant and (variant := next(values, None)) is not None:
            self._ids_of_variants.discard(variant, entity_id)
        for tag in keys[self._tags_begin :]:
            if tag is not None:
                self._ids_of_tags.discard(tag, entity_id)


class ShadowTable(EntityTable):
    """A table as it will be, laid over the one that is."""

    def __init__(self, base: EntityTable) -> None:
        super().__init__(base.kind)
        self._rows = base._rows.fork()
        self._ids_of_values = {index: Layered(ids) for index, ids in base._ids_of_values.items()}
        self.targets = {
            field: postings.shadow() for field, postings in base._ids_of_targets.items()
        }
        self.tags = base._ids_of_tags.shadow()
        self._ids_of_targets, self._ids_of_tags = {**self.targets}, self.tags


def _string(value: Any) -> str | None:
    """Written to stand whatever a newer version puts into these fields."""
    return value if isinstance(value, str) else None
