"""Deadlines of many connections, watched by one coarse timer.

A timer per request would cost more than routing it. Here, putting a deadline off is an assignment:
the wheel keeps each connection in one slot, and when the slot's turn comes, looks at what the
deadline is by then. (A lazy form of Varghese and Lauck's timing wheel, SOSP 1987.)
"""

import math
from typing import Protocol

NEVER = math.inf
NOWHERE = 2**62
"""The turn of what is in no slot: later than all."""


class Watched(Protocol):
    """Something with a deadline."""

    deadline: float
    """When it is due, in the loop's seconds; NEVER if it isn't."""
    turn: int
    """The wheel's: the slot that it stands in; NOWHERE at first."""

    def expire(self, now: float) -> None:
        """Called once the deadline has passed."""


class Wheel:
    """Pure: the time is an argument."""

    def __init__(self, tick_seconds: float) -> None:
        self._tick = tick_seconds
        self._slots: dict[int, set[Watched]] = {}
        self._passed = -1
        """The last turn that was looked at."""

    def arm(self, item: Watched, deadline: float) -> None:
        """Set a deadline, sooner or later than the one before."""
        item.deadline = deadline
        if deadline < item.turn * self._tick:
            self._place(item)

    def disarm(self, item: Watched) -> None:
        """Forget an item."""
        item.deadline = NEVER
        slot = self._slots.get(item.turn)
        if slot is not None:
            slot.discard(item)
            if not slot:
                del self._slots[item.turn]
        item.turn = NOWHERE

    def _place(self, item: Watched) -> None:
        deadline = item.deadline
        self.disarm(item)
        if deadline != NEVER:
            item.deadline = deadline
            item.turn = max(int(deadline / self._tick) + 1, self._passed + 1)
            self._slots.setdefault(item.turn, set()).add(item)

    def advance(self, now: float) -> None:
        """Expire whatever is due at ``now``."""
        turn = int(now / self._tick)
        for due in sorted(slot for slot in self._slots if slot <= turn):
            self._passed = due
            for item in self._slots.pop(due, set()):
                item.turn = NOWHERE
                if item.deadline <= now:
                    item.deadline = NEVER
                    item.expire(now)
                else:
                    self._place(item)
        self._passed = turn
