"""Kong's error objects (``kong/db/errors.lua``): codes, names, message forms.

The texts are interface: clients such as decK and Kong Manager show and match them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from store.errors import EntityError

FieldErrors = dict[str, Any]
"""Field name -> message, nested as the entity is. An array's errors are a list with None where the
element is fine. Errors of the entity as a whole are a list under ``@entity``."""

ENTITY = "@entity"

DECLARATIVE_INVALID = 14
"""Kong's code for a document's own mistakes."""


def lua_text(value: Any, indent: str | None = None, level: int = 0) -> str:
    """Print a value as Penlight's ``pretty.write`` does, in which Kong's messages show tables.

    Without ``indent`` on one line: ``{id="…"}``.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, Mapping):
        sign = "=" if indent is None else " = "
        items = [
            _lua_key(str(key)) + sign + lua_text(item, indent, level + 1)
            for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))
        ]
    elif isinstance(value, Sequence):
        items = _lua_items(value, indent, level + 1)
    else:
        return str(value)
    if indent is None or not items:
        return "{" + ",".join(items) + "}"
    inner = "\n" + indent * (level + 1)
    return "{" + inner + ("," + inner).join(items) + "\n" + indent * level + "}"


def _lua_items(items: Sequence[Any], indent: str | None, level: int) -> list[str]:
    """The items of a list; after a hole, which Lua's lists can't have, each with its number."""
    sign = "=" if indent is None else " = "
    hole = next((place for place, item in enumerate(items) if item is None), len(items))
    return [
        (f"[{number}]{sign}" if number > hole else "") + lua_text(item, indent, level)
        for number, item in enumerate(items, 1)
        if item is not None
    ]


def _lua_key(key: str) -> str:
    return key if key.isidentifier() else f'["{key}"]'


def schema_violation(errors: FieldErrors) -> EntityError:
    """Code 2, with all errors in one message: entity errors first, then fields by name."""
    parts = list(errors.get(ENTITY, ()))
    for name in sorted(errors):
        if name == ENTITY:
            continue
        error = errors[name]
        if isinstance(error, str):
            parts.append(f"{name}: {error}")
        else:
            parts.extend(f"{name}.{key}: {_detail(item)}" for key, item in _items(error))
    if len(parts) == 1:
        message = f"schema violation ({parts[0]})"
    else:
        message = f"{len(parts)} schema violations ({'; '.join(parts)})"
    return EntityError(2, "schema violation", message, errors)


def _items(error: Any) -> list[tuple[str, Any]]:
    """Sub-errors by key; arrays count from 1, as Lua does."""
    if isinstance(error, Mapping):
        return sorted(error.items())
    return [(str(number), item) for number, item in enumerate(error, 1) if item is not None]


def _detail(item: Any) -> str:
    return item if isinstance(item, str) else lua_text(item, indent="  ")


def primary_key_violation(entity_id: str) -> EntityError:
    """Code 3: an entity with this id exists."""
    key = {"id": entity_id}
    message = f"primary key violation on key '{lua_text(key)}'"
    return EntityError(3, "primary key violation", message, {"id": entity_id})


def foreign_key_missing(field: str, target_id: str, target_kind: str) -> EntityError:
    """Code 4: a reference to an entity that isn't there."""
    key = {"id": target_id}
    message = (
        f"the foreign key '{lua_text(key)}' does not reference an existing '{target_kind}' entity."
    )
    return EntityError(4, "foreign key violation", message, {field: key})


def foreign_key_restricts(kind: str, child_kind: str) -> EntityError:
    """Code 4: a deletion that an entity of ``child_kind`` forbids by referring to it."""
    message = f"an existing '{child_kind}' entity references this '{kind}' entity"
    return EntityError(4, "foreign key violation", message, {"@referenced_by": child_kind})


def unique_violation(fields: Mapping[str, Any]) -> EntityError:
    """Code 5: another entity has this value, or these together."""
    message = f"UNIQUE violation detected on '{lua_text(fields)}'"
    return EntityError(5, "unique constraint violation", message, dict(fields))


def not_found(field: str, value: str) -> EntityError:
    """Code 6: no entity with this id or endpoint key."""
    key = lua_text({field: value})
    noun = "primary key " if field == "id" else ""
    message = f"could not find the entity with {noun}'{key}'"
    return EntityError(6, "not found", message, {field: value})


def invalid_size(maximum: int) -> EntityError:
    """Code 9: a page size out of range."""
    message = f"size must be an integer between 1 and {maximum}"
    return EntityError(9, "invalid size", message, {})


def invalid_unique(field: str, wrong: str) -> EntityError:
    """Code 10: what a URL names an entity by can't be the value of the field that it stands for."""
    return EntityError(10, f"invalid unique {field}", wrong, {})


def foreign_key_unresolved(field: str, key: str, value: Any, target_kind: str) -> EntityError:
    """Code 13: a reference by endpoint key (``{"name": …}``) that names nothing."""
    error = (
        f"the foreign key cannot be resolved with '{lua_text({key: value})}' "
        f"for an existing '{target_kind}' entity"
    )
    message = f"foreign key unresolved ({field}.{key}: {error})"
    return EntityError(13, "foreign keys unresolved", message, {field: {key: error}})


def declarative_violation(errors: FieldErrors) -> EntityError:
    """Code 14: a declarative document that can't be taken; errors stand where their entities do."""
    message = f"declarative config is invalid: {lua_text(errors)}"
    name = "invalid declarative configuration"
    return EntityError(DECLARATIVE_INVALID, name, message, errors)
