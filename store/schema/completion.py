"""From what a client gives to the whole value: shorthands, defaults, merging.

``complete`` makes a new value whole, ``merge`` lays a change over a stored one, ``shown`` adds the
older names that clients of Kong still read. What can't be understood stays as it is, for
``store.schema.values.errors_of`` to name.
"""

import copy
import json
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Any

from store.limits import ELEMENTS_MAX, INTEGER_MAX
from store.schema.field import UNSET, Field
from store.schema.values import shorthand_error, value_at

_ALPHABET = string.ascii_letters + string.digits
_SECRET_CHARS = 32


def random_secret() -> str:
    """A text that nobody guesses: 190 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARS))


Draw = Callable[[], str]
"""Where fields that the schema fills in by itself get their random text."""


def complete(field: Field, value: Any, draw: Draw = random_secret) -> Any:
    """Expand shorthands, fill in the defaults of records, drop a set's repeated elements.

    Whole floats become integers, as JSON knows no difference.
    """
    if field.type in ("integer", "number"):
        return _whole(value)
    if field.type in ("array", "set") and isinstance(value, list) and field.elements:
        items = [complete(field.elements, item, draw) for item in value]
        return _distinct(items) if field.type == "set" else items
    if field.type == "map" and isinstance(value, dict) and field.values:
        return {key: complete(field.values, item, draw) for key, item in value.items()}
    if field.type == "record" and isinstance(value, dict) and field.fields is not None:
        return complete_fields(field.fields, expand(field, value), draw)
    return value


def complete_fields(
    fields: Mapping[str, Field], value: Mapping[str, Any], draw: Draw = random_secret
) -> dict[str, Any]:
    """Complete each known field; unknown ones stay, for validation to name."""
    completed = dict(value)
    for name, field in fields.items():
        if name in completed and not (completed[name] is None and _drawn(field)):
            completed[name] = complete(field, completed[name], draw)
        elif field.default is not UNSET:
            completed[name] = complete(field, copy.deepcopy(field.default), draw)
        elif field.type == "record" and field.required:
            completed[name] = complete(field, {}, draw)
        elif _drawn(field):
            completed[name] = draw()
        elif not field.auto:
            completed[name] = None
    return completed


def _drawn(field: Field) -> bool:
    """Whether its value is random text when none is given."""
    return field.auto and field.type == "string" and not field.uuid


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value)
    return value


def _distinct(items: list[Any]) -> list[Any]:
    """The items without repeated ones; Python's ``1 == True`` is no repetition."""
    if len(items) > ELEMENTS_MAX:
        return items  # validation refuses it
    kept: dict[Any, Any] = {}
    try:
        for item in items:
            hashed = json.dumps(item, sort_keys=True) if isinstance(item, dict | list) else item
            kept.setdefault((type(item), hashed), item)
    except RecursionError:
        return items  # deeper than any field: validation refuses it, too
    return list(kept.values())


def expand(field: Field, record: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the shorthands of a record by what they stand for; those with an error stay."""
    expanded = dict(record)
    for name, shorthand in (field.shorthands or {}).items():
        if name not in expanded:
            continue
        value = expanded[name]
        if shorthand_error(shorthand, name, value, expanded) is not None:
            continue
        del expanded[name]
        yields = shorthand.field.deprecation is not None
        for target, item in shorthand.expanded(value).items():
            expanded[target] = _joined(expanded.get(target), item, yields)
    return expanded


def _joined(given: Any, item: Any, yields: bool) -> Any:
    """What a field becomes that a shorthand stands for, where ``given`` is its own value."""
    if isinstance(item, Mapping):
        if given is None:
            return dict(item)
        if not isinstance(given, Mapping):
            return given
        if not yields:
            return {**given, **item}
        mine = {key: value for key, value in given.items() if value is not None}
        return {**given, **item, **mine}
    return given if yields and given is not None else item


def merge(field: Field | None, current: Any, change: Any) -> Any:
    """Lay a change over the current value: records are merged, everything else is replaced."""
    if field is None or field.type != "record" or field.fields is None:
        return change
    if not isinstance(change, dict):
        return change
    changes = expand(field, change)
    if not isinstance(current, dict):
        return changes
    merged = dict(current)
    for name, value in changes.items():
        merged[name] = merge(field.fields.get(name), current.get(name), value)
    return merged


def has_older_names(field: Field) -> bool:
    """Whether ``shown`` may add anything to a value of this field."""
    if field.type != "record" or field.fields is None:
        return False
    return bool(field.shorthands) or any(has_older_names(part) for part in field.fields.values())


def shown(field: Field, value: Any) -> Any:
    """The value as answers show it: beside the fields, the older names that stand for them."""
    if field.type != "record" or not isinstance(value, dict) or field.fields is None:
        return value
    answer = {
        name: shown(field.fields[name], item) if name in field.fields else item
        for name, item in value.items()
    }
    for name, shorthand in (field.shorthands or {}).items():
        if shorthand.path:
            answer[name] = value_at(value, shorthand.path)
    return answer
