"""Round-robin: turn by turn, as often as the weights say, evenly spread.

Kong turns a shuffled wheel in which each address has weight / gcd places. Here an address of weight
w has its turns at the times (k + 1/2) / w, and the earliest turn is next. So in any row of sum of
weights / gcd choices each address has exactly its share, too, its turns lie as far apart as can be,
and 65,535 : 1 needs no wheel of 65,536 places.
"""

import heapq
import random
from collections.abc import Sequence

from node.proxy.balancing.address import TargetAddress
from node.proxy.balancing.algorithm import Usable
from node.proxy.balancing.peer import Peer


def _turn(number: int, weight: int) -> float:
    return (number + 0.5) / weight


class RoundRobin:
    """Satisfies Algorithm."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._at = rng.random()
        """The time of the last turn: anywhere at first, so that workers don't march in step."""
        self._heap: list[tuple[float, float, int, Peer]] = []
        """The next turns: when; the order among equal ones; which turn it is; whose."""
        self._orders: dict[TargetAddress | None, float] = {}

    def update(self, peers: Sequence[Peer], now: float) -> None:
        self._orders = {
            peer.address: self._orders.get(peer.address, self._rng.random()) for peer in peers
        }
        before = {(peer.address, peer.weight): entry for *entry, peer in self._heap}
        self._heap = []
        for peer in peers:
            entry = before.get((peer.address, peer.weight))
            if entry is not None:
                turn, order, number = entry
                self._heap.append((turn, order, int(number), peer))
            elif peer.weight > 0:
                self._heap.append(self._next(peer, self._at))
        heapq.heapify(self._heap)

    def choose(self, usable: Usable, value: bytes, now: float) -> Peer | None:
        heap = self._heap
        passed = []
        chosen = None
        while heap:
            turn, order, number, peer = heap[0]
            if usable(peer):
                chosen = peer
                self._at = turn
                heapq.heapreplace(heap, (_turn(number + 1, peer.weight), order, number + 1, peer))
                break
            passed.append(heapq.heappop(heap)[3])
        for peer in passed:  # their turns go by: nothing is made up for when they are back
            heapq.heappush(heap, self._next(peer, self._at))
        return chosen

    def _next(self, peer: Peer, after: float) -> tuple[float, float, int, Peer]:
        number = int(after * peer.weight + 0.5)
        if _turn(number, peer.weight) <= after:
            number += 1
        return (_turn(number, peer.weight), self._orders[peer.address], number, peer)

    def began(self, peer: Peer) -> None:
        pass

    def ended(self, peer: Peer, seconds: float | None, now: float) -> None:
        pass
