"""Routes' request_buffering and response_buffering: who waits for a slow client, and in how much
memory."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from node.proxy import limits
from node.proxy.buffering import Budget
from node.proxy.downstream import Downstream
from node.proxy.early_body import EarlyBody
from node.proxy.error_log import ErrorLog
from node.proxy.gateway import Gateway
from node.proxy.stats import Stats
from node.proxy.upstream import Upstream
from tests.proxy.balancing.upstreams import target, upstream
from tests.proxy.client import connected
from tests.proxy.conftest import Origin, echo_back, field, origin, read_body
from tests.proxy.process import everything, route, running, service
from tests.proxy.test_certificates import settings_with
from tests.proxy.test_failures import memory_of
from tests.proxy.wire import Clock, Wire

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
FRAMED = {
    "length": (b"Content-Length: 10\r\n\r\n", [b"01234", b"56789"]),
    "chunked": (
        b"Transfer-Encoding: chunked\r\n\r\n",
        [b"5\r\n01234\r\n", b"5\r\n56789\r\n0\r\n\r\n"],
    ),
}


# Requests


@pytest.mark.parametrize("framing", FRAMED)
async def test_a_body_is_read_whole_before_its_upstream_hears_of_it(
    framing: str, echo: Origin
) -> None:
    to = service(echo.url)
    head, (first, second) = FRAMED[framing]
    async with (
        running([to, route(to, hosts=["a"])]) as worker,
        connected(worker.port) as client,
        connected(worker.port) as other,
    ):
        client.send(POST + head)
        for piece in (first[:3], first[3:], second[:3]):
            client.send(piece)
            await other.settled()
            assert echo.connections == 0
        client.send(second[3:])
        response = await client.response()
        assert response.body.endswith(b"\r\n\r\n0123456789")
        assert (await client.get(host="a")).status == 200
    assert field(echo.heads[0], "Content-Length") == "10", "its length is known by then"
    assert field(echo.heads[0], "Transfer-Encoding") is None


@pytest.mark.parametrize("framing", FRAMED)
async def test_without_buffering_each_piece_goes_up_as_it_comes(framing: str) -> None:
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await made.head(reader)
        while data := await reader.read(4096):
            came.put_nowait(data)

    head, (first, second) = FRAMED[framing]
    async with (
        origin(take) as made,
        running(everything(made.url, request_buffering=False)) as worker,
        connected(worker.port) as client,
        asyncio.timeout(20),
    ):
        client.send(POST + head + first)
        assert b"01234" in await came.get()
        client.send(second)
        assert b"56789" in await came.get()
        coding = "chunked" if framing == "chunked" else None
        assert field(made.heads[0], "Transfer-Encoding") == coding


async def test_a_client_that_expects_100_gets_it_before_the_upstream_is_asked(
    echo: Origin,
) -> None:
    async with running(everything(echo.url)) as worker, connected(worker.port) as client:
        client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await client.response()).status == 100
        assert echo.connections == 0
        client.send(b"hi")
        assert (await client.response()).body.endswith(b"\r\n\r\nhi")
    assert field(echo.heads[0], "Expect") is None


@pytest.mark.parametrize("buffering", [False, True])
async def test_a_chunked_body_that_grows_over_the_bound_is_refused(
    echo: Origin, buffering: bool
) -> None:
    changes = everything(echo.url, request_buffering=buffering)
    async with running(changes, client_max_body_size=10) as worker:
        async with connected(worker.port) as client:
            head, (first, _) = FRAMED["chunked"]
            client.send(POST + b"Expect: 100-continue\r\n" + head)
            assert (await client.response()).status == 100
            client.send(first * 3)
            assert (await client.response()).status == 413
            client.writer.write_eof()
            assert await client.closed() == b""
        assert not buffering or echo.connections == 0


@pytest.mark.parametrize(("buffering", "status"), [(True, 200), (False, 502)])
async def test_a_body_that_was_read_whole_is_sent_again_to_another_target(
    buffering: bool, status: int
) -> None:
    """One that is passed on as it comes is kept for that up to a smaller bound."""
    body = bytes(range(256)) * 2000

    async def die(made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(await made.head(reader), reader)

    up = upstream("up.test")
    async with origin(die) as dead, origin(echo_back) as alive:
        targets = [
            target(up, f"127.0.0.1:{dead.port}", weight=1000),
            target(up, f"127.0.0.1:{alive.port}", weight=1),
        ]
        changes = everything("http://up.test:1", request_buffering=buffering)
        async with (
            running([up, *targets, *changes]) as worker,
            connected(worker.port) as client,
        ):
            head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
            response = await client.ask(head % len(body) + body)
    assert response.status == status
    assert dead.connections >= 1
    assert not buffering or response.body.endswith(b"\r\n\r\n" + body)


async def test_a_body_too_large_to_be_held_is_passed_on_as_it_comes() -> None:
    began = asyncio.Event()

    async def take(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            head = await made.head(reader)
            began.set()
            body = await read_body(head, reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%08d" % len(body))

    size = limits.REQUEST_BUFFER_BYTES_MAX + 1
    block = b"x" * 0x10000
    async with origin(take) as made, running(everything(made.url)) as worker:
        async with connected(worker.port) as client:
            client.send(POST + b"Content-Length: %d\r\n\r\n" % size)
            async with asyncio.timeout(20):
                await began.wait()
            client.send(b"x" * size)
            assert (await client.response()).body == b"%08d" % size
        began.clear()
        async with connected(worker.port) as client:
            client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
            blocks = limits.REQUEST_BUFFER_BYTES_MAX // len(block) + 1
            for _ in range(blocks):
                client.send(b"%x\r\n%b\r\n" % (len(block), block))
            async with asyncio.timeout(20):
                await began.wait()
            client.send(b"0\r\n\r\n")
            assert (await client.response()).body == b"%08d" % (blocks * len(block))
        await worker.counted("requests_streamed", 2)


async def test_a_thousand_slow_uploads_are_held_in_bounded_memory() -> None:
    """Beyond the bound they reach their upstream at once, and all of them end well."""
    count, size = 1000, 300_000
    came = 0

    async def take(
        made: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal came
        while True:
            await made.head(reader)
            left = size + 1
            while left:
                data = await reader.read(min(left, 2**18))
                if not data:
                    raise EOFError(f"{left} bytes are missing")
                left -= len(data)
                came += len(data)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    async with (
        origin(take) as made,
        running(everything(made.url)) as worker,
        contextlib.AsyncExitStack() as stack,
    ):
        before = memory_of(worker)
        clients = [await stack.enter_async_context(connected(worker.port)) for _ in range(count)]
        for client in clients:
            client.send(POST + b"Content-Length: %d\r\n\r\n" % (size + 1) + b"x" * size)
            await client.writer.drain()
        async with asyncio.timeout(20):
            while came < count * size - limits.BUFFERED_BYTES_MAX:
                await asyncio.sleep(0)
        grown = memory_of(worker) - before
        for client in clients:
            client.send(b"y")
        for client in clients:
            assert (await client.response()).status == 200
        again = await clients[0].ask(
            POST + b"Content-Length: %d\r\n\r\n" % (size + 1) + bytes(size + 1)
        )
        assert again.status == 200
        await worker.counted("buffers_refused", count - limits.BUFFERED_BYTES_MAX // size)
    assert grown < limits.BUFFERED_BYTES_MAX * 3 < count * size * 0.7


def test_bytes_that_come_one_by_one_take_little_more_than_their_size() -> None:
    body, size = EarlyBody(), 50_000
    body.gather(Budget(2 * size, Stats()), lambda: None)
    for _ in range(size):
        body.add(b"x")
    taken = body.take()
    assert sum(map(sys.getsizeof, taken)) < size * 1.2
    assert b"".join(taken) == b"x" * size


def test_what_was_held_is_given_back_whatever_becomes_of_it() -> None:
    budget = Budget(10, Stats())
    went_on: list[str] = []
    held, refused = EarlyBody(), EarlyBody()
    held.gather(budget, lambda: went_on.append("held"))
    held.add(b"12345678")
    refused.gather(budget, lambda: went_on.append("refused"))
    refused.add(b"123")
    assert went_on == ["refused"]
    held.let_go()
    held.complete()
    assert went_on == ["refused"], "who has let go isn't called any more"
    assert budget.take(10)


# Responses


class Held(Wire):
    """What is written waits until the test takes it."""

    def __init__(self, protocol: asyncio.Protocol | None = None) -> None:
        super().__init__()
        self.protocol = protocol
        self.taken = 0
        self.full = False

    def write(self, data: Any) -> None:
        self.unsent += len(data)
        if self.protocol and not self.full and self.unsent > limits.WRITE_BUFFER_HIGH:
            self.full = True
            self.protocol.pause_writing()

    def take(self) -> None:
        """The other side takes all that waits."""
        self.taken += self.unsent
        self.unsent = 0
        if self.protocol and self.full:
            self.full = False
            self.protocol.resume_writing()


class Slow:
    """Clients that take what the test says, before one upstream."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        gateway.loop = cast("asyncio.AbstractEventLoop", Clock())

    def ask(self) -> tuple[Downstream, Held, Upstream]:
        """A client has asked, and an upstream's connection has its request."""
        key = ("127.0.0.1", 1, None)
        made = Upstream(key, self.gateway.pool)
        made.connection_made(Held())
        self.gateway.pool.put(made, 0.0)
        client = Downstream(self.gateway, self.gateway.settings.listeners[0])
        wire = Held(client)
        client.connection_made(wire)
        client.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return client, wire, made


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    settings = settings_with(tmp_path)._replace(
        replica_file=str(tmp_path / "none"), upstream_keepalive_max_requests=10
    )
    made = Gateway(settings, 1000, ErrorLog(0), lambda frame: None)
    yield made
    made.close()


