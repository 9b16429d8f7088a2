"""Entities as a declarative document of Kong's format 3.0, in YAML."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from store.authority import Entity
from store.schema import kinds, schema


class _Dumper(yaml.CSafeDumper):  # type: ignore[misc]
    """Lists are indented under their key, as people write them."""


def _text(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def export(entities: Mapping[str, Iterable[Entity]]) -> Iterator[str]:
    """The document in pieces: ``entities`` are those of each kind. What is null is left out.

    ``_transform`` is false: what is stored is transformed already (hashed passwords), and is taken
    as it is when the document is read again.
    """
    yield _dump({"_format_version": "3.0", "_transform": False})
    for kind in kinds():
        begun = False
        references = schema(kind).references
        for entity in entities.get(kind, ()):
            if not begun:
                begun = True
                yield f"{kind}:\n"
            yield _dump([_shown(entity, references)])


def _shown(entity: Entity, references: Mapping[str, str]) -> dict[str, Any]:
    shown = {}
    for name, value in entity.items():
        if value is None:
            continue
        shown[name] = value["id"] if name in references and isinstance(value, dict) else value
    return shown


def _dump(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text
