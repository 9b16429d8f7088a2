"""What entities of several kinds have to do with each other beside references and uniqueness.

A transient list is made of entities of another kind (a certificate's server names); a set must have
something in common with that of another entity (a plugin's protocols). Texts are Kong's
(``dao/certificates.lua``, ``dao/snis.lua``, ``dao/plugins.lua``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from store.authority import Entity
from store.errors import EntityError
from store.plan import Plan
from store.rows import Key, Rows
from store.schema import Schema
from store.schema.violations import schema_violation


def listed(
    rows: Rows, schema: Schema, entity_id: str, name: str, wanted: Sequence[str]
) -> Plan[tuple[list[str], list[Key]]]:
    """What a transient list brings: texts that are new, rows of those that are gone; locked.

    Raises EntityError for a text that is in it twice.
    """
    for place, text in enumerate(wanted):
        if text in wanted[:place]:
            raise schema_violation({name: f"{text} is duplicated"})
    collected = schema.collected[name]
    keys = yield from _referring(
        rows, (schema.kind, entity_id), (collected.kind, collected.reference)
    )
    yield from rows.lock(keys)
    had = {row.entity[collected.field]: key for key in keys if (row := rows.now(key))}
    fresh = [text for text in sorted(wanted) if text not in had]
    return fresh, [had[text] for text in sorted(had) if text not in wanted]


def taken_elsewhere(schema: Schema, name: str, text: str, there: Entity) -> EntityError:
    """A text of a transient list that is already in another entity's."""
    other = there[schema.collected[name].reference]["id"]
    wrong = f"{text} already associated with existing {schema.entity_name} '{other}'"
    return schema_violation({name: wrong})


def agree(rows: Rows, schema: Schema, entity: Entity, given: Mapping[str, Any]) -> Plan[None]:
    """Refuse sets that have nothing in common with those of what the entity is bound to.

    Sets that ``given`` doesn't name are defaults, which agree with everything (as in Kong).
    """
    for agreement in schema.agreements:
        reference, values = entity[agreement.reference], entity[agreement.field]
        if reference is None or agreement.field not in given:
            continue
        target = (schema.references[agreement.reference], reference["id"])
        if agreement.through is None:
            keys = [target]
        else:
            keys = yield from _referring(rows, target, agreement.through)
        others = yield from rows.peek(keys)
        if others and not any({*other[agreement.field]} & {*values} for other in others):
            raise schema_violation({agreement.field: agreement.error})


def _referring(rows: Rows, target: Key, through: tuple[str, str]) -> Plan[list[Key]]:
    """The rows of a kind that refer to a row by a foreign key: (kind, foreign key)."""
    found = yield from rows.children([target])
    return [(kind, entity_id) for (kind, entity_id, field), _ in found if (kind, field) == through]