PIECE = b"x" * 0x10000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def test_an_answer_is_read_ahead_and_its_upstream_freed_before_a_slow_client_has_it(
    gateway: Gateway,
) -> None:
    gateway.table.apply((1, 0, 1), everything("http://127.0.0.1:1"))
    _, wire, made = Slow(gateway).ask()
    made.data_received(HEAD % (12 * len(PIECE)))
    for _ in range(12):
        made.data_received(PIECE)
    assert not made.paused
    assert made.passage is None
    assert gateway.stats.connections_idle_upstream == 1
    wire.take()
    assert wire.taken > 12 * len(PIECE)
    assert gateway.buffers.take(limits.BUFFERED_BYTES_MAX), "all was given back"


def test_without_buffering_the_upstream_waits_for_the_client(gateway: Gateway) -> None:
    changes = everything("http://127.0.0.1:1", response_buffering=False)
    gateway.table.apply((1, 0, 1), changes)
    _, wire, made = Slow(gateway).ask()
    made.data_received(HEAD % (12 * len(PIECE)))
    pieces = 0
    while not made.paused:
        made.data_received(PIECE)
        pieces += 1
    assert pieces == limits.WRITE_BUFFER_HIGH // len(PIECE)
    wire.take()
    assert not made.paused


def test_an_answer_is_read_ahead_up_to_a_bound(gateway: Gateway) -> None:
    gateway.table.apply((1, 0, 1), everything("http://127.0.0.1:1"))
    client, wire, made = Slow(gateway).ask()
    made.data_received(HEAD % (100 * len(PIECE)))
    while not made.paused:
        made.data_received(PIECE)
    assert 0 < wire.unsent - limits.RESPONSE_BUFFER_BYTES_MAX <= len(PIECE)
    assert gateway.stats.responses_held_back == 1
    wire.take()
    assert not made.paused
    while not made.paused:
        made.data_received(PIECE)
    client.connection_lost(None)
    assert gateway.buffers.take(limits.BUFFERED_BYTES_MAX), "all was given back"


def test_all_answers_together_are_read_ahead_up_to_a_bound(gateway: Gateway) -> None:
    gateway.table.apply((1, 0, 1), everything("http://127.0.0.1:1"))
    slow = Slow(gateway)
    wires = []
    for _ in range(200):
        _, wire, made = slow.ask()
        made.data_received(HEAD % (100 * len(PIECE)))
        while not made.paused:
            made.data_received(PIECE)
        wires.append(wire)
    ahead = sum(wire.unsent - limits.WRITE_BUFFER_HIGH - len(PIECE) for wire in wires)
    assert limits.BUFFERED_BYTES_MAX * 0.8 < ahead <= limits.BUFFERED_BYTES_MAX
    assert gateway.stats.buffers_refused > 100
    for wire in wires:
        wire.take()
    assert gateway.buffers.take(limits.BUFFERED_BYTES_MAX), "all was given back"
