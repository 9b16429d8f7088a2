"""The entities of a document as they stand in it: where, in what, and by what they are known."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from store.canonical import encode_entity
from store.schema import Schema, kinds, schema

_NAMESPACE = uuid.UUID("fd02801f-0957-4a15-a55a-c8d9606f30b5")
"""Kong's, so that a document makes the ids there that it makes here."""

_PLAIN_PATH = re.compile(r"[a-zA-Z0-9.\-_~/%]*")
"""A path that no format ever took for a regular expression."""


@dataclass(slots=True, eq=False)
class Item:
    """One entity as it stands in the document."""

    kind: str
    place: tuple[tuple[str, int], ...]
    """(kind, index from 0) of each entity around it and of itself."""
    fields: dict[str, Any]
    parent: "Item | None" = None
    reference: str = ""
    """The field that refers to the parent."""
    id: str = ""
    is_new: bool = False
    """Whether its id is one that was made for it."""


def children_of(kind: str) -> list[tuple[str, str]]:
    """(kind, field) of all kinds that refer to this one: they may be nested in it."""
    return [
        (child, name)
        for child in kinds()
        for name, target in schema(child).references.items()
        if target == kind
    ]


def made_id(kind: str, name: str) -> str:
    """The id of an entity of this name that the document gives none."""
    return str(uuid.uuid5(uuid.uuid5(_NAMESPACE, kind), name))


def name_for_id(own: Schema, item: Item) -> str:
    """What an entity's id is made of: its endpoint key, with its parents' ids where that is unique
    among siblings only; else all that is said of it."""
    key = own.scoped_key[1] if own.scoped_key else own.endpoint_key
    value = item.fields.get(key) if key is not None else None
    if key is None or not isinstance(value, str):
        return encode_entity({"kind": item.kind, "fields": item.fields})
    if own.scoped_key:
        parent = item.fields.get(own.scoped_key[0])
        value = f"{value}:{parent.get('id') if isinstance(parent, dict) else parent}"
    return value


def declared_twice(kind: str, key: str, value: Any) -> str:
    return f"uniqueness violation: '{kind}' entity with {key} set to '{value}' already declared"


def mark_regexes(items: Sequence[Item]) -> None:
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
