"""From a document and what stands in the database to the rows that make the one of the other.

Nothing is written that is as it should be: the same document a second time makes no difference.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from store.authority import Entity, Replace
from store.canonical import encode_entity
from store.changeset import Change
from store.declarative.document import MADE_AT, Document
from store.declarative.standing import Standing
from store.rows import Key
from store.schema import Schema, kinds
from store.schema.entity import timestamp
from store.schema.field import Field
from store.schema.violations import (
    foreign_key_missing,
    foreign_key_restricts,
    unique_violation,
)


class Touched(NamedTuple):
    """An entity that a document creates, changes or deletes. No value of it but its name."""

    kind: str
    id: str
    name: str | None
    fields: tuple[str, ...] = ()
    """Paths of those that change: ``host``, ``config.minute``."""


@dataclass(slots=True)
class Difference:
    """What a document changes; each list in the order in which it is done."""

    replace: Replace
    created: list[Touched] = field(default_factory=list)
    changed: list[Touched] = field(default_factory=list)
    deleted: list[Touched] = field(default_factory=list)
    unchanged: int = 0
    """Entities of the document that are there as it has them."""


def difference(
    document: Document, standing: Standing, now: float, schemas: Callable[[str], Schema]
) -> Difference:
    """What is to be written, at ``now`` (Unix seconds).

    Raises EntityError code 4 when something that stays refers to what would go, code 5 when it has
    a unique value of the document's.
    """
    made = Difference(Replace((), standing.head))
    listed = {(kind, entity["id"]): entity for kind, entity in document.entities}
    gone = _gone(standing, listed, schemas)
    settled = gone.keys() | listed.keys()
    changes = [Change(*key, None) for key in gone]
    for (kind, entity_id), entity in gone.items():
        made.deleted.append(Touched(kind, entity_id, schemas(kind).label(entity)))
    for (kind, entity_id), entity in listed.items():
        own = schemas(kind)
        _check_values(own, entity, standing, settled)
        there = standing.entity((kind, entity_id))
        dated = _dated(own, entity, there, now)
        paths = tuple(_differing(own.fields_of(dated), there, dated)) if there else ()
        if there is not None and not paths:
            made.unchanged += 1
            continue
        touched = Touched(kind, entity_id, own.label(dated), paths)
        (made.created if there is None else made.changed).append(touched)
        changes.append(Change(kind, entity_id, encode_entity(dated)))
    made.replace = Replace(tuple(changes), standing.head)
    return made


def _gone(
    standing: Standing, listed: Mapping[Key, Entity], schemas: Callable[[str], Schema]
) -> dict[Key, Entity]:
    """What goes: all that the document speaks for and doesn't list, and what belongs to that. Those
    that refer to others go before them."""
    going = standing.covered - listed.keys()
    staying = dict(standing.others(lambda key: key in going))
    more = bool(going)
    while more:
        more = False
        for key, entity in list(staying.items()):
            for name, target in _targets(key, listed.get(key, entity), schemas):
                if target not in going:
                    continue
                if key in listed:
                    raise foreign_key_missing(name, target[1], target[0])
                if not _cascades(key[0], name, schemas):
                    raise foreign_key_restricts(target[0], key[0])
                going.add(key)
                del staying[key]
                more = True
                break
    order = {kind: number for number, kind in enumerate(reversed(kinds()))}
    ordered = sorted(going, key=lambda key: (order[key[0]], key[1]))
    return {key: standing.entity(key) or {} for key in ordered}


def _targets(
    key: Key, entity: Entity, schemas: Callable[[str], Schema]
) -> Iterator[tuple[str, Key]]:
    """(field, what it refers to). Of a kind that only a newer version knows, whatever looks like a
    reference may be one, to any kind."""
    try:
        references = schemas(key[0]).references
    except KeyError:
        for name, value in entity.items():
            if isinstance(value, dict) and value.keys() == {"id"}:
                yield from ((name, (kind, value["id"])) for kind in kinds())
        return
    for name, target in references.items():
        if entity.get(name) is not None:
            yield name, (target, entity[name]["id"])


def _cascades(kind: str, name: str, schemas: Callable[[str], Schema]) -> bool:
    try:
        return schemas(kind).fields[name].on_delete == "cascade"
    except KeyError:
        return False


def _check_values(own: Schema, entity: Entity, standing: Standing, settled: Set[Key]) -> None:
    """Refuse a unique value that an entity has which neither goes nor is in the document."""
    for index, value in own.claims(entity).items():
        holder = standing.holders.get((own.kind, index, value))
        if holder is not None and (own.kind, holder) not in settled:
            raise unique_violation(own.claimed_fields(index, entity))


def _dated(own: Schema, entity: Entity, there: Entity | None, now: float) -> Entity:
    """With the times that the document doesn't give."""
    dated = dict(entity)
    if "created_at" in own.fields and entity["created_at"] == MADE_AT:
        known = there.get("created_at") if there is not None else None
        dated["created_at"] = known or timestamp(own.fields["created_at"], now)
    if "updated_at" in own.fields:
        dated["updated_at"] = timestamp(own.fields["updated_at"], now)
    return dated


def _differing(
    fields: Mapping[str, Field],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    prefix: str = "",
) -> Iterator[str]:
    """Paths of the fields that differ; within records, but in no map, whose keys are data."""
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after or (not prefix and name == "updated_at"):
            continue
        declared = fields.get(name)
        if declared is not None and declared.type == "set" and _sorted(before) == _sorted(after):
            continue
        within = declared.fields if declared is not None and declared.type == "record" else None
        if within is not None and isinstance(before, dict) and isinstance(after, dict):
            yield from _differing(within, before, after, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _sorted(value: Any) -> Any:
    """A set in one order, whatever order it was given in."""
    if not isinstance(value, list):
        return value
    return sorted(encode_entity({"": item}) for item in value)
