"""Requests through a real worker process to real upstreams, byte for byte."""

import asyncio
import json
import socket

import pytest

from node.metrics.histogram import Histogram
from node.proxy.stats import LATENCY, LATENCY_BOUNDS
from tests.proxy.client import connected
from tests.proxy.conftest import Origin, answering, echo_back, field, origin
from tests.proxy.process import everything, route, running, service


async def test_a_request_reaches_its_service_and_says_who_asked(echo: Origin) -> None:
    target = service(f"{echo.url}/base")
    async with (
        running([target, route(target, paths=["/api"])]) as worker,
        connected(worker.port) as client,
    ):
        response = await client.get(
            "/api/v1%20x?a=b", "X-Own: 1\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
        )
    assert response.status == 200
    assert response.text.startswith("GET /base/v1%20x?a=b HTTP/1.1\r\n")
    seen = response.text
    assert field(seen, "Host") == f"127.0.0.1:{echo.port}"
    assert field(seen, "Connection") == "keep-alive"
    assert field(seen, "X-Own") == "1"
    assert field(seen, "X-Forwarded-For") == "127.0.0.1"
    assert field(seen, "X-Real-IP") == "127.0.0.1"
    assert field(seen, "X-Forwarded-Proto") == "http"
    assert field(seen, "X-Forwarded-Host") == "a.test"
    assert field(seen, "X-Forwarded-Port") == str(worker.port)
    assert field(seen, "X-Forwarded-Path") == "/api/v1%20x"
    assert field(seen, "X-Forwarded-Prefix") == "/api"
    assert field(seen, "Via") == "1.1 grapevine/0.1.0"
    assert len(field(seen, "X-Kong-Request-Id") or "") == 32
    assert seen.count("6.6.6.6") == 0
    assert response.field("Server") == "origin"
    assert response.field("Via") == "1.1 grapevine/0.1.0"
    assert response.field("X-Kong-Request-Id") == field(seen, "X-Kong-Request-Id")
    assert int(response.field("X-Kong-Upstream-Latency") or -1) >= 0
    assert int(response.field("X-Kong-Proxy-Latency") or -1) >= 0


async def test_answers_are_timed_in_buckets_that_add_up() -> None:
    """By a clock of milliseconds: quicker ones may have taken none."""

    async def slow(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.01)  # is what it measures
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with (
        origin(slow) as upstream,
        running(everything(upstream.url)) as worker,
        connected(worker.port) as client,
    ):
        for path in ("/a", "/b"):
            assert (await client.get(path)).status == 200
        await worker.counted("responses_2xx", 2)
        latency = Histogram.of(LATENCY_BOUNDS, LATENCY, worker.stats)
    assert sum(latency.counts) == 2
    assert 0.01 < latency.sum < 10


async def test_a_trusted_peer_is_believed(echo: Origin) -> None:
    async with (
        running(
            everything(echo.url), trusted_ips=("127.0.0.0/8",), real_ip_header="X-Forwarded-For"
        ) as worker,
        connected(worker.port) as client,
    ):
        response = await client.get(
            "/", "X-Forwarded-For: 9.9.9.9, 2001:db8::1\r\nX-Forwarded-Proto: https\r\n"
        )
    assert field(response.text, "X-Forwarded-For") == "9.9.9.9, 2001:db8::1, 127.0.0.1"
    assert field(response.text, "X-Real-IP") == "2001:db8::1"
    assert field(response.text, "X-Forwarded-Proto") == "https"


