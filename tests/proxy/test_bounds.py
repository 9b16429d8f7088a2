"""What is taken up to a bound, and what waits for whom: large heads, slow upstreams, idle
clients."""

import asyncio

import pytest

from node.proxy import limits
from tests.proxy.client import connected
from tests.proxy.conftest import Origin, answering, field, origin
from tests.proxy.process import everything, running
from tests.proxy.test_slow_clients import Slow
from tests.proxy.test_slow_clients import slow as slow


async def stubborn(
    made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Takes a head, and nothing after it until it is closed."""
    await made.head(reader)
    await asyncio.Event().wait()


async def test_large_heads_pass_both_ways() -> None:
    """Up to nginx's large_client_header_buffers, where Kong has its default."""
    fields = "".join(f"X-{number}: {'v' * 1000}\r\n" for number in range(30))

    async def mirror(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await made.head(reader)
        own = [line for line in head.split("\r\n") if line.startswith("X-")]
        lines = "\r\n".join([*own, "Content-Length: 0", "", ""])
        writer.write(f"HTTP/1.1 200 OK\r\n{lines}".encode())
        await reader.read()

    async with (
        origin(mirror) as made,
        running(everything(made.url)) as worker,
        connected(worker.port) as client,
    ):
        response = await client.get("/", fields)
        assert response.status == 200
        assert [field(response.head, f"X-{number}") for number in range(30)] == ["v" * 1000] * 30


async def test_heads_of_too_many_fields_are_refused(echo: Origin) -> None:
    async with running(everything(echo.url)) as worker:
        for count, status in [
            (limits.REQUEST_FIELDS_MAX - 1, 200),
            (limits.REQUEST_FIELDS_MAX, 400),
        ]:
            async with connected(worker.port) as client:
                response = await client.get("/", "a:b\r\n" * count)  # and the Host
                assert response.status == status
    assert len(echo.heads) == 1


async def test_an_answer_of_too_many_fields_is_none() -> None:
    """All of them in few bytes, so that nothing else is in the way."""
    most = b"a:b\r\n" * limits.RESPONSE_FIELDS_MAX
    responses = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%b\r\n" % most[: -len(b"a:b\r\n") or None],
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%b\r\n" % most,
        b"HTTP/1.1 103 Early Hints\r\n%ba:b\r\n\r\n" % most,
    ]
    for number, (response, status) in enumerate(zip(responses, (200, 502, 502), strict=True)):
        async with (
            origin(answering(response)) as made,
            running(everything(made.url)) as worker,
            connected(worker.port) as client,
        ):
            assert (await client.get()).status == status
            await worker.counted("upstream_invalid", 1 if number else 0)


async def test_an_upstream_that_takes_nothing_stops_its_client() -> None:
    """Each side holds so much and no more, and memory with it."""
    async with (
        origin(stubborn) as made,
        running(everything(made.url, request_buffering=False)) as worker,
        connected(worker.port) as client,
    ):
        block = bytes(0x10000)
        size = 100 * 2**20
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        sent = 0
        stopped = False
        while not stopped and sent < size:
            client.send(block)
            sent += len(block)
            try:
                async with asyncio.timeout(0.5):
                    await client.writer.drain()
            except TimeoutError:
                stopped = True
        assert sent < 40 * 2**20, "what two kernels hold, and a little more"


async def test_an_upstream_that_takes_nothing_for_the_write_timeout_is_a_504() -> None:
    async with (
        origin(stubborn) as made,
        running(everything(made.url, retries=0, write_timeout=200)) as worker,
        connected(worker.port) as client,
    ):
        size = 100 * 2**20
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        client.send(bytes(40 * 2**20))
        response = await client.response()
        assert (response.status, response.field("Connection")) == (504, "close")


@pytest.mark.parametrize(
    "protocol", ["h2c", "H2C", "HTTP/2.0", "TLS/1.2", "websocket, h2c", "a" * 33, "a/b/c", "a b"]
)
async def test_an_upgrade_to_what_must_be_looked_at_is_not_asked_for(
    protocol: str, echo: Origin
) -> None:
    """The request goes on without it, as with any server that doesn't know the protocol."""
    fields = f"Connection: Upgrade\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        assert (await client.get("/", fields)).status == 200
        assert (await client.get("/again")).status == 200
    assert field(echo.heads[0], "Upgrade") is None
    assert field(echo.heads[0], "Connection") == "keep-alive"


def test_a_kept_connection_is_closed_when_no_further_request_comes(slow: Slow) -> None:
    slow.client.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert slow.wire.written.startswith(b"HTTP/1.1 404 ")
    slow.wait(limits.KEEPALIVE_SECONDS - 1)
    slow.client.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    slow.wait(limits.KEEPALIVE_SECONDS - 1)
    assert not slow.wire.closed
    slow.wait(2)
    assert slow.wire.closed


def test_a_request_that_crosses_the_end_of_its_worker_is_answered_and_closes(slow: Slow) -> None:
    slow.client.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    slow.gateway.drain()
    assert not slow.wire.closed
    slow.client.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert slow.wire.written.count(b"HTTP/1.1 404 ") == 2
    assert (
        slow.wire.written.rpartition(b"HTTP/1.1 404 ")[2].count(b"\r\nConnection: close\r\n") == 1
    )
    assert slow.wire.closed


def test_an_idle_connection_is_closed_soon_once_its_worker_drains(slow: Slow) -> None:
    slow.client.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    slow.gateway.drain()
    slow.wait(limits.NEXT_REQUEST_SECONDS + 2 * limits.SWEEP_SECONDS)
    assert slow.wire.closed


def test_a_client_that_goes_on_sending_after_a_refusal_is_cut_off(slow: Slow) -> None:
    slow.client.data_received(b"nonsense\r\n\r\n")
    assert slow.wire.written.startswith(b"HTTP/1.1 400 ")
    assert slow.wire.eof
    for _ in range(10):
        if not slow.wire.closed:
            slow.client.data_received(b"more nonsense\r\n\r\n")
        slow.wait(limits.LINGER_SECONDS / 4)
    assert slow.wire.closed
    assert slow.wire.written.count(b"HTTP/1.1 ") == 1
