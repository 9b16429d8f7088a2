"""Commits of this node on their way out: a lone one goes at once, a burst shares packets."""

from collections.abc import Sequence

from gossip.limits import COALESCE_SECONDS, PACKET_BYTES_MAX
from gossip.replica import Changeset


class Burst:
    """What was committed here and isn't pushed yet.

    Whatever comes within ``limits.COALESCE_SECONDS`` of the last push waits for the end of that
    time, or until there is a packet full of it: nothing waits longer, and after a pause nothing
    waits at all (cockroachdb/cockroach#119426 batches each hop for 10 ms).
    """

    def __init__(self) -> None:
        self._waiting: list[Changeset] = []
        self._bytes = 0
        self._free_at = 0.0
        """From when on a push needs no waiting."""
        self.deadline: float | None = None
        """When what waits must go; None while nothing does."""

    def add(self, changesets: Sequence[Changeset], now: float) -> None:
        """These were committed just now."""
        if not changesets:
            return
        self._waiting += changesets
        self._bytes += sum(len(changeset.body) for changeset in changesets)
        full = self._bytes >= PACKET_BYTES_MAX
        self.deadline = now if full else max(now, self._free_at)

    def take(self, now: float) -> list[Changeset]:
        """What is to be pushed now; nothing when it isn't time yet."""
        if self.deadline is None or self.deadline > now:
            return []
        taken, self._waiting = self._waiting, []
        self._bytes = 0
        self.deadline = None
        self._free_at = now + COALESCE_SECONDS
        return taken
