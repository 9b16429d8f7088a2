"""What simulated writers write: two kinds of entities with every sort of tie, and few of each.

Children hang on parents and on each other, and go with them; a guard is a reference that forbids
the deletion. Ids and names are few, so that writers meet.
"""

import random
import uuid

from store.authority import Create, Delete, Mutation, Patch, Put
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.typedefs import TAGS, UTF8_NAME, UUID

_NOTES = {name: Field("integer") for name in ("a", "b", "c")}

SCHEMAS = {
    "parents": Schema(
        "parents", "parent", "name", {"id": UUID, "name": UTF8_NAME, "tags": TAGS, **_NOTES}
    ),
    "children": Schema(
        "children",
        "child",
        "name",
        {
            "id": UUID,
            "name": UTF8_NAME,
            "parent": Field("foreign", reference="parents", on_delete="cascade"),
            "sibling": Field("foreign", reference="children", on_delete="cascade"),
            "guard": Field("foreign", reference="parents"),
            "tags": TAGS,
            **_NOTES,
        },
    ),
}
_IDS = {
    kind: [str(uuid.UUID(int=first + number, version=4)) for number in range(count)]
    for kind, first, count in (("parents", 16, 6), ("children", 256, 8))
}
_NAMES = ("ann", "ben", "cid", "dot")


class Families:
    """Draws writes; the seed decides what the writers mostly do to each other."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._parents = _IDS["parents"][: rng.choice((1, 2, 6))]
        self._children = _IDS["children"][: rng.choice((1, 3, 8))]
        self._ids = {"parents": self._parents, "children": self._children}
        self._guards = rng.choice((0.0, 0.0, 0.2))
        self._names = rng.choice((0.0, 0.2, 0.6))
        """How often a name stands for an id."""
        self._weights = [rng.choice((1, 1, 4)) for _ in range(8)]
        self._several = rng.choice((0.0, 0.3))
        """How often a write has several mutations."""

    def draw(self) -> tuple[Mutation, ...]:
        """One write."""
        rng = self._rng
        count = rng.randrange(2, 4) if rng.random() < self._several else 1
        return tuple(self._mutation() for _ in range(count))

    def _mutation(self) -> Mutation:
        rng = self._rng
        kind = rng.choice(("parents", "children"))
        key = rng.choice(_NAMES) if rng.random() < self._names else rng.choice(self._ids[kind])
        (what,) = rng.choices(range(8), self._weights)
        match what:
            case 0:
                return Create(kind, {"name": rng.choice(_NAMES), **self._ties(kind)})
            case 1:
                return Create(kind, {"id": rng.choice(self._ids[kind]), **self._ties(kind)})
            case 2 | 3:
                return Put(kind, key, {**self._note(), **self._ties(kind)})
            case 4:
                return Patch(kind, key, self._note())
            case 5:
                return Patch(kind, key, {"name": rng.choice((*_NAMES, None))})
            case 6:
                return Patch("children", rng.choice(self._children), self._ties("children"))
            case _:
                return Delete(kind, key)

    def _note(self) -> dict[str, object]:
        return {self._rng.choice("abc"): self._rng.randrange(1000)}

    def _ties(self, kind: str) -> dict[str, object]:
        rng = self._rng
        fields: dict[str, object] = {"tags": rng.sample(("x", "y", "z"), rng.randrange(3))}
        if kind == "children":
            field, target = rng.choice((("parent", "parents"), ("sibling", "children")))
            fields[field] = {"id": rng.choice(self._ids[target])}
            if rng.random() < self._names:
                fields[field] = {"name": rng.choice(_NAMES)}
            if rng.random() < self._guards:
                fields["guard"] = rng.choice((None, {"id": rng.choice(self._parents)}))
        return fields
