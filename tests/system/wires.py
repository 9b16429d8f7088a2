"""The wires between the nodes of one machine, in the hands of a test.

Each node advertises a port of this process, which passes on what comes there: packets and streams
reach the node as if from their sender's advertised port. On the way packets can be lost, doubled
and held back, a node can be cut off, and a stream can be stopped in the middle.
"""

import asyncio
import contextlib
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from node.demo.cluster import LocalNode
from node.demo.ports import HOST

Address = tuple[str, int]
CHUNK_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to packets: probabilities, and the longest delay in seconds."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: float = 0.0
    delay_max: float = 0.02
    """Those that are held back are overtaken by what is sent meanwhile."""


class Hold:
    """Stops the first stream on which a node has answered with so many bytes."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.held: asyncio.Future[LocalNode] = asyncio.get_running_loop().create_future()
        """Whose stream it is, once one is stopped."""
        self.released = asyncio.Event()

    async def passes(self, node: LocalNode, so_far: int) -> None:
        """Return once this many bytes of an answer may pass."""
        if so_far > self.after and not self.held.done():
            self.held.set_result(node)
            await self.released.wait()


class _Port(asyncio.DatagramProtocol):
    """A node's advertised port, for packets."""

    def __init__(self, wires: "Wires", node: LocalNode) -> None:
        self.wires = wires
        self.node = node
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.wires.packet(data, addr, self)

    def error_received(self, exc: Exception) -> None:
        pass  # a node that is off refuses: its packets are lost


class Wires:
    """Between all nodes that were configured with ``own``."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.weather = Weather()
        self.hold: Hold | None = None
        self.happened: Counter[str] = Counter()
        """What became of packets."""
        self._cut: set[LocalNode] = set()
        self._ports: dict[Address, _Port] = {}
        """By the node's own address."""
        self._opened: list[Any] = []
        self._streams: set[asyncio.Task[None]] = set()

    def own(self, node: LocalNode) -> Mapping[str, str]:
        """What to configure a node with, so that it is reached by these wires."""
        home = (HOST, node.ports.gossip)
        if home not in self._ports:
            port = self._ports[home] = _Port(self, node)
            # Bound at once: who starts first may already send to the others.
            packets = _bound(socket.SOCK_DGRAM, node)
            streams = _bound(socket.SOCK_STREAM, node)
            self._opened.append(asyncio.ensure_future(self._open(port, packets, streams)))
        return {"cluster_advertise": f"{HOST}:{_advertised(node)}"}

    def cut(self, node: LocalNode) -> None:
        """Let nothing to or from this node pass any more."""
        self._cut.add(node)

    def packet(self, data: bytes, sender: Address, receiver: _Port) -> None:
        """A packet for a node has come."""
        source = self._ports.get(sender)
        if source is None or source.node in self._cut or receiver.node in self._cut:
            self.happened["cut"] += 1
            return
        weather, rng = self.weather, self._rng
        if rng.random() < weather.loss:
            self.happened["lost"] += 1
            return
        copies = 2 if rng.random() < weather.duplication else 1
        self.happened["doubled"] += copies - 1
        for _ in range(copies):
            late = rng.random() < weather.delay
            self.happened["late" if late else "passed"] += 1
            delay = rng.random() * weather.delay_max if late else 0.0
            asyncio.get_running_loop().call_later(delay, _send, data, source, receiver)

    async def close(self) -> None:
        """Let go of all ports and streams."""
        for task in self._streams:
            task.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)
        for opening in self._opened:
            server = await opening
            server.close()
        for port in self._ports.values():
            if port.transport is not None:
                port.transport.close()

    async def _open(
        self, port: _Port, packets: socket.socket, streams: socket.socket
    ) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: port, sock=packets)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)
            await self._stream(port.node, reader, writer)

        return await asyncio.start_server(serve, sock=streams)

    async def _stream(
        self, node: LocalNode, asks: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        server: asyncio.StreamWriter | None = None
        try:
            if node in self._cut:
                return
            answers, server = await asyncio.open_connection(HOST, node.ports.gossip)
            await asyncio.gather(self._pass(asks, server, None), self._pass(answers, client, node))
        except (OSError, asyncio.CancelledError):
            pass  # either end is gone, and so is the other now
        finally:
            for writer in (client, server):
                if writer is not None:
                    writer.transport.abort()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        answering: LocalNode | None,
    ) -> None:
        passed = 0
        while data := await source.read(CHUNK_BYTES):
            passed += len(data)
            if answering is not None and self.hold is not None:
                await self.hold.passes(answering, passed)
            target.write(data)
            await target.drain()
        with contextlib.suppress(OSError):
            target.write_eof()


@contextlib.asynccontextmanager
async def wires(seed: int = 7) -> AsyncIterator[Wires]:
    """Wires that are taken down at the end."""
    laid = Wires(random.Random(seed))
    try:
        yield laid
    finally:
        await laid.close()


def _advertised(node: LocalNode) -> int:
    return node.ports.gossip + 1


def _bound(kind: socket.SocketKind, node: LocalNode) -> socket.socket:
    bound = socket.socket(socket.AF_INET, kind)
    bound.setblocking(False)
    if kind == socket.SOCK_STREAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, _advertised(node)))
    return bound


def _send(data: bytes, source: _Port, receiver: _Port) -> None:
    if source.transport is not None and not source.transport.is_closing():
        source.transport.sendto(data, (HOST, receiver.node.ports.gossip))