async def test_hop_by_hop_fields_stay_on_their_hop(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        response = await client.get(
            "/",
            "Connection: X-Secret\r\nX-Secret: 1\r\nTE: trailers\r\nProxy: x\r\nUpgrade: h2c\r\n",
        )
    for name in ("X-Secret", "TE", "Proxy", "Upgrade"):
        assert field(response.text, name) is None, name


async def test_connections_are_kept_on_both_sides(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        for _ in range(5):
            response = await client.get()
            assert response.field("Connection") == "keep-alive"
        response = await client.get("/", "Connection: close\r\n")
        assert response.field("Connection") == "close"
        assert await client.closed() == b""
    assert echo.connections == 1


async def test_pipelined_requests_are_answered_in_order(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        requests = [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(20)]
        requests.insert(7, b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        client.send(b"".join(requests))
        client.writer.write_eof()
        for request in requests:
            response = await client.response()
            assert response.text.startswith(request.split(b" HTTP")[0].decode())
        assert await client.closed() == b""


async def test_a_head_may_come_byte_by_byte(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        for _ in range(2):
            await client.send_slowly(
                b"\r\nPOST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
            )
            response = await client.response()
            assert response.text.startswith("POST /slow HTTP/1.1\r\n")
            assert response.text.endswith("\r\n\r\nabcde")


async def test_an_upstreams_head_may_come_byte_by_byte() -> None:
    async def trickle(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n":
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async with (
        origin(trickle) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        assert (await client.get()).body == b"hi"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
            b"hi",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nhi", b"hi"),
        (b"HTTP/1.0 200 OK\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
async def test_every_framing_of_a_response_reaches_every_client(answer: bytes, body: bytes) -> None:
    async with (
        origin(answering(answer, close=True)) as made,
        running(everything(made.url)) as worker,
    ):
        async with connected(worker.port) as client:
            assert (await client.get()).body == body
            assert (await client.get()).body == body  # on the same connection
        async with connected(worker.port) as client:
            response = await client.ask(b"GET / HTTP/1.0\r\n\r\n")
            assert response.field("Transfer-Encoding") is None
            assert response.body == body
            assert await client.closed() == b""


async def test_http_1_0_keeps_a_connection_that_it_asks_to_keep(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        for _ in range(2):
            response = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert response.field("Connection") == "keep-alive"


async def test_head_has_a_length_and_no_body() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    async with (
        origin(answering(answer, answer)) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        for _ in range(2):
            response = await client.ask(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert response.field("Content-Length") == "5"
    assert made.connections == 1


async def test_expect_continue_gets_its_go_ahead_once_the_upstream_is_there(echo: Origin) -> None:
    changes = everything(echo.url, request_buffering=False)
    async with running(changes) as worker, connected(worker.port) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await client.response()).status == 100
        client.send(b"abc")
        response = await client.response()
    assert response.text.endswith("abc")
    assert field(response.text, "Expect") is None


async def test_interim_responses_are_passed_on_to_http_1_1_only() -> None:
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    )
    async with origin(answering(answer, answer)) as made, running(everything(made.url)) as worker:
        async with connected(worker.port) as client:
            first = await client.get()
            assert (first.status, first.field("Link")) == (103, "</a>")
            assert (await client.response()).body == b"hi"
        async with connected(worker.port) as client:
            assert (await client.ask(b"GET / HTTP/1.0\r\n\r\n")).body == b"hi"


@pytest.mark.parametrize(("buffering", "size"), [(False, 1_000_000), (True, 2_000_000)])
async def test_an_early_answer_ends_an_upload_and_is_seen_by_the_client(
    buffering: bool, size: int
) -> None:
    async def refuse(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    async with (
        origin(refuse) as made,
        running(everything(made.url, request_buffering=buffering)) as worker,
        connected(worker.port) as client,
    ):
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
        client.send(head + b"x" * 5000)
        response = await client.response()
        assert (response.status, response.body) == (403, b"no")
        assert response.field("Connection") == "close"


async def test_a_client_that_closed_its_side_still_gets_its_answer(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.writer.write_eof()
        assert (await client.response()).status == 200
        assert await client.closed() == b""


@pytest.mark.parametrize("protocol", ["websocket", "WebSocket", "SPDY/3.1", "tcp"])
async def test_an_upgraded_connection_becomes_a_pipe_both_ways(protocol: str) -> None:
    agreed = "websocket" if protocol.lower() == "websocket" else protocol

    async def switch(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %b\r\n\r\n"
            % agreed.encode()
        )
        writer.write(b"hello ")
        while data := await reader.read(100):
            writer.write(data.upper())
            await writer.drain()

    async with (
        origin(switch) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        response = await client.get("/", f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n")
        assert (response.status, response.field("Upgrade")) == (101, agreed)
        client.send(b"abc\r\n\r\n")
        assert await client.reader.readexactly(13) == b"hello ABC\r\n\r\n"
        client.writer.write_eof()
        assert await client.closed() == b""
    assert field(made.heads[0], "Connection") == "keep-alive, Upgrade"
    assert field(made.heads[0], "Upgrade") == agreed


async def test_the_absolute_form_is_served_by_its_own_authority(echo: Origin) -> None:
    target = service(echo.url)
    routes = [target, route(target, hosts=["b.test"], preserve_host=True)]
    async with running(routes) as worker, connected(worker.port) as client:
        response = await client.ask(b"GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert response.text.startswith("GET /x HTTP/1.1")
    assert field(response.text, "Host") == "b.test"


async def test_ipv6_on_the_listener_and_by_name(echo: Origin) -> None:
    target = service(f"http://localhost:{echo.port}")  # ::1 comes first and refuses
    async with (
        running([target, route(target, hosts=["[::1]"])], socket.AF_INET6) as worker,
        connected(worker.port, "::1") as client,
    ):
        response = await client.get(host=f"[::1]:{worker.port}")
    assert response.status == 200
    assert field(response.text, "X-Forwarded-For") == "::1"
    assert field(response.text, "X-Forwarded-Host") == "[::1]"


async def test_answers_of_our_own_are_kongs() -> None:
    disabled = service("http://127.0.0.1:1", enabled=False)
    secure = service("http://127.0.0.1:1")
    changes = [
        disabled,
        route(disabled, paths=["/disabled"]),
        secure,
        route(secure, paths=["/426"], protocols=["https"]),
        route(secure, paths=["/301"], protocols=["https"], https_redirect_status_code=301),
        route(("services", "00000000-0000-4000-8000-000000000000", None), paths=["/orphan"]),
    ]
    async with running(changes) as worker, connected(worker.port) as client:
        for target, status, message in [
            ("/none", 404, "no Route matched with those values"),
            ("/disabled", 404, "no Route matched with those values"),
            ("/orphan", 503, "no Service found with those values"),
            ("/426", 426, "Please use HTTPS protocol"),
        ]:
            response = await client.get(target)
            assert response.status == status
            request_id = response.field("X-Kong-Request-Id")
            assert response.text == (
                f'{{\n  "message":"{message}",\n  "request_id":"{request_id}"\n}}'
            )
            assert response.field("Server") == "grapevine/0.1.0"
            assert response.field("X-Kong-Response-Latency") is not None
            assert response.field("Date") is not None
        assert response.field("Connection") == "Upgrade"
        assert response.field("Upgrade") == "TLS/1.2, HTTP/1.1"
        moved = await client.get("/301?a")
        assert (moved.status, moved.field("Location")) == (301, "https://a.test/301?a")
        html = await client.get("/none", "Accept: text/html;q=0.9, application/json;q=0.1\r\n")
        assert "<p>no Route matched with those values.</p>" in html.text


async def test_the_headers_setting_takes_our_fields_away(echo: Origin) -> None:
    async with (
        running(everything(echo.url), headers=("off",)) as worker,
        connected(worker.port) as client,
    ):
        response = await client.get()
    for name in ("Via", "X-Kong-Upstream-Latency", "X-Kong-Proxy-Latency", "X-Kong-Request-Id"):
        assert response.field(name) is None


@pytest.mark.parametrize("buffering", [False, True])
async def test_a_body_over_the_bound_is_refused_early(echo: Origin, buffering: bool) -> None:
    changes = everything(echo.url, request_buffering=buffering)
    async with running(changes, client_max_body_size=10) as worker:
        for framing in (
            b"Content-Length: 11\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\nb\r\nelevenbytes\r\n",
        ):
            async with connected(worker.port) as client:
                response = await client.ask(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing)
                assert response.status == 413
                assert response.text.startswith("Payload too large\nrequest_id: ")
        async with connected(worker.port) as client:
            request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789"
            assert (await client.ask(request)).status == 200


async def test_a_malformed_request_is_answered_and_the_connection_closed(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker:
        for data, status in [
            (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000, 400),
            (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
            (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n", 400),
        ]:
            async with connected(worker.port) as client:
                response = await client.ask(data)
                assert (response.status, response.field("Connection")) == (status, "close"), data
                client.writer.write_eof()
                assert await client.closed() == b""
        await worker.counted("requests_malformed", 7)


async def test_a_smuggled_request_does_not_reach_the_upstream(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        response = await client.ask(
            b"POST / HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
        )
        assert response.status == 400
    assert echo.heads == []


async def test_a_min_revision_is_waited_for_and_then_refused(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        assert (await client.get("/", "Grapevine-Min-Revision: 1.1\r\n")).status == 200
        client.send(b"GET /late HTTP/1.1\r\nHost: a\r\nGrapevine-Min-Revision: 1.2\r\n\r\n")
        await worker.counted("total_requests", 2)
        await worker.apply(service("http://127.0.0.1:1"))
        response = await client.response()
        assert response.status == 200
        assert field(response.text, "Grapevine-Min-Revision") is None
        late = await client.get("/", "Grapevine-Min-Revision: 1.9\r\n")
        assert late.status == 503
        assert "1.2" in json.loads(late.text)["message"]
        wrong = await client.get("/", "Grapevine-Min-Revision: soon\r\n")
        assert wrong.status == 400


async def test_request_bodies_are_passed_on_in_their_framing() -> None:
    async with (
        origin(echo_back) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        for number in range(3):
            body = b"x" * (70_000 * number)
            response = await client.ask(
                b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            assert response.body.endswith(b"\r\n\r\n" + body)
            assert field(response.text, "Content-Length") == str(len(body))
