"""Which ports a cluster on one machine takes: node i's are 100·(i-1) higher than node 1's."""

import socket
from dataclasses import dataclass

HOST = "127.0.0.1"
DEFAULT_BASES = (8000, 18000, 28000, 38000, 48000)
NODES_MAX = 60


class PortsTaken(Exception):
    """The message names the first port that is taken, and the way out."""


@dataclass(frozen=True, slots=True)
class NodePorts:
    """The ports of one node."""

    proxy: int
    admin: int
    gossip: int
    status: int


def node_ports(base: int, number: int) -> NodePorts:
    """The ports of node ``number`` (from 1)."""
    first = base + 100 * (number - 1)
    return NodePorts(proxy=first, admin=first + 1, gossip=first + 5, status=first + 7)


def taken_port(base: int, nodes: int) -> int | None:
    """The first port of a cluster that can't be bound, or None when all are free."""
    for number in range(1, nodes + 1):
        ports = node_ports(base, number)
        for port in (ports.proxy, ports.admin, ports.gossip, ports.status):
            if not _is_free(port, socket.SOCK_STREAM):
                return port
        if not _is_free(ports.gossip, socket.SOCK_DGRAM):
            return ports.gossip
    return None


def choose_base(nodes: int, wanted: int | None) -> int:
    """The base port to use: the one wanted, else the first free of DEFAULT_BASES.

    Raises PortsTaken, also when the ports would pass 65535.
    """
    for base in DEFAULT_BASES if wanted is None else (wanted,):
        if node_ports(base, nodes).status > 65535:
            raise PortsTaken(
                f"{nodes} nodes from port {base} on would pass port 65535; take a lower --base-port"
            )
        taken = taken_port(base, nodes)
        if taken is None:
            return base
        if wanted is not None:
            raise PortsTaken(
                f"port {taken} is taken; free it, or choose another --base-port than {wanted}"
            )
    raise PortsTaken(f"none of the port ranges from {DEFAULT_BASES} is free; choose a --base-port")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
