"""What a client sends is read as the same requests in whatever pieces it comes, and as h11 reads
it: what we take, h11 takes, with the same method, target, fields and body. No request has two
lengths, and nothing is read after what was refused."""

from collections.abc import Iterator
from typing import NamedTuple

import h11

from node.proxy import fields
from node.proxy.heads import Remembered, RequestHead
from tests.fuzz.client_side import Asked, Taken, take
from tests.fuzz.cutting import pieces, planned, uncut
from tests.fuzz.target import Target

MARKS = (b"\r\n", b"\n", b"\r\n ", b": ", b" :", b"\r\n\r\n", b"0\r\n\r\n")
"""Words that part what HTTP/1.1 says, of requests and of responses."""

LAXER = {
    "no request line received": "empty lines before a request line (RFC 9112, 2.2)",
    "illegal request line": "several blanks in a request line (RFC 9112, 3)",
}
"""Where h11 may refuse what we take, by what it says. What h11 takes and we refuse is in
tests/proxy/test_smuggling.py."""
LAXER_IN_TRAILERS = (
    "Only Transfer-Encoding: chunked is supported",
    "multiple Transfer-Encoding headers",
    "bad Content-Length",
    "conflicting Content-Length headers",
)
"""Trailers are dropped, so that what frames has no meaning there (RFC 9110, 6.5.1)."""


class Theirs(NamedTuple):
    """A request as h11 reads it."""

    method: bytes
    target: bytes
    version: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    complete: bool


def attack(data: bytes) -> None:
    """A plan of pieces, then the bytes of a connection."""
    plan, stream = planned(data)
    whole = take([stream], late=False)
    assert take([stream], late=True) == whole
    assert take(list(pieces(plan, stream)), late=bool(len(plan) & 1)) == whole
    _is_sound(whole)
    if whole.asked:
        _as_h11_reads(whole.asked, stream)


def _is_sound(taken: Taken) -> None:
    assert len(taken.refused) <= 1, "after what was refused nothing is read"
    for asked in taken.asked:
        head = _head(asked)
        assert not (head.chunked and head.length is not None)
        assert not (head.chunked and head.version == 10)
        assert fields.TRANSFER_ENCODING not in head.special or head.chunked
        assert head.path[:1] == b"/"
        assert not any(c in head.path + head.query for c in (*range(33), 127, ord("#")))
        assert head.version == 10 or fields.HOST in head.special
        if asked.complete and not head.chunked:
            assert len(asked.body) == (head.length or 0)
        for name, value in head.plain:
            assert fields.kind_of(name) == fields.PLAIN
            assert not any(c in value for c in (0, 10, 13))
    if taken.refused or any(asked.failed for asked in taken.asked):
        assert taken.closing


def _head(asked: Asked) -> RequestHead:
    return RequestHead(*asked.head, Remembered())  # type: ignore[arg-type,call-arg]


def _as_h11_reads(ours: list[Asked], stream: bytes) -> None:
    theirs, refused = _read(stream)
    for number, asked in enumerate(ours):
        if number >= len(theirs):
            # h11 keeps no connection of HTTP/1.0, and we do where its client asks for it.
            lone = number > 0 and _head(ours[number - 1]).version == 10
            assert lone or refused.startswith((*LAXER,)), refused
            return
        head = _head(asked)
        _agree(head, theirs[number])
        if asked.complete and not theirs[number].complete:
            assert head.chunked, refused
            assert refused.startswith(LAXER_IN_TRAILERS), refused
            return
        assert not asked.complete or theirs[number].body == asked.body


def _read(stream: bytes) -> tuple[list[Theirs], str]:
    """The requests, and why h11 reads no more."""
    connection, found = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20), list[Theirs]()
    connection.receive_data(stream)
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return found, str(error)
        if isinstance(event, h11.Request):
            found.append(
                Theirs(event.method, event.target, event.http_version, [*event.headers], b"", False)
            )
        elif isinstance(event, h11.Data):
            found[-1] = found[-1]._replace(body=found[-1].body + bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            found[-1] = found[-1]._replace(complete=True)
            connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return found, ""
            connection.start_next_cycle()
        else:
            return found, ""


def _agree(ours: RequestHead, theirs: Theirs) -> None:
    assert (ours.method, ours.target) == (theirs.method, theirs.target)
    assert ours.version == {b"1.0": 10, b"1.1": 11}[theirs.version]
    connection = b", ".join(value for name, value in theirs.fields if name == b"connection")
    named = fields.tokens(connection) - fields.CONNECTION_OPTIONS
    assert list(_plain(ours.plain)) == [
        (name, value)
        for name, value in theirs.fields
        if fields.kind_of(name) == fields.PLAIN and name not in named
    ]
    length = dict(theirs.fields).get(b"content-length")
    assert ours.length == (None if length is None else int(length))
    assert ours.chunked == (b"transfer-encoding" in dict(theirs.fields))
    assert ours.special.get(fields.HOST) == dict(theirs.fields).get(b"host")


def _plain(pairs: tuple[tuple[bytes, bytes], ...]) -> Iterator[tuple[bytes, bytes]]:
    return ((name.lower(), value.strip(b" \t")) for name, value in pairs)


GET = b"GET /a?b HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\n0\r\nTrailer: x\r\n\r\n"

TARGET = Target(
    attack,
    seeds=uncut(
        GET + b"\r\n",
        GET + b"X: a\r\nx:\t b \r\nAccept: */*\r\n\r\n" + GET + b"\r\n",
        POST + b"Content-Length: 5\r\n\r\nhello" + GET + b"\r\n",
        POST + CHUNKED + GET + b"\r\n",
        POST + b"Expect: 100-continue\r\n" + CHUNKED,
        GET + b"Connection: X, close\r\nX: 1\r\n\r\n" + GET + b"\r\n",
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw",
        b"GET http://A.test:80/p HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        b"\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        GET + b"Host: b\r\n\r\n",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        GET + b"X-Forwarded-For: 1.2.3.4\r\nTE: trailers\r\nX-Kong-Request-Id: x\r\n\r\n",
    ),
    words=[
        *MARKS,
        *(b"HTTP/1.1", b"HTTP/1.0"),
        *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: a\r\n", b"chunked"),
        *(
            b"Connection: ",
            b"keep-alive",
            b"close",
            b"Upgrade: ",
            b"Expect: ",
            b"identity, ",
            b"+5",
        ),
    ],
)
