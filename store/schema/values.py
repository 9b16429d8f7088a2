"""From a client's value to a valid one: inference and validation.

Two passes over one declaration: ``infer`` turns text into the field's type (forms and query strings
carry nothing but text), ``errors_of`` says what is wrong with a value that
``store.schema.completion`` completed. Message texts and the order of the checks are Kong's.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

from store.limits import ELEMENTS_MAX, INTEGER_MAX, STRING_CHARS_MAX
from store.schema.field import Field, FieldType, Shorthand

REQUIRED = "required field missing"
UNKNOWN = "unknown field"
NO_KEY = "missing primary key"
_EXPECTED = {
    "string": "expected a string",
    "integer": "expected an integer",
    "number": "expected a number",
    "boolean": "expected a boolean",
    "array": "expected an array",
    "set": "expected a set",
    "map": "expected a map",
    "record": "expected a record",
}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def is_uuid(text: str) -> bool:
    """Whether it is a UUID in its usual spelling, in either case."""
    return _UUID.fullmatch(text) is not None


def is_empty(value: Any) -> bool:
    """Whether a value counts as not set for the checks that want one of several fields."""
    return value is None or value in ("", [], {})


def is_reference(value: Any) -> bool:
    """Whether it is a text that names a secret of a vault: ``{vault://env/my-secret}``."""
    if not isinstance(value, str) or len(value) > STRING_CHARS_MAX:
        return False
    return value.startswith("{vault://") and value.endswith("}")


def as_lua(value: Any) -> str:
    """A scalar as Kong's messages show it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.14g}" if isinstance(value, float) else str(value)


def quoted(names: tuple[str, ...]) -> str:
    """``'a', 'b'``"""
    return ", ".join(f"'{name}'" for name in names)


def infer(field: Field, value: Any) -> Any:
    """Turn text into the field's type where it reads as one; leave the rest for validation.

    An empty text is null, and a lone value of an array or set becomes its one element.
    """
    if value == "":
        return None
    if field.type in ("integer", "number") and isinstance(value, str):
        return _number(value)
    if field.type == "boolean" and value in ("true", "false"):
        return value == "true"
    if field.type in ("array", "set") and value is not None and field.elements:
        items = value if isinstance(value, list) else [value]
        return [infer(field.elements, item) for item in items]
    if field.type == "map" and isinstance(value, dict) and field.values:
        return {key: infer(field.values, item) for key, item in value.items()}
    if field.type == "record" and isinstance(value, dict) and field.fields:
        known = {name: item.field for name, item in (field.shorthands or {}).items()}
        known |= field.fields
        return {
            key: infer(known[key], item) if key in known else item for key, item in value.items()
        }
    return value


def _number(text: str) -> Any:
    """Python reads more as numbers than clients mean: 1_0, digits of other scripts, nan, 1e999."""
    if len(text) > 32 or not text.isascii() or "_" in text:
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def errors_of(field: Field, value: Any) -> Any:
    """What is wrong with a completed value: None, a message, or messages nested as the value is."""
    if value is None:
        return REQUIRED if field.required else None
    if field.null_only:
        return field.null_only
    wrong = _ERRORS_OF_TYPE[field.type](field, value)
    if wrong is None and not (field.referenceable and is_reference(value)):
        wrong = _broken_rule(field, value)
        if wrong is not None and field.error:
            wrong = field.error
    return wrong


def _boolean_error(field: Field, value: Any) -> str | None:
    return None if isinstance(value, bool) else _EXPECTED["boolean"]


def _text_error(field: Field, value: Any) -> str | None:
    if not isinstance(value, str):
        return _EXPECTED["string"]
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"invalid utf-8 character sequence detected at position {error.start + 1}"
    return "must not contain a NUL character" if "\0" in value else None


def _integer_error(field: Field, value: Any) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return _EXPECTED["integer"]
    if field.between is None and abs(value) > INTEGER_MAX:
        return f"value should be between {-INTEGER_MAX} and {INTEGER_MAX}"
    return None


def _number_error(field: Field, value: Any) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return _EXPECTED["number"]
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        return f"value should be between {-INTEGER_MAX} and {INTEGER_MAX}"
    return None


def _elements_errors(field: Field, value: Any) -> Any:
    if not isinstance(value, list):
        return _EXPECTED[field.type]
    if len(value) > ELEMENTS_MAX:
        return f"length must be at most {ELEMENTS_MAX}"
    assert field.elements is not None
    errors = [errors_of(field.elements, item) or _null_error(item) for item in value]
    while errors and errors[-1] is None:
        errors.pop()
    return errors or None


def _null_error(item: Any) -> str | None:
    """Elements, keys and values of aggregates are never null."""
    return REQUIRED if item is None else None


def _map_errors(field: Field, value: Any) -> Any:
    if not isinstance(value, dict):
        return _EXPECTED["map"]
    if len(value) > ELEMENTS_MAX:
        return f"length must be at most {ELEMENTS_MAX}"
    assert field.keys is not None
    assert field.values is not None
    for key, item in value.items():
        wrong = errors_of(field.keys, key) or errors_of(field.values, item) or _null_error(item)
        if wrong is not None:
            return wrong
    return None


def _record_errors(field: Field, value: Any) -> Any:
    if not isinstance(value, dict):
        return _EXPECTED["record"]
    assert field.fields is not None
    errors: dict[str, Any] = {}
    for name, item in value.items():
        if name in field.fields:
            wrong = errors_of(field.fields[name], item)
        elif field.shorthands and name in field.shorthands:
            wrong = shorthand_error(field.shorthands[name], name, item, value)
        else:
            wrong = UNKNOWN
        if wrong is not None:
            errors[name] = wrong
    for check in field.checks:
        check.run(value, errors)
    return errors or None


def shorthand_error(shorthand: Shorthand, name: str, value: Any, record: Mapping[str, Any]) -> Any:
    """What is wrong with a shorthand: its value, or that its replacement says something else."""
    wrong = errors_of(shorthand.field, value)
    if wrong is not None or value is None or shorthand.field.deprecation is None:
        return wrong
    for path in shorthand.field.deprecation.replaced_with:
        replacement = value_at(record, path)
        if replacement is not None and replacement != value:
            return (
                "both deprecated and new field are used but their values mismatch: "
                f"{name} = {as_lua(value)} vs {'.'.join(path)} = {as_lua(replacement)}"
            )
    return None


def value_at(record: Any, path: Sequence[str]) -> Any:
    """The value at a path into nested records; None where there is none."""
    for name in path:
        if not isinstance(record, Mapping):
            return None
        record = record.get(name)
    return record


def _reference_errors(field: Field, value: Any) -> Any:
    """A reference is ``{"id": uuid}``; references by name were resolved before."""
    if not isinstance(value, dict) or value.get("id") is None:
        others = [name for name in value if name != "id"] if isinstance(value, dict) else []
        return dict.fromkeys(others, UNKNOWN) if others else {"id": NO_KEY}
    if not isinstance(value["id"], str):
        return {"id": _EXPECTED["string"]}
    return None if is_uuid(value["id"]) else {"id": "expected a valid UUID"}


_ERRORS_OF_TYPE: dict[FieldType, Callable[[Field, Any], Any]] = {
    "string": _text_error,
    "boolean": _boolean_error,
    "integer": _integer_error,
    "number": _number_error,
    "array": _elements_errors,
    "set": _elements_errors,
    "map": _map_errors,
    "record": _record_errors,
    "foreign": _reference_errors,
}


def _broken_rule(field: Field, value: Any) -> str | None:
    """The first rule of the declaration that a value of the right type breaks."""
    if field.forbidden is not None and value == field.forbidden[0]:
        return field.forbidden[1]
    if field.not_one_of and value in field.not_one_of:
        return f"must not be one of: {', '.join(as_lua(option) for option in field.not_one_of)}"
    if field.one_of and value not in field.one_of:
        return f"expected one of: {', '.join(as_lua(option) for option in field.one_of)}"
    if field.gt is not None and not value > field.gt:
        return f"value must be greater than {as_lua(field.gt)}"
    if field.timestamp and value <= 0:
        return "expected a valid timestamp"
    if field.uuid and not is_uuid(value):
        return "expected a valid UUID"
    if field.between and not field.between[0] <= value <= field.between[1]:
        return f"value should be between {int(field.between[0])} and {int(field.between[1])}"
    wrong = None
    if isinstance(value, str):
        wrong = _length_error(field, value, 1, STRING_CHARS_MAX) or _pattern_error(field, value)
    elif isinstance(value, list | dict):
        wrong = _length_error(field, value, 0, None)
    if wrong is None and field.mutually_exclusive_subsets:
        wrong = _subsets_error(field, value)
    if wrong is None and field.check is not None:
        wrong = field.check(value)
    return wrong


def _length_error(field: Field, value: Sized, shortest: int, longest: int | None) -> str | None:
    """``shortest`` and ``longest`` go for a field that doesn't say them."""
    shortest = field.len_min if field.len_min is not None else shortest
    longest = field.len_max if field.len_max is not None else longest
    if len(value) < shortest:
        return f"length must be at least {shortest}"
    if longest is not None and len(value) > longest:
        return f"length must be at most {longest}"
    return None


def _pattern_error(field: Field, value: str) -> str | None:
    if not value.startswith(field.starts_with):
        return f"should start with: {field.starts_with}"
    for pattern in field.match_none:
        if pattern.regex.search(value):
            return pattern.error
    if field.match and not field.match.regex.search(value):
        return f"{field.match.error}{value}"
    for pattern in field.match_all:
        if not pattern.regex.search(value):
            return pattern.error
    if field.match_any and not any(pattern.regex.search(value) for pattern in field.match_any):
        return field.match_any[0].error
    return None


def _subsets_error(field: Field, value: list[str]) -> str | None:
    met = list(
        dict.fromkeys(
            subset
            for item in value
            for subset in field.mutually_exclusive_subsets
            if item in subset
        )
    )
    if len(met) <= 1:
        return None
    shown = ", ".join("('" + "', '".join(subset) + "')" for subset in met)
    return f"these sets are mutually exclusive: {shown}"
