"""The entities of a document as they stand in it: where, in what, and by what they are known."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from store.canonical import encode_entity
from store.schema import Schema, kinds, schema
from store.schema.values import NO_KEY, UNKNOWN, errors_of

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


def name_for_id(own: Schema, item: Item) -> tuple[str, bool]:
    """What an entity's id is made of, and whether no other entity can be called so: its endpoint
    key, with its parents' ids where that is unique among siblings only; else what is unique
    together, as a plugin's name and what it is bound to; else all that is said of it."""
    key = own.scoped_key[1] if own.scoped_key else own.endpoint_key
    value = item.fields.get(key) if key is not None else None
    if key is None or not isinstance(value, str):
        for names in own.unique_together:
            values = [_word(item.fields.get(name)) for name in names]
            if all(
                value or not own.fields[name].required
                for name, value in zip(names, values, strict=True)
            ):
                return ":".join([item.kind, *values]), True
        return encode_entity({"kind": item.kind, "fields": item.fields}), False
    if own.scoped_key:
        parent = item.fields.get(own.scoped_key[0])
        value = f"{value}:{_word(parent)}"
    return value, True


def _word(value: Any) -> str:
    """A text, or what a reference names; nothing for all else."""
    named = value.get("id") if isinstance(value, dict) else value
    return named if isinstance(named, str) else ""


def record_errors(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is wrong with an entity that stands where only its key may: its fields, as far as they
    go, else that it has no key."""
    known = schema(kind).fields
    wrong = {
        name: errors_of(known[name], value) if name in known else UNKNOWN
        for name, value in fields.items()
    }
    return {name: what for name, what in wrong.items() if what is not None} or {"id": NO_KEY}


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
