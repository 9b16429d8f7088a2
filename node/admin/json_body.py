"""A request body in JSON: one object, bounded in depth, number of values and size of numbers."""

import json
import math
from typing import Any, NoReturn

from node.admin.errors import Refusal
from node.admin.limits import BODY_DEPTH_MAX, BODY_VALUES_MAX, NUMBER_MAX

UNREADABLE = "Cannot parse JSON body"


def decode_json_object(body: bytes) -> dict[str, Any]:
    """The object that a body holds. Raises Refusal with Kong's text when it is none.

    An empty array counts as an empty object: Lua can't tell them apart, so clients of Kong (PHP's
    json_encode among them) have never had to.
    """
    document = decode_json(body)
    if document == []:
        return {}
    if not isinstance(document, dict):
        raise Refusal(400, UNREADABLE)
    return document


def decode_json(body: bytes) -> Any:
    """Any JSON document within the bounds. Raises Refusal."""
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # no JSON, no UTF-8, or an integer of thousands of digits
        raise Refusal(400, UNREADABLE) from None
    _check_bounds(document)
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # Python's reader takes NaN and Infinity


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _too_deep() -> Refusal:
    return Refusal(400, f"the JSON body is nested deeper than {BODY_DEPTH_MAX} levels; flatten it")


def _check_bounds(document: Any) -> None:
    """Visit every value, without recursion. Raises Refusal for what is beyond the bounds."""
    level, seen = [document], 0
    for _ in range(BODY_DEPTH_MAX + 1):
        seen += len(level)
        if seen > BODY_VALUES_MAX:
            raise Refusal(
                413, f"the JSON body holds more than {BODY_VALUES_MAX} values; split the request"
            )
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                for key in value:
                    _check_text(key)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            else:
                _check_scalar(value)
        if not below:
            return
        level = below
    raise _too_deep()


def _check_scalar(value: Any) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Refusal(400, "the JSON body holds a number beyond the range of a double")
    elif isinstance(value, int) and abs(value) > NUMBER_MAX:
        raise Refusal(400, f"the JSON body holds a number beyond {NUMBER_MAX}")


def _check_text(text: str) -> None:
    """A lone surrogate (an escape like \\ud800 without its pair) is no text; cjson refuses it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Refusal(400, UNREADABLE) from None
