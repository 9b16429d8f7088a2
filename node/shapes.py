"""Whether values that came over a wire have the types that a NamedTuple declares for them."""

import types
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin, get_type_hints

Check = Callable[[Any], bool]


def shape_of(declared: type[Any]) -> Check:
    """A check of the fields of such a tuple. bool is no int, and int no float."""
    checks = [_check_of(hint) for hint in get_type_hints(declared).values()]
    return lambda fields: all(check(field) for check, field in zip(checks, fields, strict=True))


def _check_of(hint: Any) -> Check:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        choices = [_check_of(one) for one in arguments]
        return lambda value: any(check(value) for check in choices)
    if origin is dict:
        key, item = map(_check_of, arguments)
        return lambda value: (
            type(value) is dict and all(key(k) and item(v) for k, v in value.items())
        )
    if origin is tuple and arguments[-1] is Ellipsis:
        item = _check_of(arguments[0])
        return lambda value: type(value) is tuple and all(map(item, value))
    if origin is tuple:
        items = [_check_of(one) for one in arguments]
        return lambda value: (
            type(value) is tuple
            and len(value) == len(items)
            and all(check(one) for check, one in zip(items, value, strict=True))
        )
    assert isinstance(hint, type), hint
    return lambda value: type(value) is hint
