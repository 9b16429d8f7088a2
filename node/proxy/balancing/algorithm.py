"""What the ways of choosing among an upstream's addresses have in common.

They are pure: the random generator and the time are handed in. What one of them remembers of an
address it remembers by its TargetAddress, so a change of other targets changes nothing of it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from node.proxy.balancing.peer import Peer

Usable = Callable[[Peer], bool]
"""Whether an address may be chosen now."""


class Algorithm(Protocol):
    """Chooses one of the peers that it was given last."""

    def update(self, peers: Sequence[Peer], now: float) -> None:
        """These are the peers from now on. Those of weight 0 are never chosen."""

    def choose(self, usable: Usable, value: bytes, now: float) -> Peer | None:
        """A peer for one try; None when none is usable. ``value`` is what hashing goes by."""

    def began(self, peer: Peer) -> None:
        """A try goes there."""

    def ended(self, peer: Peer, seconds: float | None, now: float) -> None:
        """That try is over; ``seconds`` is how long the answer took, None when none came."""
