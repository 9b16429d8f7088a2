"""Rules that span several fields of an entity (Kong's entity checks)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from store.schema.field import Field
from store.schema.values import errors_of, is_empty, quoted
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
