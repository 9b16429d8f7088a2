"""``Grapevine-Min-Revision``: requests that want to be answered at a version or after it.

A client that wrote through one node reads its own write through any other: the header carries the
``Grapevine-Revision`` of the write's answer, and the request waits for it, shortly.
"""

from collections.abc import Callable

from node.channel import Version
from node.named_version import NamedVersion, parse_named
from node.proxy import limits
from node.proxy.deadlines import NEVER, NOWHERE, Wheel


def parse(value: bytes) -> NamedVersion:
    """Read the header. Raises ValueError."""
    return parse_named(value.decode("latin-1"))


class Waiter:
    """One request that waits; ``done`` is called once, with whether the version was reached."""

    __slots__ = ("deadline", "done", "turn", "waiters", "wanted")

    def __init__(
        self, wanted: NamedVersion, done: Callable[[bool], None], waiters: "Waiters"
    ) -> None:
        self.wanted = wanted
        self.done = done
        self.waiters = waiters
        self.deadline = NEVER
        self.turn = NOWHERE

    def expire(self, now: float) -> None:
        self.waiters.settle(self, False)


class Waiters:
    """All requests that wait, bounded."""

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._waiting: dict[Waiter, None] = {}

    def wait(self, wanted: NamedVersion, done: Callable[[bool], None], now: float) -> None:
        """Call ``done`` when the version is reached, or when the time is up."""
        waiter = Waiter(wanted, done, self)
        self._waiting[waiter] = None
        if len(self._waiting) > limits.MIN_REVISION_WAITERS_MAX:
            self.settle(waiter, False)
        else:
            self._wheel.arm(waiter, now + limits.MIN_REVISION_WAIT_SECONDS)

    def reached(self, version: Version) -> None:
        """A version is served now."""
        for waiter in [each for each in self._waiting if each.wanted.reached_by(version)]:
            self.settle(waiter, True)

    def settle(self, waiter: Waiter, reached: bool) -> None:
        """End a wait."""
        self._wheel.disarm(waiter)
        if self._waiting.pop(waiter, self) is not self:
            waiter.done(reached)
