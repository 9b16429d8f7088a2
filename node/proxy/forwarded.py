"""Who the client is, and what the upstream is told about it (X-Forwarded-*, X-Real-IP).

Kong's rules (kong/runloop/handler.lua, access.before). A peer in ``trusted_ips`` is believed: its
X-Forwarded-Proto, -Host, -Port, -Path and -Prefix go on, and its ``real_ip_header`` names the
client. From anybody else these fields are replaced by what we see ourselves. X-Forwarded-For is
appended to in both cases, so its last entry is always the address that we saw.
"""

import ipaddress
from typing import NamedTuple

from node.proxy import fields, limits
from node.proxy.heads import RequestHead

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peer(NamedTuple):
    """The other end of a client connection, and the listener it came to."""

    address: bytes
    trusted: bool
    ssl: bool
    sni: bytes
    """Lower-cased; empty without one."""
    listener_port: int


class Trust:
    """Which addresses are believed, and how they name the client."""

    def __init__(self, trusted_ips: tuple[str, ...], real_ip_header: str, recursive: bool) -> None:
        self._networks: list[_Network] = [
            ipaddress.ip_network(cidr, strict=False)
            for cidr in trusted_ips
            if not cidr.startswith("unix:")
        ]
        self._header = real_ip_header.lower().encode()
        self._recursive = recursive
        self._known: dict[bytes, bool] = {}

    def trusts(self, address: bytes) -> bool:
        """Whether an address (text) is in ``trusted_ips``; what is no address isn't."""
        if not self._networks:
            return False
        verdict = self._known.get(address)
        if verdict is None:
            verdict = self._look_up(address)
            if len(self._known) >= limits.CLIENT_ADDRESSES_MAX:
                self._known.clear()
            self._known[address] = verdict
        return verdict

    def _look_up(self, address: bytes) -> bool:
        try:
            parsed = ipaddress.ip_address(address.decode("latin-1").partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)

    def client_address(self, peer: Peer, head: RequestHead) -> bytes:
        """The client's address: the peer's, unless it is trusted and names another.

        As nginx's realip module: the last entry of the field; with ``real_ip_recursive``, the last
        one that isn't trusted itself.
        """
        if not peer.trusted:
            return peer.address
        entries = [entry.strip() for entry in self._named(head).split(b",")]
        for position, entry in enumerate(reversed(entries)):
            address = _address_of(entry)
            if address is None:
                break
            last = position == len(entries) - 1
            if last or not self._recursive or not self.trusts(address):
                return address
        return peer.address

    def _named(self, head: RequestHead) -> bytes:
        if self._header == b"x-real-ip":
            return head.special.get(fields.X_REAL_IP, b"")
        if self._header == b"x-forwarded-for":
            return head.special.get(fields.X_FORWARDED_FOR, b"")
        return b",".join(head.values(self._header))


def _address_of(entry: bytes) -> bytes | None:
    """The address of an entry that may have a port and brackets; None if there is none."""
    text = entry.decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text)).encode()
    except ValueError:
        return None


def scheme(peer: Peer, head: RequestHead) -> bytes:
    """``https`` or ``http`` as the client used it, by a trusted peer's word or our own."""
    if peer.trusted:
        told = head.special.get(fields.X_FORWARDED_PROTO)
        if told:
            return told.lower()
    return b"https" if peer.ssl else b"http"


def host(peer: Peer, head: RequestHead) -> bytes:
    """The host name that the client asked for, by a trusted peer's word or our own."""
    if peer.trusted:
        told = head.special.get(fields.X_FORWARDED_HOST)
        if told:
            return told
    return head.host_name


def lines(
    head: RequestHead, peer: Peer, client: bytes, prefix: bytes | None
) -> tuple[bytes, bytes | None, bytes]:
    """The field lines for the upstream: down to the value of X-Forwarded-Path; that value by a
    trusted peer's word, None where it is the path itself; and what is below it. ``prefix`` is what
    strip_path took off the path."""
    chain = head.special.get(fields.X_FORWARDED_FOR)
    port: bytes = b"%d" % peer.listener_port
    path = None
    if peer.trusted:
        port = head.special.get(fields.X_FORWARDED_PORT) or port
        path = head.special.get(fields.X_FORWARDED_PATH) or None
        prefix = head.special.get(fields.X_FORWARDED_PREFIX) or prefix
    above = (
        b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n"
        b"X-Forwarded-Port: %b\r\nX-Forwarded-Path: "
    ) % (
        b"%b, %b" % (chain, peer.address) if chain else client,
        scheme(peer, head),
        host(peer, head),
        port,
    )
    below = b"\r\nX-Real-IP: %b\r\n" % client
    if prefix and prefix != b"/":
        below += b"X-Forwarded-Prefix: %b\r\n" % prefix
    return above, path, below
