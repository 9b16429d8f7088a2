"""Sets of a document's entities that must have something in common with those of others: a plugin's
protocols with its route's.

The database asks the same of what is written entity by entity (``store.relations.agree``).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from store.authority import Entity
from store.declarative.items import Item
from store.declarative.standing import Standing
from store.rows import Key
from store.schema import Schema

Made = Sequence[tuple[Item, Entity]]


def disagreements(
    made: Made, standing: Standing | None, schemas: Callable[[str], Schema]
) -> Iterator[tuple[Item, dict[str, str]]]:
    """Each item that disagrees, with what is wrong.

    Defaults agree with everything, also when a document gives them: one that was exported does.
    """
    entities = {(item.kind, item.id): entity for item, entity in made}
    referring: dict[tuple[str, str], dict[str, list[Entity]]] = {}
    for item, entity in made:
        own = schemas(item.kind)
        for agreement in own.agreements:
            reference, values = entity.get(agreement.reference), entity[agreement.field]
            if reference is None or not item.fields.get(agreement.field):
                continue
            if {*values} == {*(own.fields[agreement.field].default or ())}:
                continue
            if agreement.through is None:
                key = (own.references[agreement.reference], reference["id"])
                other = _entity(entities, standing, key)
                others = [] if other is None else [other]
            else:
                if agreement.through not in referring:
                    found = _referring(entities, standing, *agreement.through)
                    referring[agreement.through] = found
                others = referring[agreement.through].get(reference["id"], [])
            if others and not any({*one[agreement.field]} & {*values} for one in others):
                yield item, {agreement.field: agreement.error}


def _entity(entities: dict[Key, Entity], standing: Standing | None, key: Key) -> Entity | None:
    there = entities.get(key)
    return there if there is not None or standing is None else standing.entity(key)


def _referring(
    entities: dict[Key, Entity], standing: Standing | None, kind: str, name: str
) -> dict[str, list[Entity]]:
    """All entities of a kind that will be there, by the id that a foreign key of theirs names."""
    found: defaultdict[str, list[Entity]] = defaultdict(list)
    stay = {} if standing is None else dict(standing.others(lambda key: key[0] != kind))
    gone = set() if standing is None else standing.covered
    kept = {key: entity for key, entity in stay.items() if key not in gone}
    for key, entity in {**kept, **entities}.items():
        if key[0] == kind and entity.get(name) is not None:
            found[entity[name]["id"]].append(entity)
    return found
