"""Schemas of plugin configurations: one declaration per plugin, in a module named after it.

A new plugin is a module with a ``PLUGIN`` and its name in the table below. A module is imported
when its plugin is first asked for, so that a process pays only for those that it meets.
"""

from functools import cache
from importlib import import_module
from typing import cast

from store.schema.plugins.plugin import PluginSchema

__all__ = ["PluginSchema", "bundled_names", "declare", "plugin_names", "plugin_schema"]

_NAMES = (
    "jwt",
    "acl",
    "correlation-id",
    "cors",
    "oauth2",
    "tcp-log",
    "udp-log",
    "file-log",
    "http-log",
    "key-auth",
    "hmac-auth",
    "basic-auth",
    "ip-restriction",
    "request-transformer",
    "response-transformer",
    "request-size-limiting",
    "rate-limiting",
    "response-ratelimiting",
    "syslog",
    "loggly",
    "datadog",
    "ldap-auth",
    "statsd",
    "bot-detection",
    "aws-lambda",
    "request-termination",
    "prometheus",
    "proxy-cache",
    "session",
    "acme",
    "grpc-gateway",
    "grpc-web",
    "pre-function",
    "post-function",
    "azure-functions",
    "zipkin",
    "opentelemetry",
    "ai-proxy",
    "ai-prompt-decorator",
    "ai-prompt-template",
    "ai-prompt-guard",
    "ai-request-transformer",
    "ai-response-transformer",
    "standard-webhooks",
    "redirect",
)
"""Every plugin that comes with Kong 3.9, in the order of its own list."""


_declared: dict[str, PluginSchema] = {}
"""Those of other packages."""


def bundled_names() -> tuple[str, ...]:
    """All of Kong's, whether this version runs them or not."""
    return _NAMES


def plugin_names() -> tuple[str, ...]:
    """All that are known: Kong's, then those of other packages."""
    return (*_NAMES, *_declared)


def declare(schema: PluginSchema) -> None:
    """Make another package's plugin known. It may run one of Kong's, by the schema that is here;
    raises ValueError for another schema under such a name."""
    if schema.name not in _NAMES:
        _declared[schema.name] = schema
    elif schema is not _bundled_schema(schema.name):
        raise ValueError(f"'{schema.name}' is one of Kong's, whose schema is another one")


def plugin_schema(name: str) -> PluginSchema | None:
    """The schema of a plugin; None for a name that nobody has declared."""
    return _bundled_schema(name) if name in _NAMES else _declared.get(name)


@cache
def _bundled_schema(name: str) -> PluginSchema:
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    return cast(PluginSchema, module.PLUGIN)
