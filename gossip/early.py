"""Changesets on their way into the replica: those that wait, and where those applied came from."""

from collections import OrderedDict
from typing import NamedTuple

from sortedcontainers import SortedDict

from gossip import limits
from gossip.messages.spreading import Run
from gossip.replica import Changeset, Head, Version


class Arrival(NamedTuple):
    """A changeset as it arrived here."""

    changeset: Changeset
    at: float
    delay: float | None
    """Seconds from its origin's push to ``at``; None when unknown."""
    hops: int
    """Nodes it came through, its origin included; 0 at its origin or when unknown."""
    sender: str
    """Node id; this node's own for its own commits."""


class EarlyBuffer:
    """Arrivals whose predecessor is missing: bounded by count and bytes, in version order.

    When it is full the newest go: the oldest are needed first, and those that went are asked for
    again like any other gap. Beside them there may be a large one, whatever its size, that the
    replica prepares: it follows the head.
    """

    def __init__(self) -> None:
        self.preparing: Arrival | None = None
        self._by_version: SortedDict[Version, Arrival] = SortedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._by_version) + (self.preparing is not None)

    def add(self, arrival: Arrival) -> int:
        """Keep one. Answers how many were dropped for want of room."""
        version = arrival.changeset.version
        if version in self:
            return 0
        if len(arrival.changeset.body) > limits.EARLY_BYTES_MAX:
            return 1
        self._by_version[version] = arrival
        self._bytes += len(arrival.changeset.body)
        dropped = 0
        while (
            len(self._by_version) > limits.EARLY_COUNT_MAX or self._bytes > limits.EARLY_BYTES_MAX
        ):
            self._pop(-1)
            dropped += 1
        return dropped

    def take(self, version: Version, digest: bytes) -> Arrival | None:
        """The one that follows this head, if it is here; first the one that is prepared, which
        stays. What is at or below the head is gone."""
        if self.preparing is not None:
            return self.preparing
        while self._by_version:
            arrival = self._by_version.peekitem(0)[1]
            if arrival.changeset.version <= version:
                self._pop(0)
            elif arrival.changeset.predecessor == digest:
                return self._pop(0)
            else:
                return None
        return None

    def above(self, version: Version, max_bytes: int) -> list[Changeset]:
        """Those above a version, oldest first, of at most ``max_bytes`` of bodies together."""
        chosen: list[Changeset] = []
        for arrival in self._by_version.values():
            if arrival.changeset.version <= version:
                continue
            max_bytes -= len(arrival.changeset.body)
            if max_bytes < 0:
                break
            chosen.append(arrival.changeset)
        return chosen

    def __contains__(self, version: Version) -> bool:
        prepared = self.preparing is not None and self.preparing.changeset.version == version
        return prepared or version in self._by_version

    def prepared(self, after: Head) -> Changeset | None:
        """The one that is prepared, for who holds its predecessor."""
        if self.preparing is None or self.preparing.changeset.predecessor != after.digest:
            return None
        return self.preparing.changeset

    def follows(self, digest: bytes) -> bool:
        """Whether the oldest one fits on this head, or one is prepared."""
        if self.preparing is not None:
            return True
        return bool(self._by_version) and (
            self._by_version.peekitem(0)[1].changeset.predecessor == digest
        )

    def runs(self, at_most: int) -> tuple[Run, ...]:
        """What waits, in runs of revisions, the lowest first."""
        runs: list[Run] = []
        prepared = () if self.preparing is None else (self.preparing.changeset.version,)
        version: Version
        for version in (*prepared, *self._by_version):
            epoch, tag, revision = version
            if runs and runs[-1] == (epoch, tag, runs[-1].first, revision - 1):
                runs[-1] = runs[-1]._replace(last=revision)
            elif len(runs) < at_most:
                runs.append(Run(epoch, tag, revision, revision))
            else:
                break
        return tuple(runs)

    def _pop(self, index: int) -> Arrival:
        arrival = self._by_version.popitem(index)[1]
        self._bytes -= len(arrival.changeset.body)
        return arrival


class _Birth(NamedTuple):
    pushed_at: float
    """When its origin pushed it, in this node's time."""
    hops: int


class Lineage:
    """When recent changesets were pushed by their origins, so that whoever is given one from the
    log later still learns how long it took."""

    def __init__(self) -> None:
        self._births: OrderedDict[Version, _Birth] = OrderedDict()

    def record(self, version: Version, pushed_at: float, hops: int) -> None:
        self._births[version] = _Birth(pushed_at, hops)
        if len(self._births) > limits.ORIGINS_MAX:
            self._births.popitem(last=False)

    def residence(self, version: Version, now: float) -> tuple[float | None, int]:
        """Seconds since the origin's push, and the hops to here; (None, 0) when forgotten."""
        birth = self._births.get(version)
        return (None, 0) if birth is None else (max(0.0, now - birth.pushed_at), birth.hops)
