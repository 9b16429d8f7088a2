"""Requests made to be read in two ways, through a real worker to an upstream that records.

The sections are RFC 9112's, unless another one is named. What is refused is refused whole: 400, the
connection closed, and what was sent behind it is never looked at.
"""

import asyncio
import re
from typing import NamedTuple

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.proxy.heads import HeadParser, RequestHead, RequestRefused
from tests.proxy.client import connected
from tests.proxy.conftest import Origin, answering, field, origin
from tests.proxy.process import WorkerProcess, everything, running

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"Content-Length: 5\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

HEADS = {
    "2.2 bare LF as line end": b"GET / HTTP/1.1\nHost: a\n\n",
    "2.2 bare LF after a field": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "2.2 bare LF before the empty line": b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    "2.2 bare CR in a field": GET + b"X: a\rY: b\r\n\r\n",
    "2.2 bare CR as line end": GET + b"X: a\r\r\n\r\n",
    "2.2 blank before the first field": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "3 tab in the request line": b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "3 blank in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.1 method that is no token": b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2 no Host": b"GET / HTTP/1.1\r\n\r\n",
    "3.2 no Host, absolute form": b"GET http://a/ HTTP/1.1\r\n\r\n",
    "3.2 Host that is none, absolute form": b"GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "3.2 two Hosts": GET + b"Host: b\r\n\r\n",
    "3.2 Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "3.2.2 absolute form without authority": b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2.4 asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "5 NUL in a value": GET + b"X: a\0b\r\n\r\n",
    "5 NUL in a name": GET + b"X\0Y: a\r\n\r\n",
    "5 field without a name": GET + b": a\r\n\r\n",
    "5 line without a colon": GET + b"nonsense\r\n\r\n",
    "5.1 blank before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "5.1 tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "5.2 folded line": GET + b"X: a\r\n b\r\n\r\n",
    "5.2 folded length": POST + b"Content-Length:\r\n 5\r\n\r\nhello",
    "5.2 folded coding": POST + b"Transfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n",
    "6.1 length and coding": POST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "6.1 coding and length": POST + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n0\r\n\r\n",
    "6.1 coding and length 0": CHUNKED[:-2] + b"Content-Length: 0\r\n\r\n0\r\n\r\n",
    "6.1 chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "6.1 identity": POST + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\nhello",
    "6.1 identity, chunked": POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "6.1 gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "6.1 xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "6.1 chunkedx": POST + b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n",
    "6.1 chunked in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "6.1 chunked with a parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "6.1 chunked with a comma": POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    "6.1 chunked and a control": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "6.1 empty coding": POST + b"Transfer-Encoding:\r\n" + LENGTH + b"\r\nhello",
    "6.1 chunked twice": CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "6.1 chunked, then identity": CHUNKED[:-2] + b"transfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "6.1 coding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "6.3 two lengths": POST + LENGTH + b"Content-Length: 6\r\n\r\nhello",
    "6.3 one length twice": POST + LENGTH + LENGTH + b"\r\nhello",
    "6.3 list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "6.3 plus sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "6.3 minus sign": POST + b"Content-Length: -5\r\n\r\nhello",
    "6.3 hexadecimal": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "6.3 underscore": POST + b"Content-Length: 1_0\r\n\r\nhello",
    "6.3 fraction": POST + b"Content-Length: 5.0\r\n\r\nhello",
    "6.3 blank within": POST + b"Content-Length: 5 5\r\n\r\nhello",
    "6.3 empty": POST + b"Content-Length:\r\n\r\n",
    "6.3 overflow of 64 bits": POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "6.3 digits of another script": POST + "Content-Length: \u0665\r\n\r\nhello".encode(),
}
BODIES = {
    "7.1 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "7.1 plus sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "7.1 minus sign": b"-5\r\nhello\r\n0\r\n\r\n",
    "7.1 blank before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "7.1 blank after the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "7.1 blank within the size": b"0 5\r\nhello\r\n0\r\n\r\n",
    "7.1 underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "7.1 empty size": b"\r\nhello\r\n0\r\n\r\n",
    "7.1 no hexadecimal digit": b"g\r\nhello\r\n0\r\n\r\n",
    "7.1 overflow of 64 bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "7.1 zeros without end": b"0" * 300 + b"5\r\nhello\r\n0\r\n\r\n",
    "7.1 bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "7.1 bare CR after the size": b"5\rhello\r\n0\r\n\r\n",
    "7.1 bare LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "7.1 more data than the size": b"5\r\nhelloX\r\n0\r\n\r\n",
    "7.1 less data than the size": b"7\r\nhello\r\n0\r\n\r\n",
    "7.1.1 NUL in an extension": b"5;a=\0\r\nhello\r\n0\r\n\r\n",
    "7.1.1 bare LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "7.1.1 bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "7.1.1 extension without end": b"5;" + b"a" * 300 + b"\r\nhello\r\n0\r\n\r\n",
    "7.1.2 bare LF in the trailers": b"0\r\nX: a\n\r\n",
    "7.1.2 trailer that is no field": b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    "7.1.2 folded trailer": b"0\r\nX: a\r\n b\r\n\r\n",
    "7.1.2 NUL in a trailer": b"0\r\nX: a\0\r\n\r\n",
    "7.1.2 trailers without end": b"0\r\n" + b"X: a\r\n" * 2_000 + b"\r\n",
}
REFUSED = HEADS | {name: CHUNKED + body for name, body in BODIES.items()}
STATUS = {"3.2.3 CONNECT": 405, "9110 9.3.8 TRACE": 405}
REFUSED["3.2.3 CONNECT"] = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
REFUSED["9110 9.3.8 TRACE"] = b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"


