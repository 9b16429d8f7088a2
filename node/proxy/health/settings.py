"""What upstreams say of their health checks, read from the stored JSON text.

What is missing there has Kong's defaults (kong/db/schema/entities/upstreams.lua), all off.
"""

import ipaddress
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from node.proxy.entities import or_default

TARGET_PORT_DEFAULT = 8000
_HEALTHY_PASSIVE = (*range(200, 209), 226, *range(300, 309))
KINDS = ("upstreams", "targets")
"""The kinds of entities that matter here."""
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError)


class Limits(NamedTuple):
    """How many results of a kind change an address's health, and which statuses are such."""

    numbers: tuple[int, int, int, int]
    """Of successes, HTTP failures, TCP failures and timeouts, as in node.proxy.health.counters; 0:
    any number changes nothing."""
    healthy_statuses: frozenset[int]
    unhealthy_statuses: frozenset[int]


class Active(NamedTuple):
    """How targets are probed. Times are in seconds; an interval of 0 means not at all."""

    kind: str
    """``tcp``, ``http`` or ``https``; others are taken for these by whether they use TLS."""
    timeout: float
    concurrency: int
    path: str
    sni: str
    """Empty: the target's name."""
    verify: bool
    headers: tuple[tuple[str, str], ...]
    healthy_interval: float
    unhealthy_interval: float
    limits: Limits

    @property
    def on(self) -> bool:
        """Whether there are any probes."""
        return bool(self.healthy_interval or self.unhealthy_interval)

    def interval(self, available: bool) -> float:
        """Between two probes of an address that is, or isn't, available."""
        return self.healthy_interval if available else self.unhealthy_interval


class Checks(NamedTuple):
    """An upstream that may judge its targets."""

    upstream_id: str
    name: str
    host_header: str
    threshold: float
    """Percentage of the weight that must be exceeded by what is available."""
    active: Active
    passive: Limits
    client_certificate_id: str = ""
    """What https probes show; empty: what is configured for all."""

    @property
    def on(self) -> bool:
        """Whether anything can find a target unhealthy, as Kong sees it: that one can be found
        healthy isn't enough."""
        return self.active.on or any(self.passive.numbers[1:])


class Target(NamedTuple):
    """A target as far as its health goes."""

    id: str
    upstream_id: str
    host: str
    """A name, or an address without brackets."""
    port: int
    weight: int


class CheckedUpstreams:
    """The upstreams and targets there are, by what was applied of them."""

    def __init__(self) -> None:
        self.upstreams: dict[str, Checks] = {}
        """All, by id; those that check nothing, too."""
        self.checked: dict[str, Checks] = {}
        """Those that check something."""
        self.targets: dict[str, Target] = {}
        """All, by id."""
        self._below: dict[str, dict[str, None]] = {}
        """Target ids by upstream."""

    def apply(self, kind: str, entity_id: str, text: str | None) -> bool:
        """Take one entity or, with None, let go of it; whether it is of a kind that matters. What
        can't be read is let go of."""
        if kind not in KINDS:
            return False
        if kind == "upstreams":
            self.upstreams.pop(entity_id, None)
            self.checked.pop(entity_id, None)
            checks = None if text is None else read_checks(text)
            if checks is not None:
                self.upstreams[entity_id] = checks
                if checks.on:
                    self.checked[entity_id] = checks
            return True
        before = self.targets.pop(entity_id, None)
        if before is not None:
            below = self._below[before.upstream_id]
            del below[entity_id]
            if not below:
                del self._below[before.upstream_id]
        target = None if text is None else read_target(text)
        if target is not None:
            self.targets[entity_id] = target
            self._below.setdefault(target.upstream_id, {})[entity_id] = None
        return True

    def below(self, upstream_id: str) -> Iterator[Target]:
        """An upstream's targets."""
        return (self.targets[each] for each in self._below.get(upstream_id, ()))


def read_checks(text: str) -> Checks | None:
    """The health checks in an upstream's text; None when it can't be read."""
    try:
        return checks_of(json.loads(text))
    except _UNREADABLE:
        return None


def checks_of(fields: Mapping[str, Any]) -> Checks:
    """The same of its fields. Raises ValueError, TypeError, AttributeError or KeyError."""
    checks = fields.get("healthchecks") or {}
    return Checks(
        upstream_id=str(fields["id"]),
        name=str(fields.get("name") or ""),
        host_header=str(fields.get("host_header") or ""),
        threshold=float(checks.get("threshold") or 0),
        active=_active(checks.get("active") or {}),
        passive=_limits(checks.get("passive") or {}, _HEALTHY_PASSIVE, (429, 500, 503)),
        client_certificate_id=str((fields.get("client_certificate") or {}).get("id") or ""),
    )


def read_target(text: str) -> Target | None:
    """A target of its text; None when it can't be read."""
    try:
        return target_of(json.loads(text))
    except _UNREADABLE:
        return None


def target_of(fields: Mapping[str, Any]) -> Target:
    """The same of its fields. Raises ValueError, TypeError, AttributeError or KeyError."""
    host, port = split_target(str(fields["target"]))
    weight = fields.get("weight")
    return Target(
        id=str(fields["id"]),
        upstream_id=str(fields["upstream"]["id"]),
        host=host,
        port=port,
        weight=100 if weight is None else int(weight),
    )


def split_target(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``, the brackets of an IPv6 address taken off. Raises
    ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (text.count(":") > 1 and not text.startswith("[")):
        return short(text), TARGET_PORT_DEFAULT
    return short(host), int(port)


def short(host: str) -> str:
    """A host without brackets; an address as it is written for short, whatever it came as."""
    host = host.strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _active(fields: dict[str, Any]) -> Active:
    healthy, unhealthy = fields.get("healthy") or {}, fields.get("unhealthy") or {}
    kind = str(fields.get("type") or "http")
    headers = fields.get("headers") or {}
    return Active(
        kind={"grpc": "http", "grpcs": "https"}.get(kind, kind),
        timeout=float(or_default(fields.get("timeout"), 1)),
        concurrency=int(fields.get("concurrency") or 10),
        path=str(fields.get("http_path") or "/"),
        sni=str(fields.get("https_sni") or ""),
        verify=fields.get("https_verify_certificate") is not False,
        headers=tuple((str(name), str(one)) for name in sorted(headers) for one in headers[name]),
        healthy_interval=float(healthy.get("interval") or 0),
        unhealthy_interval=float(unhealthy.get("interval") or 0),
        limits=_limits(fields, (200, 302), (429, 404, *range(500, 506))),
    )


def _limits(fields: dict[str, Any], healthy: tuple[int, ...], unhealthy: tuple[int, ...]) -> Limits:
    well, ill = fields.get("healthy") or {}, fields.get("unhealthy") or {}
    return Limits(
        numbers=(
            int(well.get("successes") or 0),
            int(ill.get("http_failures") or 0),
            int(ill.get("tcp_failures") or 0),
            int(ill.get("timeouts") or 0),
        ),
        healthy_statuses=frozenset(map(int, or_default(well.get("http_statuses"), healthy))),
        unhealthy_statuses=frozenset(map(int, or_default(ill.get("http_statuses"), unhealthy))),
    )
