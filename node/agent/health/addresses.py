"""Which addresses targets have: their names are looked up now and then."""

import asyncio
import ipaddress
from collections.abc import Callable, Iterable

from node.agent.health.limits import RESOLVE_SECONDS, RESOLVED_AT_ONCE_MAX
from node.proxy.balancing.address import TargetAddress
from node.proxy.health.settings import Target
from node.proxy.resolver import ResolutionFailed, Resolver

Changed = Callable[[Target, tuple[TargetAddress, ...]], None]


class Addresses:
    """``on_change(target, addresses)`` is called when a target has others than before."""

    def __init__(self, resolver: Resolver, on_change: Changed) -> None:
        self._resolver = resolver
        self._on_change = on_change
        self._targets: dict[str, Target] = {}
        self._found: dict[str, tuple[TargetAddress, ...]] = {}
        """By target id."""
        self._new: asyncio.Queue[str] = asyncio.Queue()

    def of(self, target_id: str) -> tuple[TargetAddress, ...]:
        """What a target resolves to, as far as is known."""
        return self._found.get(target_id, ())

    def follow(self, target: Target) -> None:
        """Find out a target's addresses: of a literal at once, of a name soon and ever again."""
        if self._targets.get(target.id) == target:
            return
        self._targets[target.id] = target
        literal = literal_host(target.host)
        if literal is not None:
            self._take(target, _addresses(target, [(literal, 0)]))
        else:
            self._new.put_nowait(target.id)

    def forget(self, target_id: str) -> None:
        """There is no such target, or nobody wants to know."""
        self._targets.pop(target_id, None)
        self._found.pop(target_id, None)

    async def run(self) -> None:
        """Look names up, until cancelled."""
        await asyncio.gather(self._look_up_new(), self._look_up_again())

    async def look_up(self, target: Target) -> tuple[TargetAddress, ...]:
        """A target's addresses now. Raises ResolutionFailed."""
        found = await self._resolver.resolve(target.host)
        return _addresses(target, ((one.host, one.port) for one in found))

    async def _look_up_new(self) -> None:
        while True:
            await self._refresh([await self._new.get()])

    async def _look_up_again(self) -> None:
        while True:
            await asyncio.sleep(RESOLVE_SECONDS)
            names = [one.id for one in self._targets.values() if literal_host(one.host) is None]
            for first in range(0, len(names), RESOLVED_AT_ONCE_MAX):
                await self._refresh(names[first : first + RESOLVED_AT_ONCE_MAX])

    async def _refresh(self, target_ids: Iterable[str]) -> None:
        targets = [self._targets[one] for one in target_ids if one in self._targets]
        found = await asyncio.gather(*map(self.look_up, targets), return_exceptions=True)
        for target, addresses in zip(targets, found, strict=True):
            if isinstance(addresses, ResolutionFailed):
                continue  # it keeps those that it had
            if isinstance(addresses, BaseException):
                raise addresses
            if self._targets.get(target.id) == target:
                self._take(target, addresses)

    def _take(self, target: Target, addresses: tuple[TargetAddress, ...]) -> None:
        if self._found.get(target.id) != addresses:
            self._on_change(target, addresses)
            self._found[target.id] = addresses


def literal_host(host: str) -> str | None:
    """An IP address as it is written for short; None for a name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _addresses(target: Target, found: Iterable[tuple[str, int]]) -> tuple[TargetAddress, ...]:
    """From hosts and ports; 0 is the target's own, as no SRV record names another."""
    written = sorted({(literal_host(host) or host, port or target.port) for host, port in found})
    return tuple(TargetAddress(target.upstream_id, target.id, *at) for at in written)
