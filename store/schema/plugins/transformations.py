"""Names and values in one text, ``name:value``, as the transformers take them."""

import re

from store.schema.field import Field, Pattern
from store.schema.typedefs import header_name_error

_PAIR = re.compile(r"([^:]+):*(.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_COLON = Pattern(re.compile(r"\A[^:]+:.*\Z", re.DOTALL), "^[^:]+:.*$", "invalid value: ")


def _split(pair: str) -> tuple[str, str]:
    found = _PAIR.fullmatch(pair)
    return (found.group(1), found.group(2)) if found else ("", "")


def value_error(pair: str) -> str | None:
    """A pair must have a name and a value."""
    name, value = _split(pair)
    return None if name and value else f"key '{name}' has no value"


def header_error(pair: str) -> str | None:
    """The name, with or without a value, must be a header's."""
    name, _ = _split(pair)
    return f"'{name}' is not a valid header" if not name or header_name_error(name) else None


def header_pair_error(pair: str) -> str | None:
    """The name must be a header's, and the value must not end the line that it is sent on."""
    _, value = _split(pair)
    wrong = header_error(pair)
    if wrong is None and _CONTROL.search(value):
        return f"'{value}' is not a valid header"
    return wrong


def renamed_header_error(pair: str) -> str | None:
    """Both the name and what it becomes must be a header's."""
    wrong = header_error(pair)
    if wrong is not None:
        return wrong
    _, value = _split(pair)
    return f"'{value}' is not a valid header" if header_name_error(value) else None


def items(description: str, element: Field) -> Field:
    """A list that is empty unless given."""
    return Field("array", description, required=True, default=[], elements=element)


NAMES = items("Names.", Field("string"))
HEADERS = items("Names of headers.", Field("string", check=header_error))
VALUES = items("name:value.", Field("string", check=value_error))
PAIRS = items("name:value.", Field("string", match=_COLON))
HEADER_PAIRS = items(
    "name:value of headers.", Field("string", match=_COLON, check=header_pair_error)
)
RENAMED_HEADERS = items(
    "old:new of headers.", Field("string", match=_COLON, check=renamed_header_error)
)
