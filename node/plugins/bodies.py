"""Request bodies as fields: forms and JSON objects, read and written back."""

import json
import math
from typing import Any

from node.plugins import limits
from node.plugins.fields import Arguments

JSON = "json"
FORM = "form"
MULTIPART = "multipart"

_KINDS = {
    "application/json": JSON,
    "application/x-www-form-urlencoded": FORM,
    "multipart/form-data": MULTIPART,
}


def kind_of(content_type: str | None) -> str | None:
    """What a Content-Type says of a body; None for what isn't made of fields."""
    lowered = (content_type or "").lower()
    return next((kind for name, kind in _KINDS.items() if name in lowered), None)


def read_json(body: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else, or one that is too deep."""
    try:
        value = json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or _depth_exceeds(value, limits.JSON_DEPTH_MAX):
        return None
    return value


def write_json(value: dict[str, Any]) -> bytes:
    """As it is sent; bytes that are no UTF-8 survive."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that was escaped
        return json.dumps(value, separators=(",", ":")).encode()


def read_form(body: bytes) -> Arguments | None:
    """An urlencoded form; None for one of too many fields."""
    return Arguments.parse(body) if body.count(b"&") < limits.FORM_FIELDS_MAX else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is too great to be written back")
    return value


def _depth_exceeds(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [
            child
            for each in level
            if isinstance(each, (dict, list))
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True
