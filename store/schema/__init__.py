"""Schemas of the entities: one declaration per kind, in a module named after it.

A new kind is a module with a ``Schema`` and a line in the table below.
"""

from store.schema.entity import Schema
from store.schema.routes import ROUTES
from store.schema.services import SERVICES

__all__ = ["Schema", "cold_kinds", "kinds", "schema"]

_SCHEMAS = {item.kind: item for item in (SERVICES, ROUTES)}
"""In the order of their dependencies: a kind stands after those it refers to."""


def kinds() -> list[str]:
    """Collection names of all kinds, those referred to first."""
    return list(_SCHEMAS)


def schema(kind: str) -> Schema:
    """The schema of a kind. Raises KeyError for one that this version doesn't know."""
    return _SCHEMAS[kind]


def cold_kinds() -> frozenset[str]:
    """The kinds that workers don't hold but look up."""
    return frozenset(kind for kind, item in _SCHEMAS.items() if item.cold)
