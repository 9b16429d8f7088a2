"""Schemas of the entities: one declaration per kind, in a module named after it.

A new kind is a module with a ``Schema`` and a line in the table below.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from store.schema.certificates import CA_CERTIFICATES, CERTIFICATES, SNIS
from store.schema.checks import EntityCheck
from store.schema.consumers import CONSUMERS
from store.schema.credentials import (
    ACLS,
    BASICAUTH_CREDENTIALS,
    HMACAUTH_CREDENTIALS,
    JWT_SECRETS,
    KEYAUTH_CREDENTIALS,
)
from store.schema.entity import Schema
from store.schema.keys import KEY_SETS, KEYS
from store.schema.oauth2 import OAUTH2_AUTHORIZATION_CODES, OAUTH2_CREDENTIALS, OAUTH2_TOKENS
from store.schema.plugin_entities import PLUGINS, PluginSubschemas, unknown_plugin
from store.schema.plugin_storage import ACME_STORAGE, SESSIONS
from store.schema.routes import ROUTES
from store.schema.services import SERVICES
from store.schema.upstreams import TARGETS, UPSTREAMS
from store.schema.vaults import VAULTS

__all__ = ["Schema", "cold_kinds", "is_cold", "kinds", "schema", "schemas_with_plugins"]

_SCHEMAS = {
    item.kind: item
    for item in (
        CERTIFICATES,
        SNIS,
        CA_CERTIFICATES,
        SERVICES,
        ROUTES,
        CONSUMERS,
        UPSTREAMS,
        TARGETS,
        PLUGINS,
        VAULTS,
        KEY_SETS,
        KEYS,
        KEYAUTH_CREDENTIALS,
        BASICAUTH_CREDENTIALS,
        HMACAUTH_CREDENTIALS,
        JWT_SECRETS,
        ACLS,
        OAUTH2_CREDENTIALS,
        OAUTH2_AUTHORIZATION_CODES,
        OAUTH2_TOKENS,
        SESSIONS,
        ACME_STORAGE,
    )
}
"""In the order of their dependencies: a kind stands after those it refers to."""


def kinds() -> list[str]:
    """Collection names of all kinds, those referred to first."""
    return list(_SCHEMAS)


def schema(kind: str) -> Schema:
    """The schema of a kind. Raises KeyError for one that this version doesn't know."""
    return _SCHEMAS[kind]


def is_cold(kind: str) -> bool:
    """Whether workers don't hold a kind but look it up; not one that this version doesn't know."""
    known = _SCHEMAS.get(kind)
    return known is not None and known.cold


def cold_kinds() -> frozenset[str]:
    """All such kinds."""
    return frozenset(kind for kind, item in _SCHEMAS.items() if item.cold)


def schemas_with_plugins(
    enabled: Collection[str],
    unbuilt: Collection[str] = (),
    more: Mapping[str, tuple[EntityCheck, ...]] | None = None,
) -> Callable[[str], Schema]:
    """``schema``, but that no other plugins than these can be configured.

    ``unbuilt`` are those that Kong has and this version doesn't: configuring one says so. ``more``
    are further rules by plugin, for what this version can't do of a valid configuration.
    """

    def unknown(name: str) -> str:
        if name in unbuilt:
            return f"plugin '{name}' is not available: this version of grapevine doesn't run it yet"
        return unknown_plugin(name)

    plugins = replace(
        PLUGINS, subschemas=PluginSubschemas(enabled, more), unknown_subschema=unknown
    )
    return lambda kind: plugins if kind == PLUGINS.kind else schema(kind)
