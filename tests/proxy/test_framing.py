"""Bodies and response heads, read strictly; and the request heads that RFC 9112 forbids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.proxy import limits
from node.proxy.framing import (
    ChunkedBody,
    FramingError,
    LengthBody,
    ResponseHead,
    parse_response_head,
    response_body,
)
from node.proxy.heads import HeadParser, RequestRefused
from node.proxy.response import HeadReader


def feed_slowly(reader: ChunkedBody | HeadParser, data: bytes) -> None:
    """Byte by byte."""
    for index in range(len(data)):
        reader.feed(data[index : index + 1])


CHUNKED = b"4;name=value\r\nWiki\r\n0A\r\npedia in\r\n\r\n0\r\nTrailer: x\r\n\r\n"


def test_a_chunked_body_gives_its_payload_and_what_follows_it() -> None:
    body = ChunkedBody()
    assert body.feed(CHUNKED + b"GET /") == b"Wikipedia in\r\n"
    assert body.done
    assert body.rest == b"GET /"


def test_a_chunked_body_may_come_byte_by_byte() -> None:
    body = ChunkedBody()
    payload = b"".join(body.feed(CHUNKED[i : i + 1]) for i in range(len(CHUNKED)))
    assert (payload, body.done, body.rest) == (b"Wikipedia in\r\n", True, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"+4\r\n",
        b"0x4\r\n",
        b" 4\r\n",
        b"4 \r\n",
        b"-1\r\n",
        b"\r\n",
        b"4\n",
        b"4\r\nWikiX\r\n",
        b"4\r\nWiki\n0\r\n",
        b"fffffffffffffffff\r\n",
        b"4;" + b"x" * 300,
        b"4;a\x00b\r\n",
        b"0\r\nno field\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\n" + b"Trailer: x\r\n" * 1000,
    ],
)
def test_a_malformed_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(FramingError):
        ChunkedBody().feed(data)
    with pytest.raises(FramingError):
        feed_slowly(ChunkedBody(), data)


def test_a_body_of_known_length_ends_there() -> None:
    body = LengthBody(5)
    assert (body.feed(b"abc"), body.done) == (b"abc", False)
    assert (body.feed(b"defg"), body.done, body.rest) == (b"de", True, b"fg")


def test_a_response_head_loses_its_hop_by_hop_fields() -> None:
    head, _ = parse_response_head(
        b"HTTP/1.1 200 OK\r\nServer: x\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n"
        b"Keep-Alive: timeout=5\r\nContent-Length: 3\r\nset-cookie: a\r\nSet-Cookie: b"
    )
    assert head.lines == [b"Server: x", b"set-cookie: a", b"Set-Cookie: b"]
    assert (head.status, head.length, head.keep_alive) == (200, 3, False)


@pytest.mark.parametrize(
    "block",
    [
        b"ICY 200 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/2 200 OK",
        b"HTTP/1.1 200 OK\r\nA: b\nC: d",
        b"HTTP/1.1 200 OK\r\nA: b\rC: d",
        b"HTTP/1.1 200 OK\r\nA: b\x00",
        b"HTTP/1.1 200 OK\r\nA : b",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c",
        b"HTTP/1.1 200 OK\r\nno colon",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
    ],
)
def test_a_malformed_response_head_is_refused(block: bytes) -> None:
    with pytest.raises(FramingError):
        parse_response_head(block)


NAMES = st.sampled_from(
    [b"A", b"b-C", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Trailer"]
)
VALUES = st.sampled_from(
    [
        b"",
        b" 5",
        b"5 ",
        b"\t5",
        b"+5",
        b"chunked",
        b" Chunked",
        b"close",
        b"A, close",
        b"keep-alive",
    ]
) | st.binary(max_size=4)
STATUS_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 404 ", b"HTTP/1.1 503", b"HTTP/1.1 101 a", b"HTTP/1.1 99 a"]
)


def outcome(reader: HeadReader, data: bytes) -> tuple[ResponseHead, bytes, int] | str | None:
    """What a connection makes of these bytes."""
    try:
        read = reader.read(data)
    except FramingError as error:
        return str(error)
    return (reader.head, reader.block, reader.size) if read else None


@given(st.lists(NAMES, max_size=5), st.lists(st.tuples(STATUS_LINES, st.lists(VALUES)), max_size=3))
def test_a_head_of_a_known_layout_is_read_like_any_other(
    names: list[bytes], heads: list[tuple[bytes, list[bytes]]]
) -> None:
    known = HeadReader()
    usual = [b"chunked" if name[:1] == b"T" and name[-1:] == b"g" else b"7" for name in names]
    for first, values in [(b"HTTP/1.1 200 OK", usual)] * (limits.HEAD_PATTERN_AFTER + 1) + heads:
        pairs = zip(names, values + usual[len(values) :], strict=False)
        block = b"\r\n".join([first, *(b"%b:%b" % pair for pair in pairs)])
        data = block + b"\r\n\r\nrest"
        known.block = b""  # not by being the same
        assert outcome(known, data) == outcome(HeadReader(), data)


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_some_responses_have_no_body_whatever_their_head_says(method: bytes, status: int) -> None:
    head, _ = parse_response_head(b"HTTP/1.1 %d X\r\nContent-Length: 5" % status)
    assert response_body(head, method).done


GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"

# What RFC 9112 forbids, by section; every one of these has been used to smuggle a request.
FORBIDDEN = {
    "2.2 bare LF as line end": b"GET / HTTP/1.1\nHost: a\n\n",
    "2.2 bare CR in a field": GET + b"X: a\rY: b\r\n\r\n",
    "2.3 unknown version": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "2.3 HTTP/0.9": b"GET /\r\n\r\n",
    "3.2 no Host": b"GET / HTTP/1.1\r\n\r\n",
    "3.2 two Hosts": GET + b"Host: b\r\n\r\n",
    "3.2 Host that is none": b"GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
    "3.2 fragment in the target": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2.2 absolute form without authority": b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2.2 absolute form of another scheme": b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2.2 userinfo in the authority": b"GET http://x@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2.3 CONNECT": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2.4 asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "5 NUL in a field": GET + b"X: a\x00b\r\n\r\n",
    "5.1 blank before the colon": GET + b"X : a\r\n\r\n",
    "5.2 obsolete line folding": GET + b"X: a\r\n b\r\n\r\n",
    "6.1 length and coding": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "6.1 coding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "6.1 another coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "6.1 a second coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "6.1 chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "6.1 chunked in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n',
    "6.1 coding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "6.3 repeated length": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
    "6.3 list of lengths": POST + b"Content-Length: 3, 3\r\n\r\n",
    "6.3 signed length": POST + b"Content-Length: +3\r\n\r\n",
    "6.3 length with an underscore": POST + b"Content-Length: 1_0\r\n\r\n",
    "6.3 overflowing length": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "6.3 empty length": POST + b"Content-Length:\r\n\r\n",
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_request_head_that_rfc_9112_forbids_is_refused(name: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        HeadParser().feed(FORBIDDEN[name])
    assert refused.value.status in (400, 405)
    with pytest.raises(RequestRefused):
        feed_slowly(HeadParser(), FORBIDDEN[name])


def test_one_parser_reads_one_head_after_another() -> None:
    parser = HeadParser()
    for number in range(3):
        head = parser.feed(b"GET /%d?q HTTP/1.1\r\nHost: A:80\r\nX: 1\t \r\n\r\n" % number)
        assert head is not None
        assert (head.path, head.query, head.host_name) == (b"/%d" % number, b"?q", b"a")
    assert parser.feed(b"GET http://B.test/p HTTP/1.1\r\nHost: a\r\n\r\n").host == b"B.test"  # type: ignore[union-attr]


def test_the_http2_preface_is_a_version_that_is_not_served() -> None:
    with pytest.raises(RequestRefused) as refused:
        feed_slowly(HeadParser(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert refused.value.status == 505
