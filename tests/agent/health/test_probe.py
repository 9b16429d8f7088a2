"""One probe of one address: what each kind of answer counts as."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node.agent.health.limits import STATUS_LINE_BYTES_MAX
from node.agent.health.probe import Prober, request
from node.proxy.balancing.address import TargetAddress
from node.proxy.health.counters import Result
from node.proxy.health.settings import Active
from tests.proxy.certificates import self_signed
from tests.proxy.health.upstreams import active, address, checks_of

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def probing(**fields: object) -> Active:
    return checks_of(active(1.0, 1, None, **fields)).active


@asynccontextmanager
async def server(
    answer: Answer, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[TargetAddress]:
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await answer(reader, writer)
        writer.transport.abort()

    listening = await asyncio.start_server(serve, host, 0, ssl=tls)
    try:
        yield address(1, host, listening.sockets[0].getsockname()[1])
    finally:
        listening.close()
        if serving:
            await asyncio.wait(serving)


def says(text: bytes, heads: list[bytes] | None = None) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        writer.write(text)
        await writer.drain()
        # Nothing may be reset before it was read: the probe ends the connection.
        await reader.read()

    return answer


async def probed(
    where: TargetAddress, checks: Active, name: str = "localhost", host: str = ""
) -> Result | None:
    return await Prober().probe(where, name, host, checks)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"HTTP/1.1 200 OK\r\n", Result.SUCCESS),
        (b"HTTP/1.0 302\r\nLocation: http://elsewhere.test/\r\n\r\n", Result.SUCCESS),
        (b"HTTP/1.1 503 Service Unavailable\r\n", Result.HTTP_FAILURE),
        (b"HTTP/1.1 418 Teapot\r\n", None),
        (b"SSH-2.0-OpenSSH\r\n", Result.HTTP_FAILURE),
        (b"HTTP/1.1 2000 OK\r\n", Result.HTTP_FAILURE),
        (b"x" * 2 * STATUS_LINE_BYTES_MAX, Result.HTTP_FAILURE),
    ],
)
async def test_an_answer_counts_by_its_status_line(text: bytes, result: Result | None) -> None:
    async with server(says(text)) as where:
        assert await probed(where, probing()) is result


async def test_an_end_before_any_status_is_a_tcp_failure() -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 20")

    async with server(end) as where:
        assert await probed(where, probing()) is Result.TCP_FAILURE


async def test_a_closed_port_is_a_tcp_failure() -> None:
    async with server(says(b"")) as where:
        pass
    assert await probed(where, probing()) is Result.TCP_FAILURE


async def test_silence_is_a_timeout() -> None:
    async with server(says(b"")) as where:
        assert await probed(where, probing(timeout=0.05)) is Result.TIMEOUT


async def test_with_tcp_a_connection_is_all_that_is_asked_for() -> None:
    async with server(says(b"")) as where:
        assert await probed(where, probing(type="tcp")) is Result.SUCCESS


async def test_a_target_is_probed_by_ipv6() -> None:
    async with server(says(b"HTTP/1.1 200 OK\r\n"), "::1") as where:
        assert await probed(where, probing()) is Result.SUCCESS


async def test_the_request_names_path_host_and_headers() -> None:
    heads: list[bytes] = []
    checks = probing(http_path="/alive?x=1", headers={"X-Probe": ["a", "b"]})
    async with server(says(b"HTTP/1.1 200 OK\r\n", heads)) as where:
        await probed(where, checks, "name.test")
        await probed(where, checks, "name.test", "host.test")
    assert heads[0] == (
        b"GET /alive?x=1 HTTP/1.1\r\nX-Probe: a\r\nX-Probe: b\r\n"
        b"Host: name.test:%d\r\nConnection: close\r\n\r\n" % where.port
    )
    assert b"\r\nHost: host.test\r\n" in heads[1]


def test_what_would_be_several_lines_is_left_out() -> None:
    sent = request(probing(headers={"X-A": ["1\r\nX-B: 2"], "Connection": ["keep-alive"]}), "h")
    assert sent == b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


async def test_https_verifies_unless_told_not_to(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "localhost")
    names: list[str | None] = []
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    tls.sni_callback = lambda _, name, __: names.append(name)
    async with server(says(b"HTTP/1.1 200 OK\r\n"), tls=tls) as where:
        assert await probed(where, probing(type="https")) is Result.TCP_FAILURE
        checks = probing(type="https", https_verify_certificate=False, https_sni="sni.test")
        assert await probed(where, checks) is Result.SUCCESS
    assert names == ["localhost", "sni.test"]
