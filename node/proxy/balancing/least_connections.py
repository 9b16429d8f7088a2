"""Least connections: where (requests under way + 1) / weight is smallest."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from node.proxy.balancing.address import TargetAddress
from node.proxy.balancing.algorithm import Usable
from node.proxy.balancing.peer import Peer


class _Entry(NamedTuple):
    cost: float
    chosen: int
    """When its address was chosen last, by the number of the choice."""
    number: int
    """Of entries of one address only the latest counts."""
    peer: Peer


class LeastConnections:
    """Satisfies Algorithm. Among equals, the one that was chosen longest ago."""

    def __init__(self) -> None:
        self._peers: dict[TargetAddress | None, Peer] = {}
        self._under_way: dict[TargetAddress | None, int] = {}
        """Of addresses with any, also of those that are gone."""
        self._chosen: dict[TargetAddress | None, int] = {}
        self._heap: list[_Entry] = []
        self._latest: dict[TargetAddress | None, int] = {}
        """The numbers of the entries that count."""
        self._numbers = 0

    def under_way(self, peer: Peer) -> int:
        """How many tries are under way there."""
        return self._under_way.get(peer.address, 0)

    def update(self, peers: Sequence[Peer], now: float) -> None:
        self._peers = {peer.address: peer for peer in peers if peer.weight > 0}
        self._chosen = {address: self._chosen.get(address, 0) for address in self._peers}
        self._begin_heap()

    def choose(self, usable: Usable, value: bytes, now: float) -> Peer | None:
        heap = self._heap
        passed = []
        chosen = None
        while heap:
            entry = heapq.heappop(heap)
            peer = entry.peer
            if self._latest.get(peer.address) != entry.number:
                continue
            if usable(peer):
                chosen = peer
                break
            passed.append(entry)
        for entry in passed:
            heapq.heappush(heap, entry)
        if chosen is not None:
            self._chosen[chosen.address] = self._numbers
            self._enter(chosen)
        return chosen

    def began(self, peer: Peer) -> None:
        self._under_way[peer.address] = self._under_way.get(peer.address, 0) + 1
        self._changed(peer)

    def ended(self, peer: Peer, seconds: float | None, now: float) -> None:
        left = self._under_way.pop(peer.address, 0) - 1
        if left > 0:
            self._under_way[peer.address] = left
        self._changed(peer)

    def _changed(self, peer: Peer) -> None:
        current = self._peers.get(peer.address)
        if current is not None:
            self._enter(current)

    def _enter(self, peer: Peer) -> None:
        """Put an address where it belongs now; entries that it had before count no more."""
        if len(self._heap) > 4 * len(self._peers) + 16:
            self._begin_heap()
        heapq.heappush(self._heap, self._entry(peer))

    def _entry(self, peer: Peer) -> _Entry:
        self._numbers += 1
        self._latest[peer.address] = self._numbers
        cost = (self.under_way(peer) + 1) / peer.weight
        return _Entry(cost, self._chosen[peer.address], self._numbers, peer)

    def _begin_heap(self) -> None:
        self._latest = {}
        self._heap = [self._entry(peer) for peer in self._peers.values()]
        heapq.heapify(self._heap)
