"""Counting a namespace's packets, each once, as it is sent: IPv4 by protocol and source port."""

import asyncio
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.membership.namespace import Namespace

_ETH_P_ALL = 0x0003  # only sockets for all protocols see what is sent
_ETH_P_IP = 0x0800
_PACKET_OUTGOING = 4
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 16 * 1024 * 1024
_HEAD_BYTES = 64 + 4


@dataclass(slots=True)
class Traffic:
    """What has been counted; bytes are those of whole IP packets, headers included."""

    packets: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By protocol number and source port."""
    bytes: Counter[tuple[int, int]] = field(default_factory=Counter)
    unseen: int = 0
    """Packets that the kernel had to drop because they weren't read in time."""

    def total(self, counted: Counter[tuple[int, int]], protocol: int) -> int:
        """The sum over a protocol's ports."""
        return sum(count for (number, _), count in counted.items() if number == protocol)


class Capture:
    """Counts from ``start`` to ``stop``."""

    def __init__(self, namespace: Namespace) -> None:
        """Raises Unavailable."""
        self._socket = namespace.packet_socket(_ETH_P_ALL)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._socket.setblocking(False)
        self._traffic = Traffic()

    def start(self) -> None:
        """Begin with what is sent from now on."""
        self._drain()
        self._unread()
        self._traffic = Traffic()
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._drain)

    def stop(self) -> Traffic:
        """What was sent since ``start``."""
        self._drain()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._traffic.unseen = self._unread()
        return self._traffic

    def close(self) -> None:
        self._socket.close()

    def _unread(self) -> int:
        """Packets dropped for want of room since the last question."""
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        dropped: int = struct.unpack("II", statistics)[1]
        return dropped

    def _drain(self) -> None:
        while True:
            try:
                head, address = self._socket.recvfrom(_HEAD_BYTES)
            except BlockingIOError:
                return
            if address[1] == _ETH_P_IP and address[2] == _PACKET_OUTGOING:
                self._count(head)

    def _count(self, head: bytes) -> None:
        length = int.from_bytes(head[2:4], "big")
        ports_at = 4 * (head[0] & 0x0F)
        port = int.from_bytes(head[ports_at : ports_at + 2], "big")
        key = head[9], port
        self._traffic.packets[key] += 1
        self._traffic.bytes[key] += length
