"""What an upstream sends is read as one response in whatever pieces it comes, and as h11 reads it;
and what the client gets for it is a response that h11 reads, with the same status and body."""

import contextlib
from collections.abc import Iterable
from typing import NamedTuple

import h11

from node.proxy import limits
from node.proxy.framing import FramingError, ResponseHead
from node.proxy.heads import HeadParser, RequestHead
from node.proxy.response import BodyFilter, HeadReader, ResponseRelay
from tests.fuzz.cutting import pieces, planned, uncut
from tests.fuzz.target import Target
from tests.fuzz.targets.http_requests import LAXER_IN_TRAILERS, MARKS

LAXER = [
    ("illegal header line", made, "control characters in a value (RFC 9110, 5.5)")
    for made in (b"\x0b", b"\x0c")
]
"""Where h11 may refuse what we take: what it says, because of what, and why we take it."""


def _request(line: bytes, more: bytes = b"") -> RequestHead:
    head = HeadParser().feed(line + b"\r\nHost: a\r\n" + more + b"\r\n")
    assert head is not None
    return head


_UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
REQUESTS = [
    _request(b"GET / HTTP/1.1"),
    _request(b"HEAD / HTTP/1.1"),
    _request(b"GET / HTTP/1.0"),
    _request(b"GET / HTTP/1.1", _UPGRADE),
]
UPGRADING = 3


class _Circumstances:
    def may_keep_alive(self) -> bool:
        return True

    def filter_head(self, head: ResponseHead) -> tuple[ResponseHead, BodyFilter | None]:
        return head, None

    def annotate(self, status: int) -> bytes:
        return b""


class Relayed(NamedTuple):
    """What came of an upstream's bytes."""

    head: ResponseHead | None
    out: bytes
    """What the client gets."""
    complete: bool
    switched: bool
    reusable: bool
    keep_alive: bool
    rest: bytes


class Read(NamedTuple):
    """A response, by h11."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes
    complete: bool
    interim: list[int]
    error: str


def attack(data: bytes) -> None:
    """What was asked for, a plan of pieces, and all that the upstream sends before it closes."""
    if not data:
        return
    number = data[0] % len(REQUESTS)
    request = REQUESTS[number]
    plan, stream = planned(data[1:])
    ours = _relayed(request, [stream])
    again = _relayed(request, pieces(plan, stream))
    if ours is None or again is None:
        assert ours is again
        return
    assert ours._replace(out=b"") == again._replace(out=b"")
    if ours.head is None:
        return
    passed_on = _passed_on(request, ours)
    # The same bytes, but for the ends of chunks.
    assert ours.out == again.out or passed_on == _passed_on(request, again)
    assert ours.head.length is None or not ours.head.chunked
    if ours.switched:
        assert number == UPGRADING
        return
    theirs = _read(request, stream, closed=True)
    if any(theirs.error.startswith(text) and made in stream for text, made, _ in LAXER):
        return
    _agree(ours, theirs)
    if ours.complete:
        assert passed_on.complete, passed_on.error
        assert (passed_on.status, passed_on.body) == (theirs.status, theirs.body)
        assert not ours.reusable or not ours.rest


def _passed_on(request: RequestHead, ours: Relayed) -> Read:
    return _read(request, ours.out, closed=not ours.keep_alive)


def _agree(ours: Relayed, theirs: Read) -> None:
    """What we take, h11 takes."""
    assert ours.head is not None
    if ours.complete and not theirs.complete:
        assert ours.head.chunked
        assert theirs.error.startswith(LAXER_IN_TRAILERS), theirs.error
    assert theirs.status == ours.head.status
    lengths = [value for name, value in theirs.fields if name == b"content-length"]
    assert ours.head.length == (int(lengths[0]) if lengths else None)
    assert ours.head.chunked == (b"transfer-encoding" in dict(theirs.fields))
    assert [_pair(line) for line in ours.head.lines] == [
        pair for pair in theirs.fields if pair in [_pair(line) for line in ours.head.lines]
    ]


def _pair(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip(b" \t")


def _relayed(request: RequestHead, arriving: Iterable[bytes]) -> Relayed | None:
    """None for what is refused, at the beginning or later: how much the client has got by then
    depends on the pieces."""
    relay, reader, out = ResponseRelay(request, request.method), HeadReader(), b""
    try:
        for piece in arriving:
            if relay.done or relay.switched:
                relay.rest += piece
                continue
            out += relay.feed(piece, reader, _Circumstances())
            assert len(relay._buffer) <= limits.RESPONSE_HEAD_BYTES_MAX
    except FramingError:
        return None
    if not (relay.done or relay.switched):
        with contextlib.suppress(FramingError):  # it was closed too early
            out += relay.end()
    return Relayed(
        relay.head,
        out,
        relay.done,
        relay.switched,
        relay.upstream_reusable,
        relay.client_keep_alive,
        relay.rest,
    )


def _read(request: RequestHead, stream: bytes, *, closed: bool) -> Read:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**20)
    asked = [(b"Host", b"a")]
    if request.upgrade:
        asked += [(b"Connection", b"Upgrade"), (b"Upgrade", request.upgrade)]
    connection.send(h11.Request(method=request.method, target="/", headers=asked))
    connection.send(h11.EndOfMessage())
    connection.receive_data(stream)
    if closed and stream:
        connection.receive_data(b"")
    found = Read(0, [], b"", False, [], "")
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return found._replace(error=str(error))
        if isinstance(event, h11.InformationalResponse):
            found.interim.append(event.status_code)
        elif isinstance(event, h11.Response):
            found = found._replace(status=event.status_code, fields=[*event.headers])
        elif isinstance(event, h11.Data):
            found = found._replace(body=found.body + bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return found._replace(complete=True)
        else:
            return found


OK = b"HTTP/1.1 200 OK\r\nServer: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\n0\r\nTrailer: x\r\n\r\n"

TARGET = Target(
    attack,
    seeds=[
        bytes([number]) + data
        for number in range(len(REQUESTS))
        for data in uncut(
            OK + b"Content-Length: 5\r\nset-cookie: a\r\nSet-Cookie: b \r\n\r\nhello",
            OK + CHUNKED,
            OK + b"\r\nuntil the end",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" + OK + CHUNKED,
            b"HTTP/1.1 101 Switching Protocols\r\n" + _UPGRADE + b"\r\nraw",
            b"HTTP/1.0 404 \r\nConnection: keep-alive, X\r\nX: 1\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            b"HTTP/1.1 204\r\n\r\nmore",
        )
    ],
    words=[
        *MARKS,
        *(b"HTTP/1.1 ", b"HTTP/1.0 "),
        *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
        *(b"100", b"101", b"199", b"204", b"304", b"Upgrade: websocket\r\n", b"Keep-Alive: x\r\n"),
    ],
)
