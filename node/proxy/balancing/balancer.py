"""One upstream: the addresses of its targets, and the choice among them."""

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from node.proxy.balancing.address import Health, TargetAddress
from node.proxy.balancing.algorithm import Algorithm
from node.proxy.balancing.consistent_hashing import ConsistentHashing
from node.proxy.balancing.entities import Target, Upstream
from node.proxy.balancing.latency import Latency
from node.proxy.balancing.least_connections import LeastConnections
from node.proxy.balancing.peer import Peer, headers_for
from node.proxy.balancing.round_robin import RoundRobin
from node.proxy.entities import split_port
from node.proxy.health.settings import short
from node.proxy.resolver import Record


class Names(Protocol):
    """What a balancer asks of a Resolver."""

    def known(self, name: str) -> tuple[Record, ...]:
        """The addresses of a name or literal as far as they are known now; maybe none."""


_ALGORITHMS: dict[str, Callable[[Upstream, random.Random], Algorithm]] = {
    "round-robin": lambda upstream, rng: RoundRobin(rng),
    "consistent-hashing": lambda upstream, rng: ConsistentHashing(upstream.slots),
    "least-connections": lambda upstream, rng: LeastConnections(),
    "latency": lambda upstream, rng: Latency(rng),
}


class Balancer:
    """What it remembers outlives changes of its targets, and the table that they came from."""

    def __init__(
        self,
        upstream: Upstream,
        targets: Sequence[Target],
        names: Names,
        health: Health,
        rng: random.Random,
    ) -> None:
        self.upstream = upstream
        self.targets = tuple(targets)
        self.algorithm = _algorithm(upstream, rng)
        self._names = names
        self._health = health
        self._rng = rng
        self._peers: list[Peer] = []
        self._weights: list[tuple[TargetAddress, int]] = []
        self._stale = True

    def change(self, upstream: Upstream, targets: Sequence[Target]) -> None:
        """The upstream, or what is in it, is different now."""
        before = self.upstream
        if (before.algorithm, before.slots) != (upstream.algorithm, upstream.slots):
            self.algorithm = _algorithm(upstream, self._rng)
        self.upstream = upstream
        self.targets = tuple(targets)
        self._stale = True

    def names_changed(self) -> None:
        """A target's name may have other addresses now."""
        self._stale = True

    def peers(self, now: float) -> list[Peer]:
        """All addresses, those of weight 0 included."""
        if self._stale:
            self._stale = False
            self._peers = self._made()
            self._weights = [(peer.address, peer.weight) for peer in self._peers if peer.address]
            self.algorithm.update(self._peers, now)
        return self._peers

    def unresolved(self) -> list[str]:
        """The targets' names of which no address is known."""
        return [target.host for target in self.targets if not self._names.known(target.host)]

    def choose(self, failed: tuple[Peer, ...], value: bytes, now: float) -> Peer | None:
        """An address for one try, if possible none of those that failed this request before."""
        self.peers(now)
        if not self._health.is_upstream_available(self.upstream.id, self._weights):
            return None
        if failed:
            spent = [peer.address for peer in failed]
            peer = self.algorithm.choose(
                lambda one: one.address not in spent and self._is_available(one), value, now
            )
            if peer is not None:
                return peer
        return self.algorithm.choose(self._is_available, value, now)

    def _is_available(self, peer: Peer) -> bool:
        return peer.address is not None and self._health.is_available(peer.address)

    def _made(self) -> list[Peer]:
        made: dict[TargetAddress, Peer] = {}
        for target in self.targets:
            for record in self._names.known(target.host):
                peer = self._peer(target, record)
                if peer.address is not None:
                    made.setdefault(peer.address, peer)
        return list(made.values())

    def _peer(self, target: Target, record: Record) -> Peer:
        upstream = self.upstream
        port = record.port or target.port
        weight = target.weight
        if weight and record.weight is not None:
            weight = max(record.weight, 1)
        address = TargetAddress(upstream.id, target.id, short(record.host), port)
        if upstream.host_header:
            named = upstream.host_header.encode()
            if split_port(named)[1]:
                return Peer(record.host, port, (named, named), weight, address)
        own = record.name if upstream.use_srv_name and record.name else target.host
        headers = headers_for(upstream.host_header or own, port)
        return Peer(record.host, port, headers, weight, address)


def _algorithm(upstream: Upstream, rng: random.Random) -> Algorithm:
    return _ALGORITHMS.get(upstream.algorithm, _ALGORITHMS["round-robin"])(upstream, rng)
