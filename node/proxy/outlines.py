"""Request heads, written anew for the upstream.

Most of such a head is decided by what a client says with each of its requests (its fields), and by
the route. That part is an outline, made once for as long as the client repeats its fields and goes
to the same route; a request fills in its method, its path and its id.
"""

from node.proxy import forwarded, paths
from node.proxy.entities import Route, Service
from node.proxy.forwarded import Peer
from node.proxy.heads import RequestHead


class Outline:
    """A head for the upstream, but for method, path and request id."""

    __slots__ = ("_above", "_below", "_path_told", "host", "matched", "route", "service")

    def __init__(
        self,
        route: Route,
        service: Service,
        matched: bytes | None,
        host: bytes,
        above: bytes,
        below: bytes,
        path_told: bool,
    ) -> None:
        self.route = route
        self.service = service
        self.matched = matched
        """What the route's path matched of the client's."""
        self.host = host
        self._above = above
        """From the version to X-Forwarded-Path."""
        self._below = below
        """From there to X-Kong-Request-Id."""
        self._path_told = path_told
        """X-Forwarded-Path stands in ``above``: it is a trusted peer's."""

    def fill(self, head: RequestHead, target: bytes) -> bytes:
        """The head up to the value of X-Kong-Request-Id. ``target`` is escaped, without query."""
        path = b"" if self._path_told else head.path
        return b"".join(
            (head.method, b" ", target, head.query, self._above, path, self._below)
        )  # copies, where a format would look at each byte


def outline(
    head: RequestHead,
    peer: Peer,
    client: bytes,
    route: Route,
    service: Service,
    matched: bytes | None,
    host: bytes,
    via: bytes,
) -> Outline:
    """The outline for the fields of a head."""
    prefix = paths.escape(matched) if matched and route.strip_path else None
    above, path, below = forwarded.lines(head, peer, client, prefix)
    connection = b"keep-alive"
    if head.upgrade:
        connection = b"keep-alive, Upgrade\r\nUpgrade: %b" % head.upgrade
    if head.chunked:
        framing = b"Transfer-Encoding: chunked\r\n"
    elif head.length is not None:
        framing = b"Content-Length: %d\r\n" % head.length
    else:
        framing = b""
    remembered = head.remembered
    plain = remembered.plain
    if plain is None:
        plain = remembered.plain = b"".join([b"%b: %b\r\n" % pair for pair in head.plain])
    return Outline(
        route,
        service,
        matched,
        host,
        b" HTTP/1.1\r\nHost: %b\r\nConnection: %b\r\n%b%b" % (host, connection, above, path or b""),
        b"%b%b%bVia: 1.1 %b\r\nX-Kong-Request-Id: " % (below, plain, framing, via),
        path is not None,
    )


def with_host(head: bytes, host: bytes) -> bytes:
    """The same head with another Host, which is its first field."""
    start = head.index(b"\r\n") + 2
    return b"%bHost: %b%b" % (head[:start], host, head[head.index(b"\r\n", start) :])
