"""What is decided for one request and holds for the next: the same bytes come out either way."""

import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from node.proxy.downstream import Downstream
from node.proxy.error_log import ErrorLog
from node.proxy.gateway import Gateway
from node.proxy.upstream import Upstream
from tests.plugins.gateway import plugin
from tests.proxy.process import route, service
from tests.proxy.test_certificates import settings_with
from tests.proxy.wire import Wire

TO = service("http://127.0.0.1:1/base", name="to")
PATHS = route(TO, paths=["/"])
FIELDS = b"Host: a\r\nUser-Agent: b\r\n\r\n"
GET = b"GET /x HTTP/1.1\r\n" + FIELDS
BIG = b"X-Big: " + b"b" * 5_000 + b"\r\n"


class Kept(Wire):
    """The test takes what was written, but for ids and latencies."""

    def __init__(self) -> None:
        super().__init__("192.0.2.9")

    def can_write_eof(self) -> bool:
        return False

    def take(self) -> bytes:
        """What was written since."""
        taken, self.written = self.written, b""
        taken = re.sub(rb"(X-Kong-[\w-]*Latency: )\d+", rb"\1N", taken)
        return re.sub(rb"\b[0-9a-f]{32}\b", b"ID", taken)


class Pair:
    """A client's connection, and one to the upstream that it always gets."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.client, self.origin = Kept(), Kept()
        self.downstream = Downstream(gateway, gateway.settings.listeners[0])
        self.downstream.connection_made(self.client)
        self.upstream: Upstream

    def ask(self, request: bytes) -> bytes:
        """What the upstream gets."""
        self.gateway.pool.close()
        self.origin = Kept()
        self.upstream = Upstream(("127.0.0.1", 1, None), self.gateway.pool)
        self.upstream.connection_made(self.origin)
        self.gateway.pool.put(self.upstream, 0.0)
        self.downstream.data_received(request)
        return self.origin.take()

    def answer(self, *pieces: bytes) -> tuple[bytes, bool]:
        """What the client gets, and whether its connection is kept."""
        for piece in pieces:
            self.upstream.data_received(piece)
        return self.client.take(), not self.client.closed


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    settings = settings_with(tmp_path)._replace(
        replica_file=str(tmp_path / "none"),
        upstream_keepalive_max_requests=10,
        headers=("server_tokens", "latency_tokens", "x-kong-request-id"),
    )
    made = Gateway(settings, 1000, ErrorLog(0), lambda frame: None)
    made.table.apply((1, 0, 1), [TO, PATHS])
    yield made
    made.close()


RESPONSES = {
    "of known length": b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\nSet-Cookie: c\r\n\r\nabc",
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "error": b"HTTP/1.1 503 \r\nContent-Length: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n!",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "last of its connection": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
    "of an old version": b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "after an interim one": b"HTTP/1.1 103 E\r\nL: a\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "with a large head": b"HTTP/1.1 200 OK\r\n" + BIG + b"Content-Length: 1\r\n\r\na",
    "no HTTP": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
}


def unframed(answer: bytes) -> bytes:
    """A chunked answer with its chunks joined: where they end is the upstream's business."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in head:
        body = re.sub(rb"\r?\n?[0-9a-f]+\r\n", b"", body)
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("name", RESPONSES)
async def test_an_answer_is_the_same_whole_and_in_pieces(
    gateway: Gateway, method: bytes, name: str
) -> None:
    response = RESPONSES[name]
    if method == b"HEAD":
        response = response[: response.rindex(b"\r\n\r\n") + 4]
        if name == "chunked":
            response = response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    request = GET.replace(b"GET", method)
    pair = Pair(gateway)
    pair.ask(request)
    expected = pair.answer(response)
    assert b"HTTP/1.1" in expected[0]
    for at in (1, 5, 16, len(response) - 4, len(response) - 1):
        pieces = Pair(gateway)
        pieces.ask(request)
        answer, kept = pieces.answer(response[:at], response[at:])
        if b"103" not in answer:
            assert (unframed(answer), kept) == (unframed(expected[0]), expected[1])
    again = Pair(gateway)
    for _ in range(3):  # by now the head is known
        again.ask(request)
        answer, kept = again.answer(response)
        assert (answer, kept) == expected
        if not kept:
            break


@pytest.mark.parametrize("requests", [[GET] * 3, [GET, GET.replace(b"/x", b"/y?z"), GET]])
async def test_the_upstream_gets_what_a_first_request_of_the_connection_would_send(
    gateway: Gateway, requests: Sequence[bytes]
) -> None:
    kept = Pair(gateway)
    for request in requests:
        sent = kept.ask(request)
        assert sent == Pair(gateway).ask(request)
        assert request.split(b" ")[1] in sent
        kept.answer(RESPONSES["empty"])


async def test_requests_that_repeat_a_head_have_ids_of_their_own(gateway: Gateway) -> None:
    pair = Pair(gateway)
    ids = set()
    for _ in range(3):
        pair.ask(GET)
        pair.upstream.data_received(RESPONSES["empty"])
        ids.add(re.findall(rb"X-Kong-Request-Id: (\w{32})\r\n", pair.client.written)[-1])
    assert len(ids) == 3


async def test_a_decision_holds_until_the_table_changes(gateway: Gateway) -> None:
    pair = Pair(gateway)
    for version, path in enumerate(("/one", "/two"), start=2):
        moved = service(f"http://127.0.0.1:1{path}", TO[1])
        gateway.table.apply((1, 0, version), [moved])
        for _ in range(2):
            assert pair.ask(GET).startswith(b"GET %b/x HTTP/1.1\r\n" % path.encode())
            pair.answer(RESPONSES["empty"])
    gateway.table.apply((1, 0, 9), [(*PATHS[:2], None)])
    assert pair.ask(GET) == b""
    answer, _ = pair.answer()
    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_a_plugin_that_is_added_is_asked_about_a_head_that_is_known(gateway: Gateway) -> None:
    pair = Pair(gateway)
    pair.ask(GET)
    pair.answer(RESPONSES["empty"])
    gateway.table.apply((1, 0, 2), [plugin("key-auth", {}, service=TO)])
    assert pair.ask(GET) == b""
    answer, _ = pair.answer()
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_header_that_a_plugin_sets_takes_the_place_of_the_upstreams(
    gateway: Gateway,
) -> None:
    limiting = plugin("rate-limiting", {"minute": 5, "policy": "local"}, service=TO)
    gateway.table.apply((1, 0, 2), [limiting])
    response = b"HTTP/1.1 200 OK\r\n%bContent-Length: 1\r\n\r\na"
    pair = Pair(gateway)
    for left in (4, 3, 2):
        pair.ask(GET)
        own = b"ratelimit-remaining: 77\r\nA: b\r\n" if left == 3 else b"A: b\r\n"
        answer, kept = pair.answer(response % own)
        assert kept
        assert b"RateLimit-Remaining: %d\r\n" % left in answer
        assert b"77" not in answer
        assert answer.count(b"A: b\r\n") == 1


async def test_a_large_head_is_not_remembered(gateway: Gateway) -> None:
    pair = Pair(gateway)
    request = GET.replace(b"User-Agent", b"X-Big: " + b"b" * 5_000 + b"\r\nUser-Agent")
    for _ in range(2):
        assert pair.ask(request) == Pair(gateway).ask(request)
        pair.answer(RESPONSES["with a large head"])
    assert not pair.downstream.remembers
    assert not pair.upstream.reader.block
