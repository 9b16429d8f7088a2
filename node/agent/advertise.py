"""Which address this node tells the others to reach it at, when none is configured."""

import ipaddress
import socket
from collections.abc import Sequence

from gossip.address import Address


def is_loopback(host: str) -> bool:
    """Whether a numeric host is this machine only."""
    return host == "::1" or host.startswith("127.")


def is_numeric(host: str) -> bool:
    """Whether a host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_wildcard(host: str) -> bool:
    """Whether a numeric host means every interface."""
    return host in ("0.0.0.0", "::")


def default_advertise(listen: Address, routes_to: Sequence[Address]) -> Address:
    """The listening address, or for a wildcard the local address of a route to the others.

    ``routes_to`` are addresses that this node will talk to (the database, the seeds); no packet is
    sent. With a route to none of them it is loopback, which only this machine reaches.
    """
    host, port = listen
    if not is_wildcard(host):
        return listen
    for target in routes_to:
        local = _local_address(target)
        if local is not None:
            return local, port
    return ("::1" if ":" in host else "127.0.0.1"), port


def _local_address(target: Address) -> str | None:
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(target)
        except OSError:
            return None
        host: str = probe.getsockname()[0]
        return host
