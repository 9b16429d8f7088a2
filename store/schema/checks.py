"""Rules that span several fields of an entity or of a record in it (Kong's entity checks).

Fields of records within are named by paths: ``config.redis.host``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from store.schema.field import UNSET, Field
from store.schema.values import (
    REQUIRED,
    as_lua,
    errors_of,
    is_empty,
    is_reference,
    quoted,
    value_at,
)
from store.schema.violations import ENTITY, FieldErrors


class EntityCheck(Protocol):
    """One rule over a whole entity."""

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        """Add to ``errors`` what is wrong."""

    def describe(self) -> dict[str, Any]:
        """The rule as ``GET /schemas/{entity}`` shows it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether a field's value is (or is not) one of some values.

    For a field that is a list, every element must be so.
    """

    field: Field
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, value: Any) -> bool:
        """A value that isn't valid for its field fulfils no condition."""
        if value is None or errors_of(self.field, value) is not None:
            return False
        items = value if isinstance(value, list) else [value]
        return all((item in self.values) != self.negated for item in items)

    def describe(self) -> dict[str, Any]:
        rule = {"not_one_of" if self.negated else "one_of": list(self.values)}
        return {"elements": rule} if self.field.elements else rule


@dataclass(frozen=True, slots=True)
class ForbiddenUnless:
    """When ``if_field`` fulfils the condition, ``then_field`` must not be set.

    ``empty_allowed``: an empty list counts as not set.
    """

    if_field: str
    condition: Condition
    then_field: str
    error: str = ""
    empty_allowed: bool = False

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        value = entity.get(self.then_field)
        if value is None or (self.empty_allowed and value == []):
            return
        if not self.condition.holds(entity.get(self.if_field)):
            return
        errors[self.then_field] = "length must be 0" if self.empty_allowed else "value must be null"
        message = (
            self.error or f"failed conditional validation given value of field '{self.if_field}'"
        )
        errors.setdefault(ENTITY, []).append(message)

    def describe(self) -> dict[str, Any]:
        match = {"len_eq": 0} if self.empty_allowed else {"eq": None}
        shown = {
            "if_field": self.if_field,
            "if_match": self.condition.describe(),
            "then_field": self.then_field,
            "then_match": match,
        }
        return {"conditional": shown | ({"then_err": self.error} if self.error else {})}


@dataclass(frozen=True, slots=True)
class OneOfFor:
    """The first protocol that the entity speaks decides which fields it must set one of.

    A case is (protocol, fields, error); the error's ``%s`` stands for the fields.
    """

    if_field: str
    cases: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        spoken = entity.get(self.if_field)
        if self.if_field in errors or not isinstance(spoken, list):
            return
        for protocols, fields, error in self.cases:
            if any(protocol in spoken for protocol in protocols):
                if all(is_empty(entity.get(name)) for name in fields):
                    errors.setdefault(ENTITY, []).append(error.replace("%s", quoted(fields)))
                return

    def describe(self) -> dict[str, Any]:
        (protocols, fields, error), *others = self.cases
        shown = {
            "if_field": self.if_field,
            "if_match": {"contains": protocols[0]},
            "then_at_least_one_of": list(fields),
            "then_err": error,
        }
        for protocols, fields, error in others:
            shown |= {
                "else_match": {"contains": protocols[0]},
                "else_then_at_least_one_of": list(fields),
                "else_then_err": error,
            }
        return {"conditional_at_least_one_of": shown}


def _get(entity: Mapping[str, Any], path: str) -> Any:
    return value_at(entity, path.split("."))


def _error_at(errors: Any, path: str) -> Any:
    """What is wrong at a path, or with a record on the way to it."""
    for name in path.split("."):
        if not isinstance(errors, dict):
            break
        errors = errors.get(name)
    return errors


def _set_error(errors: FieldErrors, path: str, error: str) -> None:
    *records, last = path.split(".")
    for name in records:
        errors = errors.setdefault(name, {})
        if not isinstance(errors, dict):
            return  # the record itself is wrong, and that is said already
    errors[last] = error


def _refuse(errors: FieldErrors, error: str) -> None:
    errors.setdefault(ENTITY, []).append(error)


def _any_wrong(errors: FieldErrors, paths: tuple[str, ...]) -> bool:
    """Whether a rule can't be judged because a value that it needs isn't valid for its field."""
    known = {path: _error_at(errors, path) for path in paths}
    for path, error in known.items():
        if error == REQUIRED:
            _set_error(errors, path, "field required for entity check")
    return any(error is not None for error in known.values())


def _undecided(entity: Mapping[str, Any], paths: tuple[str, ...]) -> bool:
    """Whether one of the values is kept in a vault, so that no rule can judge it."""
    return any(is_reference(_get(entity, path)) for path in paths)


@dataclass(frozen=True, slots=True)
class AtLeastOneOf:
    """One of the fields must be set."""

    paths: tuple[str, ...]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        if all(is_empty(_get(entity, path)) for path in self.paths):
            _refuse(errors, f"at least one of these fields must be non-empty: {quoted(self.paths)}")

    def describe(self) -> dict[str, Any]:
        return {"at_least_one_of": list(self.paths)}


@dataclass(frozen=True, slots=True)
class OnlyOneOf:
    """Exactly one of the fields must be set."""

    paths: tuple[str, ...]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        if sum(not is_empty(_get(entity, path)) for path in self.paths) != 1:
            _refuse(errors, f"exactly one of these fields must be non-empty: {quoted(self.paths)}")

    def describe(self) -> dict[str, Any]:
        return {"only_one_of": list(self.paths)}


