"""What a request is hashed by, for each of Kong's inputs and their fallbacks."""

from typing import Any

import pytest

from node.proxy.balancing.entities import Upstream, read_upstream
from node.proxy.balancing.hashing import Hashed, HashInput, value_of
from node.proxy.heads import HeadParser
from tests.proxy.balancing.upstreams import upstream


def hashing(**fields: Any) -> Upstream:
    return read_upstream(upstream("up.test", algorithm="consistent-hashing", **fields)[2] or "")


def request(*fields: str, target: str = "/", identity: str = "", captures: Any = None) -> HashInput:
    lines = "".join(field + "\r\n" for field in fields)
    head = HeadParser().feed(f"GET {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n".encode())
    assert head is not None
    return HashInput(head, b"192.0.2.9", b"/%41/b", lambda: captures or {}, identity)


def value(of: Upstream, asked: HashInput) -> Hashed:
    return value_of(of, asked, lambda: "made")


@pytest.mark.parametrize(
    ("fields", "asked", "expected"),
    [
        ({"hash_on": "none"}, request(), b""),
        ({"hash_on": "consumer"}, request(identity="c1"), b"c1"),
        ({"hash_on": "consumer"}, request(), b""),
        ({"hash_on": "ip"}, request(), b"192.0.2.9"),
        ({"hash_on": "path"}, request(), b"/A/b"),
        ({"hash_on": "header", "hash_on_header": "X-Own"}, request("x-own: 1"), b"1"),
        (
            {"hash_on": "header", "hash_on_header": "x_own"},
            request("X-Own: 1", "x-own: 2"),
            b"1, 2",
        ),
        ({"hash_on": "header", "hash_on_header": "host"}, request(), b"a.test"),
        ({"hash_on": "header", "hash_on_header": "x-own"}, request(), b""),
        (
            {"hash_on": "query_arg", "hash_on_query_arg": "q r"},
            request(target="/?q+r=b&x=1&q%20r=%61&q+r"),
            b"a,b,true",
        ),
        ({"hash_on": "query_arg", "hash_on_query_arg": "q"}, request(target="/?x=1"), b""),
        (
            {"hash_on": "uri_capture", "hash_on_uri_capture": "id"},
            request(captures={"id": "7", 1: "7"}),
            b"7",
        ),
        (
            {"hash_on": "uri_capture", "hash_on_uri_capture": "1"},
            request(captures={1: "8"}),
            b"8",
        ),
        (
            {"hash_on": "cookie", "hash_on_cookie": "sid"},
            request("Cookie: a=1; SID=x=y ; b=2"),
            b"x=y",
        ),
        (
            {"hash_on": "consumer", "hash_fallback": "header", "hash_fallback_header": "x-own"},
            request("X-Own: 1"),
            b"1",
        ),
        (
            {
                "hash_on": "header",
                "hash_on_header": "x-one",
                "hash_fallback": "query_arg",
                "hash_fallback_query_arg": "q",
            },
            request(target="/?q=2"),
            b"2",
        ),
    ],
)
def test_the_value(fields: dict[str, str], asked: HashInput, expected: bytes) -> None:
    assert value(hashing(**fields), asked) == Hashed(expected)


def test_a_cookie_that_is_missing_is_made_as_kong_writes_it() -> None:
    of = hashing(hash_on="cookie", hash_on_cookie="sid", hash_on_cookie_path="/base")
    expected = Hashed(b"made", "sid=made; Path=/base; Same-Site=Lax; HttpOnly")
    assert value(of, request("Cookie: other=1")) == expected
    fallback = hashing(hash_on="consumer", hash_fallback="cookie", hash_on_cookie="sid")
    assert value(fallback, request()).cookie == "sid=made; Path=/; Same-Site=Lax; HttpOnly"
    assert value(fallback, request(identity="c")) == Hashed(b"c")