async def record(made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers nothing, so that whatever comes stays in one place."""
    made.heads.append((await reader.read()).decode("latin-1"))


async def answers(worker: WorkerProcess, data: bytes, pieces: bool = False) -> bytes:
    """All that comes back for these bytes, with a request to be smuggled behind them."""
    async with connected(worker.port) as client:
        if pieces:
            await client.send_slowly(data + SMUGGLED)
        else:
            client.send(data + SMUGGLED)
        client.writer.write_eof()
        return await client.closed()


async def test_what_can_be_read_in_two_ways_is_refused_and_reaches_nobody() -> None:
    async with origin(record) as made, running(everything(made.url)) as worker:
        wrong = {}
        for name, data in REFUSED.items():
            answer = await answers(worker, data)
            status = b"HTTP/1.1 %d " % STATUS.get(name, 400)
            if (
                not answer.startswith(status)
                or answer.count(b"HTTP/1.1 ") != 1
                or b"\r\nConnection: close\r\n" not in answer
            ):
                wrong[name] = answer
        assert wrong == {}
        assert (made.heads, made.connections) == ([], 0)


async def test_a_head_that_comes_in_pieces_is_refused_alike() -> None:
    names = [name for name in HEADS if len(HEADS[name]) < 120]
    async with origin(record) as made, running(everything(made.url)) as worker:
        for name in names:
            answer = await answers(worker, HEADS[name], pieces=True)
            assert answer.startswith(b"HTTP/1.1 400 "), name
            assert answer.count(b"HTTP/1.1 ") == 1, name
        assert (made.heads, made.connections) == ([], 0)


async def test_a_body_that_breaks_off_its_framing_ends_both_connections() -> None:
    """The head is on its way already; what was sent behind the body must not be."""
    async with (
        origin(record) as made,
        running(everything(made.url, request_buffering=False)) as worker,
    ):
        for number, body in enumerate(BODIES.values(), 1):
            async with connected(worker.port) as client:
                client.send(CHUNKED + b"1\r\nx\r\n")
                async with asyncio.timeout(20):
                    while made.connections < number:
                        await asyncio.sleep(0)
                client.send(body + SMUGGLED)
                client.writer.write_eof()
                assert (await client.closed()).startswith(b"HTTP/1.1 400 "), body
            async with asyncio.timeout(20):
                while len(made.heads) < number:
                    await asyncio.sleep(0)
        assert not any("smuggled" in head for head in made.heads)


async def test_a_body_that_breaks_off_while_it_is_read_whole_reaches_nobody() -> None:
    async with (
        origin(record) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as other,
    ):
        for body in BODIES.values():
            async with connected(worker.port) as client:
                client.send(CHUNKED + b"1\r\nx\r\n")
                await other.settled()
                client.send(body + SMUGGLED)
                client.writer.write_eof()
                assert (await client.closed()).startswith(b"HTTP/1.1 400 "), body
        assert (made.heads, made.connections) == ([], 0)


class Taken(NamedTuple):
    """A request that RFC 9112 allows; the upstream must see one, and the next one after it."""

    data: bytes
    body: bytes = b""
    target: str = "/"


TAKEN = {
    "2.2 an empty line before the request": Taken(b"\r\n" + GET + b"\r\n"),
    "3 more than one blank in the request line": Taken(b"GET  /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    "3.2.2 absolute form, another Host": Taken(
        b"GET http://b.test/x HTTP/1.1\r\nHost: a\r\n\r\n", target="/x"
    ),
    "5.1 blanks around a value": Taken(POST + b"Content-Length: \t 5 \t\r\n\r\nhello", b"hello"),
    "6.1 coding in other cases": Taken(
        POST + b"tRANSFER-eNCODING: cHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"
    ),
    "6.1 tab before the coding": Taken(
        POST + b"Transfer-Encoding:\tchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"
    ),
    "6.3 leading zeros": Taken(POST + b"Content-Length: 005\r\n\r\nhello", b"hello"),
    "6.3 length 0": Taken(POST + b"Content-Length: 0\r\n\r\n"),
    "6.3 a length with GET": Taken(GET + LENGTH + b"\r\nhello", b"hello"),
    "7.1 size in capitals, with zeros": Taken(
        CHUNKED + b"000A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"
    ),
    "7.1.1 extension": Taken(CHUNKED + b"5;a=b ;c\r\nhello\r\n0;d\r\n\r\n", b"hello"),
    "7.1.2 trailers": Taken(
        CHUNKED + b"5\r\nhello\r\n0\r\nX: a\r\nContent-Length: 3\r\n\r\n", b"hello"
    ),
}


@pytest.mark.parametrize("pieces", [False, True])
async def test_what_is_allowed_is_framed_anew_and_followed_by_the_next(
    pieces: bool, echo: Origin
) -> None:
    async with running(everything(echo.url)) as worker:
        for name, (data, body, target) in TAKEN.items():
            echo.heads.clear()
            answer = await answers(worker, data, pieces)
            first, second = echo.heads
            assert first.split(" ")[1] == target, name
            assert second.startswith("GET /smuggled HTTP/1.1\r\n"), name
            assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2, name
            assert b"\r\n\r\n" + body + b"HTTP/1.1 200" in answer, name
            coding, length = field(first, "Transfer-Encoding"), field(first, "Content-Length")
            assert (coding, length) in ((None, None), ("chunked", None), (None, str(len(body))))
            assert field(first, "X") is None, "trailers stay on their hop"


async def test_a_field_named_in_connection_can_not_take_away_the_framing(echo: Origin) -> None:
    request = POST + b"Connection: Content-Length, Host, Transfer-Encoding\r\n" + LENGTH
    async with running(everything(echo.url)) as worker:
        answer = await answers(worker, request + b"\r\nhello")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert field(echo.heads[0], "Content-Length") == "5"
    assert field(echo.heads[0], "Host") == f"127.0.0.1:{echo.port}"


async def test_trailers_of_a_response_stay_on_their_hop() -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX: a\r\n\r\n"
    )
    async with (
        origin(answering(response)) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        client.send(GET + b"Connection: close\r\n\r\n")
        answer = await client.closed()
    assert answer.endswith(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


async def test_a_chunked_response_reaches_an_http_1_0_client_without_chunks() -> None:
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    async with (
        origin(answering(response)) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        answer = await client.closed()
    assert answer.endswith(b"\r\n\r\nhello")
    assert b"Transfer-Encoding" not in answer
    assert b"\r\nConnection: close\r\n" in answer


# h11 as an oracle: two readers of one grammar, written apart.

NAMES = ["Host", "X", "Content-Length", "content-length", "Transfer-Encoding", "Connection"]
VALUES = [
    *("a", "a:80", "5", "05", "5, 5", "+5", "chunked", "Chunked", "identity", "xchunked"),
    *("gzip, chunked", "close", "keep-alive, X", "", " \t", "a\tb", "a\x0bb", "a\x7fb", "a\x80"),
]
LINE_ENDS = ["\r\n"] * 12 + ["\n", "\r", "\r\r\n", "\r\n ", "\r\n\t"]
field_lines = st.tuples(
    st.sampled_from([*NAMES, "", "X Y", "X\0", "X(", " X", "X@"]),
    st.sampled_from([":", ": ", ":\t", " :", "\t:", "", "::"]),
    st.sampled_from(VALUES),
    st.sampled_from(["", " ", "\t", "\0"]),
    st.sampled_from(LINE_ENDS),
).map("".join)
heads = st.tuples(
    st.sampled_from(["GET", "POST", "OPTIONS", "G@T", "", "get"]),
    st.sampled_from([" ", " ", " ", "  ", "\t"]),
    st.sampled_from(["/", "/a?b", "/a b", "*", "http://a/b", "/\x7f", "/\x80", "/a#b", "a"]),
    st.sampled_from([" ", " ", " ", "  ", "\t"]),
    st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "http/1.1"]),
    st.sampled_from(LINE_ENDS),
    st.lists(field_lines, max_size=4).map("".join),
    st.just("\r\n"),
).map("".join)


def as_we_read(data: bytes) -> RequestHead | None:
    """None for what is refused, or isn't complete."""
    try:
        return HeadParser().feed(data)
    except RequestRefused:
        return None


def as_h11_reads(data: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


FRAMING = (b"content-length", b"transfer-encoding")


@settings(max_examples=1_500, deadline=None)
@given(heads)
@example("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
@example("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
@example("GET http://a/b HTTP/1.1\r\n\r\n")
def test_what_we_read_h11_reads_alike(text: str) -> None:
    data = text.encode("latin-1")
    ours = as_we_read(data)
    if ours is None:
        return
    line, end, rest = data.partition(b"\r\n")
    # Section 3 lets a recipient take several blanks for one; h11 doesn't.
    theirs = as_h11_reads(re.sub(b" +", b" ", line) + end + rest)
    assert theirs is not None, "h11 refuses it"
    assert (ours.method, ours.target) == (theirs.method, theirs.target)
    assert ours.version == {b"1.0": 10, b"1.1": 11}[theirs.http_version]
    framing = {name: value for name, value in theirs.headers if name in FRAMING}
    length = framing.get(b"content-length")
    assert ours.length == (None if length is None else int(length))
    assert ours.chunked == (framing.get(b"transfer-encoding") == b"chunked")


STRICTER = {
    "2.2 a bare LF may be taken for a line end; here it may not": GET + b"X: a\n\r\n",
    "2.3 a later minor version": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "3.1 methods that llhttp doesn't know": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2 a fragment has no place in a target": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2 a Host that is none": b"GET / HTTP/1.1\r\nHost: 5, 5\r\n\r\n",
    "3.2.1 a target without a slash": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "3.2.4 the asterisk is for the server itself": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "5.2 a proxy may join folded lines; here it refuses": GET + b"X: a\r\n b\r\n\r\n",
    "6.1 a coding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "6.1 a tab after the coding": POST + b"Transfer-Encoding: chunked\t\r\n\r\n",
    "6.1 coding and length": POST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n",
    "6.3 one length twice": POST + LENGTH + LENGTH + b"\r\n",
    "6.3 a list of one length": POST + b"Content-Length: 5, 5\r\n\r\n",
}


@pytest.mark.parametrize("name", STRICTER)
def test_where_h11_is_laxer_we_stay_strict(name: str) -> None:
    """Each is ours to refuse by the section named; where h11 comes round, the case is moot."""
    assert as_h11_reads(STRICTER[name]) is not None
    assert as_we_read(STRICTER[name]) is None
