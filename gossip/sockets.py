"""Binding the listener: UDP and TCP on one port."""

import errno
import socket
from typing import NamedTuple

from gossip.address import Address, format_address

_BIND_ATTEMPTS = 16
_RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024
"""Room for a burst of pushes while the event loop is busy; the kernel may grant less."""


class Sockets(NamedTuple):
    """A UDP and a TCP socket bound to one port, not listening yet."""

    udp: socket.socket
    tcp: socket.socket
    address: Address

    def close(self) -> None:
        """Give the port back. Harmless when a transport has closed them already."""
        self.udp.close()
        self.tcp.close()


def bind(listen: Address) -> Sockets:
    """Bind UDP and TCP to one port; port 0 takes a free one. Raises OSError naming the address."""
    family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
    for attempt in range(_BIND_ATTEMPTS):
        tcp = socket.socket(family, socket.SOCK_STREAM)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            if family == socket.AF_INET6:
                for sock in (tcp, udp):
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            tcp.bind(listen)
            port = tcp.getsockname()[1]
            udp.bind((listen[0], port))
            tcp.setblocking(False)
            udp.setblocking(False)
            return Sockets(udp, tcp, (listen[0], port))
        except OSError as error:
            tcp.close()
            udp.close()
            # With port 0 somebody may hold the UDP port of the TCP port that we were given.
            if listen[1] == 0 and error.errno == errno.EADDRINUSE and attempt < _BIND_ATTEMPTS - 1:
                continue
            where = format_address(listen)
            raise OSError(error.errno, f"cluster_listen: {where}: {error.strerror}") from error
    raise AssertionError("unreachable")
