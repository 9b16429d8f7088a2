"""Unique indexes: what no two entities of a kind share, one field or several together."""

from collections.abc import Mapping, Sequence
from typing import Any

from blake3 import blake3

from store.canonical import encode_entity


def indexes(
    alone: Sequence[str], together: Sequence[tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    """Name of each index -> its fields."""
    return {name: (name,) for name in alone} | {"+".join(names): names for names in together}


def claims(declared: Mapping[str, tuple[str, ...]], entity: Mapping[str, Any]) -> dict[str, str]:
    """The values that an entity has in each index ({} has none). Of one field, null is none; of
    several, it is a value like any other.

    Written to stand whatever a newer version puts into these fields.
    """
    claimed: dict[str, str] = {}
    for index, names in declared.items():
        if len(names) == 1:
            if isinstance(value := entity.get(names[0]), str):
                claimed[index] = value
        elif entity:
            values = {name: entity.get(name) for name in names}
            # Hashed, so that it has the length of an index's key whatever the fields are.
            claimed[index] = blake3(encode_entity(values).encode("utf-8")).hexdigest()
    return claimed
