"""Consistent hashing: a value goes to the same address as long as that address is there.

Kong's continuum (runloop/balancer/consistent_hashing.lua): a ring of ``slots`` slots, of which each
address takes 160 per target by its share of the weight; a value goes to the slot of its hash, else
to the nearest taken one below. When an address comes or goes, or is passed over, only values at its
own slots move, but for the few slots that two had wanted.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from node.proxy.balancing.algorithm import Usable
from node.proxy.balancing.peer import Peer
from node.proxy.balancing.xxhash32 import xxhash32

SLOTS_MIN = 1_000
"""Kong takes this size instead of a smaller one."""
SLOTS_PER_TARGET = 160
FILLED_MAX = 0.97
"""Beyond this share Kong, too, finds no slots for the last addresses."""


class ConsistentHashing:
    """Satisfies Algorithm."""

    def __init__(self, slots: int) -> None:
        self._slots = slots if slots >= SLOTS_MIN else SLOTS_MIN
        self._peers: list[Peer] = []
        self._targets = 0
        self._hashes: dict[tuple[str, int], list[int]] = {}
        """Of the names of each address's slots, kept because making them is what takes time."""
        self._taken: list[int] = []
        """The slots that are taken, ascending."""
        self._owners: list[Peer] = []
        self._made = True

    def update(self, peers: Sequence[Peer], now: float) -> None:
        self._peers = sorted(
            (peer for peer in peers if peer.weight > 0), key=lambda peer: (peer.host, peer.port)
        )
        self._targets = len({peer.address and peer.address.target_id for peer in peers})
        self._made = False

    def choose(self, usable: Usable, value: bytes, now: float) -> Peer | None:
        if not self._made:  # made when it is needed: hashing takes a millisecond per target
            self._make()
        owners = self._owners
        if not owners:
            return None
        start = bisect_right(self._taken, xxhash32(value) % self._slots) - 1
        refused = set()
        for step in range(len(owners)):
            peer = owners[start - step]
            if peer.address in refused:
                continue
            if usable(peer):
                return peer
            refused.add(peer.address)
            if len(refused) == len(self._peers):
                break
        return None

    def _make(self) -> None:
        self._made = True
        places = {(peer.host, peer.port) for peer in self._peers}
        self._hashes = {at: hashes for at, hashes in self._hashes.items() if at in places}
        per_target = SLOTS_PER_TARGET
        while (ring := self._filled(per_target)) is None:
            per_target //= 2  # where Kong gives up and asks for more slots
        self._taken = sorted(ring)
        self._owners = [ring[slot] for slot in self._taken]

    def _filled(self, per_target: int) -> dict[int, Peer] | None:
        """The ring; None when so many slots per target don't fit into it."""
        slots = self._slots
        total = sum(peer.weight for peer in self._peers)
        shares = [
            int(peer.weight / total * self._targets * per_target) or 1 for peer in self._peers
        ]
        if per_target and sum(shares) > slots * FILLED_MAX:
            return None
        ring: dict[int, Peer] = {}
        for peer, wanted in zip(self._peers, shares, strict=True):
            for number, hashed in enumerate(self._hashes_of(peer), start=1):
                slot = hashed % slots
                if slot not in ring:
                    ring[slot] = peer
                    wanted -= 1
                if not wanted or number == slots:
                    break
            if wanted and per_target:
                return None
        return ring

    def _hashes_of(self, peer: Peer) -> Iterator[int]:
        """Those of the names of an address's slots, without end."""
        hashes = self._hashes.setdefault((peer.host, peer.port), [])
        yield from hashes
        host = f"[{peer.host}]" if ":" in peer.host else peer.host
        while True:
            hashes.append(xxhash32(f"{host}::{peer.port} {len(hashes) + 1}".encode()))
            yield hashes[-1]

    def began(self, peer: Peer) -> None:
        pass

    def ended(self, peer: Peer, seconds: float | None, now: float) -> None:
        pass
