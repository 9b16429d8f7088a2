"""What a field is: one declaration from which validation, defaults, inference and
``GET /schemas`` come.

The vocabulary is that of Kong's schema language (``kong/db/schema/init.lua``), because its names
are what ``GET /schemas/{entity}`` shows.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

FieldType = Literal[
    "string", "integer", "number", "boolean", "array", "set", "map", "record", "foreign"
]


_FLAGS = (
    "required",
    "auto",
    "unique",
    "uuid",
    "timestamp",
    "transient",
    "referenceable",
    "encrypted",
    "abstract",
)
"""Attributes that ``GET /schemas`` shows where they are true."""


class _Unset:
    """The absence of a default, which differs from a default of null."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern and what to say of a value that offends against it."""

    regex: re.Pattern[str]
    """Searched for; anchor it where the whole value is meant."""
    lua: str
    """The same as a Lua pattern, as ``GET /schemas`` shows it."""
    error: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an entity or record, an element of an array, a key or value of a map."""

    type: FieldType
    description: str = ""
    required: bool = False
    """Null is refused; a missing value takes the default."""
    default: Any = UNSET
    auto: bool = False
    """Filled in by the schema: id, created_at, updated_at."""
    unique: bool = False
    uuid: bool = False
    timestamp: bool = False
    transient: bool = False
    """Taken from clients and shown to them, but not stored as it is."""
    internal: bool = False
    """Stored, but neither taken from clients nor shown to them."""
    referenceable: bool = False
    """``{vault://…}`` may stand for the value; such a text is taken as it is."""
    encrypted: bool = False
    """A secret: no log shows it. (The name is Kong's; nothing is encrypted field by field here.)"""
    abstract: bool = False
    """The subschema says what it is."""
    canonical: Callable[[str], str] | None = None
    """The one spelling that is stored; given a valid value. Keys in URLs are spelled so, too."""
    one_of: tuple[Any, ...] = ()
    not_one_of: tuple[Any, ...] = ()
    between: tuple[int, int] | None = None
    len_min: int | None = None
    len_max: int | None = None
    starts_with: str = ""
    match: Pattern | None = None
    """``error`` is a prefix, which the value follows."""
    match_none: tuple[Pattern, ...] = ()
    match_all: tuple[Pattern, ...] = ()
    match_any: tuple[Pattern, ...] = ()
    """One of them must match; the error is the first one's."""
    mutually_exclusive_subsets: tuple[tuple[str, ...], ...] = ()
    check: Callable[[Any], str | None] | None = None
    """Answers what is wrong with a value of the right type, or None."""
    forbidden: tuple[Any, str] | None = None
    """A value that must not be set, and what to say of it."""
    null_only: str = ""
    """Nothing but null may be set; this is what to say otherwise."""
    elements: "Field | None" = None
    keys: "Field | None" = None
    values: "Field | None" = None
    fields: "Mapping[str, Field] | None" = None
    """Of a record."""
    at_least_one_of: tuple[str, ...] = ()
    """Of a record: one of these must be set."""
    reference: str = ""
    """Of a foreign key: the kind it refers to."""
    on_delete: Literal["restrict", "cascade"] = "restrict"
    """Of a foreign key: what becomes of this entity when the one it refers to is deleted."""

    def describe(self) -> dict[str, Any]:
        """The field as ``GET /schemas/{entity}`` shows it."""
        shown: dict[str, Any] = {"type": self.type}
        for name in _FLAGS:
            if getattr(self, name):
                shown[name] = True
        for name in ("description", "len_min", "len_max", "starts_with", "reference"):
            if getattr(self, name):
                shown[name] = getattr(self, name)
        for name in ("between", "one_of", "not_one_of"):
            if getattr(self, name):
                shown[name] = list(getattr(self, name))
        if self.default is not UNSET:
            shown["default"] = self.default
        if self.on_delete != "restrict":
            shown["on_delete"] = self.on_delete
        if self.null_only:
            shown |= {"eq": None, "err": self.null_only}
        if self.forbidden is not None:
            shown |= {"ne": self.forbidden[0], "err": self.forbidden[1]}
        if self.mutually_exclusive_subsets:
            shown["mutually_exclusive_subsets"] = [
                list(subset) for subset in self.mutually_exclusive_subsets
            ]
        return shown | self._describe_patterns() | self._describe_parts()

    def _describe_patterns(self) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        if self.match:
            shown["match"] = self.match.lua
        for name in ("match_none", "match_all"):
            patterns: tuple[Pattern, ...] = getattr(self, name)
            if patterns:
                shown[name] = [{"pattern": p.lua, "err": p.error} for p in patterns]
        if self.match_any:
            shown["match_any"] = {
                "patterns": [pattern.lua for pattern in self.match_any],
                "err": self.match_any[0].error,
            }
        return shown

    def _describe_parts(self) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for name in ("elements", "keys", "values"):
            part: Field | None = getattr(self, name)
            if part is not None:
                shown[name] = part.describe()
        if self.fields is not None:
            shown["fields"] = [{name: field.describe()} for name, field in self.fields.items()]
        if self.at_least_one_of:
            shown["entity_checks"] = [{"at_least_one_of": list(self.at_least_one_of)}]
        return shown