@dataclass(frozen=True, slots=True)
class MutuallyRequired:
    """The fields are set together or not at all."""

    paths: tuple[str, ...]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        found = [is_empty(_get(entity, path)) for path in self.paths]
        if any(found) and not all(found) and not _undecided(entity, self.paths):
            _refuse(errors, f"all or none of these fields must be set: {quoted(self.paths)}")

    def describe(self) -> dict[str, Any]:
        return {"mutually_required": list(self.paths)}


@dataclass(frozen=True, slots=True)
class MutuallyExclusive:
    """At most one of the fields is set."""

    paths: tuple[str, ...]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        if sum(not is_empty(_get(entity, path)) for path in self.paths) > 1:
            _refuse(errors, f"only one or none of these fields must be set: {quoted(self.paths)}")

    def describe(self) -> dict[str, Any]:
        return {"mutually_exclusive": list(self.paths)}


@dataclass(frozen=True, slots=True)
class Distinct:
    """No two of the fields have the same value."""

    paths: tuple[str, ...]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        values = [value for path in self.paths if not is_empty(value := _get(entity, path))]
        if any(value in values[:place] for place, value in enumerate(values)):
            _refuse(errors, f"values of these fields must be distinct: {quoted(self.paths)}")

    def describe(self) -> dict[str, Any]:
        return {"distinct": list(self.paths)}


@dataclass(frozen=True, slots=True)
class Match:
    """What a condition asks of a value, by the names of Kong's validators."""

    eq: Any = UNSET
    one_of: tuple[Any, ...] = ()
    not_one_of: tuple[Any, ...] = ()
    gt: float | None = None
    contains: Any = UNSET
    required: bool = False
    check: Callable[[Any], str | None] | None = None
    """A rule of its own; answers what is wrong, or None."""

    def error(self, value: Any) -> str | None:
        """What is wrong with a value that is valid for its field; null meets all but some."""
        if value is None:
            if self.eq is not UNSET and self.eq is not None:
                return f"value must be {as_lua(self.eq)}"
            return REQUIRED if self.required else None
        if self.eq is not UNSET and value != self.eq:
            return f"value must be {as_lua(self.eq)}"
        if value in self.not_one_of:
            return f"must not be one of: {', '.join(map(as_lua, self.not_one_of))}"
        if self.one_of and value not in self.one_of:
            return f"expected one of: {', '.join(map(as_lua, self.one_of))}"
        if self.gt is not None and not value > self.gt:
            return f"value must be greater than {as_lua(self.gt)}"
        if self.contains is not UNSET and self.contains not in value:
            return f"expected to contain: {as_lua(self.contains)}"
        return self.check(value) if self.check is not None else None

    def describe(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"required": True} if self.required else {}
        for name in ("eq", "contains"):
            if getattr(self, name) is not UNSET:
                shown[name] = getattr(self, name)
        for name in ("one_of", "not_one_of"):
            if getattr(self, name):
                shown[name] = list(getattr(self, name))
        return shown | ({"gt": self.gt} if self.gt is not None else {})


@dataclass(frozen=True, slots=True)
class Conditional:
    """When ``if_field`` matches, ``then_field`` must match, too."""

    if_field: str
    if_match: Match
    then_field: str
    then_match: Match
    error: str = ""

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        if _undecided(entity, (self.if_field, self.then_field)):
            return
        if _any_wrong(errors, (self.if_field,)):
            return
        if self.if_match.error(_get(entity, self.if_field)) is not None:
            return
        if _error_at(errors, self.then_field) is None:
            wrong = self.then_match.error(_get(entity, self.then_field))
            if wrong is None:
                return
            _set_error(errors, self.then_field, wrong)
        _refuse(
            errors,
            self.error or f"failed conditional validation given value of field '{self.if_field}'",
        )

    def describe(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "if_field": self.if_field,
            "if_match": self.if_match.describe(),
            "then_field": self.then_field,
            "then_match": self.then_match.describe(),
        }
        return {"conditional": shown | ({"then_err": self.error} if self.error else {})}


@dataclass(frozen=True, slots=True)
class ConditionalAtLeastOneOf:
    """When ``if_field`` matches, one of the fields must be set; the error's ``%s`` names them."""

    if_field: str
    if_match: Match
    paths: tuple[str, ...]
    error: str

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        value = _get(entity, self.if_field)
        if value is None or _error_at(errors, self.if_field) is not None:
            return
        if self.if_match.error(value) is not None:
            return
        if all(is_empty(_get(entity, path)) for path in self.paths):
            _refuse(errors, self.error.replace("%s", quoted(self.paths)))

    def describe(self) -> dict[str, Any]:
        return {
            "conditional_at_least_one_of": {
                "if_field": self.if_field,
                "if_match": self.if_match.describe(),
                "then_at_least_one_of": list(self.paths),
                "then_err": self.error,
            }
        }


@dataclass(frozen=True, slots=True)
class Custom:
    """A rule of its own over some fields; it is asked only when they are valid."""

    paths: tuple[str, ...]
    check: Callable[[Mapping[str, Any]], str | None]
    """Gets the whole entity or record; answers what is wrong, or None."""

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        if _undecided(entity, self.paths):
            return
        if any(_error_at(errors, path) is not None for path in self.paths if "." not in path):
            return
        if _any_wrong(errors, self.paths):
            return
        wrong = self.check(entity)
        if wrong is not None:
            _refuse(errors, wrong)

    def describe(self) -> dict[str, Any]:
        return {"custom_entity_check": {"field_sources": list(self.paths)}}
