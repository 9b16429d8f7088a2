"""What a schema is made of beside its fields and checks."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from store.schema.checks import EntityCheck
from store.schema.completion import has_older_names
from store.schema.field import Field

SHORTHAND = tuple[Field, Callable[[Any], dict[str, Any]]]
"""A field that stands for others, and how it expands to them."""


def random_id() -> str:
    """A version 4 UUID."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Subschema:
    """What changes for one value of a schema's ``subschema_key``."""

    fields: Mapping[str, Field]
    checks: tuple[EntityCheck, ...] = ()

    @cached_property
    def has_older_names(self) -> bool:
        """Whether answers have more than what is stored."""
        return any(has_older_names(item) for item in self.fields.values())


@dataclass(frozen=True, slots=True)
class Transformation:
    """What is stored in place of fields that a client gave, or beside them."""

    inputs: tuple[str, ...]
    """It is done when one of these was given."""
    write: Callable[[Mapping[str, Any], float], Mapping[str, Any]]
    """Fields to store, from the whole valid entity and the time (Unix seconds)."""
    once: bool = False
    """Whether what it makes must not be its input again."""


@dataclass(frozen=True, slots=True)
class Collected:
    """A transient list of texts, each of which is an entity of another kind."""

    kind: str
    reference: str
    """That kind's foreign key to this one."""
    field: str
    """That kind's unique field, which the text is the value of."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A set of an entity must have a value in common with that of another entity."""

    field: str
    """The set; it has the same name there."""
    reference: str
    """The foreign key of this entity that leads there."""
    error: str
    through: tuple[str, str] | None = None
    """(kind, foreign key): not with what is referred to, but with one of the entities that refer to
    it; without any, all is well."""
