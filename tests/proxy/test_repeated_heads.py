"""A client's fields are read once as long as it repeats them: with the outcome of each time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.proxy import limits
from node.proxy.heads import HeadParser, Remembered, RequestHead, RequestRefused

NOTHING = Remembered()

LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET /a?b=c HTTP/1.1",
        b"HEAD /a/../b%2f HTTP/1.1",
        b"POST //a?#f HTTP/1.1",
        b"POST /a#f HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET http://other.test/a HTTP/1.1",
        b"GET /a HTTP/1.0",
        b"GET /a HTTP/1.2",
        b"GET  /a HTTP/1.1",
        b"GET /a  HTTP/1.1",
        b"get /a HTTP/1.1",
        b"BREW /a HTTP/1.1",
        b"CONNECT a:80 HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b'GET /" HTTP/1.1',
        b"GET /\xff HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /a HTTP/1.1 ",
        b"GET /" + b"a" * limits.REQUEST_TARGET_BYTES_MAX + b" HTTP/1.1",
        b"",
    ]
) | st.builds(
    lambda method, target: method + b" /" + target + b" HTTP/1.1",
    st.sampled_from([b"GET", b"PUT", b"PATCH", b"DELETE"]),
    st.binary(max_size=6),
)
FIELDS = st.lists(
    st.sampled_from(
        [
            b"Host: a.test",
            b"Host: b.test:8000",
            b"X-Some: 1",
            b"Connection: close",
            b"Connection: x-some",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            b"Expect: 100-continue",
            b"Upgrade: websocket",
            b"Connection: upgrade",
            b"Bad Name: 1",
            b"X-Forwarded-For: 1.1.1.1",
        ]
    ),
    max_size=4,
).map(lambda lines: b"".join(b"\r\n" + line for line in lines) + b"\r\n\r\n")


def outcome(parser: HeadParser, data: bytes) -> RequestHead | int | None:
    try:
        head = parser.whole(data)
    except RequestRefused as refusal:
        return refusal.status
    return head and head._replace(remembered=NOTHING)


@given(st.lists(st.tuples(LINES, FIELDS), min_size=1, max_size=3), st.randoms())
def test_a_head_is_read_as_if_it_were_the_first(
    heads: list[tuple[bytes, bytes]], rng: random.Random
) -> None:
    used = HeadParser()
    for _ in range(8):
        line = rng.choice(heads)[0]
        fields = rng.choice(heads)[1]
        alone = outcome(HeadParser(), line + fields)
        assert outcome(used, line + fields) == alone
        if not isinstance(alone, RequestHead) or not alone.keep_alive:
            used = HeadParser()  # as its connection ends


def test_what_was_made_of_the_fields_is_there_for_the_next_head_with_the_same() -> None:
    parser = HeadParser()
    first = parser.whole(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    second = parser.whole(b"PUT /b?c HTTP/1.1\r\nHost: a\r\n\r\n")
    third = parser.whole(b"PUT /b?c HTTP/1.1\r\nHost: b\r\n\r\n")
    assert first is not None
    assert second is not None
    assert third is not None
    assert (second.method, second.target, second.path, second.query) == (
        b"PUT",
        b"/b?c",
        b"/b",
        b"?c",
    )
    assert second.remembered is first.remembered
    assert third.remembered is not first.remembered
    assert third.host == b"b"


@pytest.mark.parametrize("line", [b"GET /a#b HTTP/1.1", b"GET a HTTP/1.1", b"G@T /a HTTP/1.1"])
def test_a_bad_request_line_is_refused_however_good_the_fields_were(line: bytes) -> None:
    parser = HeadParser()
    assert parser.whole(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n") is not None
    with pytest.raises(RequestRefused):
        parser.whole(line + b"\r\nHost: a\r\n\r\n")
