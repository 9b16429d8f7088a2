"""When to try an authority again that can't be reached, so that a cluster doesn't fall upon it.

While it is away the attempts of all nodes together stay at one pace, whatever their number: each
waits longer the more there are. The first that gets through is heard of by gossip (the age of the
newest confirmation), and the others follow spread over a time in proportion to their number.

Clocked from outside: ``now`` is a monotonic clock, in seconds.
"""

import random

PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""After the first failure, the second, …; jittered by up to half."""

CROWD = 16
"""Members up to which they may each keep that pace; n of them wait n / CROWD times as long."""

FOLLOW_SECONDS = 0.02
"""What each member adds to the time over which they come back: 50 connections a second."""


class Reconnect:
    """One node's part in it."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0
        self._following = False

    def failed(self, now: float, members: int) -> float:
        """An attempt has failed: when to make the next. ``members`` run, this node included."""
        pause = PAUSES_SECONDS[min(self._failures, len(PAUSES_SECONDS) - 1)]
        self._failures += 1
        self._following = False
        return now + pause * max(1.0, members / CROWD) * (1 + self._rng.random() / 2)

    def reached_elsewhere(self, now: float, members: int, due: float) -> float:
        """Another member has just reached it: when to try, at the latest when it was due anyway.

        Told again, it says the same.
        """
        if self._following:
            return due
        self._following = True
        return min(due, now + self._rng.random() * members * FOLLOW_SECONDS)

    def succeeded(self) -> None:
        """It was reached."""
        self._failures = 0
        self._following = False
