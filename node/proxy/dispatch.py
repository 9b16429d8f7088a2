"""From a request head to what is done with it: the decision, without any I/O.

This is the seam for a faster core and for plugins: a parsed head and the routing state go in; out
comes either the route and the service (``find``), or the answer that the client gets. In between
plugins may run. Then the head is rewritten for the service (``compose``).

All of that depends on the head, the peer and the table alone. So a ``Decision`` can be kept, and
holds for every request that has the same head, until the table changes; and then, too, where what
it read of the table still comes to the same (``renew``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from node.plugins.chain import NOTHING
from node.proxy import fields, forwarded, outlines, paths
from node.proxy.balancing.peer import Peer as Address
from node.proxy.entities import Route, Service, split_port
from node.proxy.forwarded import Peer, Trust
from node.proxy.heads import RequestHead
from node.proxy.router import Match, Request
from node.proxy.table import Table
from node.proxy.upstream import PoolKey

if TYPE_CHECKING:
    from node.plugins.context import Outgoing
    from node.plugins.fields import Edit


class Plan:
    """A request that goes to an upstream."""

    __slots__ = (
        "address",
        "client",
        "host",
        "host_stays",
        "key",
        "match",
        "path",
        "route",
        "service",
        "start",
    )

    def __init__(
        self, found: "Found", service: Service, start: bytes, host: bytes, host_stays: bool
    ) -> None:
        self.service = service
        self.route = found.route
        self.start = start
        """The request head for the upstream, up to the request's id."""
        self.host = host
        """The Host in it."""
        self.host_stays = host_stays
        """Whether that Host is sent whatever the target."""
        self.client = found.client
        """The client's address, for the log."""
        self.match = found.match
        self.path = found.path
        """Normalised."""
        self.address = found.address
        """Where it goes; None when that is for a balancer to say."""
        self.key: PoolKey | None = None
        """Of the connections that it can go over, if that is known from the start."""
        if found.address is not None and not service.ssl:
            self.key = (found.address.host, found.address.port, None)

    def head(self, request_id: bytes) -> bytes:
        """The request head for the upstream."""
        return self.start + request_id + b"\r\n\r\n"


class Found(NamedTuple):
    """Where a request leads."""

    route: Route
    service: Service | None
    """None: there is none to send it to, but plugins run, and may answer."""
    match: Match
    path: bytes
    """Normalised."""
    client: bytes
    """The client's address."""
    address: Address | None
    """The service's, if its host is one."""
    request: Request
    """What the router was asked."""


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
    named_port = head.remembered.named_port
    if named_port is None:
        named_port = head.remembered.named_port = split_port(head.host)[1]
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
    known = table.services.peers.get(route.service_id)
    address = known[1] if known is not None and known[0] is service else None
    return Found(route, service, match, path, trust.client_address(peer, head), address, request)


def compose(
    found: Found,
    head: RequestHead,
    peer: Peer,
    via: bytes,
    outgoing: "Outgoing | None" = None,
) -> Plan:
    """The plan for a request to a service: its head for the upstream, with what plugins put in
    place."""
    route, service, match, path, client, _, _ = found
    assert service is not None
    matched = match.matched
    own = head.host if route.preserve_host and head.host else None
    target = None
    if outgoing is not None:
        target, own = outgoing.path, outgoing.host or own
    if target is None:
        target = paths.escape(
            paths.upstream_path(service.path, path, matched, route.strip_path, route.path_handling)
        )
    host = own or service.host_header
    kept = head.remembered.outline
    if (
        kept is None
        or kept.route is not route
        or kept.service is not service
        or kept.matched != matched
        or kept.host != host
    ):
        kept = outlines.outline(head, peer, client, route, service, matched, host, via)
        head.remembered.outline = kept
    return Plan(found, service, kept.fill(head, target), host, own is not None)


class Decision:
    """What is done with a request, as far as that is known without running a plugin."""

    __slots__ = (
        "chain",
        "edit",
        "edition",
        "fast_plan",
        "first",
        "found",
        "head",
        "is_free",
        "is_short",
        "plan",
        "sent",
    )

    def __init__(self, head: RequestHead, edition: object) -> None:
        self.head = head
        self.edition = edition
        """The table's. Under another one, this is to be renewed before it holds again."""
        self.first = NOTHING
        """Plugins that run before a route is looked for; all below is undecided until then."""
        self.found: Found | Answer = NO_ROUTE
        self.chain = NOTHING
        """Plugins that run for the route."""
        self.is_free = False
        """Neither a plugin nor an answer of ours stands between the request and its service."""
        self.is_short = False
        """Nor a body, nor a revision to wait for."""
        self.fast_plan: Plan | None = None
        """The plan, if the request can take the fast path (``node.proxy.fast_path``)."""
        self.plan: Plan | None = None
        """The plan for the head ``sent``: that is the client's where the way is free, else what
        plugins have made of it for an earlier request. None as long as there is none."""
        self.edit: Edit | None = None
        """What plugins did to the client's head so that it became ``sent``, if that was one edit:
        the same one leads to the same plan."""
        self.sent: RequestHead | None = None


def decide(head: RequestHead, peer: Peer, table: Table, trust: Trust, via: bytes) -> Decision:
    """Decide about a request as it came."""
    plugins = table.plugins
    if plugins.any:
        everywhere = plugins.chain("", "")
        if everywhere.rewrite:
            decision = Decision(head, table.edition)
            decision.first = everywhere
            return decision
    return decide_where(head, peer, table, trust, via)


def decide_where(head: RequestHead, peer: Peer, table: Table, trust: Trust, via: bytes) -> Decision:
    """Decide about a request as the plugins that run first have left it."""
    decision = Decision(head, table.edition)
    found = decision.found = find(head, peer, table, trust)
    if isinstance(found, Found):
        if table.plugins.any:
            decision.chain = table.plugins.chain(found.route.id, found.route.service_id)
        if decision.chain is NOTHING and found.service is not None:
            decision.is_free = True
            decision.is_short = not head.has_body and fields.MIN_REVISION not in head.special
            decision.sent = head
            decision.plan = plan = compose(found, head, peer, via)
            if decision.is_short and plan.key is not None and head.method != b"HEAD":
                decision.fast_plan = plan
    return decision


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


def renew(decision: Decision, peer: Peer, table: Table, trust: Trust, via: bytes) -> Decision:
    """The decision about the same head under another edition: the same one, if all that it read of
    the table reads the same again. Most changes concern other routes, and what was made for a head
    costs ten times as much as to ask for its route."""
    found = decision.found
    if decision.first is not NOTHING or isinstance(found, Answer):
        return decide(decision.head, peer, table, trust, via)
    route, plugins = found.route, table.plugins
    stands = (
        table.match(found.request) == found.match
        and table.services.held.get(route.service_id) is found.service
    )
    if stands and plugins.any:
        stands = (
            not plugins.chain("", "").rewrite
            and plugins.chain(route.id, route.service_id) is decision.chain
        )
    elif decision.chain is not NOTHING:
        stands = False
    if not stands:
        return decide(decision.head, peer, table, trust, via)
    decision.edition = table.edition
    return decision


def _use_https(route: Route, head: RequestHead, peer: Peer) -> Answer:
    status = route.https_redirect_status_code
    if status == 426:
        return Answer(426, "Please use HTTPS protocol", _TLS)
    url = b"https://%b%b%b" % (forwarded.host(peer, head), head.path, head.query)
    return Answer(status, "", (("Location", url.decode("latin-1")),))
