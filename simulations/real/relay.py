"""The wires between the nodes, in our hands: what they gossip passes through here.

Each node advertises a port of this relay, which passes on what comes there: packets reach a node
as if from their sender's advertised port. tc netem isn't in every kernel; this needs none. On the
way packets are lost, doubled, held back (so that later ones overtake them) and damaged; the bytes
of streams are held back and damaged, or the stream is reset.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

Address = tuple[str, int]
CHUNK_BYTES = 16_384
CONNECT_SECONDS = 5.0
DAMAGED_BYTES_MAX = 4
_RESET = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""Closed like this, the other end sees a reset."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to packets, and to each chunk of a stream: probabilities, and seconds."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: float = 0.0
    delay_max: float = 0.05
    corruption: float = 0.0
    stream_delay: float = 0.0
    stream_corruption: float = 0.0
    stream_reset: float = 0.0


FAIR = Weather()


class Port(asyncio.DatagramProtocol):
    """A node's advertised port: ``number`` is the node's."""

    def __init__(self, relay: "Relay", number: int, home: Address, advertised: Address) -> None:
        self.relay = relay
        self.number = number
        self.home = home
        self.advertised = advertised
        self.transport: asyncio.DatagramTransport | None = None
        self.weather = FAIR
        """Of what goes to and from this node."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.relay.packet(data, addr[:2], self)

    def error_received(self, exc: Exception) -> None:
        pass  # a node that is off refuses: its packets are lost

    def send(self, data: bytes, receiver: "Port") -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(data, receiver.home)


class Relay:
    """Between all nodes of a run."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.happened: Counter[str] = Counter()
        """What became of packets and chunks."""
        self._ports: dict[Address, Port] = {}
        """By the node's own address."""
        self._servers: list[asyncio.Server] = []
        self._streams: set[asyncio.Task[None]] = set()

    async def lay(self, number: int, home: Address, advertised: Address) -> None:
        """Open a node's advertised port."""
        port = self._ports[home] = Port(self, number, home, advertised)
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: port, local_addr=advertised)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)
            await self._stream(port, reader, writer)

        self._servers.append(await asyncio.start_server(serve, *advertised))

    def blow(self, weather: Weather, nodes: Sequence[int]) -> None:
        """The weather of what goes to and from these nodes."""
        for port in self._ports.values():
            if port.number in nodes:
                port.weather = weather

    def packet(self, data: bytes, sender: Address, receiver: Port) -> None:
        """A packet for a node has come."""
        source = self._ports.get(sender)
        if source is None:
            self.happened["packets from nobody"] += 1
            return
        weather, rng = _worse(source.weather, receiver.weather), self._rng
        if rng.random() < weather.loss:
            self.happened["packets lost"] += 1
            return
        copies = 2 if rng.random() < weather.duplication else 1
        self.happened["packets doubled"] += copies - 1
        for _ in range(copies):
            sent = data
            if rng.random() < weather.corruption:
                sent = self._damaged(data)
                self.happened["packets damaged"] += 1
            if rng.random() < weather.delay:
                self.happened["packets delayed"] += 1
                delay = rng.random() * weather.delay_max
                asyncio.get_running_loop().call_later(delay, source.send, sent, receiver)
            else:
                self.happened["packets passed"] += 1
                source.send(sent, receiver)

    async def close(self) -> None:
        """Let go of all ports and streams."""
        for server in self._servers:
            server.close()
        for task in list(self._streams):
            task.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)
        for port in self._ports.values():
            if port.transport is not None:
                port.transport.close()

    async def _stream(
        self, port: Port, asks: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        server: asyncio.StreamWriter | None = None
        whole = False
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                answers, server = await asyncio.open_connection(*port.home)
            self.happened["streams passed"] += 1
            await asyncio.gather(self._pass(port, asks, server), self._pass(port, answers, client))
            whole = True
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # either end is gone, and so is the other now
        finally:
            for writer in (client, server):
                if writer is not None and whole:
                    writer.close()
                elif writer is not None:
                    if (bare := writer.get_extra_info("socket")) is not None:
                        bare.setsockopt(*_RESET)
                    writer.transport.abort()

    async def _pass(
        self, port: Port, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        rng = self._rng
        while data := await source.read(CHUNK_BYTES):
            weather = port.weather
            if rng.random() < weather.stream_reset:
                self.happened["streams reset"] += 1
                raise ConnectionResetError
            if rng.random() < weather.stream_delay:
                self.happened["chunks delayed"] += 1
                await asyncio.sleep(rng.random() * weather.delay_max)
            if rng.random() < weather.stream_corruption:
                self.happened["chunks damaged"] += 1
                data = self._damaged(data)
            target.write(data)
            await target.drain()
        with contextlib.suppress(OSError):
            target.write_eof()

    def _damaged(self, data: bytes) -> bytes:
        """With a few bytes changed, or the end missing."""
        rng = self._rng
        if not data or rng.random() < 0.2:
            return data[: rng.randrange(len(data) + 1)]
        damaged = bytearray(data)
        for _ in range(rng.randint(1, DAMAGED_BYTES_MAX)):
            damaged[rng.randrange(len(damaged))] ^= rng.randint(1, 255)
        return bytes(damaged)


def _worse(one: Weather, other: Weather) -> Weather:
    if one is FAIR:
        return other
    if other is FAIR:
        return one
    return replace(
        one,
        loss=max(one.loss, other.loss),
        duplication=max(one.duplication, other.duplication),
        delay=max(one.delay, other.delay),
        delay_max=max(one.delay_max, other.delay_max),
        corruption=max(one.corruption, other.corruption),
    )


def free_port(host: str) -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
