"""Garbage on the port: answered, bounded in the log, and nobody else notices."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from node.admin import bodies, guard
from node.admin.app import create_admin_app
from node.admin.server import create_runner
from tests.admin.client import Client
from tests.admin.conftest import Serve
from tests.admin.small_node import SmallNode

ANSWERED_400 = (b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")


async def exchange(client: Client, data: bytes, until: bytes = b"") -> bytes:
    """Send raw bytes and read until an answer's last bytes, or else until the server closes."""
    base = URL(client.base)
    reader, writer = await asyncio.open_connection(base.host, base.port)
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(5):
            return await (reader.readuntil(until) if until else reader.read())
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"GEEEET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"POST /services HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"\x00" * 10_000,
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9_000 + b"\r\n\r\n",
    ],
)
async def test_garbage_gets_400_and_the_next_client_is_served(
    admin: Client, garbage: bytes
) -> None:
    answer = await exchange(admin, garbage)
    assert answer.startswith(ANSWERED_400)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: application/json; charset=utf-8" in head
    assert b"Server: grapevine/" in head
    assert json.loads(body) == {"message": "Bad request"}
    assert (await admin.get("/")).status == 200


async def test_garbage_is_logged_once_and_counted(
    admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        await exchange(admin, b"nonsense\r\n\r\n")
    lines = [record for record in caplog.records if record.name.startswith("grapevine.admin")]
    assert [record.getMessage() for record in lines] == ["not an HTTP request, answered 400"]


async def test_a_header_that_is_no_utf_8_is_quoted_in_the_refusal(admin: Client) -> None:
    answer = await exchange(
        admin,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://\xff\r\nConnection: close\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 403 ")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Access-Control-Allow-Origin: *" in head
    assert "\udcff" in json.loads(body)["message"]


async def test_requests_beyond_the_bound_are_503(
    node: SmallNode, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "REQUESTS_MAX", 1)
    admin = await serve(create_admin_app(node))
    async with admin.session.get(f"{admin.base}/cluster/events"):
        answer = await admin.get("/")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_a_body_that_does_not_come_is_408(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.02)
    head = (
        b"POST /services HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 10\r\n\r\n"
    )
    answer = await exchange(admin, head + b"{", until=b'{"message":"Request timeout"}')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in answer


async def test_a_listener_on_ipv6_is_served_and_known_as_loopback(node: SmallNode) -> None:
    runner = create_runner(create_admin_app(node))
    await runner.setup()
    await web.TCPSite(runner, "::1", 0).start()
    base = f"http://[::1]:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:
        admin = Client(session, base)
        assert (await admin.get("/", headers={"Origin": base})).status == 200
        rebound = {"Host": "evil.test", "Origin": "http://evil.test"}
        assert (await admin.get("/", headers=rebound)).status == 403
    await runner.cleanup()


async def test_a_body_that_is_no_chunked_encoding_is_400(admin: Client) -> None:
    head = (
        b"POST /services HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    answer = await exchange(admin, head + b"zz\r\n")
    assert answer.startswith(ANSWERED_400)
