"""Host names and addresses in entities: how Kong tells them apart and what it says of bad ones.

The rules are those of ``kong/tools/utils.lua`` (normalize_ip, check_hostname): more than one colon
is IPv6, digits and dots alone are IPv4, everything else is a name; each may carry a port.
"""

import ipaddress
import re
from typing import Literal, NamedTuple

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PORT = re.compile(r"(.*):([0-9]+)")
_BRACKETED = re.compile(r"\[([^\]]*)\](?::([0-9]+))?")
INVALID_PORT = "invalid port number"


class Address(NamedTuple):
    """A host as it was written, taken apart."""

    kind: Literal["name", "ipv4", "ipv6"]
    host: str
    port: int | None


def parse_address(text: str) -> Address | str:
    """Take a host with an optional port apart; a str answer says what is wrong with it."""
    if text.count(":") > 1 or text.startswith("["):
        return _parse_ipv6(text)
    without_port = _PORT.fullmatch(text)
    host = without_port.group(1) if without_port else text
    port = int(without_port.group(2)[:6]) if without_port else None
    if re.fullmatch(r"[0-9.:]+", text):
        kind: Literal["name", "ipv4"] = "ipv4"
        if not _is_ipv4(host):
            return f"invalid ipv4 address: {text}"
    else:
        kind = "name"
    if port is not None and port > 65535:
        return INVALID_PORT
    if kind == "name" and not _is_name(host):
        return f"invalid hostname: {text}"
    return Address(kind, host, port)


def _parse_ipv6(text: str) -> Address | str:
    bracketed = _BRACKETED.fullmatch(text)
    host = bracketed.group(1) if bracketed else text
    port = int(bracketed.group(2)[:6]) if bracketed and bracketed.group(2) else None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return f"invalid ipv6 address: {text}"
    if "%" in host:
        return f"invalid ipv6 address: {text}"
    if port is not None and port > 65535:
        return INVALID_PORT
    return Address("ipv6", host, port)


def _is_ipv4(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(map(_is_octet, parts))


def _is_octet(part: str) -> bool:
    return 0 < len(part) <= 3 and part.isdigit() and int(part) <= 255


def _is_name(host: str) -> bool:
    """No label may be empty or end in a dash, but a last empty one makes the name absolute."""
    if not _NAME.fullmatch(host):
        return False
    *labels, last = host.split(".")
    if last == "" and not labels:
        return False
    return all(labels) and not any(label.endswith("-") for label in (*labels, last))


def host_error(host: str) -> str | None:
    """A host without a port."""
    address = parse_address(host)
    if address == INVALID_PORT:
        return "must not have a port"
    if isinstance(address, str):
        return f"invalid value: {host}"
    return None if address.port is None else "must not have a port"


def route_host_error(host: str) -> str | None:
    """A route's host: a name or address with an optional port; its wildcard was checked before."""
    address = parse_address(host.replace("*", "abc"))
    if isinstance(address, str):
        return address.replace(host.replace("*", "abc"), host)
    return None


def wildcard_host_error(host: str) -> str | None:
    """A name with at most one wildcard, as its first or last character; no address, no port."""
    star = host.find("*")
    if star > 0 and star != len(host) - 1:
        return "wildcard must be leftmost or rightmost character"
    if host.count("*") > 1:
        return "only one wildcard must be specified"
    plain = host.replace("*", "wildcard")
    wrong = host_error(plain)
    if wrong is not None:
        return f"invalid value: {host}" if wrong.startswith("invalid value") else wrong
    address = parse_address(plain)
    assert isinstance(address, Address)
    return None if address.kind == "name" else "must not be an IP"


def ip_or_cidr_error(text: str) -> str | None:
    """An address or a network, of either family."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"invalid ip or cidr range: '{text}'"
    return None


def host_with_port_error(host: str) -> str | None:
    """A host with an optional port."""
    address = parse_address(host)
    return address if isinstance(address, str) else None


def sni_error(name: str) -> str | None:
    """A server name: no address, no port."""
    address = parse_address(name)
    if address == INVALID_PORT:
        return "must not have a port"
    if isinstance(address, str):
        return f"invalid value: {name}"
    if address.kind != "name":
        return "must not be an IP"
    return None if address.port is None else "must not have a port"


def with_port(text: str, default_port: int) -> str:
    """The one spelling of a valid host with a port: IPv6 in brackets and unabridged, as Kong's."""
    address = parse_address(text)
    assert isinstance(address, Address), text
    host = address.host
    if address.kind == "ipv6":
        host = f"[{ipaddress.IPv6Address(host).exploded}]"
    elif address.kind == "ipv4":
        host = ".".join(str(int(part)) for part in host.split("."))
    return f"{host}:{default_port if address.port is None else address.port}"
