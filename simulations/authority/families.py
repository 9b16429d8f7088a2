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
    for kind, first, count in (("parents", 16, 5), ("children", 256, 8))
}
_NAMES = ("ann", "ben", "cid", "dot")
_TARGETS = (("parent", "parents"), ("parent", "parents"), ("sibling", "children"))


def draw_mutations(rng: random.Random) -> tuple[Mutation, ...]:
    """One write."""
    return tuple(_draw(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))


def _draw(rng: random.Random) -> Mutation:
    kind = rng.choice(("parents", "children", "children"))
    by_name = rng.random() < 0.25
    key = rng.choice(_NAMES) if by_name else rng.choice(_IDS[kind])
    match rng.randrange(10):
        case 0:
            return Create(kind, {"name": rng.choice(_NAMES), **_ties(rng, kind)})
        case 1:
            return Create(kind, {"id": rng.choice(_IDS[kind]), **_ties(rng, kind)})
        case 2 | 3:
            return Put(kind, key, {**_notes(rng), **_ties(rng, kind)})
        case 4 | 5:
            return Patch(kind, key, _notes(rng))
        case 6:
            return Patch(kind, key, {"name": rng.choice((*_NAMES, None)), **_ties(rng, kind)})
        case 7:
            return Patch(kind, key, _ties(rng, kind))
        case 8:
            return Delete("parents", rng.choice(_IDS["parents"]))
        case _:
            return Delete(kind, key)


def _notes(rng: random.Random) -> dict[str, object]:
    return {rng.choice("abc"): rng.randrange(1000)}


def _ties(rng: random.Random, kind: str) -> dict[str, object]:
    fields: dict[str, object] = {"tags": rng.sample(("x", "y", "z"), rng.randrange(3))}
    if kind == "children":
        field, target = rng.choice(_TARGETS)
        by_name = rng.random() < 0.2
        fields[field] = (
            {"name": rng.choice(_NAMES)} if by_name else {"id": rng.choice(_IDS[target])}
        )
        if rng.random() < 0.2:
            fields["guard"] = rng.choice((None, {"id": rng.choice(_IDS["parents"])}))
    return fields
