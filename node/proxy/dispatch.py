"""From a request head to what is done with it: the decision, without any I/O.

This is the seam for a faster core and for plugins: a parsed head and the routing state go in; out
comes either the service with the head rewritten for it, or the answer that the client gets.
"""

from collections.abc import Mapping
from typing import NamedTuple

from node.proxy import forwarded, heads, paths
from node.proxy.entities import Route, Service
from node.proxy.forwarded import Peer, Trust
from node.proxy.heads import RequestHead
from node.proxy.router import Match, Request
from node.proxy.table import Table


class Plan(NamedTuple):
    """A request that goes to an upstream."""

    service: Service
    route: Route
    head: bytes
    """The request head for the upstream."""
    client: bytes
    """The client's address, for the log."""
    host: bytes | None
    """The Host in the head, if it is sent whatever the target; None: each target gets its own."""
    match: Match
    path: bytes
    """Normalised."""


class Answer(NamedTuple):
    """A request that is answered here, in Kong's words."""

    status: int
    message: str
    fields: tuple[tuple[str, str], ...] = ()


NO_ROUTE = Answer(404, "no Route matched with those values")
NO_SERVICE = Answer(503, "no Service found with those values")
NEEDS_HTTP2 = Answer(
    426, "Please use HTTP2 protocol", (("Connection", "Upgrade"), ("Upgrade", "HTTP/2"))
)
_TLS = (("Connection", "Upgrade"), ("Upgrade", "TLS/1.2, HTTP/1.1"))


def dispatch(
    head: RequestHead, peer: Peer, table: Table, trust: Trust, via: bytes, request_id: bytes
) -> Plan | Answer:
    """Decide about one request (Kong: access.before in kong/runloop/handler.lua)."""
    path = paths.normalise(head.path)
    request = Request(
        head.method, head.host_name, path, peer.ssl, peer.sni, peer.listener_port, head.values
    )
    match = table.match(request)
    if match is None:
        return NO_ROUTE
    route, matched = match.route, match.matched
    protocols = route.protocols
    if "http" not in protocols:
        if "https" not in protocols:
            return NEEDS_HTTP2
        if forwarded.scheme(peer, head) != b"https":
            return _use_https(route, head, peer)
    service = table.services.held.get(route.service_id)
    if service is None:
        return NO_SERVICE
    target = paths.escape(paths.upstream_path(service.path, path, matched, route.strip_path))
    client = trust.client_address(peer, head)
    prefix = paths.escape(matched) if matched and route.strip_path else None
    block = forwarded.lines(head, peer, client, prefix)
    own = head.host if route.preserve_host and head.host else None
    host = own or service.host_header
    rewritten = heads.upstream_head(head, target, host, block, via, request_id)
    return Plan(service, route, rewritten, client, own, match, path)


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
    for name, value in found.groupdict().items():
        if value is not None:
            values[name.decode()] = value.decode("utf-8", "surrogateescape")
    return values


def _use_https(route: Route, head: RequestHead, peer: Peer) -> Answer:
    status = route.https_redirect_status_code
    if status == 426:
        return Answer(426, "Please use HTTPS protocol", _TLS)
    url = b"https://%b%b%b" % (forwarded.host(peer, head), head.path, head.query)
    return Answer(status, "", (("Location", url.decode("latin-1")),))
