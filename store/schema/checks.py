"""Rules that span several fields of an entity (Kong's entity checks).

A field's name may be a path into records: ``config.redis.host``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from store.schema.field import Field
from store.schema.values import errors_of, is_empty, is_reference, quoted
from store.schema.violations import ENTITY, FieldErrors


def value_at(entity: Mapping[str, Any], path: str) -> Any:
    """The value of a field by its path; None where there is none."""
    value: Any = entity
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def set_error(errors: FieldErrors, path: str, error: Any) -> None:
    """Say what is wrong with a field by its path, unless more is known about a record around it."""
    *records, name = path.split(".")
    place: Any = errors
    for record in records:
        place = place.setdefault(record, {})
        if not isinstance(place, dict):
            return
    place[name] = error


def add_entity_error(errors: FieldErrors, message: str) -> None:
    """Say what is wrong with the entity as a whole."""
    errors.setdefault(ENTITY, []).append(message)


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


@dataclass(frozen=True, slots=True)
class FieldsSet:
    """How many of some fields must be set, in one of Kong's four ways of saying it."""

    rule: Literal["at_least_one_of", "only_one_of", "mutually_exclusive", "mutually_required"]
    fields: tuple[str, ...]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        number = sum(not is_empty(value_at(entity, name)) for name in self.fields)
        fits, message = {
            "at_least_one_of": (number >= 1, "at least one of these fields must be non-empty"),
            "only_one_of": (number == 1, "exactly one of these fields must be non-empty"),
            "mutually_exclusive": (number <= 1, "only one or none of these fields must be set"),
            "mutually_required": (
                number in (0, len(self.fields)),
                "all or none of these fields must be set",
            ),
        }[self.rule]
        if not fits:
            add_entity_error(errors, f"{message}: {quoted(self.fields)}")

    def describe(self) -> dict[str, Any]:
        return {self.rule: list(self.fields)}


@dataclass(frozen=True, slots=True)
class Distinct:
    """No two of some fields have the same value."""

    fields: tuple[str, ...]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        values = [value for name in self.fields if not is_empty(value := value_at(entity, name))]
        if any(value in values[:index] for index, value in enumerate(values)):
            names = quoted(self.fields)
            add_entity_error(errors, f"values of these fields must be distinct: {names}")

    def describe(self) -> dict[str, Any]:
        return {"distinct": list(self.fields)}


@dataclass(frozen=True, slots=True)
class Conditional:
    """When ``if_field`` has one of ``values``, ``then_field`` must fit ``then``."""

    if_field: str
    values: tuple[Any, ...]
    then_field: str
    then: Field
    """Whatever the field's own declaration asks for has been checked before."""
    error: str = ""
    negated: bool = False

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        if_value, value = value_at(entity, self.if_field), value_at(entity, self.then_field)
        if if_value is None or (if_value in self.values) == self.negated:
            return
        wrong = errors_of(self.then, value)
        if wrong is None:
            return
        set_error(errors, self.then_field, wrong)
        add_entity_error(
            errors,
            self.error or f"failed conditional validation given value of field '{self.if_field}'",
        )

    def describe(self) -> dict[str, Any]:
        shown = {
            "if_field": self.if_field,
            "if_match": {"not_one_of" if self.negated else "one_of": list(self.values)},
            "then_field": self.then_field,
            "then_match": {
                name: value for name, value in self.then.describe().items() if name != "type"
            },
        }
        return {"conditional": shown | ({"then_err": self.error} if self.error else {})}


@dataclass(frozen=True, slots=True)
class Custom:
    """Whatever else there is to say about several fields, once each of them is valid.

    Not asked while one of them is a reference into a vault.
    """

    fields: tuple[str, ...]
    check: Callable[[Mapping[str, Any]], str | None]

    def run(self, entity: Mapping[str, Any], errors: FieldErrors) -> None:
        if any(value_at(errors, name) is not None for name in self.fields):
            return
        if any(is_reference(value_at(entity, name)) for name in self.fields):
            return
        wrong = self.check(entity)
        if wrong is not None:
            add_entity_error(errors, wrong)

    def describe(self) -> dict[str, Any]:
        return {"custom_entity_check": {"field_sources": list(self.fields)}}
