"""From a request head to what is done with it: the decision, without any I/O.

This is the seam for a faster core and for plugins: a parsed head and the routing state go in; out
comes either the service with the head rewritten for it, or the answer that the client gets.
"""

from typing import NamedTuple

from node.proxy import forwarded, heads, paths
from node.proxy.entities import Route, Service, split_port
from node.proxy.forwarded import Peer, Trust
from node.proxy.heads import RequestHead
from node.proxy.router import Request
from node.proxy.table import Table


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
    route, matched = match
    protocols = route.protocols
    if "http" not in protocols:
        if "https" not in protocols:
            return NEEDS_HTTP2
        if forwarded.scheme(peer, head) != b"https":
            return _use_https(route, head, peer)
    service = table.services.held.get(route.service_id)
    if service is None:
        return NO_SERVICE
    target = paths.escape(
        paths.upstream_path(service.path, path, matched, route.strip_path, route.path_handling)
    )
    client = trust.client_address(peer, head)
    prefix = paths.escape(matched) if matched and route.strip_path else None
    block = forwarded.lines(head, peer, client, prefix)
    host = head.host if route.preserve_host and head.host else service.host_header
    rewritten = heads.upstream_head(head, target, host, block, via, request_id)
    return Plan(service, route, rewritten, host, client)


def _use_https(route: Route, head: RequestHead, peer: Peer) -> Answer:
    status = route.https_redirect_status_code
    if status == 426:
        return Answer(426, "Please use HTTPS protocol", _TLS)
    url = b"https://%b%b%b" % (forwarded.host(peer, head), head.path, head.query)
    return Answer(status, "", (("Location", url.decode("latin-1")),))
