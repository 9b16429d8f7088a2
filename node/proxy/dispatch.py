"""From a request head to what is done with it: the decision, without any I/O.

This is the seam for a faster core and for plugins: a parsed head and the routing state go in; out
comes either the route and the service (``find``), or the answer that the client gets. In between
plugins may run. Then the head is rewritten for the service (``compose``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from node.proxy import forwarded, heads, paths
from node.proxy.entities import Route, Service, split_port
from node.proxy.forwarded import Peer, Trust
from node.proxy.heads import RequestHead
from node.proxy.router import Match, Request
from node.proxy.table import Table

if TYPE_CHECKING:
    from node.plugins.context import Outgoing


class Plan(NamedTuple):
    """A request that goes to an upstream."""

    service: Service
    route: Route
    head: bytes
    """The request head for the upstream."""
    host: bytes
    """The Host in it."""
    client: bytes
    """The client's address, for the log."""
    host_stays: bool
    """Whether that Host is sent whatever the target."""
    match: Match
    path: bytes
    """Normalised."""


class Found(NamedTuple):
    """Where a request leads."""

    route: Route
    service: Service
    match: Match
    path: bytes
    """Normalised."""
    client: bytes
    """The client's address."""


class Answer(NamedTuple):
    """A request that is answered here, in Kong's words."""

    status: int
    message: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """In place of the message."""


NO_ROUTE = Answer(404, "no Route matched with those values")
NO_SERVICE = Answer(503, "no Service found with those values")
NEEDS_HTTP2 = Answer(
    426, "Please use HTTP2 protocol", (("Connection", "Upgrade"), ("Upgrade", "HTTP/2"))
)
_TLS = (("Connection", "Upgrade"), ("Upgrade", "TLS/1.2, HTTP/1.1"))


def find(head: RequestHead, peer: Peer, table: Table, trust: Trust) -> Found | Answer:
    """Decide where one request leads (Kong: access.before in kong/runloop/handler.lua)."""
    path = paths.normalise(head.path)
    named_port = split_port(head.host)[1] if len(head.host) > len(head.host_name) else 0
    request = Request(
        head.method,
        head.host_name,
        path,
        peer.ssl,
        peer.sni,
        peer.listener_port,
        head.values,
        named_port,
    )
    match = table.match(request)
    if match is None:
        return NO_ROUTE
    route = match.route
    protocols = route.protocols
    if "http" not in protocols:
        if "https" not in protocols:
            return NEEDS_HTTP2
        if forwarded.scheme(peer, head) != b"https":
            return _use_https(route, head, peer)
    service = table.services.held.get(route.service_id)
    if service is None:
        return NO_SERVICE
    return Found(route, service, match, path, trust.client_address(peer, head))


def compose(
    found: Found,
    head: RequestHead,
    peer: Peer,
    via: bytes,
    request_id: bytes,
    outgoing: "Outgoing | None" = None,
) -> Plan:
    """The plan for a request: its head for the upstream, with what plugins put in place."""
    route, service, match, path, client = found
    matched, strip = match.matched, route.strip_path
    prefix = paths.escape(matched) if matched and strip else None
    block = forwarded.lines(head, peer, client, prefix)
    own = head.host if route.preserve_host and head.host else None
    target = None
    if outgoing is not None:
        target, own = outgoing.path, outgoing.host or own
        if outgoing.body is not None:
            head = head._replace(length=len(outgoing.body), chunked=False)
    if target is None:
        target = paths.escape(
            paths.upstream_path(service.path, path, matched, strip, route.path_handling)
        )
    host = own or service.host_header
    rewritten = heads.upstream_head(head, target, host, block, via, request_id)
    return Plan(service, route, rewritten, host, client, own is not None, match, path)


def captures(match: Match, path: bytes) -> Mapping[str | int, str]:
    """What the groups of the route's expression matched, by name and by number; 0: all of it."""
    if match.groups is None:
        return {}
    found = match.groups(path)
    if found is None:
        return {}
    values: dict[str | int, str] = {}
    for number, value in enumerate((found.group(0), *found.groups())):
        if value is not None:
            values[number] = value.decode("utf-8", "surrogateescape")
    for name, value in found.groupdict().items():  # RE2 has bytes for names, too
        if value is not None:
            values[name.decode()] = value.decode("utf-8", "surrogateescape")
    return values


def _use_https(route: Route, head: RequestHead, peer: Peer) -> Answer:
    status = route.https_redirect_status_code
    if status == 426:
        return Answer(426, "Please use HTTPS protocol", _TLS)
    url = b"https://%b%b%b" % (forwarded.host(peer, head), head.path, head.query)
    return Answer(status, "", (("Location", url.decode("latin-1")),))
