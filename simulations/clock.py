"""Virtual time: a heap of events, and a trace of what they did.

Events of one instant happen in the order in which they were scheduled, so nothing depends on how
the heap breaks ties.
"""

import hashlib
import heapq
import struct
from collections.abc import Callable
from typing import Any

_FACT = struct.Struct("<dBhI")
_FLUSH_BYTES = 1 << 16


class Clock:
    """The time, seconds since the world began, and what will happen when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        """How many have happened."""
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        """Call an action ``delay`` seconds from now."""
        assert delay >= 0.0, "time runs forward"
        self._order += 1
        heapq.heappush(self._heap, (self.now + delay, self._order, action, arguments))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= end:
            self.now, _, action, arguments = pop(heap)
            self.events += 1
            action(*arguments)
        self.now = end

    def run_until(self, condition: Callable[[], bool], within: float) -> float | None:
        """Let time pass until a condition holds; answers how long that took, None when it doesn't
        in time. The condition is asked after each event."""
        begun, end = self.now, self.now + within
        heap, pop = self._heap, heapq.heappop
        while not condition():
            if not heap or heap[0][0] > end:
                self.now = end
                return None
            self.now, _, action, arguments = pop(heap)
            self.events += 1
            action(*arguments)
        return self.now - begun


class Trace:
    """A hash that stands for every fact recorded, in order. No fact holds a secret: keys stay in
    the nodes."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._pending = bytearray()

    def add(self, now: float, kind: int, node: int, what: bytes) -> None:
        """Record that something of a kind happened at a node."""
        pending = self._pending
        pending += _FACT.pack(now, kind, node, len(what))
        pending += what
        if len(pending) > _FLUSH_BYTES:
            self._hash.update(pending)
            pending.clear()

    def hexdigest(self) -> str:
        self._hash.update(self._pending)
        self._pending.clear()
        return self._hash.hexdigest()
