"""Look-ups of names: the hosts file, then the name servers, then whatever else the system knows.

The order of record types is the key ``dns_order``'s, where LAST is the type that was found the last
time. Where it doesn't have AAAA, that is asked for after the others, so that names that have IPv6
addresses only are found, too. CNAMEs are followed within each answer; as a type of its own CNAME
finds nothing more.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from node.proxy import limits
from node.proxy.resolver import Found, NoSuchName, Record

if TYPE_CHECKING:
    import dns.resolver

    from node.proxy.name_servers import NameServers


class HostsFile:
    """Addresses by name, from a file like /etc/hosts; read anew when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._addresses: dict[str, list[str]] = {}

    def addresses(self, name: str) -> list[str]:
        """The addresses of a name: those of IPv4 when there are any, as A comes before AAAA."""
        self._refresh()
        found = self._addresses.get(name.lower().removesuffix("."), [])
        return [address for address in found if ":" not in address] or found

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            with self._path.open("rb") as file:
                text = file.read(limits.HOSTS_FILE_BYTES_MAX).decode("utf-8", "replace")
        except OSError:
            self._addresses = {}
            return
        self._addresses = {}
        for line in text.splitlines():
            address, *names = line.partition("#")[0].split() or [""]
            try:
                ipaddress.ip_address(address.partition("%")[0])
            except ValueError:
                continue
            for name in names:
                self._addresses.setdefault(name.lower(), []).append(address)


class Lookup:
    """Satisfies resolver.Lookup.

    ``servers`` are addresses with ports; without any, those of /etc/resolv.conf are asked. What
    they answer has its own TTL unless ``ttl`` is greater than 0.
    """

    def __init__(
        self,
        servers: Sequence[tuple[str, int]] = (),
        order: Sequence[str] = ("LAST", "SRV", "A", "CNAME"),
        hosts_file: Path = Path("/etc/hosts"),
        ttl: float = 0.0,
    ) -> None:
        self._ttl = ttl
        self._hosts = HostsFile(hosts_file)
        asked = [kind for kind in order if kind in ("SRV", "A", "AAAA")]
        self._order = asked if "AAAA" in asked else [*asked, "AAAA"]
        self._remembers = "LAST" in order
        self._last: dict[str, str] = {}
        self._servers = servers
        self._name_servers: NameServers | None = None

    async def __call__(self, name: str) -> Found:
        """Raises NoSuchName, OSError, UnicodeError or TimeoutError."""
        addresses = self._hosts.addresses(name)
        if addresses:
            return _found([Record(address) for address in addresses], limits.RESOLVER_TTL_SECONDS)
        try:
            return await self._ask_servers(name)
        except NoSuchName:
            if self._servers:
                raise
        return await _ask_system(name)

    async def _ask_servers(self, name: str) -> Found:
        last = self._last.get(name)
        order = sorted(self._order, key=lambda kind: kind != last)
        failure: Exception = NoSuchName("no such name, or no address")
        for kind in order:
            try:
                answer = await self._query(name, kind)
                if answer is None:
                    continue
                found = await self._of_srv(answer) if kind == "SRV" else _of_addresses(answer)
            except OSError as error:  # some servers fail at types that they don't know
                failure = error
                continue
            if found.records:
                self._remember(name, kind)
                return found._replace(ttl=self._ttl) if self._ttl else found
        raise failure

    def _remember(self, name: str, kind: str) -> None:
        if self._remembers:
            if len(self._last) >= limits.RESOLVER_NAMES_MAX:
                self._last.clear()
            self._last[name] = kind

    async def _query(self, name: str, kind: str) -> "dns.resolver.Answer | None":
        """One question; None when there is no such record."""
        if self._name_servers is None:
            self._name_servers = await asyncio.to_thread(_name_servers, self._servers)
        return await self._name_servers.ask(name, kind)

    async def _of_srv(self, answer: "dns.resolver.Answer") -> Found:
        """The addresses of the hosts that the records of the best priority name."""
        best = min(record.priority for record in answer)
        ttl = _ttl(answer)
        records: list[Record] = []
        for record in answer:
            if record.priority != best or len(records) >= limits.RESOLVER_ADDRESSES_MAX:
                continue
            host = record.target.to_text(omit_final_dot=True)
            addresses, own_ttl = await self._addresses_of(host)
            ttl = min(ttl, own_ttl)
            # An SRV record of several addresses has one weight.
            weight = max(record.weight // max(len(addresses), 1), 1)
            records += [Record(address, record.port, weight, host) for address in addresses]
        return _found(records, ttl)

    async def _addresses_of(self, host: str) -> tuple[list[str], float]:
        addresses = self._hosts.addresses(host)
        if addresses:
            return addresses, limits.RESOLVER_TTL_SECONDS
        for kind in self._order:
            answer = None if kind == "SRV" else await self._query(host, kind)
            if answer is not None:
                return [record.address for record in answer], _ttl(answer)
        return [], limits.RESOLVER_TTL_SECONDS


def _name_servers(servers: Sequence[tuple[str, int]]) -> "NameServers":
    from node.proxy.name_servers import NameServers

    return NameServers(servers)


def _of_addresses(answer: "dns.resolver.Answer") -> Found:
    return _found([Record(record.address) for record in answer], _ttl(answer))


def _ttl(answer: "dns.resolver.Answer") -> float:
    return float(answer.chaining_result.minimum_ttl)


def _found(records: list[Record], ttl: float) -> Found:
    return Found(tuple(sorted(set(records), key=lambda record: (record.host, record.port))), ttl)


async def _ask_system(name: str) -> Found:
    """What else the system is set up to ask: mDNS, a directory, its own host name."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            raise NoSuchName(str(error)) from error
        raise
    return _found([Record(str(info[4][0])) for info in found], limits.RESOLVER_TTL_SECONDS)
