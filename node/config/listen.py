"""Addresses: ``host:port`` pairs and Kong's listeners, IPv4, IPv6 (in brackets) and names."""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

from node.config.limits import BACKLOG_MAX, HOST_CHARS_MAX, LIST_ITEMS_MAX

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_PORT = re.compile(r"[0-9]{1,5}")
_LOOKS_NUMERIC = re.compile(r"[0-9.]+")

DEFAULT_BACKLOG = 16_384
"""Kong's own; the kernel cuts it to net.core.somaxconn."""

SUFFIXES = ("ssl", "http2", "proxy_protocol", "deferred", "bind", "reuseport")
LISTENER_FORM = (
    "write `off` or host:port, with any of "
    f"{', '.join(SUFFIXES)}, backlog=N, ipv6only=on|off, so_keepalive=… after it, e.g. "
    "`0.0.0.0:8000 reuseport, [::]:8443 ssl`"
)


class HostPort(NamedTuple):
    """Where something listens or is reached. ``host`` is without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than localhost counts as not."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.rstrip(".").lower() == "localhost"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One listener: an address and the suffixes that Kong (and nginx) let follow it."""

    host: str
    """Numeric address or name, without brackets."""
    port: int
    """0 takes any free port."""
    ssl: bool = False
    http2: bool = False
    proxy_protocol: bool = False
    deferred: bool = False
    bind: bool = False
    reuseport: bool = False
    backlog: int = DEFAULT_BACKLOG
    ipv6only: bool = True
    so_keepalive: str = ""
    """As nginx writes it; empty leaves it to the system."""

    @property
    def address(self) -> HostPort:
        """Host and port without the suffixes."""
        return HostPort(self.host, self.port)

    def with_port(self, port: int) -> "ListenAddress":
        """The same listener on another port."""
        return replace(self, port=port)

    def __str__(self) -> str:
        words = [str(self.address)]
        words += [suffix for suffix in SUFFIXES if getattr(self, suffix)]
        if self.backlog != DEFAULT_BACKLOG:
            words.append(f"backlog={self.backlog}")
        if not self.ipv6only:
            words.append("ipv6only=off")
        if self.so_keepalive:
            words.append(f"so_keepalive={self.so_keepalive}")
        return " ".join(words)


def parse_host_port(text: str, *, default_port: int | None = None) -> HostPort:
    """Read ``host:port``. Raises ValueError saying what is wrong and how to write it."""
    host, port_text = _split(text.strip())
    if port_text is None:
        if default_port is None:
            raise ValueError("names no port; write host:port")
        return HostPort(host, default_port)
    port = int(port_text) if _PORT.fullmatch(port_text) else 65_536
    if port > 65_535:
        raise ValueError(f"has port {port_text!r}; a port is a number from 0 to 65535")
    return HostPort(host, port)


def _split(text: str) -> tuple[str, str | None]:
    """Host (checked, without brackets) and the text of the port, None without one."""
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("has brackets that don't close before the port; write [address]:port")
        return _ipv6(inside), rest[1:] if rest else None
    if text.count(":") > 1:
        raise ValueError(f"is IPv6 without brackets; write [{text}]:port")
    host, colon, port = text.partition(":")
    return _host(host), port if colon else None


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise ValueError(f"has {text!r} in brackets, which is no IPv6 address") from None


def _host(text: str) -> str:
    if not text:
        raise ValueError("names no host; write host:port")
    if _LOOKS_NUMERIC.fullmatch(text):
        try:
            return str(ip_address(text))
        except ValueError:
            raise ValueError(f"has {text!r}, which is no IPv4 address") from None
    if len(text) > HOST_CHARS_MAX or not _NAME.fullmatch(text):
        raise ValueError(f"has {text[:80]!r}, which is no host name")
    return text


def parse_listeners(text: str) -> tuple[ListenAddress, ...]:
    """Read a ``*_listen`` value; ``off`` is no listener. Raises ValueError."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if [entry.lower() for entry in entries] == ["off"]:
        return ()
    if not entries:
        raise ValueError(f"names no listener; {LISTENER_FORM}")
    if len(entries) > LIST_ITEMS_MAX:
        raise ValueError(f"has {len(entries)} listeners; {LIST_ITEMS_MAX} are allowed")
    listeners = tuple(_listener(entry) for entry in entries)
    fixed = [listener.address for listener in listeners if listener.port]
    for address in fixed:
        if fixed.count(address) > 1:
            raise ValueError(f"names {address} twice; leave one of them out")
    return listeners


def _listener(entry: str) -> ListenAddress:
    address_text, *suffixes = entry.split()
    if address_text.lower() == "off":
        raise ValueError("mixes `off` with listeners; `off` stands alone")
    try:
        address = parse_host_port(address_text)
    except ValueError as error:
        raise ValueError(f"{address_text!r} {error}") from None
    listener = ListenAddress(*address)
    for suffix in suffixes:
        listener = _with_suffix(listener, suffix)
    return listener


def _with_suffix(listener: ListenAddress, suffix: str) -> ListenAddress:
    name, _, value = suffix.partition("=")
    if suffix in SUFFIXES:
        flag: dict[str, Any] = {suffix: True}
        return replace(listener, **flag)
    if name == "backlog" and value.isascii() and value.isdigit() and 0 < int(value) <= BACKLOG_MAX:
        return replace(listener, backlog=int(value))
    if name == "ipv6only" and value in ("on", "off"):
        return replace(listener, ipv6only=value == "on")
    if name == "so_keepalive" and re.fullmatch(r"on|off|[0-9smh]*:[0-9smh]*:[0-9]*", value):
        return replace(listener, so_keepalive=value)
    raise ValueError(
        f"has the suffix {suffix!r}, which is unknown or out of range; {LISTENER_FORM}"
    )
