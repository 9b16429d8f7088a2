"""Fields as tables of the documentation, a row each."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from store.schema.field import UNSET, Field

HEAD = "| field | type | default | meaning |\n|---|---|---|---|\n"


def table(fields: Mapping[str, Field]) -> str:
    """The fields by their paths, those of records within after them."""
    return HEAD + "".join(_rows("", fields))


def entity_table(fields: Mapping[str, Field]) -> str:
    """The same of an entity's fields: with what holds between entities."""
    told = {
        name: replace(item, description=f"{item.description} {_between(item)}".strip())
        for name, item in fields.items()
    }
    return table(told)


def _between(field: Field) -> str:
    said = ["Unique."] if field.unique else []
    if field.on_delete == "cascade":
        said.append("Deleted with it.")
    return " ".join(said)


def _rows(prefix: str, fields: Mapping[str, Field]) -> Iterator[str]:
    for name, field in fields.items():
        if field.internal:
            continue
        path = prefix + name
        yield f"| `{path}` | {_type(field)} | {_default(field)} | {_meaning(field)} |\n"
        for inner, mark in ((field, ""), (field.elements, "[]"), (field.values, ".*")):
            if inner is not None and inner.type == "record":
                yield from _rows(f"{path}{mark}.", inner.fields or {})


def _type(field: Field) -> str:
    inner = field.elements or field.values
    if field.reference:
        return f"reference to {field.reference}"
    said = f"{field.type} of {inner.type}s" if inner is not None else field.type
    options = (inner or field).one_of
    if options:
        said += ": " + ", ".join(f"`{option}`" for option in options)
    return said


def _default(field: Field) -> str:
    if field.auto:
        return "set" if field.timestamp else "drawn"
    if field.default is UNSET or field.type == "record":
        return "required" if field.required and field.type != "record" else ""
    text = _text(field.default)
    return f"`{text}`" if len(text) <= 60 else f"{len(field.default)} items"


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _meaning(field: Field) -> str:
    said = [field.description] if field.description else []
    inner = field.values or field.elements or field
    if field.referenceable or inner.referenceable:
        said.append("Secret.")
    if field.deprecation is not None:
        said.append("Deprecated.")
    return " ".join(said).replace("|", "\\|")
