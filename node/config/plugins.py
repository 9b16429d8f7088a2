"""The names of plugins that a configuration may speak of."""

from collections.abc import Callable
from typing import Any

from node.config.limits import LIST_ITEMS_MAX
from node.plugins import registry
from store.schema import Schema, schemas_with_plugins

_BUNDLED = """
    acl acme ai-prompt-decorator ai-prompt-guard ai-prompt-template ai-proxy
    ai-request-transformer ai-response-transformer aws-lambda azure-functions basic-auth
    bot-detection correlation-id cors datadog file-log grpc-gateway grpc-web hmac-auth http-log
    ip-restriction jwt key-auth ldap-auth loggly oauth2 opentelemetry post-function pre-function
    prometheus proxy-cache rate-limiting redirect request-size-limiting request-termination
    request-transformer response-ratelimiting response-transformer session standard-webhooks statsd
    syslog tcp-log udp-log zipkin
"""

BUNDLED = frozenset(_BUNDLED.split())
"""What comes with Kong 3.9. Naming one is never an error, whether it is built here or not."""

BUILT = frozenset(registry.BUILT)
"""Those of them that this version runs."""


def plugin_names(text: str) -> tuple[str, ...]:
    """``bundled``, ``off``, or a list of plugins; raises ValueError for names that nobody knows.

    As with Kong, ``off`` at the beginning means none, whatever follows, and nothing elsewhere.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if len(words) > LIST_ITEMS_MAX:
        raise ValueError(f"has {len(words)} names; {LIST_ITEMS_MAX} are allowed")
    if words[:1] == ["off"]:
        return ()
    words = [word for word in words if word != "off"]
    for word in words:
        if word != "bundled" and word not in BUNDLED and word not in registry.offered():
            raise ValueError(
                f"has {word[:80]!r}, which is neither one of Kong's bundled plugins nor installed; "
                "leave it out"
            )
    return tuple(dict.fromkeys(words))


def unavailable(named: tuple[str, ...]) -> tuple[str, ...]:
    """Plugins asked for by name that this node can't run."""
    runnable = registry.names(named)
    return tuple(word for word in named if word != "bundled" and word not in runnable)


def schemas(named: tuple[str, ...]) -> Callable[[str], Schema]:
    """The schemas of all kinds; of plugins, only those can be configured that are asked for and
    run here, with what they can do here."""
    from node.plugins.served import served_rules

    return schemas_with_plugins(enabled(named), BUNDLED - BUILT, served_rules(named))


def enabled(named: tuple[str, ...]) -> frozenset[str]:
    """Plugins that may be configured: those asked for that this node runs."""
    return frozenset(registry.classes(named)[0])


def on_server(named: tuple[str, ...]) -> dict[str, Any]:
    """Those with version and priority, as ``GET /`` shows them; and which of those asked for this
    node can't run."""
    classes, _ = registry.classes(named)
    asked = BUNDLED.union(named) if "bundled" in named else frozenset(named)
    return {
        "available_on_server": {
            name: {"version": plugin.version, "priority": plugin.priority}
            for name, plugin in sorted(classes.items())
        },
        "unavailable": sorted(asked - classes.keys() - {"bundled"}),
    }
