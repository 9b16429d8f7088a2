"""Which settings a running node can change, and which need a restart."""

import dataclasses

from node.config.settings import Key, Settings, keys

RELOADABLE = frozenset(
    (
        "client_max_body_size",
        "headers",
        "log_level",
        "nginx_worker_processes",
        "proxy_access_log",
        "proxy_error_log",
        "proxy_listen",
        "real_ip_header",
        "real_ip_recursive",
        "router_flavor",
        "shutdown_timeout",
        "ssl_cert",
        "ssl_cert_key",
        "trusted_ips",
        "upstream_keepalive_idle_timeout",
        "upstream_keepalive_max_requests",
        "upstream_keepalive_pool_size",
    )
)
"""Fields of Settings that new workers take up: all that the proxy does, and the log."""


def changed_fixed(before: Settings, after: Settings) -> list[str]:
    """Names of the keys that differ and that a reload leaves as they were."""
    return [row.name for row in _fixed() if getattr(before, row.field) != getattr(after, row.field)]


def with_reloadable(before: Settings, after: Settings) -> Settings:
    """``after`` where a reload may change things, ``before`` elsewhere."""
    return dataclasses.replace(after, **{row.field: getattr(before, row.field) for row in _fixed()})


def _fixed() -> list[Key]:
    return [row for row in keys() if row.field not in RELOADABLE]
