"""Addresses of gossip listeners: a numeric IPv4 or IPv6 host and a port."""

import ipaddress
from functools import lru_cache

Address = tuple[str, int]
"""(host, port). The host is a numeric IP address in its canonical spelling, without brackets."""


def format_address(address: Address) -> str:
    """``host:port``, with brackets around an IPv6 host."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_host_port(text: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``; the host may be a name.

    Raises ValueError with a sentence for the operator.
    """
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"'{text}': an IPv6 address needs brackets, as in [::1]:8005")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ValueError(f"'{text}' is not host:port; give for example 10.0.0.5:8005 or [::1]:8005")
    return host, int(port)


def parse_address(text: str) -> Address:
    """Read ``host:port`` with a numeric host. Raises ValueError with a sentence for the operator.

    The host may be unspecified (``0.0.0.0``, ``::``): that is fine to listen on.
    """
    host, port = split_host_port(text)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        raise ValueError(f"'{text}': '{host}' is not a numeric IP address") from None


def check_advertised(address: Address) -> None:
    """Raises ValueError, naming the setting, for an address that others can't send to."""
    try:
        reachable_host(address[0])
    except ValueError as error:
        raise ValueError(
            f"cluster_advertise: {format_address(address)}: {error}; "
            "give the numeric address that the other nodes can reach"
        ) from None
    if not 0 < address[1] < 65_536:
        raise ValueError(f"cluster_advertise: {address[1]} is not a port")


@lru_cache(maxsize=4096)
def reachable_host(host: str) -> str:
    """The canonical spelling of a host that others can be told to send to.

    Raises ValueError for names and for addresses that lead to nobody in particular.
    """
    ip = ipaddress.ip_address(host)
    if ip.is_unspecified or ip.is_multicast:
        raise ValueError(f"{host} is not the address of one host")
    return str(ip)
