"""Least connections: where (requests under way + 1) / weight is smallest."""

from collections.abc import Sequence

from node.proxy.balancing.address import TargetAddress
from node.proxy.balancing.algorithm import Usable
from node.proxy.balancing.peer import Peer


class LeastConnections:
    """Satisfies Algorithm. Among equals, the one that was chosen longest ago."""

    def __init__(self) -> None:
        self._peers: list[Peer] = []
        self._under_way: dict[TargetAddress | None, int] = {}
        """Of addresses with any, also of those that are gone."""
        self._chosen: dict[TargetAddress | None, int] = {}
        self._choices = 0

    def under_way(self, peer: Peer) -> int:
        """How many tries are under way there."""
        return self._under_way.get(peer.address, 0)

    def update(self, peers: Sequence[Peer], now: float) -> None:
        self._peers = [peer for peer in peers if peer.weight > 0]
        self._chosen = {peer.address: self._chosen.get(peer.address, 0) for peer in self._peers}

    def choose(self, usable: Usable, value: bytes, now: float) -> Peer | None:
        usable_peers = filter(usable, self._peers)
        chosen = min(usable_peers, key=self._cost, default=None)
        if chosen is not None:
            self._choices += 1
            self._chosen[chosen.address] = self._choices
        return chosen

    def _cost(self, peer: Peer) -> tuple[float, int]:
        under_way = self._under_way.get(peer.address, 0)
        return ((under_way + 1) / peer.weight, self._chosen[peer.address])

    def began(self, peer: Peer) -> None:
        self._under_way[peer.address] = self._under_way.get(peer.address, 0) + 1

    def ended(self, peer: Peer, seconds: float | None, now: float) -> None:
        left = self._under_way.pop(peer.address, 0) - 1
        if left > 0:
            self._under_way[peer.address] = left
