"""Where one try of a request goes."""

from typing import NamedTuple

from node.proxy.balancing.address import TargetAddress
from node.proxy.entities import host_and_port


class Peer(NamedTuple):
    """An address to connect to, and what it is called there."""

    host: str
    """An IPv4 or IPv6 address."""
    port: int
    headers: tuple[bytes, bytes]
    """The Host that it is sent over http, and over https: the scheme's own port is left out."""
    weight: int = 1
    """Its share of the traffic; 0 gets none."""
    address: TargetAddress | None = None
    """What its health is known by; None for a service that no upstream balances."""


def headers_for(name: str, port: int) -> tuple[bytes, bytes]:
    """The Host fields of a name or address and a port."""
    return host_and_port(name, port, False), host_and_port(name, port, True)


class Try(NamedTuple):
    """One try of a request, for the log."""

    peer: Peer
    began: float
    """In the loop's seconds."""
    status: int
    """As nginx counts it: 502 for a failure, 504 for a time-out, else 0."""
