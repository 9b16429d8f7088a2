"""What a field is: one declaration from which validation, defaults, inference and
``GET /schemas`` come.

The vocabulary is that of Kong's schema language (``kong/db/schema/init.lua``), because its names
are what ``GET /schemas/{entity}`` shows.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from store.schema.checks import EntityCheck

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

NULL_ONLY: Final = "value must be null"
"""What is said of a field that must stay null, unless it has a text of its own."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern and what to say of a value that offends against it."""

    regex: re.Pattern[str]
    """Searched for; anchor it where the whole value is meant."""
    lua: str
    """The same as a Lua pattern, as ``GET /schemas`` shows it."""
    error: str


@dataclass(frozen=True, slots=True)
class Deprecation:
    """What is said of a field that Kong will drop."""

    message: str
    replaced_with: tuple[tuple[str, ...], ...] = ()
    """Paths of the fields to use instead."""
    old_default: Any = UNSET
    """A value that is left over from an old version and no reason to complain."""
    removal_in_version: str = "4.0"

    def describe(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "message": self.message,
            "removal_in_version": self.removal_in_version,
        }
        if self.replaced_with:
            shown["replaced_with"] = [{"path": list(path)} for path in self.replaced_with]
        if self.old_default is not UNSET:
            shown["old_default"] = self.old_default
        return shown


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
    """A text ``{vault://…}`` stands for a secret that is kept elsewhere; it meets every rule."""
    encrypted: bool = False
    """A secret: no log shows it. (The name is Kong's; nothing is encrypted field by field here.)"""
    abstract: bool = False
    """The subschema says what it is."""
    canonical: Callable[[str], str] | None = None
    """The one spelling that is stored; given a valid value. Keys in URLs are spelled so, too."""
    deprecation: Deprecation | None = None
    one_of: tuple[Any, ...] = ()
    not_one_of: tuple[Any, ...] = ()
    gt: float | None = None
    between: tuple[float, float] | None = None
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
    error: str = ""
    """Said of a value that breaks any of the rules above, in place of the rule's own text."""
    forbidden: tuple[Any, str] | None = None
    """A value that must not be set, and what to say of it."""
    null_only: str = ""
    """Nothing but null may be set; this is what to say otherwise."""
    elements: "Field | None" = None
    keys: "Field | None" = None
    values: "Field | None" = None
    fields: "Mapping[str, Field] | None" = None
    """Of a record."""
    checks: "tuple[EntityCheck, ...]" = ()
    """Of a record: rules that span several of its fields."""
    shorthands: "Mapping[str, Shorthand] | None" = None
    """Of a record: names that stand for others of its fields."""
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
        for name in ("description", "starts_with", "reference"):
            if getattr(self, name):
                shown[name] = getattr(self, name)
        for name in ("len_min", "len_max", "gt"):
            if getattr(self, name) is not None:
                shown[name] = getattr(self, name)
        for name in ("between", "one_of", "not_one_of"):
            if getattr(self, name):
                shown[name] = list(getattr(self, name))
        if self.default is not UNSET:
            shown["default"] = self.default
        if self.on_delete != "restrict":
            shown["on_delete"] = self.on_delete
        if self.deprecation is not None:
            shown["deprecation"] = self.deprecation.describe()
        if self.mutually_exclusive_subsets:
            shown["mutually_exclusive_subsets"] = [
                list(subset) for subset in self.mutually_exclusive_subsets
            ]
        return shown | self._describe_errors() | self._describe_patterns() | self._describe_parts()

    def _describe_errors(self) -> dict[str, Any]:
        if self.null_only == NULL_ONLY:
            return {"eq": None}
        if self.null_only:
            return {"eq": None, "err": self.null_only}
        if self.forbidden is not None:
            return {"ne": self.forbidden[0], "err": self.forbidden[1]}
        return {"err": self.error} if self.error else {}

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
        if self.shorthands:
            shown["shorthand_fields"] = [
                {name: shorthand.describe()} for name, shorthand in self.shorthands.items()
            ]
        if self.checks:
            shown["entity_checks"] = [check.describe() for check in self.checks]
        return shown


@dataclass(frozen=True, slots=True)
class Shorthand:
    """A name in a record that stands for others of its fields, most often an older name.

    A deprecated one yields to the fields that replace it: they win where both are given, and
    differing values are an error. Any other wins over the fields that it stands for.
    """

    field: Field
    path: tuple[str, ...] = ()
    """The one field that it stands for; answers then show the old name, too."""
    expand: Callable[[Any], Mapping[str, Any]] | None = None
    """What it stands for when that isn't one field with the same value."""

    def expanded(self, value: Any) -> Mapping[str, Any]:
        """The fields that it stands for."""
        if self.expand is not None:
            return self.expand(value)
        for name in reversed(self.path):
            value = {name: value}
        assert isinstance(value, Mapping)
        return value

    def describe(self) -> dict[str, Any]:
        shown = self.field.describe()
        return shown | ({"translate_backwards": list(self.path)} if self.path else {})
