"""Names of upstream hosts to addresses, remembered for a while.

Resolving goes through the system (getaddrinfo, so /etc/hosts and the search list work) in a
thread of the loop's. An answer is used for 30 s; after that, a name that can't be resolved any more
keeps its last addresses, and one that never could fails at once for a second.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from node.proxy import limits


class Address(NamedTuple):
    """Where to connect."""

    host: str
    """An IPv4 or IPv6 address, with a zone if it has one."""
    family: int


class ResolutionFailed(Exception):
    """The name has no addresses; the message says why."""


class _Entry(NamedTuple):
    addresses: tuple[Address, ...]
    reason: str
    expires: float


Lookup = Callable[[str], Awaitable[tuple[Address, ...]]]


async def system_lookup(name: str) -> tuple[Address, ...]:
    """Ask the system; in the order that it prefers (RFC 6724). Raises OSError, UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(Address(str(info[4][0]), int(info[0])) for info in found)
    return tuple(addresses)[: limits.RESOLVER_ADDRESSES_MAX]


class Resolver:
    """A bounded cache in front of a look-up. Concurrent questions for one name are one question."""

    def __init__(self, clock: Callable[[], float], lookup: Lookup = system_lookup) -> None:
        self._clock = clock
        self._lookup = lookup
        self._entries: dict[str, _Entry] = {}
        self._asked: dict[str, asyncio.Task[_Entry]] = {}

    async def resolve(self, name: str) -> tuple[Address, ...]:
        """The addresses of a name or literal, never none. Raises ResolutionFailed."""
        literal = _literal(name)
        if literal is not None:
            return (literal,)
        entry = self._entries.get(name)
        if entry is None or self._clock() >= entry.expires:
            task = self._asked.get(name)
            if task is None:
                task = asyncio.create_task(self._ask(name, entry))
                self._asked[name] = task
            entry = await asyncio.shield(task)
        if not entry.addresses:
            raise ResolutionFailed(entry.reason)
        return entry.addresses

    async def _ask(self, name: str, stale: _Entry | None) -> _Entry:
        try:
            async with asyncio.timeout(limits.RESOLVER_TIMEOUT_SECONDS):
                addresses = await self._lookup(name)
            reason = f"'{name}' has no address"
        except (OSError, UnicodeError, TimeoutError) as error:
            addresses = stale.addresses if stale else ()
            reason = f"'{name}' does not resolve: {error or 'no answer in time'}"
            lifetime = limits.RESOLVER_FAILURE_SECONDS
        else:
            lifetime = limits.RESOLVER_TTL_SECONDS if addresses else limits.RESOLVER_FAILURE_SECONDS
        finally:
            self._asked.pop(name, None)
        entry = _Entry(addresses, reason, self._clock() + lifetime)
        self._entries.pop(name, None)
        if len(self._entries) >= limits.RESOLVER_NAMES_MAX:
            del self._entries[next(iter(self._entries))]  # the one resolved longest ago
        self._entries[name] = entry
        return entry


def _literal(name: str) -> Address | None:
    try:
        version = ipaddress.ip_address(name.partition("%")[0]).version
    except ValueError:
        return None
    return Address(name, socket.AF_INET if version == 4 else socket.AF_INET6)
