"""Entities as JSON Schema (2020-12, which OpenAPI 3.1 uses), from their declarations.

What JSON Schema can't say (rules over several fields, checks in code) is left to the server's
answer: what it allows here is a little more than what is taken.
"""

import re
from collections.abc import Mapping
from typing import Any

from store.schema import Schema
from store.schema.field import UNSET, Field, Pattern

Json = dict[str, Any]

_TYPES = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
    "set": "array",
    "map": "object",
    "record": "object",
    "foreign": "object",
}
_PYTHON_ONLY = re.compile(r"\(\?[^:=!]|\\[AZz]")
"""In a regular expression: what ECMA 262, which JSON Schema means, lacks or reads otherwise."""


def entity_schema(schema: Schema) -> Json:
    """An entity as answers show it."""
    properties = {
        name: _shown(field) for name, field in schema.fields.items() if not field.internal
    }
    return {"type": "object", "properties": properties, "required": _always(schema)}


def input_schema(schema: Schema, *, whole: bool) -> Json:
    """What a client gives: of a ``whole`` new entity what must be there is; else, of a change,
    nothing must."""
    properties = {
        name: field_schema(field) for name, field in schema.fields.items() if not field.internal
    }
    for name, (field, _) in schema.shorthands.items():
        properties[name] = field_schema(field)
    described: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    needed = [name for name, field in schema.fields.items() if _is_needed(field)]
    if whole and needed and not schema.shorthands:
        described["required"] = needed
    return described


def field_schema(field: Field) -> Json:
    """One field as a client may give it."""
    kind = _TYPES[field.type]
    if field.null_only:
        return {"type": "null", "description": field.description}
    described: Json = {"type": kind if field.required else [kind, "null"]}
    if field.description:
        described["description"] = field.description
    if field.default is not UNSET and field.default is not None:
        described["default"] = field.default
    if field.deprecation is not None:
        described["deprecated"] = True
    if field.auto:
        described["type"] = [kind, "null"]
    return described | _values(field) | _text(field) | _parts(field)


def _shown(field: Field) -> Json:
    """One field as answers show it: a null where nothing is set, and nothing promised but types."""
    described = field_schema(field)
    kinds = described["type"]
    described["type"] = kinds if isinstance(kinds, list) or field.required else [kinds, "null"]
    if field.auto:
        described["readOnly"] = True
    for name in ("additionalProperties", "propertyNames", "required", "default"):
        described.pop(name, None)
    return described


def _always(schema: Schema) -> list[str]:
    return [name for name, field in schema.fields.items() if field.auto and not field.internal]


def _is_needed(field: Field) -> bool:
    return field.required and field.default is UNSET and not field.auto and not field.internal


def _values(field: Field) -> Json:
    described: Json = {}
    if field.one_of:
        described["enum"] = [*field.one_of] if field.required else [*field.one_of, None]
    if field.not_one_of:
        described["not"] = {"enum": list(field.not_one_of)}
    if field.between is not None:
        described["minimum"], described["maximum"] = field.between
    if field.gt is not None:
        described["exclusiveMinimum"] = field.gt
    return described


def _text(field: Field) -> Json:
    if field.type != "string":
        return {}
    described: Json = {}
    # A reference to a secret kept elsewhere stands for it, and meets every rule.
    if field.referenceable:
        return described
    described["minLength"] = 1 if field.len_min is None else field.len_min
    if field.len_max is not None:
        described["maxLength"] = field.len_max
    if field.uuid:
        described["format"] = "uuid"
    patterns = [pattern for pattern in (field.match, *field.match_all) if _is_portable(pattern)]
    if field.starts_with:
        described["pattern"] = f"^{re.escape(field.starts_with)}"
    elif len(patterns) == 1 and patterns[0] is not None:
        described["pattern"] = patterns[0].regex.pattern
    return described


def _is_portable(pattern: Pattern | None) -> bool:
    return pattern is not None and not _PYTHON_ONLY.search(pattern.regex.pattern)


def _parts(field: Field) -> Json:
    if field.type in ("array", "set"):
        described: Json = {} if field.elements is None else {"items": field_schema(field.elements)}
        for name, size in (("minItems", field.len_min), ("maxItems", field.len_max)):
            if size is not None:
                described[name] = size
        return described
    if field.type == "map" and field.values is not None:
        return {"additionalProperties": field_schema(field.values)}
    if field.type == "foreign":
        by_id: Mapping[str, Any] = {"id": {"type": "string", "format": "uuid"}}
        return {"properties": by_id}
    if field.fields is not None:
        properties = {name: field_schema(part) for name, part in field.fields.items()}
        for name, shorthand in (field.shorthands or {}).items():
            properties[name] = field_schema(shorthand.field)
        return {"properties": properties}
    return {}
