"""What is held in memory so that a slow client doesn't keep its upstream waiting.

A route's ``request_buffering`` has a request's body read whole before the upstream hears of it;
``response_buffering`` has the upstream's answer read ahead of what the client takes. Both hold so
many bytes of one body, and so many of all bodies of a worker together; what is more is passed on as
it comes. Nothing goes to disk: a full or slow one is no reason for requests to fail or to wait.
(docs/decisions/0017-buffering.md)
"""

from node.proxy import limits
from node.proxy.heads import RequestHead
from node.proxy.stats import Stats


class Budget:
    """Bytes that all connections of a worker may hold together."""

    __slots__ = ("_left", "_stats")

    def __init__(self, size: int, stats: Stats) -> None:
        self._left = size
        self._stats = stats

    def take(self, size: int) -> bool:
        """Whether so many more may be held; they count until they are given back."""
        if size > self._left:
            self._stats.buffers_refused += 1
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """So many are held no longer."""
        self._left += size


def is_awaited(head: RequestHead) -> bool:
    """Whether a body of this head is worth waiting for: one that is too large never becomes whole
    here."""
    return head.length is None or head.length <= limits.REQUEST_BUFFER_BYTES_MAX


class ReadAhead:
    """The part of answers that one client has yet to take, beyond the usual write buffer."""

    __slots__ = ("_budget", "_held", "_stats")

    def __init__(self, budget: Budget, stats: Stats) -> None:
        self._budget = budget
        self._stats = stats
        self._held = 0

    def may_go_on(self, waiting: int) -> bool:
        """Whether more may be read while so many bytes wait for the client."""
        if waiting > limits.RESPONSE_BUFFER_BYTES_MAX:
            self._stats.responses_held_back += 1
            return False
        more = waiting - limits.WRITE_BUFFER_HIGH - self._held
        if more > 0:
            if not self._budget.take(more):
                return False
            self._held += more
        return True

    def let_go(self) -> None:
        """The client has taken it, or is gone."""
        self._budget.give(self._held)
        self._held = 0
