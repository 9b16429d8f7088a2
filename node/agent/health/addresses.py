"""Which addresses targets have, as their balancers find them: by the same look-ups."""

import asyncio
from collections.abc import Callable

from node.proxy.balancing.address import TargetAddress
from node.proxy.health.settings import Target, short
from node.proxy.limits import RESOLVER_TICK_SECONDS
from node.proxy.resolver import Lookup, Record, Resolver

Weighed = tuple[TargetAddress, int]
"""An address and its weight."""


class Addresses:
    """``on_change(target, before, now)`` is called when a target has others than before."""

    def __init__(
        self,
        clock: Callable[[], float],
        lookup: Lookup,
        on_change: Callable[[Target, frozenset[TargetAddress], tuple[TargetAddress, ...]], None],
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._resolver = Resolver(clock, lookup, self._name_changed)
        self._targets: dict[str, Target] = {}
        self._found: dict[str, tuple[Weighed, ...]] = {}
        """By target id."""
        self._users: dict[str, dict[str, None]] = {}
        """Targets by the name that they have."""

    def look_up_by(self, lookup: Lookup) -> None:
        """Look names up this way from now on."""
        self._resolver.look_up_by(lookup)

    def of(self, target_id: str) -> tuple[TargetAddress, ...]:
        """What a target that is followed resolves to, as far as is known."""
        return tuple(address for address, _ in self._found.get(target_id, ()))

    def follow(self, target: Target) -> None:
        """Find out a target's addresses: of a literal at once, of a name soon and ever again."""
        before = self._targets.get(target.id)
        if before == target:
            return
        if before is not None:
            self._release(before)
        self._targets[target.id] = target
        self._users.setdefault(target.host, {})[target.id] = None
        self._resolver.watch(target.host)
        self._take(target)

    def forget(self, target_id: str) -> None:
        """There is no such target, or nobody wants to know."""
        target = self._targets.pop(target_id, None)
        if target is not None:
            self._release(target)
        self._found.pop(target_id, None)

    async def run(self) -> None:
        """Keep names looked up, until cancelled."""
        while True:
            self._resolver.tick(self._clock())
            await asyncio.sleep(RESOLVER_TICK_SECONDS)

    async def look_up(self, target: Target) -> tuple[Weighed, ...]:
        """Any target's addresses now. Raises ResolutionFailed."""
        return _weighed(target, await self._resolver.resolve(target.host))

    def close(self) -> None:
        """Look nothing up any more."""
        self._resolver.close()

    def _name_changed(self, name: str) -> None:
        for target_id in list(self._users.get(name, ())):
            self._take(self._targets[target_id])

    def _take(self, target: Target) -> None:
        found = _weighed(target, self._resolver.known(target.host))
        before = frozenset(self.of(target.id))
        if self._found.get(target.id, ()) != found:
            self._found[target.id] = found
            self._on_change(target, before, self.of(target.id))

    def _release(self, target: Target) -> None:
        self._resolver.unwatch(target.host)
        users = self._users[target.host]
        del users[target.id]
        if not users:
            del self._users[target.host]


def _weighed(target: Target, records: tuple[Record, ...]) -> tuple[Weighed, ...]:
    """As in node.proxy.balancing.balancer: SRV records have ports and weights of their own."""
    found = []
    for record in records:
        port = record.port or target.port
        weight = target.weight
        if weight and record.weight is not None:
            weight = max(record.weight, 1)
        address = TargetAddress(target.upstream_id, target.id, short(record.host), port)
        found.append((address, weight))
    return tuple(found)
