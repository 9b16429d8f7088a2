"""When to read the authority's head, so that the cluster together asks about once per interval.

A writer that died between commit and push leaves a change that nobody announces; someone must look
(DESIGN 4, point 6). Every node knows the age of the newest confirmation of the authority's head
that has come by, its own or one heard by gossip, and looks itself when that age exceeds
``interval × (1 + U(0, ½))``. The node with the shortest draw asks first; its answer spreads and
puts the others off. Bound: 1.5 intervals, whatever the number of nodes.

Where news of a reading needs a while to spread, that alone would have the more nodes ask the more
there are. So all but a few nodes, on which everybody agrees (``store.poll.patience``), give those
time: they only ask when none of them seems to reach the authority.

Clocked from outside: ``now`` is a monotonic clock, in seconds.
"""

import math
import random
from collections.abc import Callable

SPREAD = 0.5

ROUND_SECONDS = 1.0
"""In which what one node knows reaches about twice as many: a probe interval."""


def patience(interval: float, nodes: int) -> float:
    """Seconds that a node which isn't among the first gives those, in a cluster of so many."""
    return interval + ROUND_SECONDS * math.log2(max(2, nodes))


class Poll:
    """One node's part in it.

    ``interval`` is ``db_update_frequency`` in seconds, above 0. ``patience()``: how many seconds
    this node gives others beyond that, now.
    """

    def __init__(
        self,
        interval: float,
        rng: random.Random,
        now: float = 0.0,
        patience: Callable[[], float] = lambda: 0.0,
    ) -> None:
        if interval <= 0:
            raise ValueError(f"db_update_frequency must be above 0 s, not {interval:g}")
        self._interval = interval
        self._patience = patience
        self._rng = rng
        self._confirmed_at = now
        self._deadline = now
        self._put_off(now)

    @property
    def confirmed_at(self) -> float:
        """When the authority's head was read last, as far as this node knows."""
        return self._confirmed_at

    @property
    def deadline(self) -> float:
        """When the head is to be read unless a newer confirmation comes by."""
        return self._deadline + self._patience()

    def confirmed(self, at: float) -> None:
        """The head was read at the authority at ``at``, by this node or (as gossip tells) another.

        Older news than what is known changes nothing.
        """
        if at > self._confirmed_at:
            self._confirmed_at = at
            self._put_off(at)

    def due(self, now: float) -> bool:
        """Whether to read the head now.

        A True answer puts the next one off by another interval, so that a read that fails or
        hangs is repeated at the same pace and not in a storm.
        """
        if now < self.deadline:
            return False
        self._put_off(now)
        return True

    def _put_off(self, since: float) -> None:
        self._deadline = since + self._interval * (1 + SPREAD * self._rng.random())
