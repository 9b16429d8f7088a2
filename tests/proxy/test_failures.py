"""What clients see when upstreams refuse, vanish, stall or talk nonsense, and under load."""

import asyncio
import hashlib
import socket
import struct
from pathlib import Path

import pytest

from tests.proxy.client import connected
from tests.proxy.conftest import Origin, answering, origin
from tests.proxy.process import WorkerProcess, everything, route, running, service

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
UNAVAILABLE = "An invalid response was received from the upstream server"
LATE = "The upstream server is timing out"


def memory_of(worker: WorkerProcess) -> int:
    """Resident memory in bytes."""
    pages = Path(f"/proc/{worker.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


async def test_a_refused_connection_is_a_502_after_the_retries() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with (
            running(everything(url, retries=2)) as worker,
            connected(worker.port) as client,
        ):
            response = await client.get("/", "Accept: application/json\r\n")
            assert response.status == 502
            assert UNAVAILABLE in response.text
            await worker.counted("upstream_connect_failures", 3)
            plain = await client.get()
            assert plain.text.startswith(f"{UNAVAILABLE}\nrequest_id: ")


async def test_a_name_that_does_not_resolve_is_a_503() -> None:
    changes = everything("http://no-such-host.invalid:80")
    async with running(changes) as worker, connected(worker.port) as client:
        response = await client.get()
    assert response.status == 503
    assert '"message":"name resolution failed"' in response.text


async def test_a_connection_that_nobody_answers_is_a_504() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # fill the queue, so that the next one's SYN is dropped
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        changes = everything(f"http://127.0.0.1:{port}", retries=0, connect_timeout=100)
        async with running(changes) as worker, connected(worker.port) as client:
            response = await client.get()
        for filler in fillers:
            filler.close()
    assert (response.status, response.text.startswith(LATE)) == (504, True)


async def test_an_upstream_that_never_answers_is_a_504() -> None:
    async with (
        origin(answering(b"")) as made,
        running(everything(made.url, retries=0, read_timeout=100)) as worker,
        connected(worker.port) as client,
    ):
        response = await client.get()
        assert (response.status, response.text.startswith(LATE)) == (504, True)
        assert response.field("Connection") == "keep-alive"


@pytest.mark.parametrize(
    "answer",
    [
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 40,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        b"HTTP/1.1 200",
    ],
)
async def test_an_answer_that_is_no_http_is_a_502(answer: bytes) -> None:
    async with (
        origin(answering(answer, close=True)) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        assert (await client.get()).status == 502


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi",
    ],
)
async def test_an_upstream_that_dies_mid_body_cuts_the_response(answer: bytes) -> None:
    async with (
        origin(answering(answer, close=True)) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        received = await client.closed()
        assert received.endswith((b"hi", b"2\r\nhi\r\n"))
        await worker.counted("responses_truncated")


async def test_a_stale_connection_is_replaced_without_an_error() -> None:
    async def once(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        writer.write(OK)
        await made.head(reader)  # takes the second request, and closes instead of answering it
        if made.connections > 1:
            writer.write(OK)

    async with (
        origin(once) as made,
        running(everything(made.url, retries=0)) as worker,
        connected(worker.port) as client,
    ):
        assert (await client.get()).status == 200
        assert (await client.get()).status == 200
        assert made.connections == 2
        assert len(made.heads) == 3


async def test_a_request_that_may_have_taken_effect_is_not_repeated() -> None:
    async def once(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        writer.write(OK)
        await made.head(reader)

    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    async with (
        origin(once) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        assert (await client.ask(post)).status == 200
        assert (await client.ask(post)).status == 502
        assert made.connections == 1


async def test_bytes_after_a_response_are_not_taken_for_the_next_one() -> None:
    async with (
        origin(answering(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        for _ in range(3):
            assert (await client.get()).body == b"hi"
        assert made.connections == 3


async def test_idle_upstream_connections_are_closed_in_time() -> None:
    async with (
        origin(answering(OK)) as made,
        running(everything(made.url), upstream_keepalive_idle_timeout=0.1) as worker,
        connected(worker.port) as client,
    ):
        await client.get()
        await worker.until(
            lambda: (
                worker.stats.get("total_requests") == 1
                and worker.stats["connections_idle_upstream"] == 0
            )
        )


async def test_large_bodies_stream_both_ways_in_flat_memory() -> None:
    size = 50 * 1024 * 1024
    block = bytes(range(256)) * 256

    async def mirror(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        digest = hashlib.sha256()
        left = size
        while left:
            data = await reader.read(min(left, 2**18))
            digest.update(data)
            left -= len(data)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % size)
        writer.write(f"X-Digest: {digest.hexdigest()}\r\n\r\n".encode())
        for _ in range(size // len(block)):
            writer.write(block)
            await writer.drain()
        await reader.read()

    async with (
        origin(mirror) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        await worker.counted("connections_accepted")
        before = memory_of(worker)
        expected = hashlib.sha256()
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            client.send(block)
            expected.update(block)
            await client.writer.drain()
        head = (await client.reader.readuntil(b"\r\n\r\n")).decode()
        received = hashlib.sha256()
        left = size
        while left:
            data = await client.reader.read(min(left, 2**18))
            received.update(data)
            left -= len(data)
        assert f"X-Digest: {expected.hexdigest()}" in head
        assert received.digest() == expected.digest()
        assert memory_of(worker) - before < 12 * 1024 * 1024


async def test_a_client_that_does_not_read_stops_its_upstream() -> None:
    sent = 0
    stopped = asyncio.Event()

    async def flood(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal sent
        await made.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        while sent < 400 * len(block):
            writer.write(block)
            try:
                async with asyncio.timeout(0.5):
                    await writer.drain()
            except TimeoutError:
                stopped.set()
                await writer.drain()
            sent += len(block)
        writer.write(b"0\r\n\r\n")

    async with (
        origin(flood) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(20):
            await stopped.wait()
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        response = await client.response()
        assert len(response.body) == 400 * 0x10000


async def test_a_client_that_resets_its_connection_ends_its_upstreams_work() -> None:
    gone = asyncio.Event()

    async def wait(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        await reader.read()
        gone.set()

    async with origin(wait) as made, running(everything(made.url)) as worker:
        async with connected(worker.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await worker.counted("total_requests")
            connection = client.writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.writer.transport.abort()
        async with asyncio.timeout(20):
            await gone.wait()
        await worker.counted("clients_aborted")


async def test_a_route_goes_where_its_service_went(echo: Origin) -> None:
    first = service("http://127.0.0.1:1", retries=0)
    path = route(first, paths=["/"])
    async with running([first, path]) as worker, connected(worker.port) as client:
        assert (await client.get()).status == 502
        await worker.apply(service(echo.url, service_id=first[1]))
        assert (await client.get()).status == 200
        await worker.apply(("routes", path[1], None), ("services", first[1], None))
        assert (await client.get()).status == 404
