"""Everything that passes over a network's bridge, and what a listener on it can read."""

import socket
import struct
from dataclasses import dataclass

from tests.deploy.network import BRIDGE, Network

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
FRAME_BYTES_MAX = 65_535
BUFFER_BYTES = 64 * 1024 * 1024
TCP, UDP = 6, 17


@dataclass(frozen=True, slots=True)
class Packet:
    """A TCP segment or UDP datagram that carries something."""

    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes


class Capture:
    """Collects what passes from its making on."""

    def __init__(self, network: Network) -> None:
        self._socket = network.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._socket.bind((BRIDGE, ETH_P_ALL))
        self._socket.setblocking(False)
        self.packets: list[Packet] = []

    def read(self) -> list[Packet]:
        """All packets so far."""
        while True:
            try:
                frame = self._socket.recv(FRAME_BYTES_MAX)
            except BlockingIOError:
                return self.packets
            packet = parse(frame)
            if packet is not None:
                self.packets.append(packet)

    def close(self) -> None:
        self._socket.close()


def parse(frame: bytes) -> Packet | None:
    """The IPv4 packet in an Ethernet frame; None for anything else and for empty ones."""
    if len(frame) < 34 or struct.unpack_from("!H", frame, 12)[0] != ETH_P_IP:
        return None
    packet = frame[14:]
    length = struct.unpack_from("!H", packet, 2)[0]
    header = (packet[0] & 0x0F) * 4
    protocol = packet[9]
    segment = packet[header:length]
    if protocol == TCP:
        payload = segment[(segment[12] >> 4) * 4 :]
    elif protocol == UDP:
        payload = segment[8:]
    else:
        return None
    if not payload:
        return None
    source_port, destination_port = struct.unpack_from("!HH", segment)
    source, destination = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    return Packet((source, source_port), (destination, destination_port), payload)
