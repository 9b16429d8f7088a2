"""From the text of a declarative document, YAML or JSON, to plain values, within bounds.

A few lines of YAML can stand for gigabytes (aliases of aliases) or for a value that contains
itself. So the composed nodes are measured, aliases counted as often as they are used, before
anything is built of them.
"""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import yaml

from store.limits import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_DEPTH_MAX,
    DOCUMENT_NODES_MAX,
    DOCUMENT_NUMBER_MAX,
)


class TextRefused(ValueError):
    """A text that is no declarative document; the message says where and why."""


class _Loader(yaml.CSafeLoader):  # type: ignore[misc]
    """YAML 1.1 as Kong's parser takes it: what looks like a date stays a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_YAML = "tag:yaml.org,2002:"
_KNOWN_TAGS = frozenset(
    f"{_YAML}{name}" for name in ("bool", "float", "int", "map", "merge", "null", "seq", "str")
)
"""What JSON has, too: of a set or of bytes nothing further on would know what to make."""

_INTEGER_CHARS_MAX = len(str(-DOCUMENT_NUMBER_MAX))


def _checked(
    name: str, construct: Callable[[yaml.CSafeLoader, yaml.Node], Any]
) -> Callable[[yaml.CSafeLoader, yaml.Node], Any]:
    """A constructor of scalars that refuses what isn't one of them, whatever its tag says."""

    def checked(loader: yaml.CSafeLoader, node: yaml.Node) -> Any:
        try:
            value = construct(loader, node)
        except (ValueError, LookupError) as error:
            raise TextRefused(f"'{node.value[:80]}' is no {name}{_where(node)}") from error
        return _in_range(value, _where(node))

    return checked


def _in_range(value: float, where: str = "") -> float:
    if isinstance(value, float) and not math.isfinite(value):
        raise TextRefused(f"a number that JSON doesn't have{where}")
    if isinstance(value, int) and abs(value) > DOCUMENT_NUMBER_MAX:
        raise TextRefused(f"a number beyond {DOCUMENT_NUMBER_MAX}{where}")
    return value


_Loader.add_constructor(f"{_YAML}bool", _checked("boolean", _Loader.construct_yaml_bool))
_Loader.add_constructor(f"{_YAML}int", _checked("integer", _Loader.construct_yaml_int))
_Loader.add_constructor(f"{_YAML}float", _checked("number", _Loader.construct_yaml_float))


def parse(text: str) -> dict[str, Any]:
    """The document's top level. Raises TextRefused."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > DOCUMENT_BYTES_MAX:
        raise TextRefused(f"{size} bytes; {DOCUMENT_BYTES_MAX} are allowed")
    value = _parse_json(text) if text.lstrip()[:1] == "{" else _parse_yaml(text)
    if not isinstance(value, dict):
        raise TextRefused("expected an object")
    return value


def _parse_json(text: str) -> Any:
    """JSON, or what YAML's flow style makes of it: both begin with a brace."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=lambda digits: _in_range(float(digits)),
            parse_constant=_no_number,
        )
    except RecursionError as error:
        raise TextRefused(f"nested deeper than {DOCUMENT_DEPTH_MAX} levels") from error
    except json.JSONDecodeError:
        return _parse_yaml(text)
    if _depth(value) > DOCUMENT_DEPTH_MAX:
        raise TextRefused(f"nested deeper than {DOCUMENT_DEPTH_MAX} levels")
    return value


def _integer(digits: str) -> float:
    if len(digits) > _INTEGER_CHARS_MAX:  # Python wouldn't read some thousand of them
        raise TextRefused(f"a number beyond {DOCUMENT_NUMBER_MAX}")
    return _in_range(int(digits))


def _no_number(name: str) -> NoReturn:
    raise TextRefused(f"{name}, a number that JSON doesn't have")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TextRefused(f"the key '{twice[:80]}' is given twice in one object")
    return found


def _depth(value: Any) -> int:
    """How deep a value of JSON is nested, without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        if depth > DOCUMENT_DEPTH_MAX:
            break
        level = [child for item in level for child in _children(item)]
    return depth


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _parse_yaml(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _Measure().check(node)
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, TextRefused):
            raise
        raise TextRefused(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise TextRefused(f"nested deeper than {DOCUMENT_DEPTH_MAX} levels") from error
    finally:
        loader.dispose()


class _Measure:
    """How many values the nodes of a text stand for once aliases are replaced."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def check(self, node: yaml.Node) -> None:
        """Raises TextRefused for what is too much, too deep, endless or ambiguous."""
        if self._size(node, 1) > DOCUMENT_NODES_MAX:
            raise TextRefused(f"more than {DOCUMENT_NODES_MAX} values, aliases included")

    def _size(self, node: yaml.Node, depth: int) -> int:
        number = id(node)
        if number in self._open:
            raise TextRefused(f"a value that contains itself{_where(node)}")
        if depth > DOCUMENT_DEPTH_MAX:
            raise TextRefused(f"nested deeper than {DOCUMENT_DEPTH_MAX} levels{_where(node)}")
        if number not in self._sizes:
            if node.tag not in _KNOWN_TAGS:
                raise TextRefused(f"a value that JSON doesn't have, {node.tag[:80]}{_where(node)}")
            self._open.add(number)
            children: list[yaml.Node] = []
            if isinstance(node, yaml.MappingNode):
                _check_keys(node)
                children = [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                children = node.value
            total = 1 + sum(self._size(child, depth + 1) for child in children)
            self._sizes[number] = min(total, DOCUMENT_NODES_MAX + 1)
            self._open.discard(number)
        return self._sizes[number]


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if key.tag != "tag:yaml.org,2002:str":
            raise TextRefused(f"a key that is no text{_where(key)}; put it in quotes")
        if key.value in seen:
            raise TextRefused(f"the key '{key.value[:80]}' is given twice{_where(key)}")
        seen.add(key.value)


def _where(node: yaml.Node) -> str:
    mark = node.start_mark
    return f" (line {mark.line + 1}, column {mark.column + 1})"
