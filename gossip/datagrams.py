"""The UDP socket, by way of asyncio-dgram: sending never waits, and nothing is raised."""

import asyncio
import socket
from collections import deque

import asyncio_dgram
from asyncio_dgram.aio import DatagramServer

from gossip.address import Address
from gossip.effects import SendDatagram

_CONGESTED_MAX = 1_024
"""Packets that wait while the socket's buffer is full; further ones are dropped."""


async def open_datagrams(sock: socket.socket, counters: dict[str, int]) -> "Datagrams":
    """Take over a bound UDP socket."""
    stream = await asyncio_dgram.from_socket(sock)
    assert isinstance(stream, DatagramServer), "the socket isn't connected"
    return Datagrams(stream, counters)


class Datagrams:
    """One UDP socket. Counts ``datagrams_unsent``, ``datagrams_congested``, ``datagram_errors``."""

    def __init__(self, stream: DatagramServer, counters: dict[str, int]) -> None:
        self._stream = stream
        self._counters = counters
        self._congested: deque[SendDatagram] = deque()
        self._relief: asyncio.Task[None] | None = None

    async def receive(self) -> tuple[bytes, Address] | None:
        """The next packet and its source; None when the socket is closed."""
        while True:
            try:
                data, source = await self._stream.recv()
            except asyncio_dgram.TransportClosed:
                return None
            except OSError:
                # An earlier send's ICMP error, which asyncio-dgram raises here.
                self._counters["datagram_errors"] += 1
                continue
            assert isinstance(data, bytes)
            assert isinstance(source, tuple)
            return data, (source[0], source[1])

    def send(self, packet: SendDatagram) -> None:
        """Send now; while the socket's buffer is full, as soon as there is room."""
        if self._congested:
            if len(self._congested) < _CONGESTED_MAX:
                self._congested.append(packet)
            else:
                self._counters["datagrams_congested"] += 1
            return
        # Sent within the first step; the coroutine goes on waiting only if the buffer is full.
        sending = self._stream.send(packet.data, packet.address)
        try:
            sending.send(None)
        except StopIteration:
            return
        except (OSError, ValueError, asyncio_dgram.TransportClosed):
            self._counters["datagrams_unsent"] += 1
            return
        sending.close()
        # Sent a second time below: a duplicate, as networks make them.
        self._congested.append(packet)
        self._relief = asyncio.get_running_loop().create_task(self._relieve())

    def close(self) -> None:
        """Close the socket; what waits is dropped."""
        if self._relief is not None:
            self._relief.cancel()
        self._congested.clear()
        self._stream.close()

    async def _relieve(self) -> None:
        while self._congested:
            packet = self._congested[0]
            try:
                await self._stream.send(packet.data, packet.address)
            except (OSError, ValueError, asyncio_dgram.TransportClosed):
                self._counters["datagrams_unsent"] += 1
            self._congested.popleft()
