"""Form fields to nested values, by Kong's naming (api/arguments.lua).

``a.b=1`` is a field of a record or map, ``a[]=1`` appends to an array, ``a[2]=1`` names a place in
it, ``a[x]=1`` a key of a map. A plain name given twice makes an array. What the values mean, the
schema infers later; here they stay text.
"""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

from node.admin.errors import TOO_MANY_ARGUMENTS, Refusal
from node.admin.limits import BODY_DEPTH_MAX, FORM_FIELDS_MAX, FORM_NAME_CHARS_MAX

_NAME = re.compile(r"[^.\[\]]+(?:\[[^\[\]]*\]|\.[^.\[\]]+)*")
_STEP = re.compile(r"\[([^\[\]]*)\]|\.?([^.\[\]]+)")
_INDEX = re.compile(r"[0-9]{1,9}", re.ASCII)
_SHOWN_CHARS = 64
"""How much of a name an error quotes."""

Step = str | int | None
"""One step into a value: a key, an array's place, or None for its end."""
_Node = dict[Any, Any]
"""A value under construction: keys are all texts (an object) or all integers (an array)."""


def decode_urlencoded(body: bytes) -> dict[str, Any]:
    """The nested value of an ``application/x-www-form-urlencoded`` body. Raises Refusal."""
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FORM_FIELDS_MAX,
        )
    except UnicodeDecodeError:
        raise Refusal(400, "the form is not UTF-8") from None
    except ValueError:
        raise too_many_fields() from None
    return nest(pairs)


def too_many_fields() -> Refusal:
    """A form with more fields than are allowed, in Kong's words."""
    return Refusal(400, TOO_MANY_ARGUMENTS)


def nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Build the nested value of named fields. Raises Refusal for names that contradict others."""
    root: _Node = {}
    for name, value in pairs:
        _insert(root, name, value)
    nested: dict[str, Any] = _with_lists(root)
    return nested


def _insert(root: _Node, name: str, value: Any) -> None:
    if len(name) > FORM_NAME_CHARS_MAX:
        raise _bad_name(name, f"has a name longer than {FORM_NAME_CHARS_MAX} characters")
    steps = _steps(name)
    if len(steps) > BODY_DEPTH_MAX:
        raise _bad_name(name, f"is nested deeper than {BODY_DEPTH_MAX} levels")
    node = root
    for step, following in pairwise(steps):
        child = node.setdefault(_place(node, step, name), {})
        if not isinstance(child, dict):
            raise _contradiction(name)
        if child and isinstance(next(iter(child)), str) != isinstance(following, str):
            raise _contradiction(name)
        node = child
    last = _place(node, steps[-1], name)
    if last not in node:
        node[last] = value
    elif isinstance(last, str):
        node[last] = _appended(node[last], value, name)
    else:
        raise _contradiction(name)


def _steps(name: str) -> list[Step]:
    """The steps of a field name; a name that follows no such rule stands for itself."""
    if not _NAME.fullmatch(name):
        return [name]
    steps: list[Step] = []
    for bracket, key in _STEP.findall(name):
        if key:
            steps.append(key)
        elif not bracket:
            steps.append(None)
        else:
            steps.append(int(bracket) if _INDEX.fullmatch(bracket) else bracket)
    return steps


def _place(node: _Node, step: Step, name: str) -> str | int:
    if step is not None:
        return step
    if any(isinstance(key, str) for key in node):
        raise _contradiction(name)
    return max(node, default=0) + 1


def _appended(present: Any, value: Any, name: str) -> _Node:
    """A repeated plain name: what is there becomes an array, which the value joins."""
    if not isinstance(present, dict):
        return {1: present, 2: value}
    present[_place(present, None, name)] = value
    return present


def _contradiction(name: str) -> Refusal:
    return _bad_name(name, "contradicts another field of the form")


def _bad_name(name: str, reason: str) -> Refusal:
    shown = name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…"
    return Refusal(400, f"form field '{shown}' {reason}")


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(isinstance(key, int) for key in node):
        return [_with_lists(node[key]) for key in sorted(node)]
    return {key: _with_lists(value) for key, value in node.items()}
